"""The search for a recipe on some folds: one for all tasks, over what a task's `Adapter` can count.

A fit makes three choices, each by the official score: the filters, the way of weighting, and the way of
    deciding
(calibration, thresholds, biases, how much of a stacked member). Filters are few against the rows they are
judged on, and are chosen on the folds themselves; ways of weighting and deciding have many numbers
behind them, and are chosen on held-out folds among the given ones. The simplest way comes first and wins
ties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from abaw_submit.arrays import F32, F64, Index
from abaw_submit.postprocess import ensemble
from abaw_submit.postprocess.memory import memoize
from abaw_submit.postprocess.recipe import Column, Processing
from abaw_submit.postprocess.score_table import Folds, ScoreTable
from abaw_submit.postprocess.smoothing import FilterPair, Pack
from abaw_submit.postprocess.stack import Stack
from abaw_submit.postprocess.ways import Choice, Decision, Floats, Option, Probes, Weighting, best_of
from abaw_submit.progress import Progress, quiet

Steps = frozenset[str]
# how far an output may have its own filter: quality is this much its own, the rest all outputs' mean
OWN_FILTERS = (0.0, 0.5, 1.0)


class Adapter(ABC):
    """What a search needs of a task: moments for weights, a column from a mixture, and counts of a column.

    An *output group* is the outputs that are weighted, filtered and scored together: one AU, valence, all
    expressions.

    Attributes:
        table: scores and truth.
        pools: patterns of what tracks may share; only some tasks use them.
        filters: to choose from; the first does nothing.
        output_groups: outputs of each group.
        rows: the sampled rows.
        track: track of each sampled row.
        values: per filter the filtered scores, (members, outputs, sampled rows).
    """

    output_groups: tuple[tuple[int, ...], ...]
    cheap_steps: Steps = frozenset()  # steps besides smoothing and ensembling of which any gain is taken
    usual_gain = 0.005  # of those, on other corpora: decides where a corpus is too small to tell
    # steps tried on top of those that were kept without them, and which of those each takes the place of
    late_steps: Mapping[str, Steps] = MappingProxyType({})
    usual_filters = 32  # tried unless the user says otherwise
    filters_are_cheap = False  # whether all are tried again once there are weights, or only the like

    def __init__(
        self,
        table: ScoreTable,
        filters: Sequence[FilterPair],
        progress: Progress = quiet,
        pools: Sequence[str] = (),
    ) -> None:
        self.pools = tuple(pools)
        self.table, self.filters = table, list(filters)
        self.before_filters()
        self.rows = table.sample_rows(len(self.filters))
        self.track = np.searchsorted(table.starts, self.rows, side="right") - 1
        self.fold = table.fold[self.track]
        self.truth = table.truth[self.rows]
        self.values: list[F32] = []
        pack = Pack(table.lengths.tolist())
        for pair in progress(self.filters, label="filters"):
            self.values.append(self._filtered(pack, pair))
        self.after_filters()

    def _filtered(self, pack: Pack, pair: FilterPair) -> F32:
        scores, rate = self.table.scores, self.table.rate_hz
        out = np.empty((*scores.shape[:2], len(self.rows)), np.float32)
        for m in range(scores.shape[0]):
            for k in range(scores.shape[1]):
                column = scores[m, k].astype(np.float64)
                for filter in (pair.before, pair.after):
                    if filter.kind != "none":
                        column = pack.run(column, filter.in_rows(rate))
                out[m, k] = column[self.rows]
                self.seen(pair, m, k, column)
        return out

    def before_filters(self) -> None:  # noqa: B027
        """Called before anything is filtered: makes room for what `seen` notes."""

    def after_filters(self) -> None:  # noqa: B027
        """Called when all is filtered: sums up what the rows are needed for."""

    def seen(self, pair: FilterPair, member: int, output: int, column: F64) -> None:  # noqa: B027
        """Called with each filtered column of all rows, for what the sampled rows do not tell."""

    # ---- what a task says ----------------------------------------------------------------------------

    @abstractmethod
    def steps(self) -> tuple[str, ...]:
        """Steps that mean something for this task and these members."""

    @abstractmethod
    def decisions(self, steps: Steps) -> list[Decision]:
        """Ways to decide that some steps allow, the simplest first."""

    @abstractmethod
    def probes(self, steps: Steps) -> list[Decision]:
        """Ways to decide, quick ones, under which filters are compared."""

    @abstractmethod
    def weightings(self) -> list[Weighting]:
        """Ways to weight several members, equal first."""

    @abstractmethod
    def moments(self, group: int, filter: int, folds: Folds) -> tuple[F64, F64]:
        """Covariance of the members and their covariance with the truth, in units of the truth's spread."""

    @abstractmethod
    def finish(
        self, group: int, filter: int, weights: Floats, ranked: Folds, decision: Decision, folds: Folds
    ) -> tuple[Column, ...]:
        """The columns of a group: the decision is fitted on some folds; ranks, if any folds are given, on
        those."""

    @abstractmethod
    def stats(self, group: int, columns: tuple[Column, ...], folds: Folds) -> F64:
        """Statistics of every track, (tracks, ...), under columns that were fitted on some folds."""

    @abstractmethod
    def score(self, stats: F64) -> F64:
        """A group's score from summed statistics; leading axes are kept."""

    def stack(self, folds: Folds) -> Stack | None:
        """The stacked member grown on some folds, for tasks that have one."""
        return None

    # ---- weights -------------------------------------------------------------------------------------

    @memoize
    def _standard(self, group: int, filter: int, folds: Folds) -> tuple[F64, F64, F64]:
        covariance, cross = self.moments(group, filter, folds)
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        return covariance / np.outer(spread, spread), cross / spread, spread

    @memoize
    def weights(
        self, group: int, filter: int, weighting: Weighting, decision: Decision, folds: Folds
    ) -> Floats:
        """Weights of the members for a group, from some folds."""
        number = len(self.table.members)
        kept = np.array([m for m in range(number) if m != weighting.without])
        out = np.zeros(number)
        equal = ensemble.equal_weights(len(kept))
        if weighting.kind in ("equal", "rank") or len(kept) == 1:
            out[kept] = equal
        elif weighting.kind == "greedy":

            def gain(w: F64) -> float:
                trial = np.zeros(number)
                trial[kept] = w
                columns = self.finish(group, filter, tuple(trial.tolist()), (), decision, folds)
                return self._on(group, columns, folds, folds)

            found = ensemble.greedy_path(gain, len(kept), 2 * len(kept))[-1]
            out[kept] = (1 - weighting.shrink) * found + weighting.shrink * equal
        else:
            out[kept] = self._fitted_weights(group, filter, weighting, folds, kept)
        return tuple(np.round(out, 4).tolist())

    def _fitted_weights(
        self, group: int, filter: int, weighting: Weighting, folds: Folds, kept: Index
    ) -> F64:
        own = self._standard(group, filter, folds)
        everyone = [self._standard(g, filter, folds) for g in range(len(self.output_groups))]
        correlation = weighting.own * own[0] + (1 - weighting.own) * np.mean([e[0] for e in everyone], axis=0)
        skill = weighting.own * own[1] + (1 - weighting.own) * np.mean([e[1] for e in everyone], axis=0)
        if weighting.kind == "best":
            return np.asarray(np.eye(len(kept))[int(np.argmax(skill[kept]))])
        weights = ensemble.fitted_weights(correlation[np.ix_(kept, kept)], skill[kept], weighting.shrink)
        raw = weights / own[2][kept]
        return np.asarray(raw / raw.sum(), np.float64)

    # ---- fits ----------------------------------------------------------------------------------------

    @memoize
    def columns(
        self, group: int, filter: int, weighting: Weighting, decision: Decision, folds: Folds
    ) -> tuple[Column, ...]:
        """The columns of a group when everything is given but the numbers."""
        weights = self.weights(group, filter, weighting, self._plain(decision), folds)
        ranked = folds if weighting.kind == "rank" else ()
        return self.finish(group, filter, weights, ranked, decision, folds)

    def _plain(self, decision: Decision) -> Decision:
        """What greedy weights are judged by; most tasks weight without it."""
        return Decision()

    def _on(self, group: int, columns: tuple[Column, ...], fitted: Folds, scored: Folds) -> float:
        stats = self.stats(group, columns, fitted)
        return float(self.score(stats[self.table.tracks_in(scored)].sum(axis=0)))

    @memoize
    def _crossed(
        self, group: int, filter: int, weighting: Weighting, decision: Decision, folds: Folds
    ) -> F64:
        """Summed statistics of a group on held-out folds."""
        total: Any = 0.0
        for inner, j in self.table.held_out_to_choose(folds):
            stats = self.stats(group, self.columns(group, filter, weighting, decision, inner), inner)
            total = total + stats[self.table.tracks_in((j,))].sum(axis=0)
        return np.asarray(total)

    def cross_fitted(self, choice: Choice, folds: Folds) -> float:
        """The mean score over all groups of a choice, its numbers refitted without each fold."""
        scores = [
            self.score(self._crossed(g, choice.filters[g], choice.weighting, choice.decision, folds))
            for g in range(len(self.output_groups))
        ]
        return float(np.mean(scores))

    @memoize
    def _quality(self, group: int, filter: int, weighting: Weighting, probes: Probes, folds: Folds) -> float:
        """Score of a filter on the folds themselves."""
        columns = [self.columns(group, filter, weighting, d, folds) for d in probes]
        return max(self._on(group, c, folds, folds) for c in columns)

    def _smoothed(self, choice: Choice, probes: Probes, folds: Folds, allowed: tuple[int, ...]) -> Choice:
        """The choice with the best filters: how far outputs may differ in them is tried on held-out folds."""
        groups = range(len(self.output_groups))
        quality = np.array(
            [[self._quality(g, f, choice.weighting, probes, folds) for f in allowed] for g in groups]
        )
        found = [np.argmax(own * quality + (1 - own) * quality.mean(axis=0), axis=1) for own in OWN_FILTERS]
        filters = dict.fromkeys(tuple(allowed[k] for k in one) for one in found)
        if len(filters) == 1:
            return replace(choice, filters=next(iter(filters)))
        return best_of([self._tried(choice, folds, filters=f) for f in filters])

    def _nearby(self, filters: tuple[int, ...]) -> tuple[int, ...]:
        """Filters like the chosen ones, and none."""
        chosen = [self.filters[f] for f in set(filters)]
        return tuple(
            f for f, pair in enumerate(self.filters) if f == 0 or any(pair.close_to(c) for c in chosen)
        )

    def choose(self, folds: Folds, steps: Steps, allowed: tuple[int, ...] | None = None) -> Choice:
        """Filters and ways for some steps, from some folds alone.

        Args:
            folds: folds that may be looked at, sorted.
            steps: steps allowed; the others do nothing.
            allowed: filters to choose from, by place; None: all.
        """
        return self._choose(folds, steps, allowed)

    @memoize
    def _choose(self, folds: Folds, steps: Steps, allowed: tuple[int, ...] | None) -> Choice:
        probes = tuple(self.probes(steps))
        choice = Choice((0,) * len(self.output_groups), decision=probes[0])
        choices = tuple(range(len(self.filters))) if allowed is None else allowed
        if "smooth" in steps:
            choice = self._smoothed(choice, probes, folds, choices)
        if "ensemble" in steps and len(self.table.members) > 1:
            ways = self.weightings()
            choice = best_of([self._tried(choice, folds, weighting=w) for w in ways])
            if "smooth" in steps and choice.weighting != ways[0]:
                near = set(choices if self.filters_are_cheap else self._nearby(choice.filters))
                choice = self._smoothed(choice, probes, folds, tuple(f for f in choices if f in near))
        return best_of([self._tried(choice, folds, decision=d) for d in self.decisions(steps)])

    def _tried(self, choice: Choice, folds: Folds, **change: Any) -> Option[Choice]:
        changed = replace(choice, **change)
        return Option(changed, self.cross_fitted(changed, folds))

    def fitted(self, choice: Choice, folds: Folds) -> tuple[tuple[Column, ...], ...]:
        """The columns of each group under a choice, fitted on some folds."""
        return tuple(
            self.columns(g, choice.filters[g], choice.weighting, choice.decision, folds)
            for g in range(len(self.output_groups))
        )

    def processing(self, choice: Choice, folds: Folds) -> Processing:
        """A choice fitted on some folds, as a recipe holds it."""
        by_output = {
            output: column
            for outputs, columns in zip(self.output_groups, self.fitted(choice, folds), strict=True)
            for output, column in zip(outputs, columns, strict=True)
        }
        columns = tuple(by_output[k] for k in sorted(by_output))
        return Processing(columns, self.stack(folds) if any(c.stacked for c in columns) else None)
