"""Golden files of each edition and task: written byte for byte, and accepted by the checker.

They were written by hand from docs/reference/formats.md, not by this package.
"""

import pytest

from abaw_submit.errors import UserError
from abaw_submit.submission.check import check
from abaw_submit.submission.dialect import PER_TRACK, SINGLE
from abaw_submit.submission.expected import expected_rows
from abaw_submit.submission.findings import report_lines
from abaw_submit.submission.format import format_files

SINGLE_FILES = [(e, t) for e in (5, 6, 8, 10) for t in ("AU", "EXPR", "VA")] + [(9, "VA")]
PER_TRACK_FOLDERS = [(e, t) for e in (1, 2, 3) for t in ("AU", "EXPR", "VA")]

OLD_HEADERS = [(1, "AU"), (1, "EXPR"), (2, "EXPR")]


@pytest.mark.parametrize(("edition", "task"), SINGLE_FILES)
def test_single_file_editions(golden, score_file, tmp_path, edition, task):
    folder = golden / f"edition_{edition}"
    format_files(task, [score_file(task)], tmp_path / "out.txt", folder / f"{task}_sample.txt")
    assert (tmp_path / "out.txt").read_bytes() == (folder / f"{task}.txt").read_bytes()


@pytest.mark.parametrize(("edition", "task"), SINGLE_FILES)
@pytest.mark.parametrize("template", ["sample", "example"])
def test_single_files_are_accepted(golden, edition, task, template):
    folder = golden / f"edition_{edition}"
    rows = folder / (f"{task}_sample.txt" if template == "sample" else f"{task}.txt")
    report = check(folder / f"{task}.txt", task, expected_rows(task, rows))
    assert (report.ok, report.dialect, report.rows, len(report.tracks)) == (True, SINGLE, 5, 2)


@pytest.mark.parametrize(("edition", "task"), [item for item in PER_TRACK_FOLDERS if item != (1, "AU")])
def test_per_track_editions(golden, score_file, tmp_path, edition, task):
    out = tmp_path / "out"
    format_files(task, [score_file(task)], out, tracks=golden / "tracks.txt", edition=edition)
    expected = golden / f"edition_{edition}" / task
    names = sorted(path.name for path in expected.iterdir())
    assert sorted(p.name for p in out.iterdir() if p.suffix == ".txt") == names
    for name in names:
        assert (out / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.parametrize(("edition", "task"), PER_TRACK_FOLDERS)
@pytest.mark.parametrize("given", [True, False])
def test_per_track_folders_are_accepted(golden, edition, task, given):
    asked = expected_rows(task, tracks=golden / "tracks.txt", rows_from=golden / "edition_5/VA.txt")
    target = golden / f"edition_{edition}" / task
    report = check(target, task, asked, edition if given else None)
    assert (report.ok, report.dialect, report.rows) == (True, PER_TRACK, 5)
    assert (", edition " in report_lines(report)[0]) is ((edition, task) in OLD_HEADERS)
    assert len(report.edition_columns) == {(1, "AU"): 8, (2, "AU"): 12, (3, "AU"): 12}.get(
        (edition, task), 2 if task == "VA" else 1
    )


def test_edition_1_has_an_au_that_scores_lack(golden, score_file, tmp_path):
    with pytest.raises(UserError, match="Edition 1 asks for AU20, which AU scores do not have"):
        format_files("AU", [score_file("AU")], tmp_path / "out", tracks=golden / "tracks.txt", edition=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("edition", [4, 7, 11])
def test_multi_task_files(golden, score_file, tmp_path, edition):
    folder, out = golden / f"edition_{edition}", tmp_path / "out.txt"
    scores = [score_file(task) for task in ("AU", "EXPR", "VA")]
    format_files("MTL", scores, out, folder / "MTL_sample.txt", edition=edition)
    assert out.read_bytes() == (folder / "MTL.txt").read_bytes()
    assert check(out, "MTL", expected_rows("MTL", folder / "MTL_sample.txt")).ok


def test_multi_task_needs_all_three(golden, score_file, tmp_path):
    with pytest.raises(UserError, match="No EXPR and AU scores given"):
        format_files("MTL", [score_file("VA")], tmp_path / "o.txt", golden / "edition_4/MTL_sample.txt")
    with pytest.raises(UserError, match="A MTL submission is one file"):
        format_files("MTL", [score_file("VA")], tmp_path / "o", tracks=golden / "tracks.txt")


def test_compound_expressions_are_accepted(golden):
    folder = golden / "edition_8"
    report = check(folder / "CE.txt", "CE", expected_rows("CE", folder / "CE_sample.txt"))
    assert report.ok
    assert not report.warnings
