"""The search for expressions: confusion matrices per track stand for all rows.

All eight classes share weights and filter, because the decision compares them. Log probabilities of a few
recently used mixtures are kept; every decision tried on them leaves one confusion matrix per track.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.metrics import f1_of_confusion
from abaw_submit.postprocess import calibration, ensemble, thresholds
from abaw_submit.postprocess.engine import (
    Columns,
    Folds,
    Option,
    Pair,
    held_out,
    memoize,
    mixed_rows,
    nearby,
    one_standard_error,
    rank_knots,
)
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import ScoreTable

Floats = tuple[float, ...]
Mix = tuple[Floats, str, str, tuple[tuple[tuple[float, ...], ...], ...]]
PRIORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
STRENGTHS = (1.0, 0.5)
PICKS = 6
_FIT_ROWS = 15_000  # rows that a bias is fitted on: neighbours tell the same
_KEEP = 6  # mixtures kept at a time


class SearchEXPR:
    """See `engine.Engine`; there is one part, all classes together."""

    parts = 1

    def __init__(self, table: ScoreTable, pairs: Sequence[Pair]) -> None:
        self.table = table
        self.pairs: Sequence[Pair] = list(pairs)
        self._recent: OrderedDict[Mix, npt.NDArray[np.float32]] = OrderedDict()
        m = table
        self._truth = m.truth[m.valid, 0].astype(np.int64)
        self._stride = max(len(self._truth) // _FIT_ROWS, 1)

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        return (*several, "smooth", "calibrate", "threshold")

    def score(self, stats: F64) -> F64:
        return np.asarray(f1_of_confusion(stats).mean(axis=-1))

    # ---- counting ------------------------------------------------------------------------------------

    def _log(self, mix: Mix) -> npt.NDArray[np.float32]:
        """Log probabilities of the valid rows, (rows, classes)."""
        if mix not in self._recent:
            weights, before, after, knots = mix
            m = self.table
            parts = []
            for k in range(m.task.outputs):
                column = Column(weights, before, after, knots[k] if knots else ())
                parts.append(mixed_rows(m, k, column)[m.valid])
            self._recent[mix] = np.log(np.maximum(np.column_stack(parts), 1e-6)).astype(np.float32)
        self._recent.move_to_end(mix)
        while len(self._recent) > _KEEP:
            self._recent.popitem(last=False)
        return self._recent[mix]

    @memoize
    def confusion(self, mix: Mix, bias: Floats) -> npt.NDArray[np.int32]:
        """Confusion per track under a bias per class, (tracks, classes, classes)."""
        classes, m = self.table.task.outputs, self.table
        labels = (self._log(mix) + np.asarray(bias, np.float32)).argmax(axis=1)
        place = (m.track_of_valid * classes + self._truth) * classes + labels
        counts = np.bincount(place, minlength=len(m.names) * classes * classes)
        return counts.reshape(len(m.names), classes, classes).astype(np.int32)

    def _sum(self, mix: Mix, bias: Floats, folds: Folds) -> F64:
        mine = np.isin(self.table.fold, folds)
        return np.asarray(self.confusion(mix, bias)[mine].sum(axis=0), np.float64)

    @memoize
    def _mean_probability(self, mix: Mix) -> F64:
        """Per fold: summed probabilities and rows, (folds, classes + 1)."""
        m = self.table
        values = np.exp(self._log(mix).astype(np.float64))
        table = np.column_stack([values, np.ones(len(values))])
        return np.stack([table[m.fold_of_valid == k].sum(axis=0) for k in range(m.folds)])

    # ---- fitting -------------------------------------------------------------------------------------

    @memoize
    def fit(
        self, part: int, folds: Folds, steps: frozenset[str], pairs: tuple[int, ...] | None = None
    ) -> Columns:
        number = len(self.table.members)
        allowed = list(range(len(self.pairs))) if pairs is None else list(pairs)
        choices = allowed if "smooth" in steps else [0]
        moved = bool(steps & {"calibrate", "threshold"})
        mix: Mix = (tuple(ensemble.equal_weights(number).tolist()), "none", "none", ())
        mix = self._best_filter(mix, folds, choices, moved)
        if "ensemble" in steps and number > 1:
            mix = self._weighted(mix, folds, moved)
            mix = self._best_filter(mix, folds, nearby(self.pairs, choices, self._index(mix)), moved)
        bias: Floats = (0.0,) * self.table.task.outputs
        if "calibrate" in steps:
            bias = self._prior(mix, folds)
        if "threshold" in steps:
            bias = self._biased(mix, folds, bias)
        return self._columns(mix, bias)

    @memoize
    def probe(self, part: int, folds: Folds, steps: frozenset[str], pair: int) -> Columns:
        before, after = self.pairs[pair]
        mix: Mix = (self.fit(part, folds, steps, None)[0].weights, str(before), str(after), ())
        tries = self._tries(mix, bool(steps & {"calibrate", "threshold"}))
        return self._columns(mix, max(tries, key=lambda b: float(self.score(self._sum(mix, b, folds)))))

    def _columns(self, mix: Mix, bias: Floats) -> Columns:
        weights, before, after, knots = mix
        return tuple(
            Column(weights, before, after, knots[k] if knots else (), bias=b) for k, b in enumerate(bias)
        )

    def _index(self, mix: Mix) -> int:
        return [(str(b), str(a)) for b, a in self.pairs].index((mix[1], mix[2]))

    def _best_filter(self, mix: Mix, folds: Folds, choices: list[int], moved: bool) -> Mix:
        """Where a bias follows, a filter is judged at the best of three prior shifts."""
        mixes = [(mix[0], str(self.pairs[f][0]), str(self.pairs[f][1]), mix[3]) for f in choices]
        quality = [self._quality(x, folds, moved) for x in mixes]
        return mixes[int(np.argmax(quality))]

    def _quality(self, mix: Mix, folds: Folds, moved: bool) -> float:
        return max(float(self.score(self._sum(mix, b, folds))) for b in self._tries(mix, moved))

    @memoize
    def _tries(self, mix: Mix, moved: bool) -> list[Floats]:
        """Biases that stand for "some prior shift". They use probabilities, never the truth."""
        sums = self._mean_probability(mix).sum(axis=0)
        strengths = (0.0, 0.5, 1.0) if moved else (0.0,)
        return [_shift(sums, s) for s in strengths]

    def _weighted(self, mix: Mix, folds: Folds, moved: bool) -> Mix:
        """Weights for one filter: the way of weighting is chosen on held-out folds."""
        number = len(self.table.members)
        singles = [tuple(w.tolist()) for w in np.eye(number)]
        best = max(singles, key=lambda w: self._quality((w, *mix[1:]), folds, moved))

        def fixed(weights: Floats) -> Callable[[Folds], Mix]:
            return lambda inner: (weights, mix[1], mix[2], mix[3])

        def fitted(inner: Folds) -> Mix:
            cov, cross = self._second_moments(mix[1], inner)
            weights = np.round(ensemble.fitted_weights(cov, cross, 0.1) * 20) / 20
            weights = weights / weights.sum() if weights.any() else ensemble.equal_weights(number)
            return (tuple(weights.tolist()), mix[1], mix[2], mix[3])

        def greedy(picks: int) -> Callable[[Folds], Mix]:
            return lambda inner: (self._greedy(mix[1], mix[2], inner, moved)[picks - 1], *mix[1:])

        def ranked(inner: Folds) -> Mix:
            before = self.pairs[self._index(mix)][0]
            outputs = range(self.table.task.outputs)
            knots = tuple(rank_knots(self.table, k, inner, before) for k in outputs)
            return (mix[0], mix[1], mix[2], knots)

        ways = [fixed(mix[0]), fixed(best), fitted, greedy(2), greedy(4), greedy(PICKS), ranked]
        options = [self._tried(way, folds, moved) for way in ways]
        value: Mix = one_standard_error(options).value  # type: ignore[assignment]
        return value

    def _tried(self, way: Callable[[Folds], Mix], folds: Folds, moved: bool) -> Option:
        scores, pooled = [], np.zeros((self.table.task.outputs,) * 2)
        for inner, j in held_out(folds):
            mix = way(inner)
            tries = self._tries(mix, moved)
            bias = max(tries, key=lambda b: float(self.score(self._sum(mix, b, inner))))
            counts = self._sum(mix, bias, (j,))
            pooled += counts
            scores.append(float(self.score(counts)))
        mix = way(folds)
        cost = float(np.count_nonzero(mix[0])) + (0.5 if mix[3] else 0.0)
        return Option(mix, cost, float(self.score(pooled)), tuple(scores))

    @memoize
    def _greedy(self, before: str, after: str, folds: Folds, moved: bool) -> list[Floats]:
        def gain(weights: F64) -> float:
            return self._quality((tuple(weights.tolist()), before, after, ()), folds, moved)

        path = ensemble.greedy_path(gain, len(self.table.members), PICKS)
        return [tuple(w.tolist()) for w in path]

    @memoize
    def _member_grams(self, before: str) -> F64:
        """Products of the members' probabilities with each other and with the truth's indicator, over all
        classes as one long column, per fold."""
        m = self.table
        filter = next(b for b, _ in self.pairs if str(b) == before)
        out = np.zeros((m.folds, len(m.members) + 2, len(m.members) + 2))
        for k in range(m.task.outputs):
            columns = [m.member(i, k, filter)[m.valid] for i in range(len(m.members))]
            table = np.column_stack([np.ones(len(self._truth)), *columns, self._truth == k])
            for j in range(m.folds):
                part = table[m.fold_of_valid == j]
                out[j] += part.T @ part
        return out

    def _second_moments(self, before: str, folds: Folds) -> tuple[F64, F64]:
        gram = self._member_grams(before)[list(folds)].sum(axis=0)
        mean = gram[0] / max(gram[0, 0], 1)
        cov = gram / max(gram[0, 0], 1) - np.outer(mean, mean)
        return cov[1:-1, 1:-1], cov[1:-1, -1]

    def _prior(self, mix: Mix, folds: Folds) -> Floats:
        """The prior shift with the best macro F1."""
        sums = self._mean_probability(mix)[list(folds)].sum(axis=0)
        biases = [_shift(sums, s) for s in PRIORS]
        return max(biases, key=lambda b: float(self.score(self._sum(mix, b, folds))))

    def _biased(self, mix: Mix, folds: Folds, start: Floats) -> Floats:
        """A bias per class on top of another, in full or half of it, whichever held-out folds prefer."""
        options = []
        for strength in STRENGTHS:
            scores, pooled = [], np.zeros((self.table.task.outputs,) * 2)
            for inner, j in held_out(folds):
                counts = self._sum(mix, _plus(start, self._fitted_bias(mix, inner, start), strength), (j,))
                pooled += counts
                scores.append(float(self.score(counts)))
            options.append(Option(strength, 0, float(self.score(pooled)), tuple(scores)))
        strength = float(str(max(options, key=lambda o: o.pooled).value))
        return _plus(start, self._fitted_bias(mix, folds, start), strength)

    @memoize
    def _fitted_bias(self, mix: Mix, folds: Folds, start: Floats) -> Floats:
        rows = np.flatnonzero(np.isin(self.table.fold_of_valid, folds))[:: self._stride]
        table = self._log(mix)[rows].astype(np.float64) + np.asarray(start)
        return tuple(np.round(thresholds.fit_bias(table, self._truth[rows]), 6).tolist())

    # ---- evaluating ----------------------------------------------------------------------------------

    def stats(self, part: int, columns: Columns) -> F64:
        first = columns[0]
        knots = tuple(c.knots for c in columns) if first.knots else ()
        mix: Mix = (first.weights, first.before, first.after, knots)
        return self.confusion(mix, tuple(c.bias for c in columns)).astype(np.float64)


def _shift(sums: F64, strength: float) -> Floats:
    """A prior shift from summed probabilities and their number of rows."""
    mean = sums[:-1] / max(sums[-1], 1)
    return tuple(np.round(calibration.prior_shift(mean, strength), 6).tolist())


def _plus(start: Floats, bias: Floats, strength: float) -> Floats:
    return tuple(round(a + strength * b, 6) for a, b in zip(start, bias, strict=True))
