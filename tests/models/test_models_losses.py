"""Losses: known answers, scikit-learn as second opinion, and invalid rows that take no part."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from abaw_submit.models.losses import (
    activate,
    ccc_loss,
    class_weights,
    soften,
    task_loss,
    weighted_bce,
    weighted_ce,
)
from abaw_submit.tasks import AU, EXPR, VA

# docs/reference/recipe.md: weights published for the official training sets
PUBLISHED_AU = (5.278, 12.427, 3.918, 2.371, 1.574, 1.820, 2.587, 22.660, 20.121, 22.105, 1.0, 8.265)
PUBLISHED_EXPR = (1.0, 10.400, 16.232, 19.608, 1.856, 2.225, 5.611, 1.059)


def test_class_weights_follow_the_rule_behind_the_published_expression_weights() -> None:
    counts = np.round(176_000 / np.array(PUBLISHED_EXPR)).astype(int)
    labels = np.repeat(np.arange(8), counts)[:, None].astype(np.float32)
    extra = np.full((5000, 1), -1, np.float32)  # invalid rows must not be counted
    valid = np.r_[np.ones(len(labels), bool), np.zeros(5000, bool)]
    np.testing.assert_allclose(class_weights(np.r_[labels, extra], valid, EXPR), PUBLISHED_EXPR, rtol=1e-3)


def test_class_weights_follow_the_rule_behind_the_published_action_unit_weights() -> None:
    rows = 200_000
    labels = np.zeros((rows, 12), np.float32)
    for column, weight in enumerate(PUBLISHED_AU):
        labels[: round(150_000 / weight), column] = 1
    np.testing.assert_allclose(class_weights(labels, np.ones(rows, bool), AU), PUBLISHED_AU, rtol=1e-3)


def test_a_class_that_never_occurs_has_a_finite_weight() -> None:
    weights = class_weights(np.zeros((10, 1), np.float32), np.ones(10, bool), EXPR)
    assert weights.tolist() == [1.0] + [10.0] * 7
    assert class_weights(np.zeros((4, 12), np.float32), np.zeros(4, bool), AU).tolist() == [1.0] * 12
    assert class_weights(np.zeros((4, 2), np.float32), np.ones(4, bool), VA).tolist() == [1.0, 1.0]


def test_bce_weighs_positive_rows_only() -> None:
    logits, weights = torch.zeros(2, 1), torch.tensor([5.0])
    labels = torch.tensor([[1.0], [0.0]])
    log2 = float(np.log(2))
    assert weighted_bce(logits, labels, torch.tensor([True, False]), weights).item() == pytest.approx(
        5 * log2
    )
    assert weighted_bce(logits, labels, torch.tensor([False, True]), weights).item() == pytest.approx(log2)


def test_cross_entropy_is_that_of_scikit_learn_with_sample_weights() -> None:
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(40, 8)), dtype=torch.float64)
    labels, weights = rng.integers(0, 8, 40), rng.uniform(0.5, 4, 8)
    got = weighted_ce(
        logits, torch.tensor(labels)[:, None].double(), torch.ones(40, dtype=bool), torch.tensor(weights)
    )
    expected = log_loss(
        labels, logits.softmax(-1).numpy(), sample_weight=weights[labels], labels=np.arange(8)
    )
    assert got.item() == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 10_000), st.sampled_from([AU, EXPR, VA]))
@settings(max_examples=30, deadline=None)
def test_what_invalid_rows_hold_changes_neither_loss_nor_gradient(seed: int, task: object) -> None:
    rng = np.random.default_rng(seed)
    outputs = torch.tensor(rng.normal(size=(3, 5, task.outputs)), dtype=torch.float64)  # type: ignore[attr-defined]
    labels = torch.tensor(rng.integers(0, 2, (3, 5, task.label_columns))).double()  # type: ignore[attr-defined]
    labels[0, 0] = 1 - labels[0, 0]
    valid = torch.tensor(rng.random((3, 5)) < 0.6)
    weights = torch.full((task.outputs,), 2.0, dtype=torch.float64)  # type: ignore[attr-defined]
    results = []
    for marker in (-1.0, -5.0, 3.0):
        x = outputs.clone().requires_grad_()
        spoiled = torch.where(valid[..., None], labels, torch.full_like(labels, marker))
        loss = task_loss(task, x, spoiled, valid, weights)  # type: ignore[arg-type]
        loss.backward()
        assert not x.grad[~valid].any()  # type: ignore[index]
        results.append((loss.item(), x.grad))
    assert results[0][0] == results[1][0] == results[2][0]
    assert torch.equal(results[0][1], results[1][1])
    assert np.isfinite(results[0][0])


def test_ccc_loss_has_population_moments_and_adds_both_columns() -> None:
    truth = torch.tensor([[0.0, 0.5], [0.2, 0.1], [0.9, -0.4]])
    valid = torch.ones(3, dtype=bool)
    assert ccc_loss(truth, truth, valid).item() == pytest.approx(0, abs=1e-4)
    prediction = truth * torch.tensor([0.5, 1.0])
    x, y = prediction[:, 0].numpy(), truth[:, 0].numpy()
    expected = 1 - 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert ccc_loss(prediction, truth, valid).item() == pytest.approx(expected, abs=1e-5)


def test_ccc_loss_of_constants_has_a_finite_gradient() -> None:
    x = torch.zeros(4, 2, requires_grad=True)
    ccc_loss(x, torch.zeros(4, 2), torch.ones(4, dtype=bool)).backward()
    assert torch.isfinite(x.grad).all()  # type: ignore[union-attr]


def test_scores_are_probabilities_or_lie_in_the_range() -> None:
    x = torch.tensor([[3.0, -2.0]])
    assert activate(VA, x).tolist() == [[1.0, -1.0]]
    assert activate(EXPR, torch.randn(5, 8)).sum(-1).tolist() == pytest.approx([1.0] * 5)
    assert activate(AU, torch.zeros(1, 12)).tolist() == [[0.5] * 12]


def test_label_smoothing_is_pytorchs_where_classes_weigh_the_same() -> None:
    logits, labels = torch.randn(9, 8), torch.randint(0, 8, (9, 1)).float()
    ours = task_loss(EXPR, logits, labels, torch.ones(9, dtype=bool), torch.ones(8), smoothing=0.1)
    theirs = torch.nn.functional.cross_entropy(logits, labels[:, 0].long(), label_smoothing=0.1)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    aus = (torch.rand(9, 12) < 0.5).float()
    assert soften(AU, aus, torch.ones(9, dtype=bool), 0.2).unique().tolist() == pytest.approx([0.1, 0.9])
    va = torch.rand(9, 2)
    assert soften(VA, va, torch.ones(9, dtype=bool), 0.2) is va


def test_shares_of_classes_count_by_their_share() -> None:
    logits, weights = torch.randn(2, 8), torch.rand(8) + 1
    mixed = torch.zeros(2, 8)
    mixed[0, 1], mixed[0, 5], mixed[1, 2] = 0.25, 0.75, 1.0
    log_p = logits.log_softmax(-1)
    total = 0.25 * weights[1] * log_p[0, 1] + 0.75 * weights[5] * log_p[0, 5] + weights[2] * log_p[1, 2]
    expected = -total / (0.25 * weights[1] + 0.75 * weights[5] + weights[2])
    got = weighted_ce(logits, mixed, torch.ones(2, dtype=bool), weights)
    assert got.item() == pytest.approx(expected.item(), abs=1e-6)
