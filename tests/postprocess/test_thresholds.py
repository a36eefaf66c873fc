"""Thresholds, biases and runs against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from abaw_submit.postprocess import thresholds
from abaw_submit.tasks import AU, EXPR, VA


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20))
@settings(deadline=None)
def test_the_best_threshold_is_the_best_of_all(pairs):
    negatives, positives = np.array(pairs, float).T
    at, f1 = thresholds.best_threshold(negatives, positives)
    bins = np.repeat(np.arange(len(pairs)), (negatives + positives).astype(int))
    truth = np.concatenate([[0] * int(n) + [1] * int(p) for n, p in pairs] or [[]]).astype(int)
    all_f1 = [f1_score(truth, bins >= t, zero_division=0) if len(truth) else 0 for t in range(len(pairs))]
    assert f1 == pytest.approx(max(all_f1))
    assert all_f1[at] == pytest.approx(max(all_f1))


@given(st.floats(0.01, 0.99), st.lists(st.floats(0, 1), min_size=1, max_size=50))
@settings(deadline=None)
def test_shifting_keeps_the_order_and_moves_the_threshold_to_a_half(threshold, scores):
    x = np.array(scores)
    y = thresholds.shift_to_half(x, threshold)
    assert ((x >= threshold) == (y >= 0.5)).all()
    assert (np.diff(y[np.argsort(x)]) >= 0).all()
    assert ((y >= 0) & (y <= 1)).all()


@given(st.integers(0, 200))
@settings(max_examples=15, deadline=None)
def test_a_line_of_biases_is_scored_like_every_bias_by_itself(seed):
    r = np.random.default_rng(seed)
    z, truth = r.normal(size=(60, 4)), r.integers(0, 4, 60)
    grid = np.linspace(-2, 2, 21)
    fast = thresholds._line(z, 0.0, truth, 2, grid)
    for value, b in zip(fast, grid, strict=True):
        moved = z + b * (np.arange(4) == 2)
        slow = f1_score(truth, moved.argmax(axis=1), labels=range(4), average="macro", zero_division=0)
        assert value == pytest.approx(slow, abs=1e-5)


def test_a_bias_finds_the_rare_class_that_argmax_never_gives():
    r = np.random.default_rng(3)
    truth = (r.random(4000) < 0.05).astype(int)
    evidence = r.normal(size=4000) + 2.0 * truth
    z = np.column_stack([np.full(4000, 2.5), evidence])  # the common class wins nearly always
    before = f1_score(truth, z.argmax(axis=1), average="macro")
    bias = thresholds.fit_bias(z, truth)
    assert f1_score(truth, (z + bias).argmax(axis=1), average="macro") > before + 0.05
    assert thresholds.fit_bias(z[:0], truth[:0]).tolist() == [0, 0]


def test_short_runs_of_an_au_disappear_and_long_ones_stay():
    scores = np.full((12, 12), 0.1)
    scores[2:4, 0] = 0.9  # two rows
    scores[6:10, 0] = 0.9  # four rows
    got = thresholds.drop_short_runs(AU, scores, 3)
    assert (got[:, 0] >= 0.5).astype(int).tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    assert thresholds.drop_short_runs(AU, scores, 1) is scores


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(2, 6))
@settings(deadline=None)
def test_merged_runs_are_long_enough_unless_one_is_left(labels, shortest):
    got = thresholds.merge_short_runs(np.array(labels), shortest)
    assert len(got) == len(labels)
    _, lengths = thresholds.runs_of(got)
    assert len(lengths) == 1 or lengths.min() >= shortest


def test_short_runs_of_an_expression_take_the_longer_neighbour():
    labels = np.array([0, 0, 0, 3, 5, 5])
    scores = np.eye(8)[labels] * 0.9 + 0.01
    got = thresholds.drop_short_runs(EXPR, scores, 2)
    assert got.argmax(axis=1).tolist() == [0, 0, 0, 0, 5, 5]
    np.testing.assert_allclose(got.sum(axis=1), scores.sum(axis=1))
    values = np.zeros((3, 2))
    assert thresholds.drop_short_runs(VA, values, 5) is values
