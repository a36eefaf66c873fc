"""Choosing a recipe for the expected test score: nested, cross-fitted over groups of tracks.

Three levels, all on sums per track:

* a *fit* sees some folds and chooses filters, weights and decisions (see `search`);
* a *choice of steps* sees some folds too, and keeps a step if its gain, on folds that the fit did not see
and given
  the other steps, is large enough by the rule; the weakest that is not is dropped, and the rest tried again;
* a *nested* score leaves out one fold after another, makes the whole choice without it, and applies the
  recipe to it. That score, and `crossfit/`, come from tracks that had no say at all.

A recipe is the average of the fit on all its folds and of the fits without each of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as distributions

from abaw_submit import metrics
from abaw_submit.arrays import F32, F64
from abaw_submit.decisions import Decision
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.memory import memoize
from abaw_submit.postprocess.monotone import bend
from abaw_submit.postprocess.recipe import Processing, Recipe
from abaw_submit.postprocess.score_table import Folds, ScoreTable
from abaw_submit.postprocess.search import Adapter, Steps
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores

RULES = ("expected", "proven")
# these can hardly do harm, so that any gain is taken; the others have to show one beyond its standard error
CHEAP = frozenset({"ensemble", "smooth"})
GAIN_SPREAD = 0.02  # how the gain of such a step differs between corpora; see `Adapter.usual_gain`


@dataclass(frozen=True)
class Rule:
    """When a step is kept.

    Attributes:
        keep: "expected": if a step may be expected to gain, or, if it does not usually gain, for more
            than one bootstrap standard error. "proven": every step only if its gain is significant.
        error_rate: "proven": probability of keeping a step that gains nothing; one-sided.
        min_gain: gain in the official score that is wanted beyond that.
        resamples: bootstrap resamples over groups of tracks.
        seed: of the bootstrap.
    """

    keep: str = "expected"
    error_rate: float = 0.05
    min_gain: float = 0.0
    resamples: int = metrics.RESAMPLES
    seed: int = 0

    def wanted(self, usual: float | None, error: float, groups: int, folds: int) -> float:
        """The gain that a step must exceed, from the bootstrap's standard error of it.

        A step that usually gains stays where the usual gain and the measured one, each weighted by how sure
        it is, are above nothing together. The others, whose usual gain is None, must show theirs.

        The folds' fits share most of their tracks, so that their errors go together, which a bootstrap of the
        scored tracks cannot see; for "proven" the variance is enlarged for it (Nadeau and Bengio 2003).
        """
        if self.keep == "expected":
            return self.min_gain + (error if usual is None else -usual * (error / GAIN_SPREAD) ** 2)
        error *= np.sqrt(1 + folds / max(folds - 1, 1))
        return self.min_gain + float(distributions.t.ppf(1 - self.error_rate, max(groups - 1, 1))) * error


@dataclass(frozen=True)
class Gain:
    """What a step adds to the others, on tracks it was not fitted on.

    Attributes:
        step: its name.
        gain: score with it minus score without it.
        error: standard error of that difference, by bootstrap over groups.
        wanted: the gain from which on it is kept.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    step: str
    gain: float
    error: float
    wanted: float
    low: float
    high: float

    @property
    def kept(self) -> bool:
        """Whether the gain is large enough. A gain of exactly nothing never is."""
        return self.gain > self.wanted and self.gain > 1e-9


@dataclass
class Selection:
    """The outcome.

    Attributes:
        recipe: chosen on all tracks.
        fold_recipes: the recipe chosen without each fold.
        crossfit: scores of each track after the recipe chosen without its fold.
        tests: the gains that were tried in the choice on all tracks, in order.
    """

    recipe: Recipe
    fold_recipes: list[Recipe]
    crossfit: Scores
    tests: list[Gain]


class Selector:
    """The choice of a recipe by a rule.

    Args:
        search: the task's search.
        steps: steps wanted; those that mean nothing here are left out.
        rule: when a step is kept.
        average: whether a recipe averages the fits without each fold, or is one fit.
        monotone: VA: whether each fit ends in a monotone curve. The choice of steps is made without it; the
            nested score has it.
    """

    def __init__(
        self,
        search: Adapter,
        steps: Iterable[str],
        rule: Rule,
        average: bool = True,
        monotone: bool = False,
    ) -> None:
        wanted = set(steps)
        self.search, self.rule, self.average = search, rule, average
        self.table: ScoreTable = search.table
        self.monotone = monotone and search.table.task.decision is Decision.CLIP
        self.steps = tuple(s for s in search.steps() if s in wanted)
        self.all_folds = self.table.all_folds

    # ---- scores by fold sets -------------------------------------------------------------------------

    @memoize
    def cross_fitted(self, folds: Folds, steps: Steps) -> list[F64]:
        """Statistics per group of the tracks in some folds, each under a fit on the others; zero
        elsewhere."""
        out: list[F64] = []
        for inner, j in self.table.held_out_to_choose(folds):
            mine = self.table.tracks_in((j,))
            for g, stats in enumerate(self.stats(inner, steps)):
                if g == len(out):
                    out.append(np.zeros_like(stats))
                out[g][mine] = stats[mine]
        return out

    def stats(self, folds: Folds, steps: Steps) -> list[F64]:
        """Statistics per group of all tracks under the fit on some folds."""
        fitted = self.search.fitted(self.search.choose(folds, steps), folds)
        return [self.search.stats(g, columns, folds) for g, columns in enumerate(fitted)]

    def optimistic(self, steps: Steps) -> float:
        """Score of all tracks under the fit on all of them: what people report."""
        return float(np.mean([self.search.score(s.sum(axis=0)) for s in self.stats(self.all_folds, steps)]))

    def sampled(self, stats: Sequence[F64], folds: Folds) -> tuple[float, F64]:
        """Score and its bootstrap samples from statistics per group, over the tracks in some folds."""
        counts = self._counts(folds)
        points, samples = [], []
        for part in stats:
            points.append(float(self.search.score(part.sum(axis=0))))
            resampled = (counts @ part.reshape(len(part), -1)).reshape(-1, *part.shape[1:])
            samples.append(self.search.score(resampled))
        return float(np.mean(points)), np.asarray(np.mean(samples, axis=0))

    @memoize
    def _counts(self, folds: Folds) -> F64:
        """How often each resample has each track: with two groupings both are drawn."""
        mine = np.flatnonzero(self.table.tracks_in(folds))
        counts = np.zeros((self.rule.resamples, len(self.table.fold)))
        counts[:, mine] = 1.0
        for k, grouping in enumerate(self.table.groupings):
            groups = [grouping[t] for t in mine]
            counts[:, mine] *= metrics.bootstrap_counts(groups, self.rule.resamples, self.rule.seed + k)
        return counts

    @memoize
    def measured(self, folds: Folds, steps: Steps) -> tuple[float, F64]:
        """Cross-fitted score of a set of steps within some folds, and its bootstrap samples."""
        return self.sampled(self.cross_fitted(folds, steps), folds)

    def gain(self, folds: Folds, with_: Steps, without: Steps, step: str) -> Gain:
        """What a step adds: a set of steps with it against one without it."""
        here, there = self.measured(folds, with_), self.measured(folds, without)
        difference = here[1] - there[1]
        mine = self.table.tracks_in(folds)
        groups = min(len({g for g, m in zip(one, mine, strict=True) if m}) for one in self.table.groupings)
        error = float(difference.std(ddof=1)) * np.sqrt(groups / max(groups - 1, 1))
        low, high = metrics.interval(difference)
        usual = self.search.usual_gain if step in CHEAP | self.search.cheap_steps else None
        wanted = self.rule.wanted(usual, error, groups, len(self.table.leave_one(folds)))
        return Gain(step, here[0] - there[0], error, wanted, low, high)

    # ---- choosing ------------------------------------------------------------------------------------

    @memoize
    def choose(self, folds: Folds) -> tuple[Steps, list[Gain]]:
        """The steps that earn their place on some folds, and every gain that was tried."""
        late = self.search.late_steps
        steps, tried = frozenset(self.steps) - set(late), []
        while steps:
            gains = [self.gain(folds, steps, steps - {s}, s) for s in self.steps if s in steps]
            tried += gains
            failed = [g for g in gains if not g.kept]
            if not failed:
                break
            steps = steps - {min(failed, key=lambda g: (g.gain - g.wanted) / max(g.error, 1e-12)).step}
        for step in (s for s in self.steps if s in late):
            instead = steps - late[step] | {step}
            tried.append(self.gain(folds, instead, steps, step))
            steps = instead if tried[-1].kept else steps
        return steps, tried

    def recipe(
        self, folds: Folds, steps: Steps, allowed: tuple[int, ...] | None = None, **more: Any
    ) -> Recipe:
        """The recipe of some steps from some folds alone.

        Args:
            folds: folds that may be looked at.
            steps: steps to use.
            allowed: filters to choose from, by place; None: all.
            more: fields of the recipe, such as `min_run_rows`.
        """
        kept = tuple(s for s in self.steps if s in steps)
        sets = [folds, *(self.table.leave_one(folds) if self.average and kept else [])]
        averaged: list[Processing] = [
            self.search.processing(self.search.choose(part, steps, allowed), part) for part in sets
        ]
        if self.monotone:
            averaged = [bend(one, self.table, part) for one, part in zip(averaged, sets, strict=True)]
        table = self.table
        return Recipe(table.task.name, table.members, tuple(averaged), kept, rate_hz=table.rate_hz, **more)

    def nested(self, members: dict[str, Scores], recipes: Sequence[Recipe]) -> Scores:
        """Scores of each track after the recipe of its fold.

        Args:
            members: the scores themselves, to apply the recipes to.
            recipes: one per fold.
        """
        out: dict[str, F32] = {}
        for k, recipe in enumerate(recipes):
            mine = [t for t, j in zip(self.table.names, self.table.fold, strict=True) if j == k]
            parts = {m: Scores(s.task, {t: s[t] for t in mine}) for m, s in members.items()}
            out.update(apply_recipe(recipe, parts).tracks)
        return Scores(self.table.task, dict(sorted(out.items())))

    def run(self, members: dict[str, Scores], progress: Progress = quiet, **more: Any) -> Selection:
        """Choose on all tracks, and once without each fold.

        Args:
            members: the scores themselves, to apply the recipes to.
            progress: wraps the folds.
            more: fields of the recipes, such as `min_run_rows`.
        """
        rests = {j: rest for rest, j in self.table.held_out(self.all_folds)}
        found = []
        for k in progress(self.all_folds, label="folds"):
            found.append(self.recipe(rests[k], self.choose(rests[k])[0], **more))
        steps, tests = self.choose(self.all_folds)
        chosen = self.recipe(self.all_folds, steps, **more)
        return Selection(chosen, found, self.nested(members, found), tests)

    def every_set(self) -> list[Steps]:
        """All sets of steps, smallest first: the candidates of the report."""
        number = range(len(self.steps) + 1)
        return [frozenset(c) for n in number for c in itertools.combinations(self.steps, n)]


def row_statistics(table: ScoreTable, scores: Scores) -> F64:
    """Statistics per track of scores under the default decision, from the rows themselves."""
    parts = []
    for k, track in enumerate(table.names):
        rows = slice(table.starts[k], table.starts[k + 1])
        labels = decide(table.task, scores[track])
        parts.append(metrics.statistics(table.task, table.truth[rows], labels, table.valid[rows]))
    return np.stack(parts)
