"""What the search counts for expressions: a confusion matrix per track for each mixture and bias.

All eight classes share weights and filter, because the decision compares them. Log probabilities of a few
recently used mixtures are kept.
"""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import F32, F64, Index
from abaw_submit.metrics import bootstrap_counts, f1_of_confusion
from abaw_submit.postprocess import calibration, thresholds
from abaw_submit.postprocess.memory import memoize, memoize_some
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import Folds
from abaw_submit.postprocess.search import Adapter, Steps
from abaw_submit.postprocess.ways import Decision, Floats, Weighting

SHIFTS = (0.25, 0.5, 0.75, 1.0)
STRENGTHS = (0.25, 0.5, 0.75, 1.0)
BAGS = 5
_FIT_ROWS = 4_000  # rows that a bias is fitted on: neighbours tell the same


class AdapterEXPR(Adapter):
    """See `search.Adapter`; all classes are one group."""

    output_groups = (tuple(range(8)),)
    cheap_steps = frozenset({"threshold"})  # a mean over resamples, at a strength that is cross-fitted

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        return (*several, "smooth", "calibrate", "threshold")

    def decisions(self, steps: Steps) -> list[Decision]:
        found = [Decision()]
        found += [Decision("prior", s) for s in SHIFTS if "calibrate" in steps]
        return found + [Decision("bias", s) for s in STRENGTHS if "threshold" in steps]

    def probes(self, steps: Steps) -> list[Decision]:
        moved = [Decision("prior", 0.5)] if steps & {"calibrate", "threshold"} else []
        return [Decision(), *moved]

    def weightings(self) -> list[Weighting]:
        greedy = [Weighting("greedy", share) for share in (0.75, 0.5, 0.25)]
        return [Weighting(), *greedy, *(Weighting("fitted", s) for s in (3.0, 0.3, 0.03)), Weighting("best")]

    def score(self, stats: F64) -> F64:
        return np.asarray(f1_of_confusion(stats).mean(axis=-1))

    # ---- counting ------------------------------------------------------------------------------------

    @memoize_some(120)
    def _log(self, filter: int, weights: Floats) -> F32:
        """Log probabilities of the sampled rows, (classes, rows)."""
        mixed = np.tensordot(np.asarray(weights, np.float32), self.values[filter], 1)
        return np.log(np.maximum(mixed, 1e-6))

    @memoize
    def _confusion(self, filter: int, weights: Floats, bias: Floats) -> F64:
        """(tracks, classes, classes), truth down."""
        labels = (self._log(filter, weights) + np.asarray(bias, np.float32)[:, None]).argmax(axis=0)
        classes, tracks = self.table.task.outputs, len(self.table.names)
        place = (self.track * classes + self._classes()) * classes + labels
        counts = np.bincount(place, minlength=tracks * classes * classes)
        return counts.reshape(tracks, classes, classes).astype(np.float64)

    def _classes(self) -> Index:
        return self.truth[:, 0].astype(np.int64)

    def stats(self, group: int, columns: tuple[Column, ...], folds: Folds) -> F64:
        filter = self.filters.index(columns[0].filters)
        return self._confusion(filter, columns[0].weights, tuple(c.bias for c in columns))

    # ---- fitting -------------------------------------------------------------------------------------

    @memoize
    def _grams(self, filter: int) -> F64:
        """Products of (1, members, truth) per fold, over all classes as one long column."""
        out = np.zeros((len(self.table.levels), len(self.table.members) + 2, len(self.table.members) + 2))
        for c in range(self.table.task.outputs):
            table = np.vstack([np.ones(len(self.rows)), self.values[filter][:, c], self._classes() == c])
            for k in self.table.all_folds:
                part = table[:, self.fold == k]
                out[k] += part @ part.T
        return out

    def moments(self, group: int, filter: int, folds: Folds) -> tuple[F64, F64]:
        gram = self._grams(filter)[list(folds)].sum(axis=0)
        gram = gram / max(gram[0, 0], 1.0)
        covariance = gram - np.outer(gram[0], gram[0])
        return covariance[1:-1, 1:-1], covariance[1:-1, -1] / np.sqrt(max(covariance[-1, -1], 1e-12))

    @memoize
    def finish(
        self, group: int, filter: int, weights: Floats, ranked: Folds, decision: Decision, folds: Folds
    ) -> tuple[Column, ...]:
        """Biases: a part of the model's own prior taken out, or fitted ones as far as the decision says."""
        bias = np.zeros(self.table.task.outputs)
        if decision.kind == "prior":
            mean = np.exp(self._log(filter, weights)[:, np.isin(self.fold, folds)]).mean(axis=1)
            bias = calibration.prior_shift(mean.astype(np.float64), decision.strength)
        elif decision.kind == "bias":
            bias = decision.strength * self._bagged(filter, weights, folds)
        pair = self.filters[filter]
        return tuple(Column(weights, pair, bias=round(float(b), 6)) for b in bias)

    @memoize
    def _bagged(self, filter: int, weights: Floats, folds: Folds) -> F64:
        """The mean of the best biases over resamples of groups, (classes,), each drawn to nothing so far as
        the resamples differ in it: a rare class's bias rests on a few tracks."""
        tracks = np.flatnonzero(self.table.tracks_in(folds))
        drawn = bootstrap_counts([self.table.groups[t] for t in tracks], BAGS, seed=0).astype(np.int64)
        log, found = self._log(filter, weights), []
        times = np.zeros((BAGS, len(self.table.names)), np.int64)
        times[:, tracks] = drawn
        for one in times:
            rows = np.repeat(np.arange(len(self.rows)), one[self.track])
            rows = rows[:: max(len(rows) // _FIT_ROWS, 1)]
            found.append(thresholds.fit_bias(log[:, rows].T.astype(np.float64), self._classes()[rows]))
        mean, noise = np.mean(found, axis=0), np.var(found, axis=0, ddof=1)
        return np.asarray(mean * mean**2 / np.maximum(mean**2 + noise, 1e-12))
