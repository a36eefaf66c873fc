"""Sampling: what balanced means, that epochs differ and can be repeated, and that no row is favoured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.tasks import AU, EXPR, VA
from abaw_submit.training.sampling import draw, fresh_rows, row_weights


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 20), st.integers(0, 5))
def test_fresh_rows_are_one_of_every_block_of_every_track(counts: list[int], step: int, epoch: int) -> None:
    track = np.repeat(np.arange(len(counts)), counts)
    rows = fresh_rows(track, step, 3, epoch)
    first = np.cumsum([0, *counts])
    for index, count in enumerate(counts):
        blocks = (rows[track[rows] == index] - first[index]) // step
        assert blocks.tolist() == list(range(-(-count // step)))


def test_epochs_see_other_rows_and_over_many_epochs_every_row_as_often() -> None:
    track = np.repeat([0, 1], [40, 20])
    assert fresh_rows(track, 4, 0, 1).tolist() == fresh_rows(track, 4, 0, 1).tolist()
    seen = np.zeros(60)
    for epoch in range(2000):
        seen[fresh_rows(track, 4, 0, epoch)] += 1
    np.testing.assert_allclose(seen / 2000, 0.25, atol=0.05)


def share(weights: np.ndarray, rows: np.ndarray) -> float:
    return float(weights[rows].sum() / weights.sum())


def test_balanced_by_class_every_expression_has_the_same_share() -> None:
    labels = np.repeat([0, 3, 7], [900, 90, 10])[:, None].astype(np.float32)
    weights = row_weights(EXPR, labels, np.zeros(1000, int), "class")
    assert [share(weights, labels[:, 0] == c) for c in (0, 3, 7)] == pytest.approx([1 / 3] * 3)
    assert weights.mean() == pytest.approx(1)


def test_balanced_by_video_a_long_track_counts_as_much_as_a_short_one() -> None:
    track = np.repeat([5, 9], [990, 10])
    weights = row_weights(VA, np.zeros((1000, 2), np.float32), track, "video")
    assert share(weights, track == 9) == pytest.approx(0.5)


def test_balanced_by_both_classes_are_equal_and_inside_a_class_its_videos_are() -> None:
    track = np.repeat([0, 1, 2], [800, 150, 50])
    labels = np.zeros((1000, 1), np.float32)
    labels[700:840] = 4  # in tracks 0 (100 rows) and 1 (40 rows)
    weights = row_weights(EXPR, labels, track, "both")
    happy = labels[:, 0] == 4
    assert share(weights, happy) == pytest.approx(0.5)
    assert share(weights, happy & (track == 1)) == pytest.approx(0.25)
    assert share(weights, ~happy & (track == 2)) == pytest.approx(0.5 / 3)


def test_rare_action_units_and_rare_feelings_are_drawn_more_often() -> None:
    labels = np.zeros((100, 12), np.float32)
    labels[:50, 6], labels[:2, 7] = 1, 1
    weights = row_weights(AU, labels, np.zeros(100, int), "class")
    assert weights[0] > weights[10] > 0
    assert share(weights, labels.sum(1) == 0) == pytest.approx(1 / 3)
    va = np.zeros((100, 2), np.float32)
    va[:3] = (-0.9, 0.9)
    weights = row_weights(VA, va, np.zeros(100, int), "class")
    assert share(weights, va[:, 0] < 0) == pytest.approx(0.5)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=50), st.integers(0, 9))
def test_draws_come_as_often_as_weights_say_up_to_one(values: list[float], epoch: int) -> None:
    weights = np.array(values) + 1e-3
    rows = draw(weights, 1, epoch)
    assert len(rows) == len(weights)
    times = np.bincount(rows, minlength=len(weights))
    assert (np.abs(times - weights / weights.mean()) < 1 + 1e-6).all()
    assert rows.tolist() == draw(weights, 1, epoch).tolist()


def test_nothing_balanced_is_every_row_once() -> None:
    weights = row_weights(EXPR, np.zeros((7, 1), np.float32), np.zeros(7, int), "none")
    assert sorted(draw(weights, 0, 0).tolist()) == list(range(7))
