"""From a place on disk to scores of a task: every step says what it understood, or refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from abaw_submit.arrays import F32, F64
from abaw_submit.errors import UserError
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.sniff.assemble import Expected, assemble, settle_first_rows
from abaw_submit.scores.sniff.columns import read_columns
from abaw_submit.scores.sniff.frames import Placed, TrackRows, fill, place, refuse_missing
from abaw_submit.scores.sniff.names import known_track
from abaw_submit.scores.sniff.ranges import one_hot, to_scores
from abaw_submit.scores.sniff.reshape import reshaped
from abaw_submit.scores.sniff.roles import Reading
from abaw_submit.scores.sniff.sources import read_source
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.tasks import TASKS, Task

_PADDED_ROWS = 3  # equal rows at the end of a track that look like padding


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
    tables = settle_first_rows(reshaped(found.tables, task, options), expected)
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
    if expected is None and not options.lenient:
        _refuse_padding(parts, source)
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


def _known_only(
    parts: list[TrackRows], expected: Expected | None, source: Path
) -> tuple[list[TrackRows], list[str], str]:
    if expected is None:
        return parts, [], "NOT CHECKED: give --rows-from TEMPLATE or ANNOTATIONS"
    known = [part for part in parts if part.track in expected.rows]
    if not known:
        raise UserError(
            f"No track of {source} is in {expected.source}: found {_some([p.track for p in parts])};"
            f" expected {_some(list(expected.rows))}."
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


def _refuse_padding(parts: Sequence[TrackRows], source: Path) -> None:
    """Tracks of one length, some of which end in one row again and again, were padded to the longest."""
    lengths = {len(part.values) for part in parts if part.frames is None}
    if len(lengths) != 1 or len(parts) < 2:
        return
    for part in parts:
        end = part.values[-_PADDED_ROWS:]
        if len(end) == _PADDED_ROWS and np.array_equal(end, end[:1].repeat(_PADDED_ROWS, 0), equal_nan=True):
            raise UserError(
                f"{source}: all {len(parts)} tracks have {lengths.pop()} rows, and {part.track} ends"
                f" in {_PADDED_ROWS} or more equal ones: padded to one length?"
                "\nGive --rows-from TEMPLATE or ANNOTATIONS, whose row counts tell."
            )


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


def _some(names: Sequence[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _once_each(items: object) -> list[str]:
    return list(dict.fromkeys(items))  # type: ignore[call-overload, no-any-return]
