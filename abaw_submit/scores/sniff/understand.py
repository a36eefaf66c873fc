"""From a place on disk to scores of a task: every step says what it understood, or refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from abaw_submit.arrays import F32, F64
from abaw_submit.errors import UserError
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.sniff.columns import Reading, read_columns
from abaw_submit.scores.sniff.frames import Placed, TrackRows, fill, place, refuse_missing
from abaw_submit.scores.sniff.names import is_generic, known_track, track_names
from abaw_submit.scores.sniff.ranges import one_hot, to_scores
from abaw_submit.scores.sniff.sources import read_source
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.tasks import TASKS, Task


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


@dataclass
class Understood:
    """Scores and how they were understood.

    Attributes:
        task: the task.
        tracks: (rows, outputs) float32 by track, in name order.
        layout: what was recognised, in words.
        files: files read.
        used: what the outputs were read from.
        first_frame: where frame numbers start; None: the order of the rows.
        checked: how the row counts were checked.
        notes: what a user should know.
    """

    task: Task
    tracks: dict[str, F32]
    layout: str
    files: int
    used: str
    first_frame: int | None
    checked: str
    notes: list[str] = field(default_factory=list)


def understand(
    source: Path,
    task: Task,
    options: Options,
    expected: Expected | None = None,
    progress: Progress = quiet,
) -> Understood:
    """Read scores of any layout.

    Args:
        source: a file or a folder.
        task: the task.
        options: what the user settled.
        expected: official row counts, if known.
        progress: shows how far it is.

    Raises:
        UserError: nothing there, something ambiguous (with the option that settles it), or a wrong value.
    """
    found = read_source(source, options, task, progress, expected.rows if expected is not None else ())
    tables = settle_first_rows(found.tables, expected)
    tables, readings = _readings(tables, task, options, expected, found.left_out)
    if len({reading.classes for reading in readings}) > 1:
        raise UserError(
            f"{source}: some files hold class numbers, others scores. Give one kind, with --only."
        )
    notes = _once_each(note for reading in readings for note in reading.notes)
    parts, names_note = assemble(tables, readings, options, expected)
    notes += [names_note] if names_note else []
    parts, more, checked = _known_only(parts, expected, source)
    notes += more
    if task.name in TASKS and len(parts) > 20 and all(len(part.values) == 1 for part in parts):
        raise UserError(
            f"{source}: {len(parts)} tracks of one row each ({parts[0].track}, {parts[1].track}, …)."
            "\nFiles of frames? They need a number in their names, and a folder a track."
        )
    placed = place(parts, options, expected.rows if expected is not None else None)
    tracks = placed.tracks
    if readings[0].classes:
        tracks = {
            track: one_hot(values, task, f"{source}, track {track}") for track, values in tracks.items()
        }
    _refuse_nan(tracks, placed, options, source)
    hint = any("logits" in note for note in notes)
    tracks, said = to_scores(tracks, task, options, str(source), hint)
    notes += said + placed.notes
    if options.missing in ("nearest", "line"):
        tracks = fill(tracks, placed.missing, options.missing)
    elif options.missing == "refuse":
        refuse_missing(placed.missing, tracks, placed.first_frame)
    if placed.missing:
        count = sum(len(gaps) for gaps in placed.missing.values())
        word = {"nan": "left open (NaN): select and apply fill them, format refuses them"}
        notes.append(
            f"{count:,} rows of {len(placed.missing)} tracks had no scores and were"
            f" {word.get(options.missing, f'filled ({options.missing})')}"
        )
    if found.left_out:
        notes.append(f"left out: {', '.join(found.left_out[:8])}{', …' if len(found.left_out) > 8 else ''}")
    return Understood(
        task,
        {track: np.asarray(tracks[track], np.float32) for track in sorted(tracks)},
        _layout(tables, readings, source, found.files),
        found.files,
        readings[0].used,
        placed.first_frame,
        checked,
        notes,
    )


def _readings(
    tables: Sequence[Table], task: Task, options: Options, expected: Expected | None, left_out: list[str]
) -> tuple[list[Table], list[Reading]]:
    """The tables understood; with official tracks, those that are none of them and no scores are left out.

    Raises:
        UserError: a table that is not understood.
    """
    kept, readings = [], []
    for table in tables:
        try:
            readings.append(read_columns(table, task, options))
            kept.append(table)
        except UserError:
            named = expected is None or any(known_track(part, expected.rows) for part in table.path)
            if named or len(tables) == 1:
                raise
            left_out.append("/".join(table.path))
    if not kept:
        raise UserError(f"{tables[0].where} and {len(tables) - 1} more hold no scores of official tracks.")
    return kept, readings


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
        groups = {by_table[k]: slice(None)} if k in by_table else _groups(reading)
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


def _groups(reading: Reading) -> dict[str, slice | np.ndarray]:  # type: ignore[type-arg]
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
            f"Row {row + 1}: track {reading.tracks[row]} again after another one, and no frame numbers."
            " Add a column of frame numbers, or keep each track's rows together."
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


def _known_only(
    parts: list[TrackRows], expected: Expected | None, source: Path
) -> tuple[list[TrackRows], list[str], str]:
    if expected is None:
        return parts, [], "NOT CHECKED: give --rows-from TEMPLATE or ANNOTATIONS"
    known = [part for part in parts if part.track in expected.rows]
    if not known:
        raise UserError(
            f"No track of {source} is in {expected.source}: found {', '.join(p.track for p in parts[:3])};"
            f" expected {', '.join(list(expected.rows)[:3])}."
        )
    notes = []
    others = [part.track for part in parts if part.track not in expected.rows]
    if others:
        notes.append(f"not in {expected.source}, left out: {len(others)} tracks ({', '.join(others[:5])})")
    there = {part.track for part in known}
    lacking = [track for track in expected.rows if track not in there]
    if lacking:
        notes.append(
            f"{len(lacking)} of {len(expected.rows)} tracks of {expected.source} have no scores here:"
            f" {', '.join(lacking[:5])}{', …' if len(lacking) > 5 else ''}"
        )
    return known, notes, f"checked: all {len(known)} tracks fit {expected.source}"


def _refuse_nan(tracks: Mapping[str, F64], placed: Placed, options: Options, source: Path) -> None:
    """NaN in a row that has other numbers, or in all rows, is a broken model, not a missing row."""
    for track, values in tracks.items():
        empty = np.isnan(values)
        if empty.all():
            raise UserError(f"{source}, track {track}: not a single score (all NaN or blank).")
        partly = empty.any(axis=1) & ~empty.all(axis=1)
        if partly.any() and not options.lenient:
            row = int(np.argmax(partly))
            raise UserError(f"{source}, track {track}, row {row + 1}: NaN beside numbers; predict it again.")


def _layout(tables: Sequence[Table], readings: Sequence[Reading], source: Path, files: int) -> str:
    kinds = _once_each(table.kind for table in tables)
    kind = kinds[0] if len(kinds) == 1 else f"{kinds[0]} and {len(kinds) - 1} other kinds"
    if readings[0].tracks is not None:
        where = (
            "one table for all tracks" if len(tables) == 1 else f"{len(tables)} tables with tracks in them"
        )
    elif files == 1:
        where = "one file" if len(tables) == 1 else "one file, an array a track"
    else:
        where = f"{files:,} files"
    return f"{where}; {kind}"


def _once_each(items: object) -> list[str]:
    return list(dict.fromkeys(items))  # type: ignore[call-overload, no-any-return]
