"""Charts as SVG files: the page's style, sentences above, the same bytes every time."""

import xml.etree.ElementTree as ET

import pytest

from abaw_submit import charts
from abaw_submit.draw import draw, still

pytest.importorskip("vl_convert")
SVG = "{http://www.w3.org/2000/svg}"
LINES = [{"x": x, "y": x * x, "series": name} for name in ("$a$", "b") for x in range(5)]


def texts(path):
    return [part for e in ET.parse(path).iter(f"{SVG}text") for part in e.itertext()]


def test_a_chart_has_its_caption_its_series_and_no_names_of_the_page_in_it(tmp_path):
    path = draw(tmp_path / "x.svg", [("one", charts.lines(LINES, "row", "score"))], "What is drawn. " * 12)
    found = texts(path)
    assert {"one", "$a$", "b", "row", "score"} <= set(found)
    assert sum("What is drawn." in text for text in found) == 2  # a long caption takes two lines
    assert "var(--" not in path.read_text(encoding="utf-8")
    assert "#3b75af" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        *["$x^{2}$", "a,b", "a\nb", "n" * 250, "e\u0301", "\udcff\udcfe", "var(--evil)", "var(--c1)"],
        *["<script>", "a.b[c]", "datum.x", "\x01\x1b[2J", "%s{0}", '"]', "\\", "&amp;", "\ufffe"],
    ],
)
def test_any_name_is_drawn_whatever_is_in_it(tmp_path, name):
    points = [{"name": n, "x": 1, "y": 2, "size": 3, "series": n} for n in (name, "other")]
    rows = [{"x": x, "y": x, "series": n} for n in (name, "other") for x in range(2)]
    path = draw(
        tmp_path / "x.svg",
        [(name, charts.scatter(points, name, "y")), ("", charts.lines(rows, "x", "y"))],
        name,
    )
    shown = "#3b75af" if name == "var(--c1)" else "".join(c if c.isprintable() else "\ufffd" for c in name)
    assert texts(path).count(shown) >= 3  # the title of the chart, of an axis, and in a legend


def test_the_same_charts_give_the_same_bytes(tmp_path):
    made = [draw(tmp_path / f"{k}.svg", [("", charts.lines(LINES, "x", "y"))], "") for k in range(2)]
    assert made[0].read_bytes() == made[1].read_bytes()


@pytest.mark.parametrize(
    "chart",
    [
        charts.intervals([{"name": "a", "value": 0.5, "low": 0.4, "high": 0.6, "kind": "k"}], "F1"),
        charts.dots([{"output": "AU1", "series": "s", "value": 0.5}], "F1"),
        charts.lines(LINES, "x", "y", log=False, points=False, diagonal=(0, 1), level=0.5),
        charts.heat([{"x": "a", "y": "b", "share": 0.5, "text": "50 %", "count": 3}], "x", "y"),
        charts.binned([{"x0": -1, "x1": 0, "y0": 0, "y1": 1, "share": 1, "count": 3}], "truth", "prediction"),
        charts.scatter([{"name": "102", "x": 1, "y": 2, "size": 3, "series": "s"}], "x", "y"),
    ],
    ids=["intervals", "dots", "lines", "heat", "binned", "scatter"],
)
def test_every_kind_of_chart_can_be_drawn(tmp_path, chart):
    drawn = ET.parse(draw(tmp_path / "x.svg", [("", chart), ("again", chart)], "Two."))
    assert len(list(drawn.iter(f"{SVG}path"))) > 4


def test_what_a_cursor_does_is_left_out_and_what_the_data_decide_stays():
    spec = charts.dots([{"output": "AU1", "series": "s", "value": 0.5}], "F1")
    assert "params" in spec
    assert "params" not in still(spec)
    assert still(spec)["encoding"]["opacity"] == {"value": 1}
    size = charts.intervals([{"name": "a", "value": 1, "low": 1, "high": 1, "kind": "k"}], "F1")["layer"][1]
    assert "test" in still(size)["encoding"]["size"]["condition"]


def test_the_colours_are_those_of_the_light_page():
    import re
    from importlib.resources import files

    from abaw_submit.draw import _LIGHT

    style = files("abaw_submit.report").joinpath("style.css").read_text(encoding="utf-8")
    first = dict(re.findall(r"--(\w+):(#\w+)", style.split("@media")[0]))
    for name, colour in _LIGHT.items():
        assert first[name] in (colour, colour[:4]), name
