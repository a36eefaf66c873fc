"""Random damage: the checker agrees with a plain line-by-line reading of the grammar, whatever happens."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw_submit.corpus.templates import read_template
from abaw_submit.submission.check import check
from abaw_submit.submission.expected import ExpectedRows
from abaw_submit.tasks import TASKS

ROWS = {"a_left": 3, "102": 2}
VALUES = {
    "VA": ["0.25,-0.5", "-1,1.0", "1e-3,.5"],
    "EXPR": ["0", "7", "3"],
    "AU": ["0" + ",1,0" * 5 + ",1", "1" + ",0" * 11],
}
NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
ROW = {"VA": f"({NUMBER}),({NUMBER})", "EXPR": "[0-7]", "AU": "[01](?:,[01]){11}"}
ALPHABET = '0123456789.,-+eE/\\ \t\r\n"jpgx_é\ufeff\0'


def valid_text(task):
    places = [f"{track}/{row:05d}.jpg" for track, rows in ROWS.items() for row in range(1, rows + 1)]
    values = VALUES[task]
    rows = [f"{place},{values[k % len(values)]}" for k, place in enumerate(places)]
    return "\n".join(["image_location," + TASKS[task].header(), *rows]) + "\n"


def plainly_valid(task, text):
    """The grammar, read line by line."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    places = [f"{track}/{row:05d}.jpg" for track, rows in ROWS.items() for row in range(1, rows + 1)]
    if lines[:1] != ["image_location," + TASKS[task].header()] or len(lines) != len(places) + 1:
        return False
    for place, line in zip(places, lines[1:], strict=True):
        if not line.startswith(f"{place},"):
            return False
        match = re.fullmatch(ROW[task], line[len(place) + 1 :])
        if match is None or any(abs(float(v)) > 1 for v in match.groups()):
            return False
    return True


@st.composite
def damaged(draw, text):
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.integers(0, 2))
        text = text[:at] + draw(st.text(ALPHABET, max_size=2)) + text[at + cut :]
    if draw(st.booleans()):
        lines = text.splitlines(keepends=True)
        if len(lines) > 2:
            i, j = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
            lines[i], lines[j] = lines[j], lines[i]
        text = "".join(lines)
    return text


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_the_checker_agrees_with_a_plain_reading(tmp_path_factory, task, data):
    text = data.draw(damaged(valid_text(task)))
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "t.txt").write_text(valid_text(task))
    (folder / "s.txt").write_bytes(text.encode())
    template = read_template(folder / "t.txt")
    report = check(folder / "s.txt", task, ExpectedRows(dict(template.tracks), template))
    assert report.ok == plainly_valid(task, text), [f.kind for f in report.problems]
