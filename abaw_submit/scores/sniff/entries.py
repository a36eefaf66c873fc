"""Dictionaries with an entry a row: `{"video2/00001.jpg": vector}`, `{1: {"valence": 0.1, …}}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.names import frame_number, split_locations
from abaw_submit.scores.sniff.table import Options, Table, matrix_table
from abaw_submit.tasks import Task


@dataclass(frozen=True)
class Context:
    """What every step of reading a tree knows.

    Attributes:
        where: the file, for messages.
        options: what the user settled.
        task: whose column names count; None for features.
        kind: the file's format.
    """

    where: str
    options: Options
    task: Task | None
    kind: str

    def place(self, path: tuple[str, ...]) -> str:
        """A place inside the file, for messages."""
        inside = "/".join(path[1:])
        return f"{self.where}, {inside}" if inside and not self.where.endswith(inside) else self.where


def row_dictionaries(
    node: Mapping[str, Any], columns: Mapping[str, npt.NDArray[Any]], path: tuple[str, ...], context: Context
) -> Table:
    """{"1": {"valence": 0.1, "arousal": 0.2}, …}: a dictionary a row under its frame or picture.

    Args:
        node: its keys are the frames or pictures.
        columns: (rows,) numbers by name, as the dictionaries hold them.
        path: the place in the file.
        context: the file.
    """
    where = context.place(path)
    tracks, frames = split_locations(np.array(list(node), object), where)
    kind = f"{context.kind}, an entry a frame"
    return Table(
        where, path, tuple(columns.values()), tuple(columns), kind=kind, frames=frames, tracks=tracks
    )


def row_vectors(node: Mapping[str, Any], path: tuple[str, ...], context: Context) -> Table | None:
    """{"video2/00001.jpg": vector, …} or {1: vector, …}: a vector a row; None if it is not that."""
    values = list(node.values())
    first = values[0]
    if not isinstance(first, np.ndarray) or first.dtype.kind not in "fiu" or len(values) < 2:
        return None
    if any(not isinstance(v, np.ndarray) or v.size != first.size or v.ndim > 2 for v in values):
        return None
    if any(v.ndim == 2 and min(v.shape) != 1 for v in values[:3]) or first.size > 100_000:
        return None
    keys = list(node)
    if not all("/" in key and frame_number(key) is not None for key in (keys[0], keys[-1])):
        spread = keys[:: max(len(keys) // 200, 1)]  # a key without a number is refused below, wherever it is
        task = context.task
        wide = task is not None and first.size > 2 * task.outputs
        if wide or not all(frame_number(key) is not None for key in spread):
            return None
    where = context.place(path)
    tracks, frames = split_locations(np.array(keys, object), where)
    matrix = np.stack([v.reshape(-1) for v in values])
    kind = f"{context.kind}, an entry a frame"
    return matrix_table(matrix, where, path, kind, frames=frames, tracks=tracks)


def whole_numbers(values: npt.NDArray[Any], where: str) -> Index:
    """Frame numbers as integers.

    Raises:
        UserError: a number that is not whole (named).
    """
    numbers = np.asarray(values, np.float64)
    fine = np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < 1e9)
    if not fine.all():
        row = int(np.argmin(fine))
        raise UserError(
            f"{where}, row {row + 1}: {numbers[row]:g} is not a frame number; expected a whole number."
        )
    return numbers.astype(np.int64)
