"""What the search counts for valence and arousal: sums of products of each track's levels and movements.

A member's smoothed score is its level in the track (the mean) and the movement around it. For every track
and filter the products of (1, levels, movements, truth) are summed once; any weights, gains, folds and
resamples then cost small matrix products, and the rows are never seen again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from abaw_submit.arrays import F32, F64, Mask
from abaw_submit.metrics import ccc_of
from abaw_submit.postprocess import stack
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import Folds, ScoreTable
from abaw_submit.postprocess.search import Adapter, Decision, Floats, Steps, Weighting, memoize
from abaw_submit.postprocess.smoothing import FilterPair
from abaw_submit.progress import Progress, quiet

# the stacked member may take up to a third: it knows only what it has met before, the rest carries on
STACK_SHARES = (0.15, 0.3)


class AdapterVA(Adapter):
    """See `search.Adapter`; valence and arousal are a group each."""

    output_groups = ((0,), (1,))
    filters_are_cheap = True
    cheap_steps = frozenset({"calibrate"})  # a gain or two; what has many numbers is the stacked member

    def __init__(self, table: ScoreTable, filters: Sequence[FilterPair], progress: Progress = quiet) -> None:
        number = len(table.members)
        self._levels = np.empty((len(filters), number, 2, len(table.names)))
        super().__init__(table, filters, progress)
        self._grams = np.empty((2, len(filters), len(table.names), 2 * number + 2, 2 * number + 2))
        for f, values in enumerate(self.values):
            for k in range(2):
                self._grams[k, f] = self._gram(values[:, k], self._levels[f, :, k], k)
        self.values = []
        self._truth_level = np.stack(
            [self._grams[k, 0, :, 0, -1] / self._grams[k, 0, :, 0, 0] for k in range(2)], 1
        )

    def seen(self, pair: FilterPair, member: int, output: int, column: F64) -> None:
        sums = np.add.reduceat(column, self.table.starts[:-1])
        self._levels[self.filters.index(pair), member, output] = sums / self.table.lengths

    def _gram(self, values: F32, levels: F64, output: int) -> F64:
        """(tracks, 2 members + 2, 2 members + 2) of (1, levels, movements, truth)."""
        level = levels[:, self.track]
        table = np.vstack([np.ones(len(self.rows)), level, values - level, self.truth[:, output]]).T
        edges = np.searchsorted(self.track, np.arange(len(self.table.names) + 1))
        return np.stack([table[a:b].T @ table[a:b] for a, b in pairwise(edges)])

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        return (*several, "smooth", "calibrate", "stack")

    def decisions(self, steps: Steps) -> list[Decision]:
        """Gains about the mixture's own mean, halfway or wholly; or moved to the truth's mean as well, which
        asks more of the data: a mean needs many people and films."""
        if "calibrate" not in steps:
            return [Decision()]
        ways = (("gain", 0.5), ("gain", 1.0), ("affine", 0.5), ("affine", 1.0))
        shares = (0.0, *(STACK_SHARES if "stack" in steps else ()))
        return [Decision(kind, strength, share) for share in shares for kind, strength in ways]

    def probes(self, steps: Steps) -> list[Decision]:
        return [Decision("gain", 1.0)] if "calibrate" in steps else [Decision()]

    def weightings(self) -> list[Weighting]:
        fitted = [Weighting("fitted", s, own) for own in (0.0, 0.5, 1.0) for s in (3.0, 0.3, 0.03)]
        return [Weighting(), *fitted[:3], Weighting("best"), Weighting("best", own=1.0), *fitted[3:]]

    def score(self, stats: F64) -> F64:
        return ccc_of(stats)

    # ---- sums ----------------------------------------------------------------------------------------

    @memoize
    def _sum(self, group: int, filter: int, folds: Folds) -> F64:
        return np.asarray(self._grams[group, filter][self.table.tracks_in(folds)].sum(axis=0))

    @memoize
    def moments(self, group: int, filter: int, folds: Folds) -> tuple[F64, F64]:
        gram = self._sum(group, filter, folds)
        number = len(self.table.members)
        turn = np.zeros((len(gram), number + 2))
        turn[0, 0] = turn[-1, -1] = 1.0
        for m in range(number):
            turn[1 + m, 1 + m] = turn[1 + number + m, 1 + m] = 1.0
        gram = turn.T @ gram @ turn / max(gram[0, 0], 1.0)
        covariance = gram - np.outer(gram[0], gram[0])
        spread = np.sqrt(max(covariance[-1, -1], 1e-12))
        return covariance[1:-1, 1:-1], covariance[1:-1, -1] / spread

    def _stats(self, group: int, filter: int, vector: F64, offsets: F64) -> F64:
        """The six moments of metrics (x truth, y prediction) per track, for a vector of (level weights,
        movement weights) and an offset per track."""
        gram = self._grams[group, filter]
        n, sx, sxx = gram[:, 0, 0], gram[:, 0, -1], gram[:, -1, -1]
        inner = gram[:, 1:-1]
        sums, square = inner[:, :, 0] @ vector, np.einsum("tij,i,j->t", inner[:, :, 1:-1], vector, vector)
        sy = offsets * n + sums
        syy = offsets**2 * n + 2 * offsets * sums + square
        return np.stack([n, sx, sy, sxx, syy, offsets * sx + inner[:, :, -1] @ vector], axis=-1)

    def stats(self, group: int, columns: tuple[Column, ...], folds: Folds) -> F64:
        (c,) = columns
        weights = np.asarray(c.weights)
        vector = np.concatenate([c.level_gain * weights, c.movement_gain * weights])
        offsets = np.full(len(self.table.names), c.offset)
        if c.stacked:
            offsets = offsets + c.level_gain * c.stacked * self._stacked(folds)[:, group]
        return self._stats(group, self.filters.index(c.filters), vector, offsets)

    # ---- fitting -------------------------------------------------------------------------------------

    @memoize
    def finish(
        self, group: int, filter: int, weights: Floats, ranked: Folds, decision: Decision, folds: Folds
    ) -> tuple[Column, ...]:
        """Gains of level and movement by least squares, movement never more than level, then both scaled so
        that the spread is the truth's: for a given correlation that is the best CCC. The decision says how
        far to go there from gains of 1, and whether the mean goes to the truth's as well."""
        pair, w = self.filters[filter], np.asarray(weights)
        if decision.kind == "none":
            return (Column(weights, pair),)
        mine, zero = self.table.tracks_in(folds), np.zeros(len(w))
        level_only, movement_only = np.concatenate([w, zero]), np.concatenate([zero, w])
        still = np.zeros(len(self.table.names))
        stacked = 0.0
        levels = _spreads(self._stats(group, filter, level_only, still)[mine].sum(axis=0))
        if decision.stacked and levels[1] > 0:
            slope = levels[1] / max(levels[0], 1e-12)
            stacked = decision.stacked / ((1 - decision.stacked) * slope)
            still = stacked * self._stacked(folds)[:, group]
            levels = _spreads(self._stats(group, filter, level_only, still)[mine].sum(axis=0))
        movements = _spreads(self._stats(group, filter, movement_only, 0 * still)[mine].sum(axis=0))
        gain = max(levels[1], 0.0) / max(levels[0], 1e-12)
        movement = min(max(movements[1], 0.0) / max(movements[0], 1e-12), gain)
        spread = self._moved(group, filter, np.concatenate([gain * w, movement * w]), gain * still, mine)[1]
        truth_mean, truth_spread = self._truth_spread(group, folds)
        scale = truth_spread / spread if spread > 1e-6 else 0.0
        level_gain, movement_gain = (
            decision.strength * scale * g + 1 - decision.strength for g in (gain, movement)
        )
        own = self._moved(group, filter, level_only, 0 * still, mine)[0]
        centre = decision.stacked * truth_mean + (1 - decision.stacked) * own
        if decision.kind == "affine":
            centre = truth_mean
        offset = centre - level_gain * self._moved(group, filter, level_only, still, mine)[0]
        numbers = (stacked, offset, level_gain, movement_gain)
        return (Column(weights, pair, (), *(round(float(x), 6) for x in numbers)),)

    def _moved(self, group: int, filter: int, vector: F64, offsets: F64, mine: Mask) -> tuple[float, float]:
        n, _, sy, _, syy, _ = self._stats(group, filter, vector, offsets)[mine].sum(axis=0)
        return float(sy / n), float(np.sqrt(max(syy / n - (sy / n) ** 2, 0.0)))

    @memoize
    def _truth_spread(self, group: int, folds: Folds) -> tuple[float, float]:
        gram = self._sum(group, 0, folds)
        mean = float(gram[0, -1] / gram[0, 0])
        return mean, float(np.sqrt(max(gram[-1, -1] / gram[0, 0] - mean * mean, 0.0)))

    # ---- the stacked member --------------------------------------------------------------------------

    def _features(self) -> F64:
        """Unsmoothed levels of all members and outputs, (tracks, members * outputs)."""
        return np.asarray(self._levels[0].reshape(-1, len(self.table.names)).T)

    @memoize
    def stack(self, folds: Folds) -> stack.Stack:
        mine = self.table.tracks_in(folds)
        return stack.grow(self._features()[mine], self._truth_level[mine])

    @memoize
    def _said(self, folds: Folds) -> F64:
        return self.stack(folds).predict(self._features())

    @memoize
    def _stacked(self, folds: Folds) -> F64:
        """The stacked member's levels, (tracks, 2), out of fold in the folds that it is grown on."""
        out = self._said(folds).copy()
        for inner, j in self.table.held_out(folds):
            mine = self.table.tracks_in((j,))
            out[mine] = self._said(inner)[mine]
        return out


def _spreads(stats: F64) -> tuple[float, float]:
    """Variance of the prediction and its covariance with the truth from six moments."""
    n, sx, sy, _, syy, sxy = stats
    n = max(n, 1.0)
    return float(syy / n - (sy / n) ** 2), float(sxy / n - sx * sy / n**2)
