"""Division of groups into folds: nothing lost, nothing by order, every count shared out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw_submit.errors import UserError
from abaw_submit.training.balance import balanced_folds

COUNTS = st.dictionaries(
    st.text("abcdefgh123", min_size=1, max_size=4),
    st.lists(st.integers(0, 500), min_size=2, max_size=2).map(lambda c: np.array([1.0, *c])),
    min_size=3,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(counts=COUNTS, folds=st.integers(2, 3), seed=st.integers(0, 5))
def test_every_group_is_in_one_fold_and_no_fold_is_empty(counts, folds, seed):
    parts = balanced_folds(counts, folds, seed)
    assert sorted(itertools.chain(*parts)) == sorted(counts)
    assert len(parts) == folds
    assert all(parts)


@settings(max_examples=25, deadline=None)
@given(counts=COUNTS, data=st.data())
def test_the_order_groups_come_in_does_not_matter(counts, data):
    shuffled = dict(data.draw(st.permutations(list(counts.items()))))
    assert balanced_folds(counts, 3, 1) == balanced_folds(shuffled, 3, 1)


def test_the_best_division_of_few_groups_is_found():
    """All divisions of 8 groups into 2 folds, tried one by one, are the oracle."""
    sizes = {"a": 40, "b": 31, "c": 27, "d": 20, "e": 9, "f": 8, "g": 4, "h": 1}
    counts = {name: np.array([float(size)]) for name, size in sizes.items()}

    def gap(part):
        return abs(2 * sum(sizes[name] for name in part) - sum(sizes.values()))

    best = min(gap(part) for n in range(1, 8) for part in itertools.combinations(sizes, n))
    assert gap(balanced_folds(counts, 2, 0)[0]) <= best + 2


def test_a_rare_label_is_shared_out_too():
    """60 groups of equal length, the rare label in 10 of them: each of 5 folds gets 2 of those."""
    counts = {f"g{i:02}": np.array([1.0, 100.0, 7.0 * (i < 10)]) for i in range(60)}
    parts = balanced_folds(counts, 5, 0)
    assert [len(part) for part in parts] == [12] * 5
    assert [sum(name < "g10" for name in part) for part in parts] == [2] * 5


def test_another_seed_gives_another_division():
    rng = np.random.default_rng(0)
    counts = {f"g{i}": np.array([1.0, *rng.integers(50, 500, 4)]) for i in range(40)}
    divisions = {str(balanced_folds(counts, 5, seed)) for seed in range(4)}
    assert len(divisions) > 1
    assert str(balanced_folds(counts, 5, 0)) == str(balanced_folds(counts, 5, 0))


def test_more_folds_than_groups_is_a_users_mistake():
    with pytest.raises(UserError, match="5 folds of 2 recordings"):
        balanced_folds({"a": np.array([1.0]), "b": np.array([1.0])}, 5, 0)
