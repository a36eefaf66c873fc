"""Averaging models: weights fitted to the metric, greedy selection, rank mean, restoring the spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.scores.files import Scores

KNOTS = 101
FINE_KNOTS = 1001  # for restoring: the rarest action units are present in one row of a hundred


def equal_weights(members: int) -> F64:
    """The plain mean, (members,)."""
    return np.full(members, 1.0 / members)


def fitted_weights(correlation: F64, skill: F64, shrink: float = 0.0) -> F64:
    """Non-negative weights of members from second moments.

    Least squares against the truth under w >= 0 (ridge regression with non-negative weights). Up to scale
    it maximises the correlation with the truth, and so the CCC once mean and spread are right.
    No rows are needed, so it costs the same for any corpus.

    Args:
        correlation: (members, members) of members of equal spread.
        skill: (members,) correlation of each member with the truth.
        shrink: 0: pure least squares; large: in proportion to each member's skill, as if all were
            independent, so that members as good as each other get equal weights.

    Returns:
        (members,) weights that sum to 1; useless members get exactly 0. If nothing helps, equal weights.

    >>> fitted_weights(np.eye(3), np.array([0.6, 0.2, -0.1])).round(2).tolist()
    [0.75, 0.25, 0.0]
    """
    # a constant member has no correlation with anything: a large ridge keeps it out
    ridge = shrink + 1e-9 + np.where(np.diag(correlation) > 0.5, 0.0, 1e6)
    root = np.linalg.cholesky(correlation + np.diag(ridge))
    weights = nnls(root.T, np.linalg.solve(root, skill))[0]
    total = weights.sum()
    return np.asarray(weights / total) if total > 1e-12 else equal_weights(len(skill))


def greedy_path(gain: Callable[[F64], float], members: int, picks: int) -> list[F64]:
    """Greedy selection with replacement (Caruana et al. 2004): the weights after each pick.

    Args:
        gain: score of a weight vector (members,), higher is better.
        members: how many there are.
        picks: how many picks; weights are multiples of 1 / picks so far.

    >>> path = greedy_path(lambda w: -abs(w[0] - 2 / 3), members=2, picks=3)
    >>> path[-1].round(2).tolist()
    [0.67, 0.33]
    """
    counts = np.zeros(members)
    path: list[F64] = []
    for _ in range(picks):
        trials = (counts + np.eye(members)) / (counts.sum() + 1)
        best = int(np.argmax([gain(w) for w in trials]))
        counts[best] += 1
        path.append(counts / counts.sum())
    return path


def rank_knots(values: npt.ArrayLike, number: int = KNOTS) -> F64:
    """Quantiles of a member's scores, (number,): what is kept to rank other scores against these."""
    flat = np.asarray(values, np.float64)
    return np.quantile(flat[~np.isnan(flat)], np.linspace(0, 1, number))


def to_rank(values: npt.ArrayLike, knots: F64) -> F64:
    """Scores as their rank in [0, 1] among the scores that made the knots; ties share their middle.

    >>> to_rank([-1.0, 0.5, 9.0], rank_knots(np.linspace(0, 1, 11))).round(3).tolist()
    [0.0, 0.5, 1.0]
    """
    place = np.linspace(0, 1, len(knots))
    unique, first, counts = np.unique(knots, return_index=True, return_counts=True)
    middle = place[first] + (counts - 1) / 2 / (len(knots) - 1)
    return np.interp(np.asarray(values, np.float64), unique, middle)


def agreement(covariance: F64) -> F64:
    """Correlations between members, (members, members), from their covariance; 0 for constants."""
    spread = np.sqrt(np.maximum(np.diag(covariance), 0))
    safe = np.where(spread > 1e-9, spread, np.inf)
    out = covariance / np.outer(safe, safe)
    np.fill_diagonal(out, 1.0)
    return np.asarray(out)


def average_folds(parts: Sequence[Scores], restore: float = 1.0) -> Scores:
    """One member from the scores of its folds.

    Tracks in one part are taken as they are (out-of-fold scores). Tracks in several (test scores of the
    folds) are averaged. The average has less spread than any fold, but what a recipe holds (gains,
    thresholds) was chosen on single folds' scores. So the spread is restored, as far as `restore` says,
    without any truth.
    VA: widened about its mean until its standard deviation is that of the folds' (their mean). AU: the
    quantiles of the average become those of the folds' scores (their mean), so that a threshold
    finds as many rows in the average as in a fold. EXPR: left as averaged.

    Args:
        parts: scores of one task, at least one.
        restore: 0: plain mean; 1: the folds' full spread.

    Raises:
        UserError: other tasks, or other row counts of a track.
    """
    task = parts[0].task
    sums: dict[str, F64] = {}
    counts: dict[str, int] = {}
    for part in parts:
        if part.task.name != task.name:
            raise UserError(f"Scores of {part.task.name} among scores of {task.name}; give one task's.")
        for track, values in part.items():
            if track in sums and len(sums[track]) != len(values):
                raise UserError(
                    f"Track {track}: {len(values)} rows in one file, {len(sums[track])} in another."
                )
            sums[track] = sums[track] + values if track in sums else np.asarray(values, np.float64)
            counts[track] = counts.get(track, 0) + 1
    means: dict[str, F64] = {t: sums[t] / counts[t] for t in sorted(sums)}
    several = [t for t in means if counts[t] > 1]
    if several and restore > 0 and task.decision is not Decision.ARGMAX:
        found = np.concatenate([means[t] for t in several])
        own = [[np.asarray(p[t], np.float64) for t in several if t in p] for p in parts]
        singles = [np.concatenate(x) for x in own if x]
        act = _widened if task.decision is Decision.CLIP else _requantiled
        ends = np.cumsum([len(means[t]) for t in several])
        means.update(zip(several, np.split(act(found, singles, restore), ends[:-1]), strict=True))
    notes = tuple(note for part in parts for note in part.notes)
    return Scores(task, {t: v.astype(np.float32) for t, v in means.items()}, notes=notes)


def _widened(mean: F64, singles: Sequence[F64], restore: float) -> F64:
    centre, narrow = np.nanmean(mean, axis=0), np.nanstd(mean, axis=0)
    wanted = np.mean([np.nanstd(s, axis=0) for s in singles], axis=0)
    return np.asarray(centre + (mean - centre) * spread_gain(wanted, narrow, restore))


def _requantiled(mean: F64, singles: Sequence[F64], restore: float) -> F64:
    out = mean.copy()
    for k in range(mean.shape[1]):
        known = ~np.isnan(mean[:, k])
        if not known.any():
            continue
        columns = [s[:, k][~np.isnan(s[:, k])] for s in singles]
        found = rank_knots(mean[known, k], FINE_KNOTS)
        wanted = np.mean([rank_knots(c, FINE_KNOTS) for c in columns if len(c)], axis=0)
        ranks = to_rank(mean[known, k], found)
        moved = np.interp(ranks, np.linspace(0, 1, FINE_KNOTS), wanted)
        out[known, k] = (1 - restore) * mean[known, k] + restore * moved
    return out


def spread_gain(wanted: npt.ArrayLike, found: npt.ArrayLike, degree: float) -> F64:
    """The factor (wanted / found) ** degree that restores a spread; 1 where nothing moves.

    >>> spread_gain([0.4, 0.3], [0.2, 0.0], 1.0).tolist()
    [2.0, 1.0]
    """
    wanted, found = np.asarray(wanted, np.float64), np.asarray(found, np.float64)
    moves = (found > 1e-9) & (wanted > 1e-9)
    return np.asarray(np.where(moves, wanted / np.where(moves, found, 1.0), 1.0) ** degree)
