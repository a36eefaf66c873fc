"""What the search counts for valence and arousal: sums of products of each track's levels and movements.

A member's smoothed score is its level in the track (the mean) and the movement around it. For every track
and filter the products of (1, movements, truth) are summed once; any weights, levels, gains, folds and
resamples then cost small matrix products, and the rows are never seen again."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from abaw_submit.arrays import F32, F64, Mask
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.metrics import ccc_of
from abaw_submit.postprocess import stack
from abaw_submit.postprocess.memory import memoize
from abaw_submit.postprocess.pools import pool_of, pool_sums
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import Folds
from abaw_submit.postprocess.search import Adapter, Steps
from abaw_submit.postprocess.smoothing import FilterPair
from abaw_submit.postprocess.ways import Decision, Floats, Weighting

# the stacked member may take up to a third: it knows only what it has met before, the rest carries on
STACK_SHARES = (0.15, 0.3)


class AdapterVA(Adapter):
    """See `search.Adapter`; valence and arousal are a group each."""

    output_groups = ((0,), (1,))
    # whoever knows the films of these tracks can do without good weights; on other films they are needed
    late_steps = MappingProxyType({"pool": frozenset({"stack"})})
    usual_filters = 60
    filters_are_cheap = True
    cheap_steps = frozenset({"calibrate", "pool"})  # a gain or two; the stacked member has many numbers
    usual_gain = 0.02

    def before_filters(self) -> None:
        shape = (len(self.filters), len(self.table.members), 2, len(self.table.names))
        self._levels = np.empty(shape)

    def after_filters(self) -> None:
        size = len(self.table.members) + 2
        self._grams = np.empty((2, len(self.filters), len(self.table.names), size, size))
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
        """(tracks, members + 2, members + 2) of (1, movements, truth)."""
        table = np.vstack([np.ones(len(self.rows)), values - levels[:, self.track], self.truth[:, output]]).T
        edges = np.searchsorted(self.track, np.arange(len(self.table.names) + 1))
        return np.stack([table[a:b].T @ table[a:b] for a, b in pairwise(edges)])

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        learnt = ("stack",) if self._nothing_is_shared() else ()
        return (*several, "smooth", "calibrate", *learnt, *(("pool",) if self.pools else ()))

    def _nothing_is_shared(self) -> bool:
        """Whether held-out tracks can tell if the stacked member knows more than it has met.

        Where several recordings make a group (a person), recordings of other groups may share something else
        (the film): a member that recognises it gains on held-out groups, and fails on new films. So groups
        must be single recordings, or several groupings be given, of which the choice shares none.
        """
        table = self.table
        if len(table.groupings) > 1:
            return not table.shares_to_choose
        recordings = {sibling_group(t): g for t, g in zip(table.names, table.groups, strict=True)}
        return len(set(recordings.values())) == len(recordings)

    def decisions(self, steps: Steps) -> list[Decision]:
        """Gains of level and movement and a move to the truth's mean, halfway or wholly; with a share of the
        stacked member, or with levels drawn to those of a pool: both tell a film by its tracks."""
        ways = [("affine", 0.5), ("affine", 1.0)] if "calibrate" in steps else [("none", 0.0)]
        if "pool" in steps:
            return [Decision(*way, pool=pool) for pool in self.pools for way in ways]
        shares = (0.0, *(STACK_SHARES if {"stack", "calibrate"} <= steps else ()))
        return [Decision(*way, share) for share in shares for way in ways]

    def probes(self, steps: Steps) -> list[Decision]:
        return [Decision("affine", 1.0)] if "calibrate" in steps else [Decision()]

    def weightings(self) -> list[Weighting]:
        fitted = [Weighting("fitted", s, own) for own in (0.0, 0.5, 1.0) for s in (3.0, 0.3, 0.03)]
        return [Weighting(), *fitted[:3], Weighting("best"), Weighting("best", own=1.0), *fitted[3:]]

    def score(self, stats: F64) -> F64:
        return ccc_of(stats)

    # ---- sums ----------------------------------------------------------------------------------------

    @memoize
    def _values_gram(self, group: int, filter: int) -> F64:
        """As `_gram`, of (1, values, truth)."""
        turn = np.broadcast_to(np.eye(self._grams.shape[-1]), self._grams.shape[2:]).copy()
        turn[:, 1:-1, 0] = self._levels[filter, :, group].T
        return np.asarray(turn @ self._grams[group, filter] @ turn.transpose(0, 2, 1))

    @memoize
    def moments(self, group: int, filter: int, folds: Folds) -> tuple[F64, F64]:
        gram = self._values_gram(group, filter)[self.table.tracks_in(folds)].sum(axis=0)
        gram = gram / max(gram[0, 0], 1.0)
        covariance = gram - np.outer(gram[0], gram[0])
        spread = np.sqrt(max(covariance[-1, -1], 1e-12))
        return covariance[1:-1, 1:-1], covariance[1:-1, -1] / spread

    def _stats(self, group: int, filter: int, movement: F64, levels: F64) -> F64:
        """The six moments of metrics (x truth, y prediction) per track, for weights of the members' movements
        and the prediction's level in each track."""
        gram = self._grams[group, filter]
        n, sx, sxx = gram[:, 0, 0], gram[:, 0, -1], gram[:, -1, -1]
        inner = gram[:, 1:-1]
        sums = inner[:, :, 0] @ movement
        square = ((inner[:, :, 1:-1] @ movement) * movement).sum(axis=1)
        sy, cross = levels * n + sums, inner[:, :, -1] @ movement
        return np.stack([n, sx, sy, sxx, levels * (sy + sums) + square, levels * sx + cross], axis=-1)

    def _level(self, group: int, column: Column, folds: Folds) -> F64:
        """The mixture's level in each track, (tracks,), with the stacked member's, drawn to its pool's. The
        pools of the given folds are theirs alone; those of each other fold hold both."""
        weights = np.asarray(column.weights)
        level = weights @ self._levels[self.filters.index(column.filters), :, group]
        if column.stacked:
            level = level + column.stacked * self._stacked(folds)[:, group]
        if not column.pooled:
            return np.asarray(level)
        mine, pools = self.table.tracks_in(folds), pool_of(self.table.names, column.pool)
        shared = pool_sums(np.where(mine, level, 0.0), pools), pool_sums(mine.astype(np.float64), pools)
        places = pools + len(pools) * self.table.fold
        total, number = (
            a + np.where(mine, 0.0, pool_sums(b, places))
            for a, b in zip(shared, (level, np.ones(len(level))), strict=True)
        )
        return np.asarray(level + column.pooled * (total / number - level))

    def stats(self, group: int, columns: tuple[Column, ...], folds: Folds) -> F64:
        (c,) = columns
        levels = c.offset + c.level_gain * self._level(group, c, folds)
        return self._stats(
            group, self.filters.index(c.filters), c.movement_gain * np.asarray(c.weights), levels
        )

    # ---- fitting -------------------------------------------------------------------------------------

    @memoize
    def finish(
        self, group: int, filter: int, weights: Floats, ranked: Folds, decision: Decision, folds: Folds
    ) -> tuple[Column, ...]:
        """Gains of level and movement by least squares, movement never more than level, then both scaled so
        that the spread is the truth's, and moved so that the mean is: for a given correlation that is the
        best CCC. The decision says how far to go there from gains of 1."""
        column = Column(weights, self.filters[filter], pool=decision.pool, pooled=float(bool(decision.pool)))
        w, mine = np.asarray(weights), self.table.tracks_in(folds)
        none = 0 * w
        if decision.stacked:
            variance, common = self._spread(group, filter, none, self._level(group, column, folds), mine)[1:]
            if common > 0:
                share = decision.stacked / (1 - decision.stacked) * variance / common
                column = replace(column, stacked=round(float(share), 6))
        if decision.kind == "none":
            return (column,)
        level = self._level(group, column, folds)
        mean, *levels = self._spread(group, filter, none, level, mine)
        movements = self._spread(group, filter, w, 0 * level, mine)[1:]
        gain = max(levels[1], 0.0) / max(levels[0], 1e-12)
        movement = min(max(movements[1], 0.0) / max(movements[0], 1e-12), gain)
        variance = self._spread(group, filter, movement * w, gain * level, mine)[1]
        truth_mean, truth_spread = self._truth_spread(group, folds)
        scale = truth_spread / np.sqrt(variance) if variance > 1e-12 else 0.0
        level_gain, movement_gain = (
            round(float(decision.strength * scale * g + 1 - decision.strength), 6) for g in (gain, movement)
        )
        offset = round(float(truth_mean - level_gain * mean), 6)
        return (replace(column, offset=offset, level_gain=level_gain, movement_gain=movement_gain),)

    def _spread(
        self, group: int, filter: int, movement: F64, levels: F64, mine: Mask
    ) -> tuple[float, float, float]:
        """Mean and variance of a prediction, and its covariance with the truth."""
        n, sx, sy, _, syy, sxy = self._stats(group, filter, movement, levels)[mine].sum(axis=0)
        n = max(n, 1.0)
        return float(sy / n), float(max(syy / n - (sy / n) ** 2, 0.0)), float(sxy / n - sx * sy / n**2)

    @memoize
    def _truth_spread(self, group: int, folds: Folds) -> tuple[float, float]:
        gram = self._grams[group, 0][self.table.tracks_in(folds)].sum(axis=0)
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
        for inner, j in self.table.held_out_to_choose(folds):
            mine = self.table.tracks_in((j,))
            out[mine] = self._said(inner)[mine]
        return out
