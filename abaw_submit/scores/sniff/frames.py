"""From frame numbers as written to official rows: where counting starts, what is missing or double."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abaw_submit.arrays import F64, Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.table import Options

_SHOWN = 6
_ROUNDED = 0.1  # share of rows with the time of the row before, from which on times are coarsely rounded
_ENOUGH = 3  # so many tracks from 1 on do not all lack a frame 0 by chance


@dataclass
class TrackRows:
    """What was read of one track, rows in the order they were found.

    Attributes:
        track: its name.
        values: (rows, outputs).
        frames: frame numbers as written; None: the order of the rows says it.
        times: seconds or whatever else; None if unknown.
        where: for messages.
    """

    track: str
    values: F64
    frames: Index | None
    times: F64 | None
    where: str


@dataclass(frozen=True)
class Placed:
    """Rows of all tracks at their official places.

    Attributes:
        tracks: (rows, outputs) by track; NaN where nothing was given.
        missing: rows without scores, by track.
        first_frame: where counting starts; None if no row has a number.
        notes: what a user should know.
    """

    tracks: dict[str, F64]
    missing: dict[str, Index]
    first_frame: int | None
    notes: list[str]


def place(parts: Sequence[TrackRows], options: Options, rows: Mapping[str, int] | None) -> Placed:
    """Put rows at their places.

    Args:
        parts: one for each track.
        options: what the user settled.
        rows: official row counts; None if unknown.

    Raises:
        UserError: it is open where counting starts, a frame comes twice, or counts do not fit.
    """
    numbered = [part for part in parts if part.frames is not None]
    notes: list[str] = []
    base = first_frame(numbered, options, rows) if numbered else None
    tracks: dict[str, F64] = {}
    missing: dict[str, Index] = {}
    unsorted = timed = 0
    for part in parts:
        expected = rows.get(part.track) if rows is not None else None
        if part.frames is None:
            timed += check_times(part, expected)
            places = np.arange(len(part.values))
        else:
            assert base is not None
            places = part.frames - base
            part, places = _once(part, places, base, notes)
            unsorted += bool((np.diff(places) < 0).any())
        count = int(places.max()) + 1 if expected is None else expected
        over = int(places.max()) + 1 - count
        if over > options.slack:
            raise _too_many(part, over + count, count, base)
        if count > 2 * len(places) + 1_000_000:
            raise UserError(f"{part.where}, track {part.track}: frame {count}, but only {len(places)} rows.")
        inside = places < count
        values = np.full((count, part.values.shape[1]), np.nan)
        values[places[inside]] = part.values[inside]
        absent = np.ones(count, bool)
        absent[places[inside]] = False
        if part.frames is None and expected is not None and len(places) < count:
            _check_short(part, len(places), count, options)
        empty = np.zeros(count, bool) if options.lenient else np.isnan(values).all(axis=1)
        gaps = np.flatnonzero(absent | empty)
        if len(gaps):
            missing[part.track] = gaps
        tracks[part.track] = values
        if over > 0:
            notes.append(f"{part.track}: {over} rows beyond its end were cut (--slack)")
    if timed:
        notes.append(f"times rise from row to row in {timed} of {len(parts)} tracks: the rows are in order")
    if unsorted:
        notes.append(
            f"the rows of {unsorted} tracks were not in order; their frame numbers say where they go"
        )
    return Placed(tracks, missing, base, notes)


def fill(tracks: Mapping[str, F64], missing: Mapping[str, Index], how: str) -> dict[str, F64]:
    """Scores for missing rows: "nearest" row that has some, or on the "line" between neighbours."""
    filled = dict(tracks)
    for track, gaps in missing.items():
        values = tracks[track].copy()
        there = np.setdiff1d(np.arange(len(values)), gaps)
        if not len(there):
            raise UserError(f"Track {track} has no row with scores; nothing to fill it from.")
        for k in range(values.shape[1]):
            line = np.interp(gaps, there, values[there, k])
            if how == "nearest":
                after = np.clip(np.searchsorted(there, gaps), 0, len(there) - 1)
                before = np.maximum(after - 1, 0)
                closer = np.where(np.abs(there[before] - gaps) <= np.abs(there[after] - gaps), before, after)
                line = values[there[closer], k]
            values[gaps, k] = line
        filled[track] = values
    return filled


def refuse_missing(missing: Mapping[str, Index], tracks: Mapping[str, F64], base: int | None) -> None:
    """Refuse rows without scores, with the option that settles it.

    Raises:
        UserError: there are some.
    """
    if not missing:
        return
    track, gaps = next(iter(missing.items()))
    total = sum(len(g) for g in missing.values())
    shown = ", ".join(str(int(g) + 1) for g in gaps[:_SHOWN]) + (", …" if len(gaps) > _SHOWN else "")
    raise UserError(
        f"{total:,} rows of {len(missing)} of {len(tracks)} tracks have no scores: {track} lacks row {shown}"
        f" of {len(tracks[track])}."
        "\nEvery official row needs a score: --missing nearest or line fills them, nan leaves them open."
    )


def first_frame(parts: Sequence[TrackRows], options: Options, rows: Mapping[str, int] | None) -> int:
    """Whether counting starts at 0 or 1: by a frame 0, by the official counts, by the lowest numbers.

    Args:
        parts: tracks with frame numbers; only these are looked at.
        options: `first_frame`, if the user said it.
        rows: official row counts; None if unknown.

    Raises:
        UserError: it stays open.
    """
    lowest = {part.track: int(part.frames.min()) for part in parts if part.frames is not None}
    least = min(lowest.values())
    zero = next((track for track, low in lowest.items() if low == 0), None)
    if options.first_frame is not None:
        if least < options.first_frame:
            raise UserError(f"{zero} has a frame 0; --first-frame {options.first_frame} says there is none.")
        return options.first_frame
    if least < 0:
        raise UserError(f"{min(lowest, key=lambda t: lowest[t])} has a frame {least}; expected 0 or 1 on.")
    if zero is not None:
        return 0
    highest = {part.track: int(part.frames.max()) for part in parts if part.frames is not None}
    if rows is not None:
        known = [track for track in highest if track in rows]
        if any(highest[track] == rows[track] for track in known):
            return 1  # counted from 0, that frame would lie beyond the end
        if known and all(highest[track] == rows[track] - 1 for track in known):
            raise _open_base(lowest, "their last numbers are one less than the rows")
    whole = sum(low == 1 for low in lowest.values())
    if 2 * whole < len(lowest) or not whole:
        raise _open_base(lowest, f"the lowest number is {least}")
    gaps = any(len(np.unique(part.frames)) < highest[part.track] for part in parts if part.frames is not None)
    if gaps and whole < _ENOUGH:
        raise _open_base(lowest, "frames are missing, perhaps a frame 0 too")
    return 1


def _open_base(lowest: Mapping[str, int], why: str) -> UserError:
    return UserError(
        f"Is a track's first frame number 0 or 1? No track has a frame 0, and {why}"
        f" ({', '.join(f'{t} from {n}' for t, n in list(lowest.items())[:3])})."
        "\nSay so with --first-frame 0 or --first-frame 1."
    )


def _once(part: TrackRows, places: Index, base: int, notes: list[str]) -> tuple[TrackRows, Index]:
    """Each frame once. The same row given twice is harmless; two different ones are not."""
    order = np.argsort(places, kind="stable")
    again = np.flatnonzero(np.diff(places[order]) == 0)
    if not len(again):
        return part, places
    first, second = order[again], order[again + 1]
    same = (part.values[first] == part.values[second]).all(axis=1)
    if not same.all():
        row = int(np.argmin(same))
        raise UserError(
            f"{part.where}, track {part.track}: frame {int(places[first[row]]) + base} comes twice, with"
            f" different scores (rows {int(first[row]) + 1} and {int(second[row]) + 1} of the track)."
            "\nTwo faces in one picture, two tracks under one name, or several folds? Keep one row a frame."
        )
    keep = np.ones(len(places), bool)
    keep[second] = False
    notes.append(f"{part.track}: {len(second)} rows come twice with the same scores; each was taken once")
    times = part.times[keep] if part.times is not None else None
    frames = part.frames[keep] if part.frames is not None else None
    return TrackRows(part.track, part.values[keep], frames, times, part.where), places[keep]


def check_times(part: TrackRows, expected: int | None) -> bool:
    """Without frame numbers, times must at least not say that rows are missing, double or out of order.

    Returns:
        Whether there were times to go by.
    """
    if part.times is None or len(part.times) < 2:
        return False
    steps = np.diff(part.times)
    wrong = ~(steps >= 0)
    if steps.any() and (steps == 0).mean() <= _ROUNDED:  # else the times are rounded, and rows share them
        wrong = ~(steps > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(
            f"{part.where}, track {part.track}: time {part.times[row + 1]:g} after {part.times[row]:g}"
            f" (row {row + 2}); expected ascending times, or a column of frame numbers.\nSort the rows by"
            " time; if they are in order and the times wrong, leave that column out."
        )
    step = float(np.median(steps))
    wide = np.flatnonzero(steps > 1.6 * step)
    fits = expected == len(part.times)  # a leap is then the video's own
    if not fits and len(wide) and len(steps) > 1 and float(np.percentile(steps, 90)) < 1.3 * step:
        raise UserError(
            f"{part.where}, track {part.track}: {steps[wide[0]]:g} between rows {wide[0] + 1} and"
            f" {wide[0] + 2}, {step:g} elsewhere: rows are missing."
            " Add a column of frame numbers, or give --rows-from."
        )
    return True


def _check_short(part: TrackRows, found: int, count: int, options: Options) -> None:
    if count - found > options.slack:
        raise UserError(
            f"{part.where}, track {part.track}: {found} rows; expected {count}, and no frame numbers say"
            f" which are missing.\nIf they are missing at its end, allow it with --slack {count - found}"
            " and --missing nearest."
        )


def _too_many(part: TrackRows, found: int, count: int, base: int | None) -> UserError:
    what = f"frame {found - 1 + base}" if base is not None else f"{found} rows"
    counted = f" (counted from {base})" if base is not None else ""
    return UserError(
        f"{part.where}, track {part.track}: {what}{counted}; it has {count} rows."
        f"\nIf they are too many at its end, cut them with --slack {found - count}; a header read as a row,"
        " or another track, would need another remedy."
    )
