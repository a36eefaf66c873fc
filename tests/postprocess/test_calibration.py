"""Calibration against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from abaw_submit.postprocess import calibration


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
