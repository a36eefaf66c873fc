"""Warnings, summaries, and what a checker says when it is asked badly."""

import numpy as np
import pytest

from abaw_submit.corpus.templates import read_template, write_template
from abaw_submit.errors import UserError
from abaw_submit.submission.check import check
from abaw_submit.submission.encode import located_text
from abaw_submit.submission.expected import expected_rows
from abaw_submit.submission.findings import report_lines
from abaw_submit.submission.grammar import grammar_of
from abaw_submit.tasks import TASKS

TRACKS = {"b": 20, "a": 10}
RNG = np.random.default_rng(0)


def labels(task):
    if task == "VA":
        return {t: RNG.uniform(-1, 1, (n, 2)) for t, n in TRACKS.items()}
    high, width = {"EXPR": (8, 1), "AU": (2, 12)}[task]
    made = {t: RNG.integers(0, high, (n, width)) for t, n in TRACKS.items()}
    made["b"][:8] = np.arange(8)[:, None] if task == "EXPR" else np.eye(12, dtype=int)[:8]
    return made


@pytest.fixture
def checked(tmp_path):
    def run(task, values, header=None, template_header=None):
        template = tmp_path / "t.txt"
        write_template(template, TRACKS, TASKS[task], dummy=template_header is not None)
        if template_header is not None:
            template.write_text(template_header + template.read_text().partition("\n")[2])
        text = b"".join(located_text(t, values[t], grammar_of(task)) for t in TRACKS)
        target = tmp_path / "s.txt"
        target.write_bytes((header or grammar_of(task).header + "\n").encode() + text)
        return check(target, task, expected_rows(task, template))

    return run


def warnings(report):
    assert report.ok
    return {f.kind: [str(place) for place in f.places] for f in report.warnings}


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_ordinary_values_give_no_warning(checked, task):
    assert warnings(checked(task, labels(task))) == {}


def test_a_constant_column(checked):
    va, au = labels("VA"), labels("AU")
    for track in TRACKS:
        va[track][:, 1] = 0.25
        au[track][:, 3] = 0
    assert warnings(checked("VA", va)) == {"constant column": ["s.txt: arousal is always 0.25"]}
    assert warnings(checked("AU", au)) == {"constant column": ["s.txt: AU6 is always 0"]}


def test_a_class_that_is_never_predicted(checked):
    expr = labels("EXPR")
    for values in expr.values():
        values[values == 3] = 0
    assert warnings(checked("EXPR", expr)) == {"class never predicted": ["s.txt: Fear"]}


def test_a_track_that_is_all_the_same(checked):
    expr, va = labels("EXPR"), labels("VA")
    expr["a"][:] = 4
    va["a"][:] = 0
    assert warnings(checked("EXPR", expr)) == {"track all the same": ["s.txt, a: Happiness 100%"]}
    assert warnings(checked("VA", va)) == {
        "track all the same": ["s.txt, a: valence mean +0.000, arousal mean +0.000"]
    }


def test_valence_written_twice(checked):
    va = {track: np.repeat(values[:, :1], 2, axis=1) for track, values in labels("VA").items()}
    assert warnings(checked("VA", va)) == {"equal columns": ["s.txt: valence and arousal"]}


def test_a_templates_wrong_header_is_followed_with_a_warning(checked):
    odd = grammar_of("EXPR").header + "\n"
    report = checked("AU", labels("AU"), header=odd, template_header=odd)
    assert warnings(report) == {"odd header": ["s.txt, line 1: the header of EXPR over AU values"]}
    assert warnings(checked("AU", labels("AU"), template_header=odd)) == {}
    report = checked("AU", labels("AU"), header=odd)
    assert [f.kind for f in report.problems] == ["header"]


def test_several_submissions_in_one_folder(checked, tmp_path):
    checked("VA", labels("VA"))
    (tmp_path / "many").mkdir()
    for name in ("one.txt", "two.txt"):
        (tmp_path / "many" / name).write_bytes((tmp_path / "s.txt").read_bytes())
    report = check(tmp_path / "many", "VA", expected_rows("VA", tmp_path / "t.txt"))
    assert (report.ok, [f.kind for f in report.warnings], report.rows) == (True, ["several submissions"], 60)
    assert "      2 files" in report_lines(report)
    assert not any("in all" in line for line in report_lines(report))


def test_files_of_other_tasks_beside_it_are_named_and_not_gone_through(checked, tmp_path):
    checked("VA", labels("VA"))
    (tmp_path / "three").mkdir()
    (tmp_path / "three/VA.txt").write_bytes((tmp_path / "s.txt").read_bytes())
    for task in ("AU", "EXPR"):
        checked(task, labels(task))
        (tmp_path / f"three/{task}.txt").write_bytes((tmp_path / "s.txt").read_bytes()[:-9])  # broken as well
    checked("VA", labels("VA"))
    report = check(tmp_path / "three", "VA", expected_rows("VA", tmp_path / "t.txt"))
    assert [(f.kind, f.count) for f in report.problems] == [("wrong task", 2)]
    assert [str(p) for p in report.problems[0].places] == [
        "AU.txt, line 1: the header of AU, expected VA",
        "EXPR.txt, line 1: the header of EXPR, expected VA",
    ]


def test_one_place_may_stand_for_a_whole_track(checked, tmp_path):
    checked("VA", labels("VA"))
    lines = (tmp_path / "s.txt").read_text().splitlines(keepends=True)
    (tmp_path / "s.txt").write_text("".join([lines[0], *lines[21:]]))  # without track b
    told = report_lines(check(tmp_path / "s.txt", "VA", expected_rows("VA", tmp_path / "t.txt")))
    assert "  problem: missing row (20): each row of the template comes once" in told
    assert "      s.txt, b row 1: the whole track" in told
    assert not any("in all" in line for line in told)


def test_a_row_with_two_problems_is_one_row_with_problems(checked, tmp_path):
    checked("VA", labels("VA"))
    lines = (tmp_path / "s.txt").read_text().splitlines(keepends=True)
    place = lines[2].partition(",")[0]
    lines[2] = f"{place},nan,2\n"
    lines[3] = lines[2]  # b's row 2 twice, both bad; b's row 3 missing
    (tmp_path / "s.txt").write_text("".join(lines))
    report = check(tmp_path / "s.txt", "VA", expected_rows("VA", tmp_path / "t.txt"))
    assert [(t.track, t.problems) for t in report.tracks] == [("b", 2), ("a", 0)]


def test_each_track_is_summarized(checked):
    au = labels("AU")
    au["a"][:] = 0
    au["a"][:5, :2] = 1
    report = checked("AU", au)
    assert [(t.track, t.rows, t.expected) for t in report.tracks] == [("b", 20, 20), ("a", 10, 10)]
    assert report.tracks[1].values == "1.0 AUs a row"


def test_counts_and_the_first_five_places(checked, tmp_path):
    checked("VA", labels("VA"))
    text = (
        (tmp_path / "s.txt").read_text().replace("b/0000", "b/000").replace("a/00001.jpg,", "a/00001.jpg,x")
    )
    (tmp_path / "s.txt").write_text(text)
    report = check(tmp_path / "s.txt", "VA", expected_rows("VA", tmp_path / "t.txt"))
    assert [(f.kind, f.count, len(f.places)) for f in report.problems] == [
        ("location", 9, 5),
        ("number syntax", 1, 1),
    ]
    lines = report_lines(report)
    assert "      … 9 in all" in lines
    assert lines[-1] == "NOT VALID: 10 problems"
    plain = report.as_dict()
    assert (plain["ok"], plain["problems"][0]["count"]) == (False, 9)
    assert plain["problems"][0]["first"][0] == {
        "file": "s.txt",
        "line": 2,
        "found": f'"{text.splitlines()[1]}"',
        "text": f's.txt, line 2: "{text.splitlines()[1]}"',
    }


def test_without_row_counts_gaps_are_found_and_the_rest_is_said(checked, tmp_path):
    checked("VA", labels("VA"))
    (tmp_path / "list.txt").write_text("b\na\nc\n")
    lines = (tmp_path / "s.txt").read_text().splitlines(keepends=True)
    (tmp_path / "s.txt").write_text("".join(lines[:5] + lines[6:]))
    report = check(tmp_path / "s.txt", "VA", expected_rows("VA", tracks=tmp_path / "list.txt"))
    assert {f.kind: str(f.places[0]) for f in report.problems} == {
        "missing track": "s.txt, c",
        "missing row": "s.txt, b row 5",
    }
    assert [f.kind for f in report.warnings] == ["rows not checked"]
    nothing = check(tmp_path / "s.txt", "VA")
    assert [f.kind for f in nothing.problems] == ["missing row"]


def test_multi_task_lists_hold_pictures_twice(tmp_path, golden):
    folder = golden / "edition_7"
    asked = expected_rows("MTL", folder / "MTL_sample.txt")
    lines = (folder / "MTL.txt").read_text().splitlines(keepends=True)
    cases = {
        "missing row": lines[:-1],
        "double row": [*lines, lines[2]],
        "order": [lines[0], lines[1], lines[3], lines[2], lines[4]],
        "range": [*lines[:4], lines[4].replace(",6,", ",8,")],
        "unknown track": [*lines, lines[2].replace("10-60", "10-61")],
        "extra row": [*lines, lines[2].replace("00003", "00002")],
    }
    whole = check(folder / "MTL.txt", "MTL", asked)
    assert [(t.track, t.rows, t.problems) for t in whole.tracks] == [
        ("video45_1", 2, 0),
        ("10-60-1280x720_right", 2, 0),
    ]
    for kind, changed in cases.items():
        (tmp_path / "mtl.txt").write_text("".join(changed))
        assert [f.kind for f in check(tmp_path / "mtl.txt", "MTL", asked).problems] == [kind]


def test_asked_badly(tmp_path, golden):
    with pytest.raises(UserError, match="Nothing to check against"):
        expected_rows("VA")
    with pytest.raises(UserError, match="is a template of VA; the task asked for is AU"):
        expected_rows("AU", golden / "edition_6/VA_sample.txt")
    with pytest.raises(UserError, match="Nothing at"):
        check(tmp_path / "none", "VA")
    with pytest.raises(UserError, match=r'Unknown task "VO". Available: AH, AU, CE'):
        check(tmp_path, "VO")
    with pytest.raises(UserError, match="Edition 12: expected 1 to 11"):
        grammar_of("VA", 12)
    assert read_template(golden / "edition_6/VA_sample.txt").edition == 10
