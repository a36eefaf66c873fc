"""From chosen tracklets to a track's official rows: the ledger, and which crop belongs to which row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.ledger import DETECTED, NEAREST, NONE, TRACKED, Ledger, nearest_found
from abaw_submit.faces.detect import BOX, SCORE
from abaw_submit.faces.follow import Tracklet


@dataclass(frozen=True)
class TrackRows:
    """A track's rows.

    Attributes:
        ledger: one line per official row.
        spool: for each found row its crop's (offset, length) in the spool.
    """

    ledger: Ledger
    spool: Mapping[int, tuple[int, int]]


def fill_rows(
    tracklets: Sequence[Tracklet],
    times_s: Sequence[float],
    rate_hz: float,
    rows: int | None = None,
    hidden: npt.NDArray[np.bool_] | None = None,
    row_of: npt.NDArray[np.int64] | None = None,
) -> TrackRows:
    """One line per official row; a row that two tracklets claim goes to the first.

    Args:
        tracklets: the track's, the strongest first.
        times_s: time of each row that is known: of each decoded frame, if all of them decode.
        rate_hz: to give times to rows past the last known one.
        rows: official row count; None: as many as have a time.
        hidden: (decoded frames,) True where the person must not be seen (an override).
        row_of: (decoded frames,) the row of each; None: they are the rows (see `faces.timeline`).
    """
    rows = len(times_s) if rows is None else rows
    found = np.zeros(rows, bool)
    looked = np.zeros(rows, bool)
    values = np.zeros((rows, 5))
    spool: dict[int, tuple[int, int]] = {}
    for tracklet in tracklets:
        for offset in range(len(tracklet)):
            picture, place = tracklet.first + offset - 1, tracklet.spool[offset]
            index = picture if row_of is None else int(row_of[picture]) - 1
            if place is None or index >= rows or found[index] or (hidden is not None and hidden[picture]):
                continue
            found[index], looked[index] = True, tracklet.looked[offset]
            values[index, :4] = tracklet.smooth[offset][BOX]
            values[index, 4] = tracklet.smooth[offset][SCORE]
            spool[index + 1] = place
    nearest = nearest_found(found)
    if found.any():
        values = values[nearest]
        values[~found, 4] = 0.0
    missing = NEAREST if found.any() else NONE
    source = np.where(found, np.where(looked, DETECTED, TRACKED), missing)
    x, y, w, h, score = values.T
    ledger = Ledger(
        row=np.arange(1, rows + 1),
        time_s=_times(times_s, rate_hz, rows),
        found=found,
        score=score,
        x=x,
        y=y,
        w=w,
        h=h,
        source=source,
    )
    return TrackRows(ledger, spool)


def _times(times_s: Sequence[float], rate_hz: float, rows: int) -> npt.NDArray[np.float64]:
    """Times of all rows; past the last decoded frame the clock goes on at the claimed rate."""
    known = np.asarray(times_s[:rows], np.float64)
    more = known[-1] + np.arange(1, rows - len(known) + 1) / rate_hz
    return np.concatenate([known, more])
