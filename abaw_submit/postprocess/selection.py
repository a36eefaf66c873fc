"""Choosing a recipe without fooling oneself: nested, cross-fitted over groups of tracks.

Three levels, all on sums per fold:

* a *fit* sees some folds and gives the processing of each output (see `engine`);
* a *choice* sees some folds too, and decides which steps a fit may use: each step must earn its place on
  folds that the fit did not see, by more than its uncertainty, given the other steps; the weakest step that
  does not is dropped, and the rest tried again, until all that remain have earned theirs;
* a *nested* score leaves out one fold after another, makes the whole choice without it, and applies the
  recipe to it. That score, and `crossfit/`, come from tracks that had no say at all.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as distributions

from abaw_submit import metrics
from abaw_submit.arrays import F64
from abaw_submit.postprocess import recipe as recipes
from abaw_submit.postprocess.engine import Engine, Folds, held_out, memoize
from abaw_submit.postprocess.recipe import Column, Recipe
from abaw_submit.postprocess.score_table import ScoreTable
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores

Steps = frozenset[str]


@dataclass(frozen=True)
class Rule:
    """When a step is kept.

    Attributes:
        error_rate: probability of keeping a step that gains nothing; one-sided.
        min_gain: gain in the official score that is wanted beyond zero.
        resamples: bootstrap resamples over groups of tracks.
        seed: of the bootstrap.
    """

    error_rate: float = 0.05
    min_gain: float = 0.0
    resamples: int = metrics.RESAMPLES
    seed: int = 0


@dataclass(frozen=True)
class Gain:
    """What a step adds to the others, on tracks it was not fitted on.

    Attributes:
        step: its name.
        gain: score with it minus score without it.
        error: standard error of that difference, by bootstrap over groups, corrected for the overlap of the
            folds' training tracks.
        wanted: the gain from which on it is kept, at the rule's error rate.
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
        engine: the task's search.
        steps: steps wanted; those that mean nothing here are left out.
        rule: when a step is kept.
    """

    def __init__(self, engine: Engine, steps: Iterable[str], rule: Rule) -> None:
        wanted = set(steps)
        self.engine, self.rule = engine, rule
        self.table: ScoreTable = engine.table
        self.steps = tuple(s for s in engine.steps() if s in wanted)
        self.all_folds: Folds = tuple(range(self.table.folds))

    # ---- scores by fold sets -------------------------------------------------------------------------

    @memoize
    def cross_fitted(self, folds: Folds, steps: Steps, part: int) -> F64:
        """Statistics of the tracks in some folds, each under a fit on the others; zero elsewhere."""
        out: F64 | None = None
        for inner, j in held_out(folds):
            stats = self.engine.stats(part, self.engine.fit(part, inner, steps, None))
            mine = self.table.fold == j
            out = np.zeros_like(stats) if out is None else out
            out[mine] = stats[mine]
        assert out is not None  # there is at least one fold
        return out

    def optimistic(self, steps: Steps, part: int) -> F64:
        """Statistics of all tracks under the fit on all of them: what people report."""
        return self.engine.stats(part, self.engine.fit(part, self.all_folds, steps, None))

    def _samples(self, stats: Sequence[F64], folds: Folds) -> tuple[float, F64]:
        """Score and its bootstrap samples from statistics per part, over the tracks in some folds."""
        weight = 1.0 / len(stats)
        counts = self._counts(folds)
        point, samples = 0.0, np.zeros(self.rule.resamples)
        for part in stats:
            shape = part.shape[1:]
            point += weight * float(self.engine.score(part.sum(axis=0)))
            resampled = (counts @ part.reshape(len(part), -1)).reshape(-1, *shape)
            samples += weight * self.engine.score(resampled)
        return point, samples

    @memoize
    def _counts(self, folds: Folds) -> F64:
        mine = np.flatnonzero(np.isin(self.table.fold, folds))
        groups = [self.table.groups[k] for k in mine]
        counts = np.zeros((self.rule.resamples, len(self.table.fold)))
        counts[:, mine] = metrics.bootstrap_counts(groups, self.rule.resamples, self.rule.seed)
        return counts

    @memoize
    def measured(self, folds: Folds, steps: Steps) -> tuple[float, F64]:
        """Cross-fitted score of a set of steps within some folds, and its bootstrap samples."""
        parts = [self.cross_fitted(folds, steps, p) for p in range(self.engine.parts)]
        return self._samples(parts, folds)

    def gain(self, folds: Folds, with_: Steps, step: str) -> Gain:
        """What a step adds to the others of a set."""
        here, there = self.measured(folds, with_), self.measured(folds, with_ - {step})
        difference = here[1] - there[1]
        groups = {g for g, k in zip(self.table.groups, self.table.fold, strict=True) if k in folds}
        error = float(difference.std(ddof=1)) * np.sqrt(len(groups) / max(len(groups) - 1, 1))
        # the folds' fits share most of their tracks, so that their errors go together, which a bootstrap of
        # the scored tracks cannot see: Nadeau and Bengio (2003), as Bouckaert and Frank (2004) for folds
        error *= np.sqrt(1 + len(folds) / max(len(folds) - 1, 1))
        quantile = float(distributions.t.ppf(1 - self.rule.error_rate, max(len(groups) - 1, 1)))
        low, high = metrics.interval(difference)
        return Gain(step, here[0] - there[0], error, self.rule.min_gain + quantile * error, low, high)

    def probed(self, steps: Steps, pair: int) -> tuple[F64, tuple[float, F64]]:
        """A filter with everything else as in a set of steps: optimistic statistics summed per part are
        scored, and the cross-fitted score with its bootstrap samples."""
        engine, optimistic, crossed = self.engine, [], []
        for part in range(engine.parts):
            whole = engine.stats(part, engine.probe(part, self.all_folds, steps, pair))
            optimistic.append(float(engine.score(whole.sum(axis=0))))
            out = np.zeros_like(whole)
            for inner, j in held_out(self.all_folds):
                mine = self.table.fold == j
                out[mine] = engine.stats(part, engine.probe(part, inner, steps, pair))[mine]
            crossed.append(out)
        return np.asarray(np.mean(optimistic)), self._samples(crossed, self.all_folds)

    # ---- choosing ------------------------------------------------------------------------------------

    def choose(self, folds: Folds) -> tuple[Steps, list[Gain]]:
        """The steps that earn their place on some folds, and every gain that was tried."""
        steps, tried = frozenset(self.steps), []
        while steps:
            gains = [self.gain(folds, steps, s) for s in self.steps if s in steps]
            tried += gains
            failed = [g for g in gains if not g.kept]
            if not failed:
                break
            steps = steps - {min(failed, key=lambda g: (g.gain - g.wanted) / max(g.error, 1e-12)).step}
        return steps, tried

    def recipe(self, folds: Folds, steps: Steps, **more: Any) -> Recipe:
        """The recipe of a fit on some folds."""
        columns: list[Column] = []
        for part in range(self.engine.parts):
            columns += self.engine.fit(part, folds, steps, None)
        by_name: dict[str, Column] = dict(zip(self.table.task.columns, columns, strict=True))
        kept = tuple(s for s in self.steps if s in steps)
        return Recipe(
            self.table.task.name,
            self.table.members,
            by_name,
            kept,
            rate_hz=self.table.rate_hz,
            **more,
        )

    def run(
        self,
        members: dict[str, Scores],
        progress: Progress = quiet,
        **more: Any,
    ) -> Selection:
        """Choose on all tracks, and once without each fold.

        Args:
            members: the scores themselves, to apply the recipes to.
            progress: wraps the folds.
            more: fields of the recipes, such as `min_run_rows`.
        """
        crossfit: dict[str, Any] = {}
        fold_recipes = []
        for k in progress(self.all_folds, label="folds"):
            rest = tuple(j for j in self.all_folds if j != k)
            fold_recipe = self.recipe(rest, self.choose(rest)[0], **more)
            fold_recipes.append(fold_recipe)
            mine = [t for t, j in zip(self.table.names, self.table.fold, strict=True) if j == k]
            parts = {m: Scores(s.task, {t: s[t] for t in mine}) for m, s in members.items()}
            crossfit.update(recipes.apply_recipe(fold_recipe, parts).tracks)
        steps, tests = self.choose(self.all_folds)
        chosen = self.recipe(self.all_folds, steps, **more)
        return Selection(chosen, fold_recipes, Scores(self.table.task, dict(sorted(crossfit.items()))), tests)

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


def mean_recipe(recipe: Recipe) -> Recipe:
    """The same members, doing nothing with them but averaging."""
    return dataclasses.replace(recipes.nothing(recipe.task, recipe.members), rate_hz=recipe.rate_hz)
