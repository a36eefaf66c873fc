"""Calibration against scikit-learn and against better fits that do not exist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from abaw_submit.metrics import ccc, statistics
from abaw_submit.postprocess import calibration
from abaw_submit.tasks import VA


def moments(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    two = lambda v: np.column_stack([v, v])  # noqa: E731
    return statistics(VA, two(truth), two(prediction))[0]


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_no_other_affine_map_has_a_higher_ccc(seed):
    r = np.random.default_rng(seed)
    truth = r.normal(0.1, 0.4, 300)
    prediction = 0.3 * truth + r.normal(-0.2, 0.2, 300)
    scale, offset = calibration.affine_from_moments(moments(truth, prediction))
    best = ccc(truth, scale * prediction + offset)
    for a, b in ((1.05, 0), (0.95, 0), (1, 0.02), (1, -0.02)):
        assert ccc(truth, a * scale * prediction + offset + b) <= best + 1e-9


def test_a_constant_prediction_is_only_moved():
    scale, offset = calibration.affine_from_moments(moments(np.array([0.2, 0.4]), np.array([0.9, 0.9])))
    assert scale == 0.0
    assert offset == pytest.approx(0.3)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 5)), min_size=1, max_size=30))
@settings(deadline=None)
def test_pool_adjacent_is_scikit_learns_isotonic_regression(pairs):
    values, weights = np.array(pairs).T
    expected = IsotonicRegression().fit(np.arange(len(values)), values, sample_weight=weights)
    np.testing.assert_allclose(
        calibration.pool_adjacent(values, weights), expected.predict(np.arange(len(values))), atol=1e-9
    )


def test_a_monotone_map_straightens_a_bend_that_no_affine_map_can():
    r = np.random.default_rng(0)
    truth = r.uniform(-0.8, 0.8, 5000)
    prediction = np.sign(truth) * np.abs(truth) ** 3 + r.normal(0, 0.01, 5000)
    positions, values = calibration.monotone_knots(truth, prediction)
    assert (np.diff(positions) > 0).all()
    assert (np.diff(values) >= 0).all()
    scale, offset = calibration.affine_from_moments(moments(truth, prediction))
    bent = ccc(truth, np.interp(prediction, positions, values))
    assert bent > ccc(truth, scale * prediction + offset) + 0.02


def test_platt_is_logistic_regression_on_the_log_odds():
    r = np.random.default_rng(1)
    centres = (np.arange(64) + 0.5) / 64
    n = r.integers(50, 400, 64)
    chance = calibration.sigmoid(0.6 * calibration.logit(centres) - 1.2)
    positives = r.binomial(n, chance).astype(float)
    slope, bias = calibration.platt(centres, n - positives, positives)
    x = np.concatenate([calibration.logit(centres)] * 2)[:, None]
    y = np.repeat([0, 1], 64)
    expected = LogisticRegression(C=1e9, max_iter=1000).fit(x, y, np.concatenate([n - positives, positives]))
    assert slope == pytest.approx(expected.coef_[0, 0], abs=0.01)
    assert bias == pytest.approx(expected.intercept_[0], abs=0.01)


def test_platt_without_both_kinds_of_rows_does_nothing():
    assert calibration.platt(np.array([0.2, 0.8]), np.array([3.0, 4.0]), np.zeros(2)) == (1.0, 0.0)


def test_a_full_prior_shift_makes_the_classes_equally_likely_on_average():
    prior = np.array([0.7, 0.2, 0.1])
    shifted = calibration.softmax((np.log(prior) + calibration.prior_shift(prior, 1.0))[None])
    np.testing.assert_allclose(shifted, [[1 / 3] * 3])
    np.testing.assert_allclose(calibration.prior_shift(prior, 0.0), 0, atol=1e-12)


def test_reliability_of_honest_probabilities_lies_on_the_diagonal():
    r = np.random.default_rng(2)
    p = r.random(100_000)
    curve = calibration.reliability(p, r.random(100_000) < p)
    np.testing.assert_allclose(curve["score"], curve["truth"], atol=0.02)
    assert sum(curve["rows"]) == 100_000
