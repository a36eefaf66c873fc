"""The official scores against scikit-learn, by hand, and as sums over tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from abaw_submit import metrics
from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, VA


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def va_tracks(tracks: int = 5, seed: int = 0) -> tuple[dict, dict]:
    r = rng(seed)
    truth = {f"t{k}": r.uniform(-1, 1, (20 + k, 2)).astype(np.float32) for k in range(tracks)}
    labels = {t: np.clip(v + r.normal(0, 0.3, v.shape), -1, 1).astype(np.float32) for t, v in truth.items()}
    return truth, labels


def test_ccc_by_the_textbook_formula_with_population_moments():
    x, y = rng(1).normal(size=50), rng(2).normal(size=50)
    expected = 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert metrics.ccc(x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, -0.3333333333])
def test_ccc_of_a_constant_is_zero_not_nan(constant):
    y = np.full(1000, constant, np.float32)
    assert metrics.ccc(rng().normal(size=1000), y) == 0
    assert metrics.ccc(y, y) == 0


@given(st.integers(0, 10_000), st.floats(-1, 1), st.floats(0.1, 3))
@settings(deadline=None)
def test_ccc_is_symmetric_bounded_and_hurt_by_shift_and_scale(seed, shift, scale):
    x = rng(seed).normal(size=30)
    y = scale * x + shift
    value = metrics.ccc(x, y)
    assert value == pytest.approx(metrics.ccc(y, x))
    assert -1 <= value <= 1 + 1e-12
    assert value <= metrics.ccc(x, x) + 1e-12


@given(st.integers(0, 10_000))
@settings(deadline=None)
def test_f1_is_scikit_learns_with_absent_classes_as_zero(seed):
    r = rng(seed)
    truth, labels = r.integers(0, 6, 40), r.integers(0, 7, 40)  # class 7 never appears
    expected = f1_score(truth, labels, labels=range(8), average=None, zero_division=0)
    np.testing.assert_allclose(metrics.f1_per_class(truth, labels), expected)
    au_truth, au_labels = r.integers(0, 2, (30, 12)), r.integers(0, 2, (30, 12))
    au_truth[:, 3] = au_labels[:, 3] = 0  # nothing to find, nothing found
    expected = f1_score(au_truth, au_labels, average=None, zero_division=0)
    np.testing.assert_allclose(metrics.f1_binary(au_truth, au_labels), expected)


def test_invalid_rows_are_left_out():
    truth = np.array([[0.5, 0.5], [-5, 0.1], [0.2, -5], [-0.5, -0.5], [0.1, 0.3]], np.float32)
    labels = np.array([[0.4, 0.5], [1, 1], [1, 1], [-0.5, -0.4], [0.1, 0.2]], np.float32)
    whole = metrics.score(VA, truth, labels)
    assert whole.rows == 3
    assert whole == metrics.score(VA, truth[[0, 3, 4]], labels[[0, 3, 4]])
    au = np.zeros((4, 12), int)
    au[0, 5] = -1  # any -1 makes the row invalid
    assert metrics.score(AU, au, np.zeros((4, 12), int)).rows == 3
    assert metrics.score(EXPR, np.array([[0], [-1], [3]]), np.array([0, 1, 3])).rows == 2


def test_rows_of_all_tracks_are_pooled_and_not_averaged_over_tracks():
    truth, labels = va_tracks()
    pooled = metrics.score(VA, np.concatenate(list(truth.values())), np.concatenate(list(labels.values())))
    by_track = metrics.score(VA, truth, labels)
    assert by_track.total == pytest.approx(pooled.total)
    means = np.mean([metrics.score(VA, truth[t], labels[t]).total for t in truth])
    assert by_track.total != pytest.approx(means, abs=1e-4)


@pytest.mark.parametrize("task", [AU, EXPR, VA])
def test_statistics_of_tracks_add_up_to_those_of_the_pool(task):
    r = rng(3)
    shape = (60, task.label_columns)
    truth = r.uniform(-1, 1, shape) if task is VA else r.integers(0, 8 if task is EXPR else 2, shape)
    labels = r.uniform(-1, 1, shape) if task is VA else r.integers(0, 8 if task is EXPR else 2, shape)
    parts = sum(metrics.statistics(task, truth[a : a + 20], labels[a : a + 20]) for a in (0, 20, 40))
    np.testing.assert_allclose(parts, metrics.statistics(task, truth, labels))


def test_bootstrap_equals_recomputing_every_resample_from_its_rows():
    truth, labels = va_tracks(6)
    names = sorted(truth)
    stats = np.stack([metrics.statistics(VA, truth[t], labels[t]) for t in names])
    fast = metrics.total(VA, metrics.bootstrap(stats, resamples=20, seed=7))
    counts = metrics.bootstrap_counts(6, 20, 7).astype(int)
    for value, count in zip(fast, counts, strict=True):
        picked = [t for t, c in zip(names, count, strict=True) for _ in range(c)]
        x = np.concatenate([truth[t] for t in picked])
        y = np.concatenate([labels[t] for t in picked])
        assert value == pytest.approx(np.mean([metrics.ccc(x[:, o], y[:, o]) for o in (0, 1)]), abs=1e-9)


def test_groups_are_resampled_whole():
    counts = metrics.bootstrap_counts(["a", "b", "a", "c"], 100, 0)
    np.testing.assert_array_equal(counts[:, 0], counts[:, 2])
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_intervals_hold_the_score_and_shrink_with_more_tracks():
    def width(tracks: int) -> float:
        truth, labels = va_tracks(tracks)
        got = metrics.score(VA, truth, labels, resamples=300)
        low, high = got.intervals["total"]
        assert low < got.total < high
        assert set(got.intervals) == {"valence", "arousal", "total"}
        return high - low

    assert width(80) < width(10)


def test_the_formulas_of_editions_1_and_2_mix_in_accuracy():
    truth, labels = np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])
    f1 = f1_score(truth, labels, labels=range(7), average="macro", zero_division=0)
    assert metrics.score(EXPR, truth, labels, edition=2).total == pytest.approx(0.67 * f1 + 0.33 * 0.75)
    au_truth, au_labels = rng(1).integers(0, 2, (30, 8)), rng(2).integers(0, 2, (30, 8))
    f1 = f1_score(au_truth, au_labels, average="macro")
    expected = 0.5 * f1 + 0.5 * (au_truth == au_labels).mean()
    got = metrics.score(AU, au_truth, au_labels, edition=1)
    assert got.total == pytest.approx(expected)
    assert list(got.per_output)[-2:] == ["AU20", "AU25"]


def test_mtl_is_the_sum_of_the_three():
    assert metrics.mtl_score(0.4, 0.3, 0.5) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"a": np.zeros((3, 2))}, "no labels for track b"),
        ({"a": np.zeros((3, 2)), "b": np.zeros((2, 2))}, "track b: truth has 3 rows"),
        ({"a": np.zeros((3, 2)), "b": np.full((3, 2), np.nan)}, "NaN"),
    ],
)
def test_mistakes_name_the_track(labels, words):
    truth = {"a": np.zeros((3, 2)), "b": np.zeros((3, 2))}
    with pytest.raises(UserError, match=words):
        metrics.score(VA, truth, labels)


def test_a_class_out_of_range_is_refused():
    with pytest.raises(UserError, match=r"outside 0\.\.7"):
        metrics.score(EXPR, np.array([0, 1]), np.array([0, 8]))
