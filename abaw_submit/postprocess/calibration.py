"""Calibration: from scores that order well to scores whose level and spread are right too."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64

_EPS = 1e-6


def logit(p: npt.ArrayLike) -> F64:
    """Log odds of probabilities, cut at one in a million."""
    p = np.clip(np.asarray(p, np.float64), _EPS, 1 - _EPS)
    return np.asarray(np.log(p) - np.log1p(-p))


def sigmoid(z: npt.ArrayLike) -> F64:
    """Probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(z, np.float64))))


def softmax(z: F64) -> F64:
    """Probabilities of (rows, classes) log scores."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def platt(centres: F64, negatives: F64, positives: F64, steps: int = 25) -> tuple[float, float]:
    """Temperature and bias of one AU: calibrated = sigmoid(slope * logit(p) + bias), by maximum likelihood.

    Args:
        centres: (bins,) probabilities; the counts of valid rows with and without the AU in each bin follow.
        negatives: (bins,)
        positives: (bins,)
        steps: of Newton's method.

    Returns:
        slope (at least 0) and bias. (1, 0) if only one of the two kinds exists.
    """
    if positives.sum() == 0 or negatives.sum() == 0:
        return 1.0, 0.0
    x, n = logit(centres), negatives + positives
    slope, bias = 1.0, 0.0
    ridge = 1e-3 * n.sum() / len(n)  # keeps separable data finite
    for _ in range(steps):
        p = sigmoid(slope * x + bias)
        w = n * p * (1 - p) + 1e-9
        rest = positives - n * p
        gx, g1 = float(rest @ x) - ridge * (slope - 1), float(rest.sum())
        hxx, hx1, h11 = float(w @ (x * x)) + ridge, float(w @ x), float(w.sum()) + 1e-6
        determinant = max(hxx * h11 - hx1 * hx1, 1e-12)
        up = min(max((h11 * gx - hx1 * g1) / determinant, -1.0), 1.0)
        along = min(max((hxx * g1 - hx1 * gx) / determinant, -1.0), 1.0)
        slope, bias = slope + up, bias + along
        if max(abs(up), abs(along)) < 1e-6:
            break
    return (slope, bias) if slope > 0 else (0.0, bias)


def prior_shift(predicted: F64, strength: float) -> F64:
    """Additive corrections of log probabilities (classes,) that take out `strength` of a model's prior.

    A model trained with class weights, or on other proportions, carries its own idea of how
    frequent classes are: the mean of its probabilities. Macro F1 asks for rare classes, too.

    Args:
        predicted: (classes,) mean predicted probability of each class.
        strength: 0: nothing; 1: as if all classes were equally frequent.
    """
    shift = -strength * np.log(np.maximum(predicted, 1e-4))
    return np.asarray(shift - shift.mean())


def reliability(scores: npt.ArrayLike, truth: npt.ArrayLike, bins: int = 10) -> dict[str, Any]:
    """A reliability curve: mean score, mean truth and rows in equal bins of the score."""
    s, t = np.ravel(np.asarray(scores, float)), np.ravel(np.asarray(truth, float))
    low, high = float(s.min(initial=0)), float(s.max(initial=1))
    place = np.clip(((s - low) / max(high - low, 1e-9) * bins).astype(int), 0, bins - 1)
    n = np.bincount(place, minlength=bins)
    used = n > 0
    return {
        "score": (np.bincount(place, s, bins)[used] / n[used]).tolist(),
        "truth": (np.bincount(place, t, bins)[used] / n[used]).tolist(),
        "rows": n[used].tolist(),
    }
