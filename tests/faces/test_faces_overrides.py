"""A person's decisions win over the rules."""

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.faces.follow import Tracklet
from abaw_submit.faces.overrides import Override, apply_overrides, read_overrides


def tracklet(number, first, rows, x):
    faces = [np.array([x, 20, 30, 40, *[0] * 10, 0.9], np.float32) for _ in range(rows)]
    return Tracklet(number, first, faces, [True] * rows, [False] * rows, list(faces), [(0, 1)] * rows)


LEFT, RIGHT = tracklet(0, 1, 20, 10), tracklet(1, 1, 20, 200)


def apply(*lines, tmp_path):
    path = tmp_path / "overrides.txt"
    path.write_text("\n".join(lines))
    claims = {"v_left": [LEFT], "v_right": [RIGHT]}
    return apply_overrides(read_overrides(path), claims, [LEFT, RIGHT], 20)


def test_reading(tmp_path):
    path = tmp_path / "overrides.txt"
    path.write_text("# who is who\nv_right 1-200 none\n\nv_left 300 at 412 180  # the tall one\n")
    assert read_overrides(path) == [
        Override("v_right", 1, 200, None, False),
        Override("v_left", 300, 300, (412.0, 180.0), True),
    ]


@pytest.mark.parametrize("line", ["v", "v 3 at 5", "v x none", "v 9-3 none", "v 0 none", "v 3 at a b"])
def test_a_wrong_line_is_named(tmp_path, line):
    path = tmp_path / "overrides.txt"
    path.write_text("v 1 none\n" + line)
    with pytest.raises(UserError, match=r"overrides\.txt, line 2"):
        read_overrides(path)


def test_nobody(tmp_path):
    claims, hidden = apply("v_left 5-8 none", tmp_path=tmp_path)
    assert np.flatnonzero(hidden["v_left"]).tolist() == [4, 5, 6, 7]
    assert claims == {"v_left": [LEFT], "v_right": [RIGHT]}


def test_a_face_is_given_to_one_person_and_taken_from_the_other(tmp_path):
    claims, _ = apply("v_left 7 at 210 30", "v_right 7 at 15 30", tmp_path=tmp_path)
    assert [t.number for t in claims["v_left"]] == [1]
    assert [t.number for t in claims["v_right"]] == [0]


def test_some_rows_only(tmp_path):
    claims, _ = apply("v_left 7-9 at 210 30", tmp_path=tmp_path)
    first = claims["v_left"][0]
    assert (first.first, first.last, float(first.faces[0][0])) == (7, 9, 200)
    assert claims["v_left"][1] is LEFT


def test_a_point_with_no_face_is_refused(tmp_path):
    with pytest.raises(UserError, match="no face at 100 30 in row 7"):
        apply("v_left 7 at 100 30", tmp_path=tmp_path)
