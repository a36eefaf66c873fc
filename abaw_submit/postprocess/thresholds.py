"""Decisions: a threshold per AU for F1, a bias per expression for macro F1, a shortest run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64, Index
from abaw_submit.decisions import Decision
from abaw_submit.metrics import f1_of_confusion
from abaw_submit.postprocess import calibration
from abaw_submit.tasks import Task


def best_threshold(negatives: F64, positives: F64) -> tuple[int, float]:
    """The bin from which on everything counts as present, for the highest F1, and that F1.

    Args:
        negatives: (bins,) rows without the AU, by score from low to high.
        positives: (bins,) rows with it.

    Ties go to the middle of the longest stretch of equal F1, away from the scores that make it.

    >>> best_threshold(np.array([5.0, 1, 0, 0]), np.array([0.0, 0, 0, 4]))
    (3, 1.0)
    """
    places, best = best_thresholds(negatives[None], positives[None])
    return int(places[0]), float(best[0])


def best_thresholds(negatives: F64, positives: F64) -> tuple[Index, F64]:
    """`best_threshold` of several tables of counts at once, (tables, bins)."""
    f1 = f1_at(negatives, positives)
    best = f1.max(axis=1)
    place = np.arange(f1.shape[1])
    ties = f1 >= best[:, None] - 1e-12
    since = place - np.maximum.accumulate(np.where(ties, -1, place), axis=1)  # ties in a row up to here
    last = since.argmax(axis=1)
    length = since[np.arange(len(f1)), last]
    return last - length + 1 + length // 2, best


def plug_in(centres: F64, negatives: F64, positives: F64) -> float:
    """The threshold, as log odds of the score, that follows from calibrated probabilities.

    Where scores are probabilities, the threshold with the highest expected F1 is half of that F1 (Lipton,
    Elkan and Naryanaswamy 2014). So the scores are calibrated (Platt), the best expected F1 is read off,
    and its half is taken back to the scale of the scores. Two numbers are fitted, where a search would
    follow every accident of the rows.

    Args:
        centres: (bins,) scores; rows without and with the AU in each bin follow.
        negatives: (bins,)
        positives: (bins,)
    """
    slope, bias = calibration.platt(centres, negatives, positives)
    if slope < 1e-3:
        return 0.0
    p, n = calibration.sigmoid(slope * calibration.logit(centres) + bias), negatives + positives
    expected = 2 * (n * p)[::-1].cumsum()[::-1] / np.maximum(n[::-1].cumsum()[::-1] + (n * p).sum(), 1e-9)
    return float((calibration.logit(expected.max() / 2) - bias) / slope)


def f1_at(negatives: F64, positives: F64) -> F64:
    """F1 with the threshold at each bin's lower edge, (..., bins)."""
    tp = positives[..., ::-1].cumsum(axis=-1)[..., ::-1]
    fp = negatives[..., ::-1].cumsum(axis=-1)[..., ::-1]
    return np.asarray(2 * tp / np.maximum(tp + fp + tp[..., :1], 1))


def shift_to_half(scores: npt.ArrayLike, threshold: npt.ArrayLike) -> F64:
    """Move scores in [0, 1] monotonically so that `threshold` becomes 0.5; 0 and 1 stay.

    Scores (rows, outputs) may have a threshold for each output.

    >>> shift_to_half([0.0, 0.1, 0.2, 0.6, 1.0], 0.2).round(3).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    p = np.clip(np.asarray(scores, np.float64), 0, 1)
    t = np.clip(np.asarray(threshold, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.where(p < t, 0.5 * p / t, 0.5 + 0.5 * (p - t) / (1 - t)))


def fit_bias(log_scores: F64, truth: Index, sweeps: int = 3, reach: float = 3.0) -> F64:
    """A bias per class, (classes,), that raises the macro F1 of the largest biased log score.

    Coordinate by coordinate: with the others fixed, a class's bias turns rows over one by one, so
    the F1 of every value of the bias follows from one sorted pass.

    Args:
        log_scores: (rows, classes).
        truth: (rows,) class indices.
        sweeps: rounds over the classes.
        reach: biases stay within plus and minus this.
    """
    rows, classes = log_scores.shape
    bias = np.zeros(classes)
    if rows == 0:
        return bias
    grid = np.linspace(-reach, reach, 121)
    for _ in range(sweeps):
        before = bias.copy()
        for c in range(classes):
            if not (truth == c).any():
                continue
            bias[c] = grid[int(np.argmax(_line(log_scores + bias, bias[c], truth, c, grid)))]
        bias -= bias.mean()
        bias = np.clip(bias, -reach, reach)
        if np.abs(bias - before).max() < 1e-9:
            break
    return bias


def _line(z: F64, own: float, truth: Index, c: int, grid: F64) -> F64:
    """Macro F1 for every value of class c's bias."""
    classes = z.shape[1]
    others = z.copy()
    others[:, c] = -np.inf
    rival = others.argmax(axis=1)
    needed = others[np.arange(len(z)), rival] - (z[:, c] - own)  # bias from which on c wins this row
    step = np.searchsorted(grid, needed)  # first grid value that wins
    size, cells = classes * classes, (len(grid) + 1) * classes * classes
    base = np.bincount(truth * classes + rival, minlength=size).reshape(classes, classes)
    place = step * size + truth * classes
    moved = np.bincount(place + c, minlength=cells) - np.bincount(place + rival, minlength=cells)
    moved = moved.reshape(-1, classes, classes)
    confusion = base + moved.cumsum(axis=0)[:-1]
    # a little pull towards zero decides between equals
    return np.asarray(f1_of_confusion(confusion).mean(axis=-1) - 1e-6 * np.abs(grid))


def runs_of(values: npt.NDArray[np.generic]) -> tuple[Index, Index]:
    """Starts and lengths of runs of equal values.

    >>> [x.tolist() for x in runs_of(np.array([0, 0, 1, 1, 1, 0]))]
    [[0, 2, 5], [2, 3, 1]]
    """
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return starts, np.diff(np.concatenate([starts, [len(values)]]))


def drop_short_runs(task: Task, scores: F64, min_run_rows: int) -> F64:
    """Scores whose decisions have no run shorter than `min_run_rows`; VA is left as it is.

    AU: a shorter run of 1 becomes 0 (its scores go just below 0.5). EXPR: a shorter run takes the
    class of its longer neighbour (the two scores are exchanged); shortest runs first.
    """
    if min_run_rows < 2 or task.decision is Decision.CLIP:
        return scores
    out = scores.copy()
    if task.decision is Decision.THRESHOLD:
        for k in range(out.shape[1]):
            on = out[:, k] >= 0.5
            for start, length in zip(*runs_of(on), strict=True):
                if on[start] and length < min_run_rows:
                    part = out[start : start + length, k]
                    np.minimum(part, 0.499999, out=part)
        return out
    old = out.argmax(axis=1)
    new = merge_short_runs(old, min_run_rows)
    rows = np.flatnonzero(new != old)
    out[rows, new[rows]], out[rows, old[rows]] = out[rows, old[rows]], out[rows, new[rows]]
    return out


def merge_short_runs(labels: Index, min_run_rows: int) -> Index:
    """Give every run shorter than `min_run_rows` the label of its longer neighbour, shortest first.

    >>> merge_short_runs(np.array([1, 1, 1, 2, 3, 3]), 2).tolist()
    [1, 1, 1, 1, 3, 3]
    """
    starts, lengths = runs_of(labels)
    runs = [[int(labels[s]), int(n)] for s, n in zip(starts, lengths, strict=True)]
    while len(runs) > 1:
        k = min(range(len(runs)), key=lambda i: runs[i][1])
        if runs[k][1] >= min_run_rows:
            break
        side = max((n for n in (k - 1, k + 1) if 0 <= n < len(runs)), key=lambda n: runs[n][1])
        runs[k][0] = runs[side][0]
        joined: list[list[int]] = []
        low = max(k - 1, 0)
        for label, length in runs[low : k + 2]:
            if joined and joined[-1][0] == label:
                joined[-1][1] += length
            else:
                joined.append([label, length])
        runs[low : k + 2] = joined
    return np.repeat([r[0] for r in runs], [r[1] for r in runs]) if runs else labels
