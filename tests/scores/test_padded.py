"""Padded arrays: which rows are real is read from what lies beside them, or the array is refused."""

import json

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.padded import unpadded
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.understand import understand
from abaw_submit.tasks import TASKS

VA = TASKS["VA"]
NAMES = ["102", "video2"]


def array(fill=0.0):
    values = np.full((2, 6, 2), fill, np.float32)
    rng = np.random.default_rng(0)
    values[0], values[1, :4] = rng.uniform(-1, 1, (6, 2)), rng.uniform(-1, 1, (4, 2))
    return values


@pytest.mark.parametrize("fill", [0.0, np.nan, -5.0])
def test_the_real_rows_come_out_whatever_pads(fill):
    values = array(fill)
    rows, tracks = unpadded(values, np.array([6, 4]), None, NAMES, "x")
    np.testing.assert_array_equal(rows, np.concatenate([values[0], values[1, :4]]))
    assert tracks.tolist() == ["102"] * 6 + ["video2"] * 4


def test_the_last_row_again_is_padding_too():
    values = array()
    values[1, 4:] = values[1, 3]
    assert len(unpadded(values, np.array([6, 4]), None, NAMES, "x")[0]) == 10


@pytest.mark.parametrize(
    ("lengths", "names", "message"),
    [
        (None, NAMES, "how many rows are real"),
        (np.array([6, 4]), None, "which tracks they are"),
        (None, None, "how many rows are real or which tracks"),
        (np.array([6, 7]), NAMES, "video2 is said to have 7 rows; expected 1 to 6"),
        (np.array([0, 4]), NAMES, "102 is said to have 0 rows"),
        (np.array([4, 6]), NAMES, "102 is said to have 4 rows, and different numbers come after"),
        (np.array([6, 4, 1]), NAMES, "with 3 lengths and 2 names"),
    ],
)
def test_what_contradicts_the_array_is_refused(lengths, names, message):
    with pytest.raises(UserError, match=message):
        unpadded(array(), lengths, None, names, "x")


def test_a_mask_with_a_hole_is_refused():
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 0]])
    with pytest.raises(UserError, match="real rows after padded ones"):
        unpadded(array(), None, mask, NAMES, "x")


def test_a_bare_array_is_refused_with_what_to_put_beside_it(tmp_path):
    np.save(tmp_path / "scores.npy", array())
    with pytest.raises(
        UserError, match=r"\(2, 6, 2\).*padded to one length.*\n.*lengths\.npy and names\.txt"
    ):
        understand(tmp_path / "scores.npy", VA, Options())
    (tmp_path / "names.txt").write_text("102\nvideo2\n")
    with pytest.raises(UserError, match="Nothing says how many rows are real"):
        understand(tmp_path, VA, Options())
    (tmp_path / "lengths.txt").write_text("6\n4\n")
    assert {t: len(v) for t, v in understand(tmp_path, VA, Options()).tracks.items()} == {
        "102": 6,
        "video2": 4,
    }


def test_equal_rows_at_the_end_of_tracks_of_one_length_are_refused_unless_counts_are_known(tmp_path):
    values = {name: rows.tolist() for name, rows in zip(NAMES, array(), strict=True)}
    values["video2"] = [*values["video2"][:3], *[values["video2"][2]] * 3]
    (tmp_path / "x.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="all 2 tracks have 6 rows, and video2 ends in 3 or more equal ones"):
        understand(tmp_path / "x.json", VA, Options())


def test_lengths_that_differ_from_the_arrays_of_a_list_are_refused(tmp_path):
    rows = array()
    parts = {"names": NAMES, "lengths": [5, 4], "scores": [rows[0].tolist(), rows[1, :4].tolist()]}
    (tmp_path / "x.json").write_text(json.dumps(parts))
    with pytest.raises(UserError, match=r"lengths \[5, 4\].*the arrays have \[6, 4\]"):
        understand(tmp_path / "x.json", VA, Options())
