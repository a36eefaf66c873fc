"""What the search counts for action units: a histogram of the mixed score per track holds every threshold."""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import F64, Index
from abaw_submit.metrics import bootstrap_counts, f1_of_counts
from abaw_submit.postprocess import ensemble, thresholds
from abaw_submit.postprocess.apply import mix
from abaw_submit.postprocess.calibration import logit, sigmoid
from abaw_submit.postprocess.memory import memoize, memoize_some
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import Folds
from abaw_submit.postprocess.search import Adapter, Steps
from abaw_submit.postprocess.ways import Decision, Floats, Weighting

# bins are even in the square root of the score, finest where rare units have theirs; one half is an edge
_HALF_BIN, BINS = 192, 273
EDGES = (np.arange(BINS + 1) / _HALF_BIN) ** 2 / 2  # lower edge of each bin; the last one is never reached
CENTRES = np.clip((EDGES[:-1] + EDGES[1:]) / 2, 0, 1)
BAGS = 24


class AdapterAU(Adapter):
    """See `search.Adapter`; every action unit is a group."""

    output_groups = tuple((k,) for k in range(12))
    cheap_steps = frozenset({"threshold"})  # two numbers, or a mean over resamples

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        return (*several, "smooth", "threshold")

    def decisions(self, steps: Steps) -> list[Decision]:
        if "threshold" not in steps:
            return [Decision()]
        return [
            Decision("plug-in", 1.0),
            Decision("plug-in", 0.5),
            Decision("bagged", 1.0),
            Decision("bagged", 0.5),
        ]

    def probes(self, steps: Steps) -> list[Decision]:
        return self.decisions(steps)[:1]

    def weightings(self) -> list[Weighting]:
        fitted = [Weighting("fitted", shrink, 0.5) for shrink in (3.0, 0.3, 0.03)]
        return [Weighting(), Weighting("rank"), *fitted, Weighting("best")]

    def score(self, stats: F64) -> F64:
        return f1_of_counts(stats)

    # ---- counting ------------------------------------------------------------------------------------

    @memoize_some(200)
    def _above(self, group: int, filter: int, weights: Floats, knots: tuple[Floats, ...]) -> Index:
        """Rows at or above each edge, (tracks, truth 0 or 1, edges)."""
        values = mix(Column(weights, knots=knots), list(self.values[filter][:, group]))
        place = (np.sqrt(2 * np.clip(values, 0, 1)) * _HALF_BIN + 1e-4).astype(np.int64)
        size, tracks = BINS + 1, len(self.table.names)
        counts = np.bincount(self._cell(group) + place, minlength=tracks * 2 * size)
        return counts.reshape(tracks, 2, size)[:, :, ::-1].cumsum(axis=2)[:, :, ::-1].astype(np.int32)

    @memoize
    def _cell(self, group: int) -> Index:
        return (self.track * 2 + (self.truth[:, group] > 0.5)) * (BINS + 1)

    @memoize
    def _ranks(self, group: int, filter: int, folds: Folds) -> tuple[Floats, ...]:
        """Quantiles of each member's scores on some folds; the truth is not used."""
        if not folds:
            return ()
        mine = np.isin(self.fold, folds)
        return tuple(tuple(ensemble.rank_knots(v[mine]).tolist()) for v in self.values[filter][:, group])

    def stats(self, group: int, columns: tuple[Column, ...], folds: Folds) -> F64:
        (c,) = columns
        filter = self.filters.index(c.filters)
        above = self._above(group, filter, c.weights, c.knots)
        edge = int(np.argmin(np.abs(EDGES - c.threshold)))
        tp, fp, all_ = above[:, 1, edge], above[:, 0, edge], above[:, :, 0]
        return np.stack([tp, fp, all_[:, 1] - tp, all_[:, 0] - fp], axis=1).astype(np.float64)

    # ---- fitting -------------------------------------------------------------------------------------

    @memoize
    def _grams(self, group: int, filter: int) -> F64:
        """Products of (1, members, truth) per fold."""
        table = np.vstack([np.ones(len(self.rows)), self.values[filter][:, group], self.truth[:, group]])
        return np.stack([(t := table[:, self.fold == k]) @ t.T for k in self.table.all_folds])

    def moments(self, group: int, filter: int, folds: Folds) -> tuple[F64, F64]:
        gram = self._grams(group, filter)[list(folds)].sum(axis=0)
        gram = gram / max(gram[0, 0], 1.0)
        covariance = gram - np.outer(gram[0], gram[0])
        spread = np.sqrt(max(covariance[-1, -1], 1e-12))
        return covariance[1:-1, 1:-1], covariance[1:-1, -1] / spread

    @memoize
    def finish(
        self, group: int, filter: int, weights: Floats, ranked: Folds, decision: Decision, folds: Folds
    ) -> tuple[Column, ...]:
        """A threshold on one of the edges, moved from a half as far as the decision says."""
        pair, knots = self.filters[filter], self._ranks(group, filter, ranked)
        if decision.kind == "none":
            return (Column(weights, pair, knots),)
        above = self._above(group, filter, weights, knots)[self.table.tracks_in(folds)]
        counts = above[:, :, :-1] - above[:, :, 1:]
        if decision.kind == "plug-in":
            odds = thresholds.plug_in(CENTRES, *counts.sum(axis=0).astype(np.float64))
        else:
            odds = self._bagged(counts, folds)
        edge = int(np.argmin(np.abs(EDGES - sigmoid(decision.strength * odds))))
        return (Column(weights, pair, knots, threshold=round(float(EDGES[max(edge, 1)]), 9)),)

    def _bagged(self, counts: Index, folds: Folds) -> float:
        """The mean of the best thresholds, in log odds, over resamples of groups."""
        mine = self.table.tracks_in(folds)
        groups = [g for g, m in zip(self.table.groups, mine, strict=True) if m]
        drawn = bootstrap_counts(groups, BAGS, seed=0)
        resampled = (drawn @ counts.reshape(len(counts), -1)).reshape(BAGS, 2, -1)
        places, _ = thresholds.best_thresholds(resampled[:, 0], resampled[:, 1])
        places = places[resampled[:, 1].any(axis=1)]
        return float(logit(EDGES[places]).mean()) if len(places) else 0.0
