"""The losses of the three tasks. Rows that are not valid take no part, in sums and in divisors.

Where several processes train together, all sums and divisors are over the rows of all of them, and every
process returns the same loss (models/parallel.py): N processes compute what one would.

Source: arXiv 2303.10849, section 3.4 (docs/reference/recipe.md): weighted binary cross-entropy, weighted
cross-entropy, and one minus the concordance correlation coefficient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from abaw_submit.decisions import Decision
from abaw_submit.models.parallel import global_sum
from abaw_submit.tasks import Task, part_slices


def class_weights(
    labels: npt.NDArray[np.floating],
    valid: npt.NDArray[np.bool_],
    task: Task,
    row_weights: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.float32]:
    """Weight of each class: the largest class count divided by the class's own.

    This is the rule behind the published weights (docs/reference/recipe.md): the most frequent class has
    weight 1 and no other has less. A class that never occurs has no count to go by; it gets the weight of
    a class that occurs once.

    Args:
        labels: (rows, 12) of 0 and 1 for AU, (rows, 1) of class indices for EXPR; (rows, 15) for MTL.
        valid: (rows,), rows that do not count are False; (rows, 3) for MTL.
        task: whose labels they are.
        row_weights: (rows,) how often each row is drawn, where an epoch does not see each of them once.

    Returns:
        (outputs,) float32, at least 1; all 1 for VA.

    >>> from abaw_submit.tasks import EXPR
    >>> class_weights(np.array([[0.0], [0.0], [4.0], [0.0]]), np.ones(4, bool), EXPR)[[0, 4, 1]]
    array([1., 3., 3.], dtype=float32)
    """
    if task.decision is Decision.PARTS:
        parts = [
            class_weights(labels[:, columns], valid[:, at], part, row_weights)
            for at, (part, _, columns) in enumerate(part_slices(task))
        ]
        return np.concatenate(parts)
    if task.decision is Decision.CLIP:
        return np.ones(task.outputs, np.float32)
    rows = labels[valid]
    times = np.ones(len(rows)) if row_weights is None else row_weights[valid]
    if task.decision is Decision.THRESHOLD:
        counts = ((rows > 0.5) * times[:, None]).sum(0)
    else:
        counts = np.bincount(rows[:, 0].astype(np.int64), times, minlength=task.outputs)
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
    total, rows = global_sum(torch.stack([(losses * mask).sum(), mask.sum()]))
    loss: Tensor = total / (rows * losses.shape[-1]).clamp_min(1)
    return loss


def weighted_ce(logits: Tensor, labels: Tensor, valid: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy with one weight per class, divided by the weights of the rows (as PyTorch does).

    With targets that are shares of several classes (`soften`, mixup), each class counts by its share, in
    the sum and in the divisor.

    Args:
        logits: (..., classes).
        labels: (..., 1) class indices as numbers, or (..., classes) shares that sum to 1; anything where
            not valid.
        valid: (...,) bool.
        weights: (classes,).

    Returns:
        Weighted mean over valid rows; 0 when no row is valid.
    """
    shares = class_shares(labels, valid, logits.shape[-1])
    weighted = shares * weights * valid[..., None].to(weights.dtype)
    total, divisor = global_sum(
        torch.stack([-(functional.log_softmax(logits, -1) * weighted).sum(), weighted.sum()])
    )
    loss: Tensor = total / divisor.clamp_min(1e-12)
    return loss


def class_shares(labels: Tensor, valid: Tensor, classes: int) -> Tensor:
    """Class indices (..., 1) as shares (..., classes): 1 for the class; shares are given back as they are."""
    if labels.shape[-1] == classes:
        return torch.where(valid[..., None], labels, torch.zeros_like(labels))
    target = torch.where(valid, labels[..., 0].long(), torch.zeros_like(labels[..., 0]).long())
    return functional.one_hot(target, classes).to(labels.dtype)


def soften(task: Task, labels: Tensor, valid: Tensor, smoothing: float) -> Tensor:
    """Label smoothing: a share of each label goes to not knowing (Szegedy et al. 2016, section 7).

    Args:
        task: AU: 0 and 1 move towards 0.5; EXPR: to equal shares of all classes; VA: no change.
        labels: (..., label columns).
        valid: (...,) bool.
        smoothing: the share, 0 or more, below 1.

    Returns:
        (..., 12) for AU, (..., 8) shares for EXPR, `labels` for VA or without smoothing.
    """
    if task.decision is Decision.CLIP or not smoothing:
        return labels
    if task.decision is Decision.ARGMAX:
        shares = class_shares(labels, valid, task.outputs)
        return shares * (1 - smoothing) + smoothing / task.outputs
    return labels * (1 - smoothing) + 0.5 * smoothing


def ccc_loss(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Sum over columns of 1 - CCC, over all valid rows of the whole batch together.

    Population moments (n, not n - 1), as the official score has (docs/reference/formats.md, section 5).

    Args:
        prediction: (..., 2).
        truth: (..., 2).
        valid: (...,) bool.

    Returns:
        A number in [0, 4]; 0 when no row is valid.
    """
    x = prediction.reshape(-1, prediction.shape[-1])
    y = truth.reshape(-1, truth.shape[-1])
    mask = valid.reshape(-1)
    if x.device.type == "cpu":
        return ccc_of_rows(x[mask], y[mask])
    # rows are left out by weight: to take them out the host would have to wait for their number
    return ccc_of_rows(x, y, mask)


def ccc_of_rows(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """`ccc_loss` of (rows, columns); with a mask (rows,) only of some of them."""

    def kept(values: Tensor) -> Tensor:
        return values if mask is None else torch.where(mask[:, None], values, torch.zeros_like(values))

    count = x.new_full((1,), len(x)) if mask is None else mask.sum(0, keepdim=True).to(x)
    sums = global_sum(torch.cat([kept(x).sum(0), kept(y).sum(0), count]))
    rows = sums[-1].detach()
    columns, divisor = x.shape[-1], rows.clamp_min(1)
    mean_x, mean_y = sums[:columns] / divisor, sums[columns:-1] / divisor
    from_x, from_y = kept(x - mean_x), kept(y - mean_y)
    moments = torch.stack([from_x * from_y, from_x.square(), from_y.square()]).sum(1)
    covariance, var_x, var_y = global_sum(moments) / divisor
    spread = var_x + var_y + (mean_x - mean_y).square()
    # the small number keeps the gradient finite when a batch is constant and perfectly predicted
    loss: Tensor = (1 - 2 * covariance / (spread + 1e-8)).sum()
    return torch.where(rows > 0, loss, x.sum() * 0.0)


def task_loss(
    task: Task, output: Tensor, labels: Tensor, valid: Tensor, weights: Tensor, smoothing: float = 0.0
) -> Tensor:
    """The task's loss of raw network outputs (logits for AU and EXPR, values for VA).

    Args:
        task: the task; the loss of MTL is the sum of its parts' losses, each over the rows that have its
            labels.
        output: (..., outputs).
        labels: (..., label columns), or what mixup made of `soften`ed ones.
        valid: (...,) bool; (..., 3) for MTL.
        weights: (outputs,) of the classes.
        smoothing: label smoothing.
    """
    if task.decision is Decision.PARTS:
        losses = [
            task_loss(part, output[..., s], labels[..., columns], valid[..., at], weights[s], smoothing)
            for at, (part, s, columns) in enumerate(part_slices(task))
        ]
        return torch.stack(losses).sum()
    labels = soften(task, labels, valid, smoothing)
    return OUTPUTS[task.decision].loss(output, labels, valid, weights)


def activate(task: Task, output: Tensor) -> Tensor:
    """Network outputs as scores: probabilities for AU and EXPR, values in [-1, 1] for VA.

    The VA heads end in tanh already (see models/tmf.py), so here the values are only kept inside against
    rounding.
    """
    if task.decision is Decision.PARTS:
        return torch.cat([activate(part, output[..., scores]) for part, scores, _ in part_slices(task)], -1)
    return OUTPUTS[task.decision].scores(output)


@dataclass(frozen=True)
class OutputRule:
    """What is done with a network's outputs for one kind of labels.

    Attributes:
        bound: from the last layer to what the loss takes.
        scores: from there to scores.
        loss: (outputs, labels, valid, class weights) -> a number.
    """

    bound: Callable[[Tensor], Tensor]
    scores: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def _as_it_is(output: Tensor) -> Tensor:
    return output


OUTPUTS = {
    Decision.THRESHOLD: OutputRule(_as_it_is, torch.sigmoid, weighted_bce),
    Decision.ARGMAX: OutputRule(_as_it_is, lambda output: output.softmax(-1), weighted_ce),
    Decision.CLIP: OutputRule(
        torch.tanh,
        lambda output: output.clamp(-1, 1),
        lambda output, labels, valid, _: ccc_loss(output, labels, valid),
    ),
}
