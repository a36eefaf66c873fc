"""Which row each decoded picture is: by its time stamp where pictures of the video are lost.

The rows of a track are the pictures of the whole video. If some do not decode, counting those that do would
move all later rows: a picture's time says how many were before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abaw_submit.arrays import F64, Index

SLACK_ROWS = 3  # official counts and decoders differ by so much on whole files
_OWN_STEP = (
    0.6  # parts of the usual step: what lies closer is not a picture of its own (fields, hidden frames)
)


@dataclass(frozen=True)
class Timeline:
    """Rows and times of a video's pictures.

    Attributes:
        rows: (decoded,) 1-based row of each decoded picture, ascending.
        times_s: time of each row from 1 to the last that is known.
    """

    rows: Index
    times_s: F64

    @property
    def lost(self) -> int:
        """Rows before the last known one whose picture did not decode."""
        return len(self.times_s) - len(self.rows)

    def pictures_of(self, first: int, last: int) -> tuple[int, int]:
        """The 1-based numbers among decoded pictures of the first and last one in a range of rows."""
        low = int(np.searchsorted(self.rows, first, side="left")) + 1
        return low, max(low, int(np.searchsorted(self.rows, last, side="right")))


def by_order(times_s: Sequence[float]) -> Timeline:
    """Every picture decoded: row k is picture k."""
    return Timeline(np.arange(1, len(times_s) + 1), np.asarray(times_s, np.float64))


def timeline(
    decoded_s: Sequence[float], packets_s: Sequence[float], rate_hz: float, official: int | None
) -> Timeline:
    """The rows of the decoded pictures of a damaged video.

    Of counting, of the packets' time stamps, and of the stamps at a steady rate (where packets are gone too),
    the one whose number of rows is nearest to the official one is taken; without one, the packets' stamps.

    Args:
        decoded_s: times of the decoded pictures, ascending.
        packets_s: times of all packets, ascending.
        rate_hz: the rate the container claims.
        official: official row count, if it is known.

    >>> timeline([0.0, 0.1, 0.4], [0.0, 0.1, 0.2, 0.3, 0.4], 10, 5).rows.tolist()
    [1, 2, 5]
    >>> timeline([0.0, 0.1, 0.4], [0.0, 0.1, 0.4], 10, 5).rows.tolist()
    [1, 2, 5]
    >>> timeline([0.0, 0.1, 0.4], [0.0, 0.1, 0.4], 10, None).rows.tolist()
    [1, 2, 3]
    """
    counted = by_order(decoded_s)
    step = _step(decoded_s, packets_s, rate_hz)
    stamped = _by_packets(decoded_s, packets_s, step)
    if official is None:
        return stamped if stamped is not None else counted
    ways = [w for w in (counted, stamped, _steady(decoded_s, step)) if w is not None]
    return min(ways, key=lambda way: abs(len(way.times_s) - official) if len(way.times_s) else official)


def _step(decoded_s: Sequence[float], packets_s: Sequence[float], rate_hz: float) -> float:
    steps = np.diff(np.asarray(packets_s if len(packets_s) > len(decoded_s) else decoded_s, np.float64))
    steps = steps[steps > 0]
    usual = (
        float(np.quantile(steps, 0.25, method="lower")) if len(steps) else 0.0
    )  # holes only lengthen steps
    return usual if usual > _OWN_STEP / rate_hz else 1 / rate_hz


def _by_packets(decoded_s: Sequence[float], packets_s: Sequence[float], step: float) -> Timeline | None:
    """Every packet that is a step apart from the decoded pictures around it is a row too."""
    close = _OWN_STEP * step
    times: list[float] = []
    rows: list[int] = []
    at = 0
    for time_s in decoded_s:
        while at < len(packets_s) and packets_s[at] < time_s - 1e-6:
            apart = not times or packets_s[at] - times[-1] >= close
            if apart and time_s - packets_s[at] >= close:
                times.append(packets_s[at])
            at += 1
        times.append(time_s)
        rows.append(len(times))
        while at < len(packets_s) and packets_s[at] <= time_s + 1e-6:
            at += 1
    for time_s in packets_s[at:]:
        if not times or time_s - times[-1] >= close:
            times.append(time_s)
    return Timeline(np.array(rows, np.int64), np.array(times, np.float64))


def _steady(decoded_s: Sequence[float], step: float) -> Timeline | None:
    """Rows at a steady rate from the first picture on; None where two pictures would share a row."""
    known = np.asarray(decoded_s, np.float64)
    rows = np.rint((known - known[0]) / step).astype(np.int64) + 1
    if len(rows) > 1 and (np.diff(rows) < 1).any():
        return None
    times = np.interp(np.arange(1, rows[-1] + 1), rows, known)
    return Timeline(rows, times)
