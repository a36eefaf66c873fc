"""The official scores, and sums per track from which any fold's or resample's score follows.

Everything rests on *statistics*: small arrays of sums that add over tracks. VA keeps six moments
per output, AU four counts per output, EXPR a confusion matrix. The score of any set of tracks is a
function of the sum of their statistics, so cross-validation folds and bootstrap resamples cost a
matrix product and never touch the rows again. Source: docs/reference/formats.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError
from abaw_submit.kinds import ccc_of as ccc_of
from abaw_submit.kinds import confusion, counts, moments
from abaw_submit.kinds import f1_of_confusion as f1_of_confusion
from abaw_submit.kinds import f1_of_counts as f1_of_counts
from abaw_submit.tasks import LATEST_EDITION, Task, get_task

Array = npt.NDArray[Any]
RESAMPLES = 2000


@dataclass(frozen=True)
class Score:
    """The official score of some predictions.

    Attributes:
        task: "AU", "EXPR" or "VA".
        total: what the leaderboard shows.
        per_output: F1 per AU or class, or CCC per dimension.
        rows: valid rows that were scored.
        intervals: 95 % bootstrap interval over tracks by output and for "total"; empty if not asked.
        tracks: tracks that were scored (1 if the rows came as one array).
    """

    task: str
    total: float
    per_output: dict[str, float]
    rows: int
    intervals: dict[str, tuple[float, float]]
    tracks: int = 1


def ccc(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Concordance correlation, 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2), with population moments.

    Two constants that agree give 0, like any other constant prediction: nothing was explained.

    >>> ccc([0.0, 0.5, 1.0], [0.0, 0.5, 1.0])
    1.0
    >>> ccc([0.0, 1.0], [0.3, 0.3])
    0.0
    """
    x, y = np.ravel(np.asarray(truth, np.float64)), np.ravel(np.asarray(prediction, np.float64))
    return float(ccc_of(moments(x[:, None], y[:, None]))[0])


def f1_per_class(truth: npt.ArrayLike, prediction: npt.ArrayLike, classes: int = 8) -> F64:
    """F1 of each class, (classes,); a class absent from both truth and prediction counts as 0.

    >>> f1_per_class([0, 0, 1, 1], [0, 1, 1, 1], classes=3).round(3).tolist()
    [0.667, 0.8, 0.0]
    """
    return f1_of_confusion(confusion(np.asarray(truth), np.asarray(prediction), classes))


def f1_binary(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> F64:
    """F1 of the positive class of each column of 0/1 arrays (rows, columns) -> (columns,).

    >>> f1_binary([[1, 0], [1, 0]], [[1, 0], [0, 0]]).round(3).tolist()
    [0.667, 0.0]
    """
    return f1_of_counts(counts(_columns(truth), _columns(prediction)))


def accuracy(truth: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Share of equal entries.

    >>> accuracy([0, 1, 1, 1], [0, 1, 1, 0])
    0.75
    """
    return float(np.mean(np.asarray(truth) == np.asarray(prediction)))


def mtl_score(va: float, expr: float, au: float) -> float:
    """The multi-task challenges' total: mean CCC + macro F1 + mean F1, in [-1, 3]."""
    return va + expr + au


# ---- statistics: sums that add over tracks ---------------------------------------------------


def statistics(
    task: Task | str, truth: Array, labels: Array, valid: Array | None = None, classes: int | None = None
) -> F64:
    """Sums over the valid rows of one track (or of anything) that the score is a function of.

    Args:
        task: the task.
        truth: annotations (rows, label columns); EXPR may also be (rows,).
        labels: decided labels of the same shape, not scores.
        valid: (rows,) bool; by default the rows without the task's invalid marker.
        classes: number of expressions, when not 8 (editions 1 and 2).

    Returns:
        VA (2, 6): n, sum x, sum y, sum xx, sum yy, sum xy per output, x the truth.
        AU (12, 4): true positives, false positives, false negatives, true negatives per AU.
        EXPR (8, 8): confusion matrix, truth down, prediction across.

    Raises:
        UserError: truth and labels differ in rows, or a label is NaN or out of range.
    """
    task = get_task(task)
    truth, labels = _columns(truth), _columns(labels)
    if truth.shape != labels.shape:
        raise UserError(
            f"{task.name}: truth has shape {truth.shape}, labels {labels.shape}; make them equal."
        )
    keep = valid_rows(task, truth) if valid is None else np.asarray(valid, bool)
    truth, labels = truth[keep], labels[keep]
    if not np.isfinite(labels).all():
        raise UserError(f"{task.name}: labels hold NaN or infinity; every row needs a real prediction.")
    return task.kind.statistics(truth, labels, classes or task.outputs)


def valid_rows(task: Task | str, truth: Array) -> npt.NDArray[np.bool_]:
    """Rows whose annotation has no invalid marker in any column (either -5; any -1), nor NaN."""
    truth = _columns(truth)
    valid: npt.NDArray[np.bool_] = ((truth != get_task(task).invalid) & np.isfinite(truth)).all(axis=1)
    return valid


def per_output(task: Task | str, stats: F64) -> F64:
    """CCC or F1 per output from statistics; leading axes (folds, resamples) are kept."""
    return get_task(task).kind.per_output(stats)


def total(task: Task | str, stats: F64, edition: int = LATEST_EDITION) -> F64:
    """The official total from statistics, leading axes kept.

    Editions 1 and 2 mix in accuracy: EXPR 0.67 F1 + 0.33 accuracy, AU 0.5 F1 + 0.5 accuracy.
    """
    task = get_task(task)
    mean = np.asarray(per_output(task, stats).mean(axis=-1))
    if edition > 2 or not task.accuracy_share:
        return mean
    entries = np.maximum(stats.sum(axis=(-1, -2)), 1)
    share = task.accuracy_share
    return np.asarray((1 - share) * mean + share * task.kind.right(stats) / entries)


# ---- scores of arrays and of tracks --------------------------------------------------------------


def score(
    task: Task | str,
    truth: Array | Mapping[str, Array],
    labels: Array | Mapping[str, Array],
    valid: Array | Mapping[str, Array] | None = None,
    *,
    edition: int = LATEST_EDITION,
    resamples: int = 0,
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> Score:
    """The official score over all valid rows pooled.

    Args:
        task: the task.
        truth: annotations (rows, label columns), or track -> such an array.
        labels: decided labels, of the same form. Tracks of `truth` missing here are an error.
        valid: (rows,) bool, of the same form; by default the rows without the invalid marker.
        edition: editions 1 and 2 count otherwise (see `total`) and have fewer columns.
        resamples: bootstrap resamples over tracks for 95 % intervals; 0: none.
        seed: of the bootstrap.
        groups: track -> group; groups are resampled whole. By default each track is its own.

    Raises:
        UserError: a track is missing or differs in rows.
    """
    task = get_task(task)
    names: list[str] | None = None
    if isinstance(truth, Mapping):
        labels_by = cast(Mapping[str, Array], labels)
        names = sorted(truth)
        stack = []
        for track in names:
            if track not in labels_by:
                raise UserError(f"{task.name}: no labels for track {track}, which has truth.")
            ok = valid[track] if isinstance(valid, Mapping) else None
            if len(truth[track]) != len(labels_by[track]):
                raise UserError(
                    f"{task.name}, track {track}: truth has {len(truth[track])} rows,"
                    f" labels {len(labels_by[track])}."
                )
            classes = len(task.columns_of(edition))
            stack.append(statistics(task, truth[track], labels_by[track], ok, classes))
        stats = np.stack(stack)
    else:
        rows = statistics(
            task, truth, cast(Array, labels), cast(Array | None, valid), len(task.columns_of(edition))
        )
        stats = rows[None]
    keys = [groups.get(t, t) for t in names] if groups and names else None
    return score_of_statistics(task, stats, edition=edition, resamples=resamples, seed=seed, groups=keys)


def score_of_statistics(
    task: Task | str,
    stats: F64,
    *,
    edition: int = LATEST_EDITION,
    resamples: int = 0,
    seed: int = 0,
    groups: list[str] | None = None,
) -> Score:
    """The score of statistics per track (tracks, ...), with intervals if `resamples` > 0."""
    task = get_task(task)
    columns = task.columns_of(edition) if stats.shape[1] != task.outputs else task.columns
    pooled = stats.sum(axis=0)
    intervals: dict[str, tuple[float, float]] = {}
    if resamples:
        samples = bootstrap(stats, resamples, seed, groups)
        values = np.column_stack([per_output(task, samples), total(task, samples, edition)])
        for name, column in zip([*columns, "total"], values.T, strict=True):
            intervals[name] = interval(column)
    values = per_output(task, pooled)
    return Score(
        task.name,
        float(total(task, pooled, edition)),
        {name: float(v) for name, v in zip(columns, values, strict=True)},
        task.kind.rows(pooled),
        intervals,
        len(stats),
    )


def bootstrap(stats: F64, resamples: int = RESAMPLES, seed: int = 0, groups: list[str] | None = None) -> F64:
    """Statistics of resamples of tracks, (resamples, ...), as one matrix product.

    With the same seed and number of tracks (or the same groups) the resamples are the same, so
    that two recipes can be compared resample by resample.
    """
    counts = bootstrap_counts(groups if groups is not None else len(stats), resamples, seed)
    flat = counts @ stats.reshape(len(stats), -1)
    return flat.reshape(resamples, *stats.shape[1:])


def bootstrap_counts(tracks: int | list[str], resamples: int = RESAMPLES, seed: int = 0) -> F64:
    """How often each track is drawn in each resample, (resamples, tracks). A list names each track's
    group; groups are drawn whole."""
    rng = np.random.default_rng(seed)
    if isinstance(tracks, int):
        return rng.multinomial(tracks, np.full(tracks, 1 / tracks), size=resamples).astype(np.float64)
    _, member = np.unique(np.asarray(tracks), return_inverse=True)
    number = int(member.max()) + 1
    counts = rng.multinomial(number, np.full(number, 1 / number), size=resamples)
    return counts[:, member].astype(np.float64)


def interval(samples: F64, level: float = 0.95) -> tuple[float, float]:
    """The central interval of bootstrap samples (percentiles)."""
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _columns(values: npt.ArrayLike) -> Array:
    values = np.asarray(values)
    return values[:, None] if values.ndim == 1 else values
