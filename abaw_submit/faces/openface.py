"""OpenFace 2, the paper's detector: its tables of 68 landmarks in place of a detector."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError
from abaw_submit.faces.decode import Frame
from abaw_submit.faces.detect import BOX, LANDMARKS, NO_FACES, SCORE, Faces
from abaw_submit.faces.sample import CutFinder, Seen
from abaw_submit.textfile import read_utf8

POINTS = 68
# Of the 68 points: both eyes, nose tip, mouth corners, in the order of `faces.detect`.
FIVE = (range(36, 42), range(42, 48), (30,), (48,), (54,))
FOREHEAD = 0.12  # the box reaches so much of its height above the brows, as the detectors' boxes do


def read_openface(path: Path) -> dict[int, Faces]:
    """Faces by row of an OpenFace 2 CSV (FeatureExtraction or FaceLandmarkVidMulti); failed rows left out.

    Raises:
        UserError: no 68 landmarks in px (run OpenFace with -2Dfp), or a row that is not a number.
    """
    with io.StringIO(read_utf8(path), newline="") as handle:
        reader = csv.reader(handle)
        header = [name.strip() for name in next(_rows(reader, path), [])]
        needed = ["frame", "confidence", "success", *(f"{a}_{k}" for a in "xy" for k in range(POINTS))]
        missing = [name for name in needed if name not in header]
        if missing:
            raise UserError(f"{path}, line 1: no column {missing[0]}; expected OpenFace output with -2Dfp.")
        columns = [header.index(name) for name in needed]
        faces: dict[int, list[npt.NDArray[np.float32]]] = {}
        for cells in _rows(reader, path):
            try:
                values = np.array([float(cells[c]) for c in columns])
                if not np.isfinite(values).all() or not 1 <= values[0] < 10**9:
                    raise ValueError
            except (ValueError, IndexError):
                raise UserError(f"{path}, line {reader.line_num}: not the numbers of a face.") from None
            if values[2] >= 0.5:
                points = values[3:].reshape(2, POINTS).T
                faces.setdefault(int(values[0]), []).append(face_of_points(points, values[1]))
    return {row: np.stack(of) for row, of in faces.items()}


def _rows(reader: Any, path: Path) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}.") from None


def face_of_points(points: npt.NDArray[np.float64], score: float) -> npt.NDArray[np.float32]:
    """(68, 2) landmarks in px to a face (15,) as in `faces.detect`."""
    low, high = points.min(0), points.max(0)
    top = FOREHEAD * (high[1] - low[1])
    face = np.zeros(15, np.float32)
    face[BOX] = (low[0], low[1] - top, high[0] - low[0], high[1] - low[1] + top)
    face[LANDMARKS] = np.concatenate([points[list(of)].mean(0) for of in FIVE])
    face[SCORE] = score
    return face


def see_table(frames: Iterable[Frame], table: dict[int, Faces]) -> Iterator[Seen]:
    """Frames with the faces of a table in place of a detector's."""
    cuts = CutFinder()
    for frame in frames:
        yield Seen(frame, table.get(frame.row, NO_FACES), True, cuts.step(frame))
