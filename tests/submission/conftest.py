"""Scores whose labels are those of the golden files, and a small valid submission of each task."""

from pathlib import Path

import numpy as np
import pytest

from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.tasks import TASKS

GOLDEN = Path(__file__).parent / "golden"
LEFT, RIGHT = "video45_1", "10-60-1280x720_right"


def golden_scores(task):
    if task == "VA":
        tracks = {
            LEFT: [[-0.000001, 0.1234567], [0.999999, -0.25]],
            RIGHT: [[0.5, -0.5], [1.7, -3.0], [-0.0000004, 1 / 3]],
        }
    elif task == "EXPR":
        wide = np.full((5, 8), 0.05)
        for row, label in enumerate([1, 6, 0, 7, 3]):
            wide[row, label] = 0.6
        wide[3, 5] = 0.2  # without Other, Sadness is next
        tracks = {LEFT: wide[:2], RIGHT: wide[2:]}
    else:
        on = ["010001000010", "000000100000", "101110010001", "000000000000", "111111111111"]
        bits = np.array([[int(bit) for bit in row] for row in on])
        wide = np.where(bits == 1, 0.5, 0.4999)  # the threshold itself counts as active
        tracks = {LEFT: wide[:2], RIGHT: wide[2:]}
    return Scores(TASKS[task], {track: np.array(values, np.float32) for track, values in tracks.items()})


@pytest.fixture
def golden():
    return GOLDEN


@pytest.fixture
def score_file(tmp_path):
    """A function that writes scores (the golden ones by default) and gives the path."""

    def write(task, scores=None, name=None):
        path = tmp_path / (name or f"{task}.h5")
        write_scores(path, scores or golden_scores(task))
        return path

    return write
