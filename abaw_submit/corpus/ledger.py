"""The ledger: one line for each official row of a track, saying where that row's picture came from.

`crops/<track>/ledger.csv` lies beside the crops. Only rows with `found` = 1 have a jpg (as in the
official folders); every other row takes the picture of the nearest row that has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError
from abaw_submit.store import write_text
from abaw_submit.textfile import read_utf8

LEDGER_NAME = "ledger.csv"
COLUMNS = ("row", "time_s", "found", "score", "x", "y", "w", "h", "source")
DETECTED, TRACKED, NEAREST, NONE = "detected", "tracked", "nearest", "none"
SOURCES = (DETECTED, TRACKED, NEAREST, NONE)


@dataclass(frozen=True)
class Ledger:
    """One track's rows; all arrays have shape (rows,).

    Attributes:
        row: 1-based row number, 1..rows without a hole.
        time_s: the frame's time in seconds by the container; extrapolated past the last decoded frame.
        found: True if this row shows the person, which is when it has a jpg.
        score: the detector's confidence, 0 where nothing was detected.
        x, y, w, h: face box in px of the upright frame; of the row it was taken from for `nearest`.
        source: `detected`, `tracked` (between detections), `nearest` (the picture of the nearest found
            row stands in) or `none` (the track has no face at all).
    """

    row: npt.NDArray[np.int64]
    time_s: F64
    found: npt.NDArray[np.bool_]
    score: F64
    x: F64
    y: F64
    w: F64
    h: F64
    source: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.row)

    def picture_rows(self) -> npt.NDArray[np.int64]:
        """For each row, the 1-based row whose jpg to use; 0 everywhere if the track has no face."""
        index = nearest_found(self.found)
        return np.where(index < 0, 0, index + 1)

    def longest_gap(self) -> int:
        """The longest stretch of rows that are not found."""
        edges = np.flatnonzero(np.concatenate(([True], self.found, [True])))
        return int(np.diff(edges).max()) - 1 if len(self) else 0


def nearest_found(found: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """For each row the index of the nearest row that is found, the earlier one when two are as near.

    The paper's rule for missing frames (arXiv 2303.10849, section 4). -1 everywhere if none is found.

    >>> nearest_found([False, True, False, False, False, True]).tolist()
    [1, 1, 1, 1, 5, 5]
    >>> nearest_found([False, False]).tolist()
    [-1, -1]
    """
    found = np.asarray(found, bool)
    at = np.flatnonzero(found)
    rows = np.arange(len(found))
    if not len(at):
        return np.full(len(found), -1, np.int64)
    after = np.searchsorted(at, rows).clip(max=len(at) - 1)
    before = (after - 1).clip(min=0)
    closer = np.abs(rows - at[before]) <= np.abs(at[after] - rows)
    nearest: npt.NDArray[np.int64] = np.where(closer, at[before], at[after])
    return nearest


def write_ledger(path: Path | str, ledger: Ledger) -> None:
    """Write a ledger whole or not at all; the same values always give the same bytes."""
    path = _ledger_file(path)
    lines = [",".join(COLUMNS)]
    for row, time_s, found, score, x, y, w, h, source in zip(
        *(getattr(ledger, c).tolist() for c in COLUMNS), strict=True
    ):
        lines.append(f"{row},{time_s:.6f},{int(found)},{score:.4f},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{source}")
    write_text(path, "\n".join(lines) + "\n")


def read_ledger(path: Path | str) -> Ledger:
    """Read `ledger.csv`, given as the file or as the track's folder.

    Raises:
        UserError: it is missing, or a line does not follow the grammar (named).
    """
    path = _ledger_file(path)
    if not path.is_file():
        raise UserError(f"No ledger at {path}. Make crops with `abaw-submit crop`, official ones too.")
    lines = read_utf8(path).splitlines()
    if not lines or lines[0] != ",".join(COLUMNS):
        raise UserError(f"{path}, line 1: expected the header {','.join(COLUMNS)}. Make the crops again.")
    cells = [line.split(",") for line in lines[1:]]
    for number, cell in enumerate(cells, start=1):
        if len(cell) != len(COLUMNS) or cell[0] != str(number) or cell[-1] not in SOURCES:
            raise UserError(
                f'{path}, line {number + 1}: "{lines[number]}"; expected row {number} with'
                f" {len(COLUMNS)} values, the last one of {', '.join(SOURCES)}. Make the crops again."
            )
    columns = list(zip(*cells, strict=True)) or [()] * len(COLUMNS)
    try:
        numbers = {
            name: np.array(column, np.float64) for name, column in zip(COLUMNS[:-1], columns, strict=False)
        }
    except ValueError as error:
        raise UserError(f"{path}: {error}. Make the crops again.") from None
    if not all(np.isfinite(values).all() for values in numbers.values()):
        raise UserError(f"{path}: a number that is not finite. Make the crops again.")
    return Ledger(
        row=numbers["row"].astype(np.int64),
        time_s=numbers["time_s"],
        found=numbers["found"].astype(bool),
        score=numbers["score"],
        x=numbers["x"],
        y=numbers["y"],
        w=numbers["w"],
        h=numbers["h"],
        source=np.array(columns[-1], dtype="<U8"),
    )


def _ledger_file(path: Path | str) -> Path:
    path = Path(path)
    return path if path.suffix == ".csv" else path / LEDGER_NAME
