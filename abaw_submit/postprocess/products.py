"""What follows from summed products of (1, columns, truth): moments, mixtures, CCC, weights.

A gram is a symmetric (..., columns + 2, columns + 2) array of such sums over any set of rows; grams of tracks
add up to those of folds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from abaw_submit.arrays import F64
from abaw_submit.metrics import ccc_of
from abaw_submit.postprocess import calibration, ensemble

SHRINK = (0.0, 0.1, 1.0)
PICKS = 8


def moments(gram: F64) -> tuple[F64, F64]:
    """Covariance of the columns and their covariance with the truth."""
    n = max(gram[0, 0], 1.0)
    mean = gram[0] / n
    cov = gram / n - np.outer(mean, mean)
    return cov[1:-1, 1:-1], cov[1:-1, -1]


def mix(gram: F64, weights: F64) -> F64:
    """Products of (1, weighted mean, truth) from those of (1, columns, truth); leading axes kept."""
    turn = np.zeros((gram.shape[-1], 3))
    turn[0, 0] = turn[-1, 2] = 1.0
    turn[1:-1, 1] = weights
    return np.asarray(turn.T @ gram @ turn)


def stats(gram: F64, vector: F64) -> F64:
    """The six moments of metrics (x truth, y prediction) for offset + sum of weights times columns."""
    n, sx, sxx = gram[..., 0, 0], gram[..., 0, -1], gram[..., -1, -1]
    inner, cross = gram[..., :-1, :-1], gram[..., :-1, -1]
    sy = inner[..., 0, :] @ vector
    syy = np.einsum("...ij,i,j->...", inner, vector, vector)
    return np.stack([n, sx, sy, sxx, syy, cross @ vector], axis=-1)


def track_moments(gram: F64) -> F64:
    """The six moments for products of (1, prediction, truth)."""
    return stats(gram, np.array([0.0, 1.0]))


def affine(mixed: F64, degree: float) -> F64:
    """Offset and scale for products of (1, prediction, truth)."""
    scale, offset = calibration.affine_from_moments(track_moments(mixed), degree)
    return np.array([offset, scale])


def vector(gram: F64, weights: F64, aligned: bool) -> F64:
    """Offset and weights; if a calibration follows, with the truth's mean and spread."""
    if not aligned:
        return np.concatenate([[0.0], weights])
    offset, scale = affine(mix(gram, weights), 1.0)
    return np.concatenate([[offset], scale * weights])


def quality(gram: F64, weights: F64, aligned: bool) -> F64:
    """CCC on the sums themselves; with the truth's mean and spread that is the correlation."""
    stats = track_moments(mix(gram, weights))
    if not aligned:
        return ccc_of(stats)
    n, sx, sy, sxx, syy, sxy = np.moveaxis(stats, -1, 0)
    n = np.maximum(n, 1)
    spread = np.sqrt(np.maximum(sxx / n - (sx / n) ** 2, 0) * np.maximum(syy / n - (sy / n) ** 2, 0))
    return np.asarray((sxy / n - sx * sy / n**2) / np.maximum(spread, 1e-12))


def ways(gram: F64) -> list[Callable[[F64], F64]]:
    """Ways to weight: equal, and for the most useful members (one, two, ... all) fitted weights, more or
    less shrunk, and a greedy selection."""
    cov, cross = moments(gram)
    number = len(cross)
    useful = ensemble.fitted_weights(cov, cross, SHRINK[1]) * np.sqrt(np.maximum(np.diag(cov), 0))
    lone = cross / np.sqrt(np.maximum(np.diag(cov), 1e-12))
    order = sorted(range(number), key=lambda m: (-round(float(useful[m]), 12), -float(lone[m]), m))

    def equal(train: F64) -> F64:
        return ensemble.equal_weights(number)

    def fitted(kept: list[int], shrink: float) -> Callable[[F64], F64]:
        def way(train: F64) -> F64:
            cov, cross = moments(train)
            out = np.zeros(number)
            out[kept] = ensemble.fitted_weights(cov[np.ix_(kept, kept)], cross[kept], shrink)
            return out

        return way

    def greedy(train: F64) -> F64:
        cov, cross = moments(train)

        def correlation(w: F64) -> float:
            return float(w @ cross) / float(np.sqrt(max(float(w @ cov @ w), 1e-12)))

        return ensemble.greedy_path(correlation, number, PICKS)[-1]

    subsets = [sorted(order[: k + 1]) for k in range(number)]
    found: list[Callable[[F64], F64]] = [equal]
    found += [fitted(kept, s) for kept in subsets for s in (SHRINK if len(kept) > 1 else (0.0,))]
    return [*found, greedy]


def row_stats(truth: F64, prediction: F64) -> F64:
    """The six moments of rows themselves."""
    x, y = truth, prediction
    return np.array([len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y], np.float64)
