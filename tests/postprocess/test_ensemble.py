"""Weights with known answers, ranks, and the spread of averaged folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import rankdata

from abaw_submit.errors import UserError
from abaw_submit.metrics import ccc
from abaw_submit.postprocess import ensemble
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, EXPR, VA


def members(seed: int, noises: list[float], rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    r = np.random.default_rng(seed)
    truth = r.normal(size=rows)
    return truth, np.stack([truth + s * r.normal(size=rows) for s in noises])


def fitted(truth: np.ndarray, x: np.ndarray, shrink: float = 0.0) -> np.ndarray:
    """Weights of members as they are, from the weights of members of equal spread."""
    correlation = np.corrcoef(np.vstack([x, truth]))
    weights = ensemble.fitted_weights(correlation[:-1, :-1], correlation[:-1, -1], shrink) / x.std(axis=1)
    return weights / weights.sum()


def test_independent_members_are_weighted_by_the_inverse_of_their_noise_variance():
    truth, x = members(0, [0.5, 1.0, 2.0], rows=200_000)
    weights = fitted(truth, x)
    expected = np.array([4, 1, 0.25])
    np.testing.assert_allclose(weights, expected / expected.sum(), atol=0.01)


def test_harmful_members_get_exactly_zero():
    truth, x = members(1, [0.5, 1.0])
    weights = fitted(truth, np.vstack([x, -x[1:]]))
    assert weights[2] == 0
    assert weights.sum() == pytest.approx(1)


@given(st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_fitted_weights_are_the_best_non_negative_ones_for_the_moment_matched_ccc(seed):
    r = np.random.default_rng(seed)
    truth, x = members(seed, list(r.uniform(0.3, 3, 3)), rows=200)
    found = fitted(truth, x)

    def matched(w: np.ndarray) -> float:
        p = np.abs(w) @ x
        return ccc(truth, (p - p.mean()) / max(p.std(), 1e-9) * truth.std() + truth.mean())

    best = minimize(lambda w: -matched(w), np.ones(3), method="Nelder-Mead", options={"maxiter": 800})
    assert matched(found) >= -best.fun - 1e-4


def test_shrinking_goes_from_least_squares_to_weights_in_proportion_to_skill():
    skill = np.array([0.6, 0.5, 0.3])
    correlation = np.array([[1, 0.8, 0.1], [0.8, 1, 0.1], [0.1, 0.1, 1]])
    weights = [ensemble.fitted_weights(correlation, skill, s) for s in (0, 1, 1e6)]
    assert weights[0][1] < weights[1][1] < weights[2][1]  # the second only repeats the first
    np.testing.assert_allclose(weights[2], skill / skill.sum(), atol=1e-4)


def test_dead_members_do_no_harm():
    dead = np.array([[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(ensemble.fitted_weights(dead, np.array([0.5, 0.0])), [1, 0], atol=1e-6)
    assert ensemble.fitted_weights(np.zeros((2, 2)), np.zeros(2)).tolist() == [0.5, 0.5]


def test_greedy_selection_takes_the_best_first_and_may_take_it_again():
    target = np.array([0.75, 0.25, 0.0])
    path = ensemble.greedy_path(lambda w: -float(np.abs(w - target).sum()), 3, 4)
    assert path[0].tolist() == [1, 0, 0]
    np.testing.assert_allclose(path[-1], target)


def test_ranks_agree_with_scipy_and_ignore_monotone_changes():
    x = np.random.default_rng(4).normal(size=1001)
    mine = ensemble.to_rank(x, ensemble.rank_knots(x))
    np.testing.assert_allclose(mine, (rankdata(x) - 1) / 1000, atol=0.01)
    other = np.exp(x)
    np.testing.assert_allclose(ensemble.to_rank(other, ensemble.rank_knots(other)), mine, atol=0.01)


def folds_of(seed: int = 5, folds: int = 4) -> tuple[np.ndarray, list[Scores]]:
    r = np.random.default_rng(seed)
    truth = r.normal(0, 0.3, (2000, 2))
    parts = [
        Scores(VA, {"t": (truth + r.normal(0, 0.3, truth.shape)).astype(np.float32)}) for _ in range(folds)
    ]
    return truth, parts


def test_averaging_folds_shrinks_the_spread_and_restoring_gives_it_back():
    _, parts = folds_of()
    own = np.mean([p["t"].std(axis=0) for p in parts], axis=0)
    plain = ensemble.average_folds(parts, restore=0)["t"]
    half = ensemble.average_folds(parts, restore=0.5)["t"]
    full = ensemble.average_folds(parts, restore=1)["t"]
    assert (plain.std(axis=0) < 0.9 * own).all()
    np.testing.assert_allclose(full.std(axis=0), own, rtol=1e-4)
    np.testing.assert_allclose(half.std(axis=0), np.sqrt(own * plain.std(axis=0)), rtol=1e-4)
    np.testing.assert_allclose(full.mean(axis=0), plain.mean(axis=0), atol=1e-6)


def test_out_of_fold_files_of_other_tracks_are_put_together_untouched():
    _, (a, b, *_) = folds_of()
    got = ensemble.average_folds([Scores(VA, {"x": a["t"]}), Scores(VA, {"y": b["t"]})])
    np.testing.assert_array_equal(got["x"], a["t"])
    np.testing.assert_array_equal(got["y"], b["t"])


def test_expressions_are_averaged_and_left_so():
    r = np.random.default_rng(6)
    a, b = (Scores(EXPR, {"t": r.random((50, 8)).astype(np.float32)}) for _ in range(2))
    np.testing.assert_allclose(ensemble.average_folds([a, b])["t"], (a["t"] + b["t"]) / 2, atol=1e-7)


def test_a_threshold_of_single_models_finds_as_many_rows_in_their_restored_mean():
    r = np.random.default_rng(7)
    hidden = r.normal(size=(20_000, 12)) - 2.0
    parts = []
    for _ in range(5):
        odds = hidden + r.normal(0, 2.0, hidden.shape)
        parts.append(Scores(AU, {"t": (1 / (1 + np.exp(-odds))).astype(np.float32)}))
    share = np.mean([(p["t"] > 0.5).mean() for p in parts])
    plain, restored = (ensemble.average_folds(parts, x)["t"] for x in (0.0, 1.0))
    assert (plain > 0.5).mean() < 0.8 * share
    assert (restored > 0.5).mean() == pytest.approx(share, rel=0.02)
    assert (np.diff(restored[np.argsort(plain[:, 0]), 0]) >= -1e-7).all()  # the order stays


def test_folds_with_other_rows_or_tasks_are_refused():
    _, (a, *_) = folds_of()
    with pytest.raises(UserError, match="Track t: 10 rows in one file, 2000 in another"):
        ensemble.average_folds([a, Scores(VA, {"t": a["t"][:10]})])
    with pytest.raises(UserError, match="Scores of AU"):
        ensemble.average_folds([a, Scores(AU, {"t": np.zeros((2000, 12), np.float32)})])
