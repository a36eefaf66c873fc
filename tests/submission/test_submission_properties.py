"""Any valid scores: formatted, checked, and read back they are the labels, in both dialects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from abaw_submit.corpus.annotations import read_annotation
from abaw_submit.corpus.templates import write_template
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.submission.check import check
from abaw_submit.submission.encode import track_text
from abaw_submit.submission.expected import ExpectedRows, expected_rows
from abaw_submit.submission.format import write_single, write_tracks
from abaw_submit.submission.grammar import grammar_of
from abaw_submit.tasks import TASKS

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_\-]{0,14}", fullmatch=True)
TASK_NAMES = ["AU", "EXPR", "VA"]


@st.composite
def scored_tracks(draw, task):
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    low, high = (-2, 2) if task.name == "VA" else (0, 1)
    values = st.floats(low, high, width=32)
    return Scores(
        task,
        {
            n: draw(hnp.arrays(np.float32, (draw(st.integers(1, 6)), task.outputs), elements=values))
            for n in names
        },
    )


@pytest.mark.parametrize("name", TASK_NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_single_file_round_trip(tmp_path_factory, name, data):
    task, folder = TASKS[name], tmp_path_factory.mktemp("s")
    scores = data.draw(scored_tracks(task))
    rows = {track: len(scores[track]) for track in data.draw(st.permutations(list(scores)))}
    write_template(folder / "t.txt", rows, task)
    write_single([scores], rows, grammar_of(task), folder / "out.txt")
    assert check(folder / "out.txt", name, expected_rows(name, folder / "t.txt")).problems == []
    lines = (folder / "out.txt").read_text().splitlines()[1:]
    read = [(line.split(",")[0], [float(v) for v in line.split(",")[1:]]) for line in lines]
    expected = [(f"{t}/{k + 1:05d}.jpg", row) for t in rows for k, row in enumerate(decide(task, scores[t]))]
    assert [place for place, _ in read] == [place for place, _ in expected]
    np.testing.assert_allclose(
        np.array([row for _, row in read]), np.array([row for _, row in expected]), rtol=0, atol=5.01e-7
    )


@pytest.mark.parametrize("name", TASK_NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_per_track_round_trip(tmp_path_factory, name, data):
    task, folder = TASKS[name], tmp_path_factory.mktemp("s")
    scores = data.draw(scored_tracks(task))
    rows = {track: len(values) for track, values in scores.items()}
    write_tracks([scores], rows, grammar_of(task, 3), folder / "out")
    assert check(folder / "out", name, ExpectedRows(dict(rows))).problems == []
    for track in scores:
        read = read_annotation(folder / "out" / f"{track}.txt", task)
        np.testing.assert_allclose(read.values, decide(task, scores[track]), rtol=0, atol=6e-7)
        assert read.valid.all()


@given(st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=50))
def test_numbers_are_written_as_python_writes_them(values):
    labels = np.array([[value, value] for value in values])
    text = track_text(labels, grammar_of("VA")).decode()
    for line, value in zip(text.splitlines(), values, strict=True):
        scaled = round(min(1.0, max(-1.0, value)) * 1_000_000)  # Python rounds half to even, too
        assert line.split(",")[0] == f"{scaled / 1_000_000:.6f}"
