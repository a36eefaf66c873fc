"""The five candidates of a plan, scored on tracks that had no say, and compared on the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit import metrics
from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.layout import OFFICIAL
from abaw_submit.planning.agreement import agreement_table, rows_changed, test_labels
from abaw_submit.planning.fold_scores import FoldScores
from abaw_submit.planning.ideas import DIAGNOSIS, IDEAS, Idea, recipe_of
from abaw_submit.planning.settings import PlanSettings
from abaw_submit.postprocess import pools
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.ensemble import average_folds
from abaw_submit.postprocess.recipe import Recipe, identity_recipe
from abaw_submit.postprocess.score_table import ScoreTable, build, groupings
from abaw_submit.postprocess.selection import Rule, Selector
from abaw_submit.postprocess.settings import STEPS
from abaw_submit.postprocess.stages import Truth, make_search
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import Task


@dataclass(frozen=True)
class Step:
    """What a candidate adds to the first, on the tracks that both are scored on.

    Attributes:
        against: the other's name.
        gain: difference of the cross-fitted scores.
        low, high: its 95 % interval, by bootstrap over groups of tracks, paired.
        tracks: tracks compared.
    """

    against: str
    gain: float
    low: float
    high: float
    tracks: int


@dataclass(frozen=True)
class Candidate:
    """One submission of a plan.

    Attributes:
        number: 1 to 5.
        idea: what it is.
        recipe: its post-processing.
        test: its scores of the test tracks.
        score: its cross-fitted official score, with intervals.
        gain: against the first candidate; None for the first.
        rows_changed: test rows whose labels differ from the first's.
        same_as: an earlier candidate with the same labels everywhere; "" if there is none.
        zip_name: the file to submit.
    """

    number: int
    idea: Idea
    recipe: Recipe
    test: Scores
    score: metrics.Score
    gain: Step | None
    rows_changed: int
    same_as: str
    zip_name: str


@dataclass(frozen=True)
class Plan:
    """All of them, and how they agree on the test rows: (candidates, candidates)."""

    task: Task
    rows: int
    candidates: list[Candidate]
    agreement: F64


def build_plan(
    task: Task,
    members: Mapping[str, list[FoldScores]],
    annotations: Mapping[str, Annotation],
    rows: Mapping[str, int],
    settings: PlanSettings,
    progress: Progress = quiet,
) -> Plan:
    """Build and compare the candidates; nothing is written.

    Args:
        task: the task.
        members: per member its folds, at least two of cross-validation; one may be of the official split.
        annotations: truth by track; tracks without out-of-fold scores are ignored.
        rows: the test rows to submit by track.
        settings: of fitting and scoring.
        progress: wraps the candidates.

    Raises:
        UserError: a diagnosis is asked for without an official split's fold.
    """
    truth = {track: (a.values, a.valid) for track, a in annotations.items()}
    out_of_fold = {
        m: average_folds([f.validation for f in f_ if f.name != OFFICIAL]) for m, f_ in members.items()
    }
    test = {m: average_folds([f.test for f in folds]) for m, folds in members.items()}
    selector = make_selector(task, out_of_fold, truth, settings)
    table = selector.table
    known = {m: Scores(task, {t: s[t] for t in table.names}) for m, s in out_of_fold.items()}
    rests = {j: rest for rest, j in table.held_out(selector.all_folds)}
    ideas = [*IDEAS[:4], DIAGNOSIS if settings.diagnose else IDEAS[4]]
    candidates: list[Candidate] = []
    stats: list[dict[str, F64]] = []
    labels: list[npt.NDArray[np.generic]] = []
    for number, idea in enumerate(progress(ideas, label="candidates"), start=1):
        recipe = recipe_of(selector, idea, selector.all_folds)
        if idea is DIAGNOSIS:
            recipe, scored, submitted = _alone(task, members)
        else:
            fold_recipes = [recipe_of(selector, idea, rests[k]) for k in selector.all_folds]
            scored, submitted = selector.nested(known, fold_recipes), apply_recipe(recipe, test)
        stats.append(_statistics(task, scored, truth))
        labels.append(test_labels(submitted, rows))
        same = [c.idea.name for c, other in zip(candidates, labels, strict=False) if _same(other, labels[-1])]
        step = _step(task, ideas[0].name, stats[-1], stats[0], table, settings) if candidates else None
        candidates.append(
            Candidate(
                number,
                idea,
                recipe,
                Scores(task, {track: submitted[track] for track in rows}),
                _score(task, stats[-1], table, settings),
                step,
                rows_changed(task, labels[0], labels[-1]),
                same[0] if same else "",
                f"{number}_{idea.name}.zip",
            )
        )
    return Plan(task, sum(rows.values()), candidates, agreement_table(task, labels))


def make_selector(
    task: Task, out_of_fold: Mapping[str, Scores], truth: Truth, settings: PlanSettings
) -> Selector:
    """The same choice as `select` makes."""
    key = groupings(settings.group)
    table = build(
        task, out_of_fold, truth, folds=settings.crossfit_folds, group=key, rate_hz=settings.rate_hz
    )
    rule = Rule(resamples=settings.resamples, seed=settings.seed)
    shared = pools.candidates(pools.AUTO, settings.group, table.names)
    return Selector(make_search(table, settings.filters, pools=shared), STEPS, rule)


def _alone(task: Task, members: Mapping[str, list[FoldScores]]) -> tuple[Recipe, Scores, Scores]:
    """The first member's model of the official split, and its own validation and test scores."""
    for name, folds in members.items():
        for fold in folds:
            if fold.name == OFFICIAL:
                return identity_recipe(task, [name]), fold.validation, fold.test
    raise UserError("--diagnose needs the scores of the official split: no member has fold_official.")


def _same(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> bool:
    return bool(np.array_equal(one, other))


def _statistics(task: Task, scores: Scores, truth: Truth) -> dict[str, F64]:
    """Sums of each annotated track, from which any score follows."""
    return {
        track: metrics.statistics(task, truth[track][0], decide(task, scores[track]), truth[track][1])
        for track in scores
        if track in truth and truth[track][1].any()
    }


def _score(task: Task, stats: dict[str, F64], table: ScoreTable, settings: PlanSettings) -> metrics.Score:
    names = sorted(stats)
    return metrics.score_of_statistics(
        task,
        np.stack([stats[track] for track in names]),
        resamples=settings.resamples,
        seed=settings.seed,
        groups=_groups(names, table, settings),
    )


def _groups(names: list[str], table: ScoreTable, settings: PlanSettings) -> list[str]:
    known = dict(zip(table.names, table.groups, strict=True))
    group = groupings(settings.group)[0]
    return [known.get(track) or group(track) for track in names]


def _step(
    task: Task,
    against: str,
    mine: dict[str, F64],
    before: dict[str, F64],
    table: ScoreTable,
    settings: PlanSettings,
) -> Step | None:
    """The paired difference on the tracks both have; None if there are none."""
    names = sorted(set(mine) & set(before))
    if not names:
        return None
    counts = metrics.bootstrap_counts(_groups(names, table, settings), settings.resamples, settings.seed)
    totals, samples = [], []
    for stats in (mine, before):
        stack = np.stack([stats[track] for track in names])
        totals.append(float(metrics.total(task, stack.sum(axis=0))))
        resampled = (counts @ stack.reshape(len(names), -1)).reshape(-1, *stack.shape[1:])
        samples.append(metrics.total(task, resampled))
    low, high = metrics.interval(samples[0] - samples[1])
    return Step(against, totals[0] - totals[1], low, high, len(names))
