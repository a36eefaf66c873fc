"""Vectors that hold for a stretch of time: clips of video-language models, speech, 16-frame windows."""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import F32, F64, Mask
from abaw_submit.errors import UserError

UNITS = ("seconds", "milliseconds", "frames")


def row_edges(time_s: F64, where: str) -> tuple[F64, F64]:
    """When each row is on screen, (rows,) start and end in seconds: until the next one is shown.

    Raises:
        UserError: times are unknown.
    """
    if not len(time_s) or np.isnan(time_s).any():
        raise UserError(
            f"{where}: intervals in seconds need the times of the rows. Give --crops, or intervals in frames."
        )
    steps = np.diff(time_s)
    last = float(np.median(steps)) if len(steps) else 1 / 30
    return time_s, np.append(time_s[1:], time_s[-1] + last)


def frame_intervals(intervals: F64, first_frame: int | None, end: str | None, where: str) -> F64:
    """Intervals in frames as half-open stretches of 0-based rows.

    Args:
        intervals: (n, 2) first and last frame as written.
        first_frame: the number of the first frame; None finds a frame 0, else asks.
        end: "inclusive" or "exclusive"; None finds out where intervals follow each other.
        where: for messages.

    Raises:
        UserError: not whole numbers, or it stays open how they are meant.
    """
    if (intervals != np.rint(intervals)).any():
        raise UserError(f"{where}: frames of intervals are not whole. Add --segments seconds?")
    base = 0 if intervals[:, 0].min() == 0 else first_frame
    if base is None:
        raise UserError(
            f"{where}: the first interval starts at frame {intervals[:, 0].min():g}."
            " Say whether frames count from 0 or 1: --first-frame 0 or --first-frame 1."
        )
    if end is None:
        order = np.argsort(intervals[:, 0])
        gaps = intervals[order[1:], 0] - intervals[order[:-1], 1]
        if len(gaps) and (gaps == 0).all():
            end = "exclusive"
        elif len(gaps) and (gaps == 1).all():
            end = "inclusive"
        else:
            raise UserError(
                f"{where}: is an interval's last frame in it? Say so: --segment-end inclusive or exclusive."
            )
    out = intervals - base
    out[:, 1] += end == "inclusive"
    return out


def spread(values: F32, valid: Mask, intervals: F64, starts: F64, ends: F64, where: str) -> tuple[F32, Mask]:
    """The vector of each row: the mean of the vectors whose intervals it lies in, weighted by shared time.

    Args:
        values: (n, dim) one vector an interval.
        valid: (n,) vectors that count.
        intervals: (n, 2) start and end, in the unit of the rows' own.
        starts: (rows,) start of each row.
        ends: (rows,) its end.
        where: for messages.

    Returns:
        (rows, dim) vectors and (rows,) whether any interval covers the row.

    Raises:
        UserError: an interval that ends before it starts, or intervals of another unit or another video.
    """
    bad = ~np.isfinite(intervals).all(axis=1) | (intervals[:, 1] <= intervals[:, 0])
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(
            f"{where}, interval {row + 1}: {intervals[row, 0]:g} to {intervals[row, 1]:g}; start < end?"
        )
    length = float(ends[-1] - starts[0])
    if intervals[:, 1].max() > ends[-1] + max(
        0.1 * length, float(np.median(intervals[:, 1] - intervals[:, 0]))
    ):
        raise UserError(
            f"{where}: intervals end at {intervals[:, 1].max():g}, the track at {ends[-1]:g}: another unit"
            " or video? Say the unit with --segments seconds, milliseconds or frames."
        )
    total = np.zeros((len(starts), values.shape[1]))
    weight = np.zeros(len(starts))
    first = np.searchsorted(ends, intervals[:, 0], side="right")
    last = np.searchsorted(starts, intervals[:, 1], side="left")
    for k in np.flatnonzero(valid & (last > first)):
        rows = slice(int(first[k]), int(last[k]))
        shared = np.minimum(ends[rows], intervals[k, 1]) - np.maximum(starts[rows], intervals[k, 0])
        shared[shared < 0.01 * (ends[rows] - starts[rows])] = 0  # rounding of times, no time at all
        total[rows] += shared[:, None] * values[k]
        weight[rows] += shared
    covered = weight > 0
    total[covered] /= weight[covered, None]
    return total.astype(np.float32), covered
