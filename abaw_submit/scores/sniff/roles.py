"""What the columns of a table are for beside scores: tracks, frames, pictures, times, and what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.arrays import F64, Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.entries import whole_numbers
from abaw_submit.scores.sniff.names import frame_number, split_locations, without_suffix
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.scores.sniff.words import (
    CONFIDENCE,
    END,
    FACE,
    FRAME,
    INDEX,
    LOCATION,
    START,
    TIME,
    TRACK,
    VALID,
    output_of,
    role_of,
)
from abaw_submit.tasks import Task

_PLACE = re.compile(r"[/\\]\D{0,8}\d+$|[^/\\]_\d{5,}$")  # video2/17, video2_00017
_PICTURE = re.compile(r"\.(jpe?g|png|bmp|webp|tiff?)$", re.IGNORECASE)


@dataclass
class Reading:
    """A table whose columns are understood.

    Attributes:
        values: (rows, outputs) numbers as they stand; (rows, 1) class numbers if `classes`.
        tracks: track of each row as written, or None.
        frames: frame number of each row as written, or None.
        times: time of each row, or None.
        classes: the values are class numbers.
        used: what each output was read from, for people.
        notes: what a user should know.
    """

    values: F64
    tracks: npt.NDArray[Any] | None = None
    frames: Index | None = None
    times: F64 | None = None
    classes: bool = False
    used: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class Roles:
    """Columns by what they are for; `scores` only where the user chose them."""

    of: dict[int, str]
    scores: list[int] | None = None
    said: set[str] = field(default_factory=set)

    def all_of(self, role: str) -> list[int]:
        """The columns of a role."""
        return [k for k, own in self.of.items() if own == role]


def find_roles(table: Table, options: Options, task: Task | None) -> Roles:
    """What the columns are for beside scores, by their names and what the user said.

    Raises:
        UserError: --columns names a column that is not there.
    """
    roles = Roles({})
    for k, name in enumerate(table.names or ()):
        role = role_of(name) if task is None or output_of(name, task) is None else None
        if role is not None:
            roles.of[k] = role
    if options.columns is None:
        return roles
    scores: list[int] = []
    words = {"frame": FRAME, "track": TRACK, "video": TRACK, "image": LOCATION, "time": TIME}
    for given in options.columns.split(","):
        role, sign, name = (part.strip() for part in given.partition("="))
        if not sign:
            scores.append(_place(table, role))
        elif role in words:
            k = _place(table, name)
            roles.said.add(words[role])
            roles.of = {**{p: r for p, r in roles.of.items() if r != words[role] and p != k}, k: words[role]}
        else:
            raise UserError(
                f'--columns "{given}": {role} is unknown; expected {", ".join(words)}, or a column.'
            )
    roles.scores = scores or None
    for k in scores:
        roles.of.pop(k, None)
    return roles


def _place(table: Table, name: str) -> int:
    names = [own.strip() for own in table.names or ()]
    if names.count(name) == 1:
        return names.index(name)
    if name.isdigit() and 1 <= int(name) <= len(table.columns):
        return int(name) - 1
    has = ", ".join(names[:12]) if names else f"{len(table.columns)} without names"
    twice = "more than one column" if name in names else "no column"
    raise UserError(f'{table.where}: {twice} "{name}" for --columns. It has {has}.')


def is_location(column: npt.NDArray[Any]) -> bool:
    """Whether text names pictures: `video2/00001.jpg`, not `video2.mp4`."""
    sample = [str(v) for v in column[:: max(len(column) // 50, 1)]]
    return all(
        frame_number(v) is not None and (_PICTURE.search(v) is not None or _PLACE.search(v) is not None)
        for v in sample
    )


def read_roles(table: Table, roles: Roles, reading: Reading, chosen: Sequence[int] | None) -> None:
    """Fill in tracks, frames and times.

    Raises:
        UserError: two columns that differ about the track or the frame; frames that are not whole numbers.
    """
    for k in [*roles.all_of(LOCATION), *roles.all_of(TRACK), *roles.all_of(INDEX)]:
        if table.is_text(k):
            roles.of[k] = LOCATION if is_location(table.columns[k]) else TRACK
    tracks, frames = table.tracks, table.frames
    for k in roles.all_of(TRACK) if LOCATION not in roles.said or TRACK in roles.said else []:
        own = np.array([str(v) for v in table.columns[k]], object)
        tracks = _agree(tracks, own, table, "tracks")
    for k in roles.all_of(LOCATION):
        if not table.is_text(k):
            frames = _agree(frames, whole_numbers(table.columns[k], table.where), table, "frames")
            continue
        of_picture, numbers = split_locations(table.columns[k], table.where)
        if of_picture is not None and tracks is None:
            tracks = of_picture
        elif of_picture is not None and tracks is not None and TRACK not in roles.said:
            _same_tracks(tracks, of_picture, table)
        frames = _agree(frames, numbers, table, "frames")
    for k in roles.all_of(FRAME):
        frames = _agree(frames, _frame_column(table, k), table, "frames")
    if frames is None:
        _check_index(table, roles, tracks, reading.notes)
    for k in roles.all_of(TIME)[:1]:
        reading.times = _times(table, k)
        if reading.times is None:
            reading.notes.append(f"not used: time ({table.column_name(k)})")
    for role, what in (
        (VALID, "valid"),
        (CONFIDENCE, "confidence"),
        (FACE, "face"),
        (START, "start"),
        (END, "end"),
    ):
        if roles.all_of(role) and table.names:
            reading.notes.append(f"not used: {what} ({table.column_name(roles.all_of(role)[0])})")
    reading.tracks, reading.frames = tracks, frames
    for name, array in (("tracks", tracks), ("frames", frames)):
        if array is not None and len(array) != len(reading.values):
            raise UserError(f"{table.where}: {len(array)} {name} for {len(reading.values)} rows of scores.")


def _times(table: Table, column: int) -> F64 | None:
    """Numbers, or times of day such as 00:01:02.5 as seconds; None for text of another kind."""
    values = table.columns[column]
    if not table.is_text(column):
        return np.asarray(values, np.float64)
    found = pd.to_timedelta(pd.Series(values).astype(str), errors="coerce").dt.total_seconds()
    return None if found.isna().any() else np.asarray(found, np.float64)


def _frame_column(table: Table, column: int) -> Index:
    values = table.columns[column]
    if not table.is_text(column):
        numbers = np.asarray(values, np.float64)
        wrong = ~np.isfinite(numbers) | (numbers != np.rint(numbers)) | (numbers < 0) | (numbers > 1e8)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(
                f"{table.row_name(row)}: frame {numbers[row]:g} in column {table.column_name(column)};"
                " expected a whole number from 0 on."
            )
        return numbers.astype(np.int64)
    found = [frame_number(str(v)) for v in values]
    if None in found:
        row = found.index(None)
        raise UserError(f'{table.row_name(row)}: "{str(values[row])[:40]}" is not a frame number.')
    return np.array(found, np.int64)


def _agree(known: Any, found: npt.NDArray[Any], table: Table, what: str) -> npt.NDArray[Any]:
    if known is not None and not np.array_equal(known, found):
        raise UserError(
            f"{table.where}: two columns say different {what}. Name the right one:"
            f" --columns {'frame' if what == 'frames' else 'track'}=NAME."
        )
    return found


def _same_tracks(tracks: npt.NDArray[Any], of_picture: npt.NDArray[Any], table: Table) -> None:
    """A column of tracks and the folders of pictures must not contradict each other."""
    pairs = {
        (without_suffix(str(a).rpartition("/")[2]), str(b)) for a, b in zip(tracks, of_picture, strict=True)
    }
    other = next(((a, b) for a, b in sorted(pairs) if a != without_suffix(b)), None)
    if other is not None:
        raise UserError(
            f"{table.where}: one column says track {other[0]}, the picture's folder {other[1]}."
            " Name the right one: --columns track=NAME or image=NAME, with the scores."
        )


def _check_index(table: Table, roles: Roles, tracks: npt.NDArray[Any] | None, notes: list[str]) -> None:
    """An index column may only say what the order of the rows says already."""
    for k in roles.all_of(INDEX):
        if table.is_text(k):
            continue
        numbers = np.asarray(table.columns[k], np.float64)
        rows = np.arange(len(numbers))
        plain_order = len(numbers) == 0 or (
            np.array_equal(numbers, rows + numbers[0]) and numbers[0] in (0, 1)
        )
        if not plain_order and tracks is not None:
            starts = np.flatnonzero(np.concatenate([[True], tracks[1:] != tracks[:-1]]))
            within = rows - np.repeat(starts, np.diff([*starts, len(rows)]))
            plain_order = np.array_equal(numbers, within) or np.array_equal(numbers, within + 1)
        if not plain_order:
            raise UserError(
                f"{table.where}: column {table.column_name(k)} numbers the rows, but not one after the other."
                f"\nIf these are frames: --columns frame={k + 1}{_rest(table, roles)}."
            )
        notes.append(f"column {table.column_name(k)} only counts the rows")


def _rest(table: Table, roles: Roles) -> str:
    free = [str(p + 1) for p in range(len(table.columns)) if p not in roles.of and not table.is_text(p)]
    return "," + ",".join(free[:12]) if free else ""
