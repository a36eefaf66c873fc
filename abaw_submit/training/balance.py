"""Division of groups into folds with nearly equal rows and label counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.multitask import part_of
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.tasks import Task

STARTS = 24  # orders tried; the best balanced division of them is taken
DIGITS = 12  # rounding before every comparison: the last bits of a sum differ between machines


def label_counts(annotation: Annotation, task: Task) -> F64:
    """What is balanced between folds, of one track: (counts,) = 1 track, its rows, its valid rows, then
    positives per AU, rows per expression, or histograms of valence and of arousal.

    Args:
        annotation: labels of a track.
        task: the task they are of.
    """
    if task.decision is Decision.PARTS:
        own = [label_counts(part_of(annotation, at), part)[3:] for at, part in enumerate(task.parts)]
        rows = [1.0, len(annotation.valid), annotation.valid.any(axis=1).sum()]
        return np.concatenate([rows, *own])
    labels = annotation.values[annotation.valid]
    counts = task.kind.occurrences(labels, task.outputs)
    return np.concatenate([[1.0, len(annotation.valid), len(labels)], counts])


def count_names(task: Task) -> list[str]:
    """What `label_counts` counts after tracks, rows and valid rows.

    >>> from abaw_submit.tasks import VA
    >>> count_names(VA)[4:6]
    ['valence 0.6..1', 'arousal -1..-0.6']
    """
    if task.decision is Decision.PARTS:
        return [name for part in task.parts for name in count_names(part)]
    return task.kind.occurrence_names(task.columns)


def balanced_folds(counts: Mapping[str, F64], folds: int, seed: int) -> list[list[str]]:
    """Divide groups so that every fold has nearly its share of every count.

    Large groups are placed first, each where it keeps the sum of squared deviations of all shares
    smallest; that is done for some slightly different orders, and groups are then moved and swapped
    while that helps. Pseudo-random numbers come from hashes of names, so neither the order of
    `counts` nor a library's version matters.

    Args:
        counts: group -> (counts,), the first of them positive.
        folds: number of folds.
        seed: chooses among divisions.

    Returns:
        For each fold its groups, in name order. No fold is empty.

    Raises:
        UserError: fewer groups than folds.

    >>> balanced_folds({"a": np.array([9.0]), "b": np.array([5.0]), "c": np.array([4.0])}, 2, 0)
    [['a'], ['b', 'c']]
    """
    names = sorted(counts)
    if len(names) < folds:
        raise UserError(f"{folds} folds of {len(names)} recordings: choose fewer folds.")
    table = np.array([counts[name] for name in names], np.float64)
    totals = table.sum(axis=0)
    table = table[:, totals > 0] / totals[totals > 0]  # shares of the whole
    best: tuple[float, npt.NDArray[np.int_]] | None = None
    for start in range(STARTS):
        jitter = np.array([_uniform(seed, start, name) for name in names])
        order = np.argsort(-table.sum(axis=1) * (0.5 + jitter), kind="stable")
        fold_of = _improve(table, _place(table, order, folds), order, folds)
        cost = round(_cost(table, fold_of, folds), DIGITS)
        if best is None or cost < best[0]:
            best = (cost, fold_of)
    assert best is not None  # STARTS > 0
    parts = [[names[i] for i in np.flatnonzero(best[1] == k)] for k in range(folds)]
    return sorted(parts)


def _uniform(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` only."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _place(table: F64, order: npt.NDArray[np.int_], folds: int) -> npt.NDArray[np.int_]:
    sums = np.zeros((folds, table.shape[1]))
    fold_of = np.zeros(len(table), int)
    for i in order:
        # |s + g - t|^2 - |s - t|^2 up to a constant: least where the group adds to what is low
        fold_of[i] = int(np.argmin(np.round(sums @ table[i], DIGITS)))
        sums[fold_of[i]] += table[i]
    return fold_of


def _improve(
    table: F64, fold_of: npt.NDArray[np.int_], order: npt.NDArray[np.int_], folds: int
) -> npt.NDArray[np.int_]:
    """Move single groups while that lowers the cost and empties no fold."""
    fold_of = fold_of.copy()
    sums = np.array([table[fold_of == k].sum(axis=0) for k in range(folds)])
    for _ in range(10):
        moved = False
        for i in order[::-1]:  # small groups last placed are the easy ones to move
            here, group = fold_of[i], table[i]
            # half the fall in cost, for each fold
            gain = np.round((sums[here] - group) @ group - sums @ group, DIGITS)
            gain[here] = 0
            to = int(np.argmax(gain))
            if gain[to] > 0 and (fold_of == here).sum() > 1:
                sums[here] -= group
                sums[to] += group
                fold_of[i] = to
                moved = True
        if not moved:
            break
    return fold_of


def _cost(table: F64, fold_of: npt.NDArray[np.int_], folds: int) -> float:
    sums = np.array([table[fold_of == k].sum(axis=0) for k in range(folds)])
    return float(((sums - 1 / folds) ** 2).sum())
