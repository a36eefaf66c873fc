"""What every recogniser hands on: a table of one place, before anyone decides what its columns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64, Index
from abaw_submit.errors import UserError

Column = npt.NDArray[Any]  # (rows,) numbers, or objects that are str


@dataclass(frozen=True)
class Options:
    """What a user may say to settle what a file leaves open. Every default is "refuse if it matters".

    Attributes:
        columns: score columns in the task's order, by name or 1-based position, and roles as
            `frame=…`, `track=…`; None looks for them.
        first_frame: the number of a track's first frame, 0 or 1; None finds out.
        header: whether text has a header line; None finds out.
        logits: AU and EXPR scores are logits: sigmoid or softmax is applied.
        percent: scores are percentages: divided by 100.
        intensity: scores of AU are intensities from 0 to 5: divided by 5.
        clip: values of VA outside [-1, 1] are clipped.
        missing: rows without scores: "refuse", or "nan" (left open), "nearest", "line" (between neighbours).
        slack: rows by which a track may differ at its end from the official count.
        key: which array where every entry has several, by name or 1-based position.
        only: pattern of the files to read, such as "*/scores_validation.h5"; None reads all.
        stacked: one array holds all tracks, in the order of the template.
        lenient: as `read_scores` wants it: `nan` stays (files this project wrote mark missing rows so), and
            so do values of VA just outside [-1, 1], which the decision clips.
    """

    columns: str | None = None
    first_frame: int | None = None
    header: bool | None = None
    logits: bool = False
    percent: bool = False
    intensity: bool = False
    clip: bool = False
    missing: str = "refuse"
    slack: int = 0
    key: str | None = None
    only: str | None = None
    stacked: bool = False
    lenient: bool = False


@dataclass(frozen=True)
class Table:
    """Rows as they stand in one file, array or group.

    Attributes:
        where: for messages: the file, and the place inside it.
        path: parts of the name, outermost first (folders, groups, the file's stem or the key).
        columns: one array (rows,) each; text columns are objects.
        names: names of the columns; None if nothing names them.
        line: line of the first row in a text file; 0: no lines.
        frames: frame numbers known from elsewhere than a column (file names, keys).
        tracks: the track of each row, known from elsewhere than a column.
        kind: what was recognised, in a few words.
        notes: what a user should know.
        matrix: (rows, columns), where all columns are numbers of one array.
        doubtful_first: the first row ("0", "0,1") may as well be the header pandas gives unnamed columns.
        flat: made of a one-dimensional array: one value a row, or one row alone.
        beside: arrays of the same rows that lay beside the numbers, by role: valid, start, end, time.
    """

    where: str
    path: tuple[str, ...]
    columns: tuple[Column, ...]
    names: tuple[str, ...] | None = None
    line: int = 0
    frames: Index | None = None
    tracks: Column | None = None
    kind: str = ""
    notes: tuple[str, ...] = ()
    matrix: npt.NDArray[Any] | None = field(default=None, repr=False)
    doubtful_first: bool = False
    flat: bool = False
    beside: Mapping[str, Column] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def row_name(self, row: int) -> str:
        """Where a 0-based row is: the line of a text file, else the row."""
        return f"{self.where}, line {row + self.line}" if self.line else f"{self.where}, row {row + 1}"

    def is_text(self, column: int) -> bool:
        """Whether a column holds text."""
        return self.columns[column].dtype.kind not in "fiub"

    def numbers(self, chosen: Sequence[int]) -> F64:
        """The chosen columns as (rows, chosen) float64.

        Raises:
            UserError: a column holds text.
        """
        for k in chosen:
            if self.is_text(k):
                raise UserError(f"{self.where}: column {self.column_name(k)} holds text; expected numbers.")
        if self.matrix is not None and list(chosen) == list(range(len(self.columns))):
            return np.asarray(self.matrix, np.float64)
        if not chosen:
            return np.empty((self.rows, 0))
        return np.column_stack([np.asarray(self.columns[k], np.float64) for k in chosen])

    def column_name(self, column: int) -> str:
        """A column for people: its name in quotes, or its position."""
        name = self.names[column] if self.names is not None else ""
        return f'"{name}"' if name else f"{column + 1}"

    def with_note(self, note: str) -> Table:
        """The same table with one more note."""
        return replace(self, notes=(*self.notes, note))


def matrix_table(
    values: npt.NDArray[Any],
    where: str,
    path: Sequence[str],
    kind: str,
    names: Sequence[str] | None = None,
    **more: Any,
) -> Table:
    """A table of a two-dimensional array of numbers.

    Raises:
        UserError: not numbers, or not two-dimensional.
    """
    if values.dtype.kind == "b" or values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
        raise UserError(f"{where}: {values.dtype} array {values.shape}; expected numbers (rows, values).")
    matrix = values.reshape(len(values), -1) if values.ndim == 1 else values
    columns = tuple(matrix[:, k] for k in range(matrix.shape[1]))
    given = tuple(names) if names is not None else None
    return Table(where, tuple(path), columns, given, kind=kind, matrix=matrix, flat=values.ndim == 1, **more)
