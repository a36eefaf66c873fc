"""Every command of the documents is run, here or by the test of its page, or marked as one that is not.

A block of commands that cannot be run here has `<!-- not run: why -->` on the line before it. The others run,
page by page and in their order, in a folder that has what the pages name: videos, annotations, templates,
and scores of models that were never trained.
"""

import re
import shlex
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.corpus.rows import official_rows
from abaw_submit.demo.corpus import write_corpus
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.tasks import AU, TASKS, VA

ROOT = Path(__file__).parents[2]
HELP = ROOT / "docs/reference/commands.md"  # what `--help` says; the command line's tests hold it
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")} - {HELP})
ELSEWHERE = {  # pages whose blocks in ```bash run in a test of their own
    "affwild2.md": "test_affwild2_page.py",
    "check-a-zip.md": "test_commands.py",
}
BLOCK = re.compile(r"(<!-- not run: ([^>]+) -->\n)?^```(\w*)\n(.*?)^```", re.M | re.S)
INSTALLS = (
    "python -m pip",
    "python -m venv",
    "python3 -m venv",
    ". .venv",
    "cd ",
    "git clone",
)  # tests/house/test_wheel.py
ORDER = ["crop.md", "extract.md", "import.md", "select.md", "submit.md", "report.md", "README.md"]


def blocks(page):
    """(why it is not run or "", language, its commands) of the blocks that have commands."""
    for _, why, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
        if language in ("", "bash", "sh") and any(re.match("(abaw-submit|make|python) ", n) for n in lines):
            yield why, language, lines


def to_run(page):
    """The commands of a page that are run here."""
    for why, language, lines in blocks(page):
        elsewhere = page.name in ELSEWHERE and language == "bash"
        if not why and not elsewhere:
            yield from (line for line in lines if not line.startswith(INSTALLS))


def test_every_command_is_run_or_says_why_not():
    """No `make` and no shell among those that are run; nothing marked that is run by a page's own test."""
    for page in PAGES:
        for line in to_run(page):
            assert line.startswith("abaw-submit "), f"{page.name}: neither run nor marked: {line}"
        for why, language, lines in blocks(page):
            assert not (why and page.name in ELSEWHERE and language == "bash"), lines
    for name in ELSEWHERE.values():
        assert (Path(__file__).parent / name).is_file()


def test_most_commands_are_run():
    run = sum(len(list(to_run(page))) for page in PAGES)
    assert run > 20


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What the pages name, made of the tiny corpus."""
    place = tmp_path_factory.mktemp("pages")
    corpus = place / "made"
    write_corpus(corpus, size="tiny", seed=0, jobs=2)
    for name in ("videos", "annotations", "test_sets"):
        (place / name).symlink_to(corpus / name)
    (place / "work/demo").mkdir(parents=True)
    (place / "work/demo/corpus").symlink_to(corpus)
    for task in TASKS.values():
        template = next((corpus / "test_sets").glob(f"*_{task.name}_*sample.txt"), None)
        template = template or next((corpus / "test_sets").glob("*_Expr_*sample.txt"))
        (place / f"{task.name}_template.txt").write_bytes(template.read_bytes())
        (place / template.name).write_bytes(template.read_bytes())
    (place / "VA_test_set_example.txt").write_bytes((place / "VA_template.txt").read_bytes())
    rng = np.random.default_rng(0)
    truth = read_annotation_set(corpus / "annotations", VA)
    known = {t: np.clip(a.values + rng.normal(0, 0.3, a.values.shape), -1, 1) for t, a in truth.items()}
    test = {t: rng.uniform(-1, 1, (n, 2)) for t, n in official_rows(place / "VA_template.txt", VA).items()}
    for run in ("demo", "big", "run", "other"):
        for fold in (0, 1):
            folder = place / "checkpoints" / run / "va" / f"fold_{fold}"
            folder.mkdir(parents=True)
            part = {t: v for k, (t, v) in enumerate(known.items()) if k % 2 == fold}
            write_scores(folder / "scores_validation.h5", Scores(VA, part))
            write_scores(folder / "scores_test.h5", Scores(VA, test))
    (place / "work/run/va").mkdir(parents=True)
    write_scores(place / "work/run/va/test_scores.h5", Scores(VA, test))
    for folder, tracks in (
        ("predictions", known),
        ("elsewhere/va_scores", known),
        ("elsewhere/va_test", test),
    ):
        (place / folder).mkdir(parents=True)
        for track, values in tracks.items():
            pd.DataFrame(values, columns=VA.columns).to_csv(place / folder / f"{track}.csv", index=False)
    rows = [(f"{t}.mp4", k, *row) for t, values in test.items() for k, row in enumerate(values)]
    pd.DataFrame(rows, columns=["vid", "frame_id", *VA.columns]).to_csv(place / "test.csv", index=False)
    return place


def prepared(place, page):
    """What a page needs of the pages before it, or of tools that are not here."""
    rng = np.random.default_rng(1)
    rows = {t: len(a.values) for t, a in read_annotation_set(place / "annotations", AU).items()}
    if page == "extract.md":
        (place / "openface").mkdir()
        ledgers = {
            p.parent.name: len(p.read_text().splitlines()) - 1 for p in place.glob("crops/*/ledger.csv")
        }
        for track, count in ledgers.items():
            columns = {"frame": range(1, count + 1), "success": 1, "AU01_r": rng.random(count)}
            pd.DataFrame(columns).to_csv(place / "openface" / f"{track}.csv", index=False)
    elif page == "import.md":
        with h5py.File(place / "clip_features.h5", "w") as file:
            for track in official_rows(place / "annotations"):
                count = rows.get(track) or official_rows(place / "annotations")[track]
                file[track] = rng.random((count, 4)).astype(np.float32)
    elif page == "submit.md":
        (place / "work/clips").mkdir()
        (place / "work/clips/crops").symlink_to(place / "crops")
    elif page == "README.md":
        (place / "VA.zip").write_bytes((place / "submissions/mine.zip").read_bytes())


def test_the_commands_of_the_pages_work_in_their_order(place, monkeypatch):
    """One test: a page goes on from what those before it made, so no two workers may share them out."""
    monkeypatch.chdir(place)
    for name in (*ORDER, "first-ten-minutes.md"):
        run_page(place, name)


def run_page(place, name):
    """Run the commands of one page; each has to end with the exit code that stands beside it, or 0."""
    page = next(page for page in PAGES if page.name == name)
    prepared(place, name)
    ran = 0
    for line in to_run(page):
        words = shlex.split(line.partition("  # ")[0])
        assert words[0] == "abaw-submit"
        wanted = int(m[1]) if (m := re.search(r"# exit (\d)", line)) else 0
        done = CliRunner().invoke(cli, words[1:])
        assert done.exit_code == wanted, f"{line}\n{done.output}\n{done.exception}"
        ran += 1
    assert ran


def test_every_page_with_commands_that_are_run_is_among_those_above():
    with_commands = {page.name for page in PAGES if list(to_run(page))}
    assert with_commands == {*ORDER, "first-ten-minutes.md"}
