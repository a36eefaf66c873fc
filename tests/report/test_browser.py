"""The page in headless Chromium: no errors, both widths and schemes, charts drawn, the players alive."""

import re
import shutil

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.report.results import read_results
from abaw_submit.tasks import VA

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium with its driver on this machine (apt install chromium-driver)",
)
PATIENCE_S = 60


@pytest.fixture(scope="module")
def browser():
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(whole_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    write = ["report", "--run", str(whole_run / "work/one"), "--annotations", str(whole_run / "annotations")]
    CliRunner().invoke(cli, [*write, "--out", str(out), "--faces"], catch_exceptions=False)
    return out


def opened(browser, page, width_px, scheme):
    """The page, with every chart drawn."""
    size = {"width": width_px, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.as_uri())
    wait_for(browser, "return document.body.dataset.ready")
    return browser


def wait_for(browser, script):
    """The first value of a script that is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE_S, poll_frequency=0.1).until(lambda b: b.execute_script(script))


@pytest.mark.parametrize(("width_px", "scheme"), [(400, "dark"), (1400, "light")])
def test_every_chart_is_drawn_without_errors_and_fits_the_width(browser, page, width_px, scheme):
    opened(browser, page, width_px, scheme)
    charts, drawn = browser.execute_script(
        "return [document.querySelectorAll('.chart').length, document.querySelectorAll('.chart svg').length]"
    )
    assert charts == drawn > 20
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width_px
    assert not [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert not [name for name in fetched if not name.startswith("data:")]


def test_on_a_narrow_screen_nothing_is_cut_though_faces_stand_beside_the_scores(browser, page):
    opened(browser, page, 400, "light")
    for key, outputs in (("au", 12), ("expr", 8), ("va", 2)):
        browser.execute_script(f"document.getElementById('player-{key}').scrollIntoView()")
        drawn = (
            f"document.querySelectorAll('#player-{key} .timeline .mark-group.cell > g').length == {outputs}"
        )
        wait_for(browser, f"return {drawn}")
        cut = f"""
            const player = document.querySelector('#player-{key}');
            const box = player.querySelector('.values .scroll');
            return [player.querySelector('.face').hidden, box.scrollWidth - box.clientWidth,
                box.innerText.includes('processed')]"""
        assert browser.execute_script(cut) == [False, 0, True], key
    # what is wider than the page stands in a box that scrolls
    wide = """
        return [...document.querySelectorAll('main *')].filter((e) =>
            e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll, .chart, pre'))
            .map((e) => e.tagName + '.' + e.className)"""
    assert browser.execute_script(wide) == []


def test_charts_follow_the_scheme(browser, page):
    colours = []
    for scheme in ("light", "dark"):
        opened(browser, page, 1400, scheme)
        colours.append(
            browser.execute_script("return getComputedStyle(document.querySelector('.chart svg text')).fill")
        )
    assert colours[0] != colours[1]


def test_the_cursor_of_a_player_reads_the_scores(browser, page, whole_run, found):
    opened(browser, page, 1400, "light")
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    browser.execute_script("document.getElementById('player-va').scrollIntoView()")
    wait_for(browser, "return document.querySelector('#player-va .timeline .mark-group.cell .background')")
    # move the mouse to three quarters of the plot
    moved = """
        const plot = document.querySelector('#player-va .timeline .mark-group.cell .background');
        const box = plot.getBoundingClientRect();
        const place = {bubbles: true, clientX: box.left + 0.75 * box.width, clientY: box.top + 5};
        plot.dispatchEvent(new PointerEvent('pointermove', place));
        return document.querySelector('#player-va .values').innerText"""
    text = wait_for(browser, f"const t = (() => {{{moved}}})(); return /row (?!1\\b)/.test(t) && t")
    name = browser.execute_script("return document.querySelector('#player-va .track option:checked').text")
    row = int(re.search(r"row (\d+)", text)[1])
    assert abs(row - 0.75 * 59) < 3
    results = read_results(next(t for t in found.tasks if t.task is VA), whole_run / "annotations")
    shown = [float(v) for v in re.search(r"raw\s+(\S+)\s+(\S+)", text).groups()]
    assert shown == pytest.approx(results.raw[name][row - 1].tolist(), abs=0.005)
    truth = [float(v) for v in re.search(r"truth\s+(\S+)\s+(\S+)", text).groups()]
    assert truth == pytest.approx(results.truth[name].values[row - 1].tolist(), abs=0.005)
    assert browser.execute_script("return !document.querySelector('#player-va .face').hidden")


def test_search_finds_a_section_and_opens_a_track(browser, page):
    opened(browser, page, 1400, "light")
    typed = """
        const box = document.querySelector('nav input');
        box.value = arguments[0]; box.dispatchEvent(new Event('input'));
        return [...document.querySelectorAll('.hits a')].map((a) => a.textContent)"""
    assert "EXPR: Confusion matrix" in browser.execute_script(typed, "confusion")
    assert "VA: track video5" in browser.execute_script(typed, "va video5")
    browser.execute_script("document.querySelector('.hits a').click()")
    chosen = "return document.querySelector('#player-va .track option:checked').text"
    assert wait_for(browser, chosen) == "video5"


def test_a_click_on_a_head_sorts_the_table(browser, page):
    opened(browser, page, 1400, "light")
    column = """
        const table = document.querySelector('#va-tracks table');
        table.querySelectorAll('th')[1].click();
        return [...table.tBodies[0].rows].map((r) => parseFloat(r.cells[1].textContent))"""
    values = browser.execute_script(column)
    assert values == sorted(values, reverse=True)
    assert len(values) == 8


def test_the_printed_page_is_light_and_whole(browser, page):
    opened(browser, page, 1400, "dark")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 100_000
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
