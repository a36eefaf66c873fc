"""Rows of each track, wherever they lay: which name is the track's, and whether a first line is a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.frames import TrackRows
from abaw_submit.scores.sniff.names import is_generic, track_names
from abaw_submit.scores.sniff.roles import Reading
from abaw_submit.scores.sniff.table import Options, Table


@dataclass(frozen=True)
class Expected:
    """Official rows to check against: row count by track, and what they were read from.

    Attributes:
        rows: row count by track, in the official order.
        source: the template or folder, for messages.
        ordered: the order of the tracks is the organisers' (a template).
    """

    rows: Mapping[str, int]
    source: str
    ordered: bool = False


def settle_first_rows(tables: Sequence[Table], expected: Expected | None) -> list[Table]:
    """Decide about first lines "0" and "0,1", which pandas writes over unnamed columns.

    If one file begins otherwise, none has such a header. Else the row counts decide, or the user.

    Raises:
        UserError: it stays open.
    """
    if not all(table.doubtful_first for table in tables):
        return list(tables)
    fits = {len(table.path) and table.rows - _count_of(table, expected) for table in tables}
    if fits == {0}:
        return list(tables)
    if fits == {1}:
        return [
            replace(t, columns=tuple(c[1:] for c in t.columns), line=t.line + 1, doubtful_first=False)
            for t in tables
        ]
    raise UserError(
        f"{tables[0].where}, line {tables[0].line}: a row, or the header pandas writes over unnamed columns?"
        "\nSay so with --no-header or --header, or give --rows-from, whose row counts tell."
    )


def _count_of(table: Table, expected: Expected | None) -> int:
    if expected is None:
        return -(10**9)
    for name in reversed(table.path):
        if name in expected.rows:
            return expected.rows[name]
    return -(10**9)


def assemble(
    tables: Sequence[Table], readings: Sequence[Reading], options: Options, expected: Expected | None
) -> tuple[list[TrackRows], str]:
    """The rows of each track, wherever they lay; and what was taken off the names.

    Raises:
        UserError: a track comes from two places, or nothing says which track rows are of.
    """
    found: dict[str, TrackRows] = {}
    unnamed = [k for k, reading in enumerate(readings) if reading.tracks is None]
    names = _names_of_tables([tables[k] for k in unnamed], options, expected)
    stacked = _stacked(tables, readings, options, expected)
    if stacked is not None:
        return stacked, ""
    by_table = dict(zip(unnamed, names, strict=True))
    for k, (table, reading) in enumerate(zip(tables, readings, strict=True)):
        groups = {by_table[k]: slice(None)} if k in by_table else _groups(table, reading)
        for name, rows in groups.items():
            part = TrackRows(
                name,
                reading.values[rows],
                None if reading.frames is None else reading.frames[rows],
                None if reading.times is None else reading.times[rows],
                table.where,
            )
            if name in found:
                raise UserError(
                    f"Track {name} lies in two places, {found[name].where} and {table.where}."
                    "\nImport each alone (--only PATTERN); select, metrics, format average several --scores."
                )
            found[name] = part
    plain, taken = track_names(list(found), expected.rows if expected is not None else None)
    for part, name in zip(found.values(), plain, strict=True):
        part.track = name
    return list(found.values()), f"taken off the names: {taken}" if taken else ""


def _groups(table: Table, reading: Reading) -> dict[str, slice | np.ndarray]:  # type: ignore[type-arg]
    """Rows of each track of a table; without frame numbers a track's rows must stand together."""
    assert reading.tracks is not None
    codes, unique = pd.factorize(reading.tracks)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(codes) != 0]))
    ends = [*starts[1:].tolist(), len(codes)]
    if len(starts) == len(unique):
        return {str(unique[codes[a]]): slice(int(a), b) for a, b in zip(starts, ends, strict=True)}
    if reading.frames is None:
        seen = pd.Series(codes[starts]).duplicated().to_numpy()
        row = int(starts[np.argmax(seen)])
        raise UserError(
            f"{table.row_name(row)}: track {reading.tracks[row]} again after another one, and no frame"
            " numbers. Add a column of frame numbers, or keep each track's rows together."
        )
    order = np.argsort(codes, kind="stable")
    cuts = np.searchsorted(codes[order], np.arange(len(unique) + 1))
    return {str(unique[k]): order[cuts[k] : cuts[k + 1]] for k in range(len(unique))}


def _names_of_tables(tables: Sequence[Table], options: Options, expected: Expected | None) -> list[str]:
    """The part of each table's path that names its track: the last one that differs, or that is official."""
    if not tables or options.stacked:
        return [""] * len(tables)
    depth = min(len(table.path) for table in tables)
    ranked = []
    for level in range(1, depth + 1):
        names = [table.path[-level] for table in tables]
        if len(set(names)) == len(names):
            hits = 0
            if expected is not None:
                try:
                    hits = sum(name in expected.rows for name in track_names(names, expected.rows)[0])
                except UserError:
                    hits = 0
            ranked.append((-hits, all(map(is_generic, names)), level, names))
    if ranked:
        hits, generic, _, names = min(ranked)
        several = len({r[2] for r in ranked if not r[1]}) > 1 and len(tables) == 1 and not hits
        if several and expected is None and tables[0].path[-1] != tables[0].path[-2]:
            raise UserError(
                f"{tables[0].where}: is the track {' or '.join(r[3][0] for r in ranked if not r[1])}?"
                " Give --rows-from, or rename the file or the key."
            )
        if generic and not hits and len(tables) > 1 and names[0] != tables[0].path[-1]:
            ranked = []
        elif generic and not hits and len(tables) == 1:
            raise UserError(
                f"{tables[0].where}: nothing says which track its rows are of. Name the file after its track,"
                " or give --rows-from TEMPLATE --stacked if it holds all tracks in the template's order."
            )
        if ranked:
            return names
    names = [table.path[-1] for table in tables]
    again = next(name for name in names if names.count(name) > 1)
    both = [table.where for table in tables if table.path[-1] == again]
    raise UserError(
        f"Two places hold {again}: {both[0]} and {both[1]}."
        "\nChoose with --only PATTERN, such as --only '*/scores_validation.h5'; several folds' scores of the"
        " same tracks are imported one by one, and averaged by format, metrics and select."
    )


def _stacked(
    tables: Sequence[Table], readings: Sequence[Reading], options: Options, expected: Expected | None
) -> list[TrackRows] | None:
    """One array of all tracks, in the template's order."""
    if not options.stacked:
        return None
    if expected is None or not expected.ordered:
        raise UserError(
            "--stacked needs the order and the rows of the tracks: give a template as --rows-from."
        )
    if len(tables) != 1 or readings[0].tracks is not None:
        raise UserError("--stacked is for one array or table without names of tracks.")
    values, total = readings[0].values, sum(expected.rows.values())
    if len(values) != total:
        raise UserError(f"{tables[0].where}: {len(values):,} rows; {expected.source} has {total:,}.")
    parts, at = [], 0
    for track, count in expected.rows.items():
        parts.append(TrackRows(track, values[at : at + count], None, None, tables[0].where))
        at += count
    return parts
