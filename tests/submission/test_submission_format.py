"""Writing: nothing missing, nothing half written, nothing that is not a number."""

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.scores.files import Scores
from abaw_submit.submission.format import format_files
from abaw_submit.tasks import TASKS, VA


def va(**tracks):
    return Scores(VA, {name: np.array(values, np.float32) for name, values in tracks.items()})


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.txt"
    path.write_text("image_location,valence,arousal\nb/00001.jpg,\nb/00002.jpg,\na/00001.jpg,\n")
    return path


def test_rows_in_the_templates_order(tmp_path, score_file, template):
    path = score_file("VA", va(a=[[0.5, 0.25]], b=[[1, -1], [0, 0]], unused=[[0, 0]]))
    written = format_files("VA", [path], tmp_path / "out.txt", template)
    assert (tmp_path / "out.txt").read_text().splitlines()[1:] == [
        "b/00001.jpg,1.000000,-1.000000",
        "b/00002.jpg,0.000000,0.000000",
        "a/00001.jpg,0.500000,0.250000",
    ]
    assert (written.rows, written.tracks, written.unused) == (3, 2, ["unused"])


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        ({"b": [[0, 0], [0, 0]]}, "Track a has no VA scores: rows 1 to 1 are missing"),
        ({"a": [[0, 0]], "b": [[0, 0]]}, "Track b, row 2: no VA score; expected 2 rows, found 1"),
        ({"a": [[0, 0]], "b": [[0, 0]] * 3}, "Track b: 3 rows of VA scores; the template has 2"),
        (
            {"a": [[0, 0]], "b": [[0, 0], [0, np.nan]]},
            "Track b, row 2: the VA score of arousal is nan; expected a finite number",
        ),
        ({"a": [[np.inf, 0]], "b": [[0, 0], [0, 0]]}, "Track a, row 1: the VA score of valence is inf"),
    ],
)
def test_a_missing_or_infinite_score_stops_the_writing(tmp_path, score_file, template, tracks, message):
    out = tmp_path / "out.txt"
    format_files("VA", [score_file("VA", va(a=[[0, 0]], b=[[0, 0], [0, 0]]))], out, template)
    before = out.read_bytes()
    with pytest.raises(UserError, match=message):
        format_files("VA", [score_file("VA", va(**tracks))], out, template)
    assert out.read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if "tmp" in p.name]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path, score_file):
    (tmp_path / "list.txt").write_text("a\nb\n")
    path = score_file("VA", va(a=[[0, 0]], b=[[np.nan, 0]]))
    with pytest.raises(UserError, match="Track b, row 1"):
        format_files("VA", [path], tmp_path / "out", tracks=tmp_path / "list.txt")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match=r"1 of 2 tracks in .* have no scores: b"):
        path = score_file("VA", va(a=[[0, 0]]))
        format_files("VA", [path], tmp_path / "out", tracks=tmp_path / "list.txt")


def test_a_folder_with_something_else_in_it_is_not_replaced(tmp_path, score_file):
    (tmp_path / "list.txt").write_text("a\nb\n")
    out = tmp_path / "out"
    one, two = (score_file("VA", va(a=[[x, 0]], b=[[0, x]]), f"{x}.h5") for x in (0.25, 0.5))
    format_files("VA", [one], out, tracks=tmp_path / "list.txt")
    format_files("VA", [two], out, tracks=tmp_path / "list.txt")
    assert (out / "a.txt").read_text() == "valence,arousal\n0.500000,0.000000\n"
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"holds thesis.txt, which would be lost"):
        format_files("VA", [one], out, tracks=tmp_path / "list.txt")
    assert (out / "thesis.txt").read_text() == "years of work"


def test_the_same_scores_give_the_same_bytes_and_nothing_is_done_twice(tmp_path, score_file, template):
    path = score_file("VA", va(a=[[0.1, 0.2]], b=[[1, -1], [0, 0]]))
    assert format_files("VA", [path], tmp_path / "one.txt", template) is not None
    assert format_files("VA", [path], tmp_path / "one.txt", template) is None
    assert format_files("VA", [path], tmp_path / "two.txt", template) is not None
    assert (tmp_path / "one.txt").read_bytes() == (tmp_path / "two.txt").read_bytes()


def test_several_scores_of_one_task_are_averaged(tmp_path, score_file, template):
    one = score_file("VA", va(a=[[0.0, 0.5]], b=[[1, -1], [0, 0]]), "one.h5")
    two = score_file("VA", va(a=[[0.5, 0.0]], b=[[0, 0], [0, 0]]), "two.h5")
    format_files("VA", [one, two], tmp_path / "out.txt", template)
    assert (tmp_path / "out.txt").read_text().splitlines()[1] == "b/00001.jpg,0.500000,-0.500000"


def test_scores_and_template_of_the_task_asked_for(tmp_path, score_file, template):
    with pytest.raises(UserError, match="holds AU scores; expected VA"):
        format_files("VA", [score_file("AU")], tmp_path / "o.txt", template)
    with pytest.raises(UserError, match="is a template of VA; the task asked for is AU"):
        format_files("AU", [score_file("AU")], tmp_path / "o.txt", template)
    with pytest.raises(UserError, match="Give --template FILE"):
        format_files("AU", [score_file("AU")], tmp_path / "o.txt")


def test_scores_as_text_give_the_same_file(tmp_path, score_file, template):
    rng = np.random.default_rng(0)
    scores = va(a=rng.uniform(-1, 1, (1, 2)), b=rng.uniform(-1, 1, (2, 2)))
    for name, out in [("s.h5", "one.txt"), ("s_folder", "two.txt")]:
        format_files("VA", [score_file("VA", scores, name)], tmp_path / out, template)
    assert (tmp_path / "one.txt").read_bytes() == (tmp_path / "two.txt").read_bytes()


def test_a_track_of_more_than_99999_rows(tmp_path, score_file):
    (tmp_path / "t.txt").write_text(
        "image_location,"
        + TASKS["EXPR"].header()
        + "\n"
        + "".join(f"a/{row:05d}.jpg,\n" for row in range(1, 100_002))
    )
    wide = np.zeros((100_001, 8), np.float32)
    wide[np.arange(100_001), np.arange(100_001) % 8] = 1
    path = score_file("EXPR", Scores(TASKS["EXPR"], {"a": wide}))
    format_files("EXPR", [path], tmp_path / "out.txt", tmp_path / "t.txt")
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert [lines[1], lines[99_999], lines[100_001]] == ["a/00001.jpg,0", "a/99999.jpg,6", "a/100001.jpg,0"]
