"""The losses of the three tasks. Rows that are not valid take no part, in sums and in divisors.

Source: arXiv 2303.10849, section 3.4, and RECIPE: weighted binary cross-entropy, weighted cross-entropy,
and one minus the concordance correlation coefficient.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from abaw_submit.tasks import Task


def class_weights(
    labels: npt.NDArray[np.floating], valid: npt.NDArray[np.bool_], task: Task
) -> npt.NDArray[np.float32]:
    """Weight of each class: the largest class count divided by the class's own.

    This is the rule behind the published weights (RECIPE): the most frequent class has weight 1 and no
    other has less. A class that never occurs has no count to go by; it gets the weight of a class that
    occurs once.

    Args:
        labels: (rows, 12) of 0 and 1 for AU, (rows, 1) of class indices for EXPR.
        valid: (rows,); rows that do not count are False.
        task: AU or EXPR.

    Returns:
        (outputs,) float32, at least 1; all 1 for VA.

    >>> from abaw_submit.tasks import EXPR
    >>> class_weights(np.array([[0.0], [0.0], [4.0], [0.0]]), np.ones(4, bool), EXPR)[[0, 4, 1]]
    array([1., 3., 3.], dtype=float32)
    """
    if task.name == "VA":
        return np.ones(task.outputs, np.float32)
    rows = labels[valid]
    if task.name == "AU":
        counts = (rows > 0.5).sum(0)
    else:
        counts = np.bincount(rows[:, 0].astype(np.int64), minlength=task.outputs)
    weights: npt.NDArray[np.float32] = (max(counts.max(), 1) / np.maximum(counts, 1)).astype(np.float32)
    return weights


def weighted_bce(logits: Tensor, labels: Tensor, valid: Tensor, positive_weights: Tensor) -> Tensor:
    """Binary cross-entropy whose POSITIVE rows weigh more (`pos_weight`, not `weight`).

    `weight` would scale an AU's positives and negatives alike, and so change nothing about their balance.

    Args:
        logits: (..., outputs).
        labels: (..., outputs) of 0 and 1.
        valid: (...,) bool.
        positive_weights: (outputs,).

    Returns:
        Mean over valid rows and outputs; 0 when no row is valid.
    """
    # labels of invalid rows may be -1; they are replaced before the loss so that nothing infinite arises
    safe = torch.where(valid[..., None], labels, torch.zeros_like(labels))
    losses = functional.binary_cross_entropy_with_logits(
        logits, safe, pos_weight=positive_weights, reduction="none"
    )
    mask = valid[..., None].to(losses.dtype)
    return (losses * mask).sum() / (mask.sum() * losses.shape[-1]).clamp_min(1)


def weighted_ce(logits: Tensor, labels: Tensor, valid: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy with one weight per class, divided by the weights of the rows (as PyTorch does).

    Args:
        logits: (..., classes).
        labels: (..., 1) class indices as numbers; anything where not valid.
        valid: (...,) bool.
        weights: (classes,).

    Returns:
        Weighted mean over valid rows; 0 when no row is valid.
    """
    target = torch.where(valid, labels[..., 0].long(), torch.zeros_like(labels[..., 0]).long())
    log_p = functional.log_softmax(logits, -1).gather(-1, target[..., None])[..., 0]
    row_weights = weights[target] * valid.to(weights.dtype)
    return -(log_p * row_weights).sum() / row_weights.sum().clamp_min(1e-12)


def ccc_loss(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Sum over columns of 1 - CCC, over all valid rows of the batch together.

    Population moments (n, not n - 1), as the official score has; FORMATS section 5.

    Args:
        prediction: (..., 2).
        truth: (..., 2).
        valid: (...,) bool.

    Returns:
        A number in [0, 4]; 0 when no row is valid.
    """
    mask = valid.reshape(-1)
    x = prediction.reshape(-1, prediction.shape[-1])[mask]
    y = truth.reshape(-1, truth.shape[-1])[mask]
    if len(x) == 0:
        return prediction.sum() * 0.0
    mean_x, mean_y = x.mean(0), y.mean(0)
    covariance = ((x - mean_x) * (y - mean_y)).mean(0)
    spread = x.var(0, correction=0) + y.var(0, correction=0) + (mean_x - mean_y).square()
    # the small number keeps the gradient finite when a batch is constant and perfectly predicted
    return (1 - 2 * covariance / (spread + 1e-8)).sum()


def task_loss(task: Task, output: Tensor, labels: Tensor, valid: Tensor, weights: Tensor) -> Tensor:
    """The task's loss of raw network outputs (logits for AU and EXPR, values for VA)."""
    if task.name == "AU":
        return weighted_bce(output, labels, valid, weights)
    if task.name == "EXPR":
        return weighted_ce(output, labels, valid, weights)
    return ccc_loss(output, labels, valid)


def activate(task: Task, output: Tensor) -> Tensor:
    """Network outputs as scores: probabilities for AU and EXPR, values in [-1, 1] for VA.

    The VA heads end in tanh already (see models/tmf.py), so here the values are only kept inside against
    rounding.
    """
    if task.name == "AU":
        return output.sigmoid()
    if task.name == "EXPR":
        return output.softmax(-1)
    return output.clamp(-1, 1)
