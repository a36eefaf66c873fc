"""Clips: every row is seen, none crosses into another track."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.training.clips import clip_starts, epoch_clips, overlapping_starts


@given(st.integers(1, 400), st.integers(2, 120), st.data())
def test_the_clips_of_an_epoch_hold_every_row_and_stay_inside_the_track(
    rows: int, clip: int, data: st.DataObject
) -> None:
    starts = clip_starts(rows, clip, data.draw(st.integers(0, clip - 1)))
    seen = {row for start in starts for row in range(start, min(start + clip, rows))}
    assert seen == set(range(rows))
    assert all(start + clip <= rows for start in starts) or starts == [0]


@given(st.integers(1, 400), st.integers(2, 120))
def test_clips_of_prediction_hold_every_row_and_overlap_by_half(rows: int, clip: int) -> None:
    starts = overlapping_starts(rows, clip)
    assert starts[0] == 0
    assert max(starts) == max(0, rows - clip)
    assert all(0 < b - a <= max(1, clip // 2) for a, b in pairwise(starts))


def test_offsets_change_from_epoch_to_epoch_and_depend_on_seed_and_epoch_only() -> None:
    begin = np.array([0, 250, 290, 700])
    first, again, other = (epoch_clips(begin, 100, 1, epoch) for epoch in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert sorted(first) != sorted(other)
    assert {0, 250, 290} <= set(first.tolist())
