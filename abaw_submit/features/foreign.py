"""Tables of features made elsewhere: which columns are features, which say the row and its validity."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.arrays import F32, F64, Index, Mask
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.frames import TrackRows, check_times
from abaw_submit.scores.sniff.roles import Reading, Roles, find_roles, is_location, read_roles
from abaw_submit.scores.sniff.sources import read_file
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.scores.sniff.words import (
    CONFIDENCE,
    END,
    FACE,
    FRAME,
    LOCATION,
    START,
    TIME,
    TRACK,
    VALID,
    plain,
)

# blank fields and `nan` make a row not valid; they are no reason to refuse a file
READING = Options(missing="nan")
_OPENFACE = {"frame", "faceid", "timestamp", "confidence", "success"}


@dataclass(frozen=True)
class FeatureRows:
    """Features of one track as they stand in a file.

    Attributes:
        where: the file and the place in it.
        values: (n, dim).
        valid: (n,) False where a number is missing or the file says so.
        frames: (n,) frame numbers as written; None: row k is frame k.
        intervals: (n, 2) start and end as written, where a vector holds for a stretch; else None.
        unit: "seconds", "milliseconds" or "frames" of the intervals, as their names say.
        columns: names of the features; () if nothing names them.
        openface: the columns are OpenFace's, whose frames are counted from 1.
    """

    where: str
    values: F32
    valid: Mask
    frames: Index | None = None
    intervals: F64 | None = None
    unit: str = "seconds"
    columns: tuple[str, ...] = ()
    openface: bool = False


@dataclass(frozen=True)
class Rows:
    """One file as read: row numbers (n,) 0-based, values (n, dim), valid (n,)."""

    rows: Index
    values: F32
    valid: Mask


def read_table(path: Path, columns: re.Pattern[str] | None = None, options: Options = READING) -> Rows:
    """Read the file of one track.

    Columns that number the frames, give times, validity, faces or confidence are not features; of several
    faces in a frame the most confident is taken. Frames count from 0 if there is a frame 0, else from 1.

    Raises:
        UserError: the file is broken, has no numbers, or a frame twice.
    """
    parts = feature_parts(read_file(path, (path.stem,), options, None), columns)
    if len(parts) != 1:
        raise UserError(f"{path} holds {len(parts)} tracks: {', '.join(list(parts)[:4])}, …; expected one.")
    part = next(iter(parts.values()))
    if part.frames is None:
        return Rows(np.arange(len(part.values)), part.values, part.valid)
    return Rows(part.frames - (0 if part.frames.min() == 0 else 1), part.values, part.valid)


def feature_parts(tables: Sequence[Table], pattern: re.Pattern[str] | None) -> dict[str, FeatureRows]:
    """The features of each track in the tables of a file; else that of its path.

    Raises:
        UserError: no feature columns, a frame twice, or a track twice.
    """
    found: dict[str, FeatureRows] = {}
    for table in tables:
        roles, chosen = _columns(table, pattern)
        reading = Reading(table.numbers(chosen))
        read_roles(table, roles, reading, chosen)
        whole = _rows(table, roles, reading, chosen)
        for track, rows in _by_track(table, reading).items():
            if track in found:
                raise UserError(f"{table.where}: track {track} lies in two places; use --key or --only.")
            if reading.times is not None and whole.frames is None and whole.intervals is None:
                times = reading.times[rows]
                check_times(TrackRows(track, whole.values[rows], None, times, table.where), len(rows))
            found[track] = _once(_part(whole, rows), _column(table, roles, CONFIDENCE), rows)
    return found


def _columns(table: Table, pattern: re.Pattern[str] | None) -> tuple[Roles, list[int]]:
    """Roles, and the columns that are features."""
    roles = find_roles(table, Options(), None)
    names = table.names
    for k in range(len(table.columns)):
        if table.is_text(k) and k not in roles.of and names is None:
            roles.of[k] = LOCATION if is_location(table.columns[k]) else TRACK
    free = [k for k in range(len(table.columns)) if k not in roles.of]
    if names is None:
        first = table.columns[free[0]] if free else np.empty(0)
        if (
            table.line
            and len(free) > 1
            and len(first) > 2
            and first[0] in (0, 1)
            and (np.diff(first) == 1).all()
        ):
            roles.of[free[0]] = FRAME  # a text without header whose first column counts
            free = free[1:]
        if pattern is not None and table.line:
            raise UserError(f"{table.where}: --columns chooses by name, and nothing names the columns.")
    elif pattern is not None:
        free = [k for k, name in enumerate(names) if pattern.search(name.strip())]
        for k in free:
            roles.of.pop(k, None)
    if not free:
        has = ", ".join(n.strip() for n in (names or ())[:6]) or "nothing else"
        raise UserError(f"{table.where}: no feature column. It has {has}, …")
    text = [k for k in free if table.is_text(k)]
    if text:
        raise UserError(
            f"{table.where}: column {table.column_name(text[0])} holds text. Choose columns with --columns."
        )
    return roles, free


def _rows(table: Table, roles: Roles, reading: Reading, chosen: Sequence[int]) -> FeatureRows:
    with np.errstate(over="ignore"):
        values = reading.values.astype(np.float32)
    valid = np.asarray(np.isfinite(values).all(axis=1), bool)
    success = _column(table, roles, VALID)
    if success is not None:
        valid = valid & (success > 0)
    start, end = _column(table, roles, START), _column(table, roles, END)
    if (start is None) != (end is None):
        raise UserError(
            f"{table.where}: a {'start' if end is None else 'end'} of intervals without the other."
        )
    names = tuple(name.strip() for name in table.names or ())
    return FeatureRows(
        table.where,
        values,
        valid,
        reading.frames,
        None if start is None or end is None else np.column_stack([start, end]),
        _unit([names[k] for k in [*roles.all_of(START), *roles.all_of(END)] if names]),
        tuple(names[k] for k in chosen) if names else (),
        {plain(name) for name in names} >= _OPENFACE,
    )


def _column(table: Table, roles: Roles, role: str) -> F64 | None:
    if role in table.beside:
        values = np.asarray(table.beside[role], np.float64)
    else:
        places = roles.all_of(role)
        if not places or table.is_text(places[0]):
            return None
        values = np.asarray(table.columns[places[0]], np.float64)
    return values


def _unit(names: Sequence[str]) -> str:
    words = " ".join(plain(name) for name in names)
    if "frame" in words:
        return "frames"
    return "milliseconds" if "ms" in words or "milli" in words else "seconds"


def _by_track(table: Table, reading: Reading) -> Mapping[str, npt.NDArray[Any]]:
    if reading.tracks is None:
        return {table.path[-1]: np.arange(len(reading.values))}
    codes, unique = pd.factorize(reading.tracks)
    order = np.argsort(codes, kind="stable")
    cuts = np.searchsorted(codes[order], np.arange(len(unique) + 1))
    return {str(unique[k]): order[cuts[k] : cuts[k + 1]] for k in range(len(unique))}


def _part(whole: FeatureRows, rows: npt.NDArray[Any]) -> FeatureRows:
    if len(rows) == len(whole.values) and (np.diff(rows) == 1).all():
        return whole
    return FeatureRows(
        whole.where,
        whole.values[rows],
        whole.valid[rows],
        None if whole.frames is None else whole.frames[rows],
        None if whole.intervals is None else whole.intervals[rows],
        whole.unit,
        whole.columns,
        whole.openface,
    )


def _once(part: FeatureRows, confidence: F64 | None, rows: npt.NDArray[Any]) -> FeatureRows:
    """Each frame once: of several faces the most confident.

    Raises:
        UserError: a frame comes twice and nothing says which row is better.
    """
    if part.frames is None or part.intervals is not None:
        return part
    rank = np.zeros(len(rows)) if confidence is None else np.nan_to_num(confidence[rows])
    order = np.lexsort((rank, part.frames))
    again = np.flatnonzero(np.diff(part.frames[order]) == 0)
    if not len(again):
        return part
    if confidence is None:
        one, two = order[again[0]], order[again[0] + 1]
        raise UserError(
            f"{part.where}: has a frame twice: {part.frames[one]} in rows {one + 1} and {two + 1}."
            " Keep one row a frame, or add a column `confidence`."
        )
    keep = np.ones(len(order), bool)
    keep[again] = False
    return _part(part, np.sort(order[keep]))


__all__ = ["FACE", "READING", "TIME", "FeatureRows", "Rows", "feature_parts", "read_table"]
