"""The five candidates of a plan, scored on tracks that had no say, and compared on the test rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit import metrics
from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.planning.agreement import agreement_table, rows_changed, test_labels
from abaw_submit.planning.fold_scores import FoldScores
from abaw_submit.planning.ideas import IDEAS, MEMBER, Idea, apply_to_test, cross_fit, engine_for, fit
from abaw_submit.planning.settings import PlanSettings
from abaw_submit.postprocess.ensemble import average_folds
from abaw_submit.postprocess.recipe import Recipe, nothing
from abaw_submit.postprocess.score_table import ScoreTable, build, grouping
from abaw_submit.postprocess.smoothing import candidates as filters
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import Task


@dataclass(frozen=True)
class Step:
    """What a candidate adds to the one before, on the tracks that both are scored on.

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
        gain: against the candidate before; None for the first.
        rows_changed: test rows whose labels differ from the mean's.
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
    official: FoldScores | None,
    folds: list[FoldScores],
    annotations: Mapping[str, Annotation],
    rows: Mapping[str, int],
    settings: PlanSettings,
    progress: Progress = quiet,
) -> Plan:
    """Build and compare the candidates; nothing is written.

    Args:
        task: the task.
        official: the fold of the official split; without one, the first fold takes its place.
        folds: the cross-validation folds, at least two.
        annotations: truth by track; tracks without out-of-fold scores are ignored.
        rows: the test rows to submit by track.
        settings: of fitting and scoring.
        progress: wraps the candidates.
    """
    truth = {track: (a.values, a.valid) for track, a in annotations.items()}
    out_of_fold = average_folds([fold.validation for fold in folds])
    table = build(
        task,
        {MEMBER: out_of_fold},
        truth,
        folds=settings.crossfit_folds,
        group=grouping(settings.group),
        rate_hz=settings.rate_hz,
    )
    engine = engine_for(table, filters(settings.filters))
    parts = [fold.test for fold in [*folds, *([official] if official else [])]]
    single = official or folds[0]
    ideas = [IDEAS[0] if official else _first_fold(single), *IDEAS[1:]]
    candidates: list[Candidate] = []
    stats: list[dict[str, F64]] = []
    labels: list[npt.NDArray[np.generic]] = []
    for number, idea in enumerate(progress(ideas, label="candidates"), start=1):
        if number == 1:
            recipe = nothing(task, [MEMBER])
            scored, test = single.validation, single.test
        else:
            recipe = fit(engine, tuple(range(table.folds)), idea)
            scored = cross_fit(engine, idea, out_of_fold) if idea.steps else out_of_fold
            test = apply_to_test(recipe, average_folds(parts, idea.restore))
        stats.append(_statistics(task, scored, truth))
        labels.append(test_labels(test, rows))
        same = [c.idea.name for c, other in zip(candidates, labels, strict=False) if _same(other, labels[-1])]
        gain = (
            _step(task, ideas[number - 2].name, stats[-1], stats[-2], table, settings) if candidates else None
        )
        candidates.append(
            Candidate(
                number,
                idea,
                recipe,
                Scores(task, {track: test[track] for track in rows}),
                _score(task, stats[-1], table, settings),
                gain,
                0,
                same[0] if same else "",
                f"{number}_{idea.name}.zip",
            )
        )
    changed = [rows_changed(task, labels[1], one) for one in labels]
    candidates = [
        dataclasses.replace(c, rows_changed=number) for c, number in zip(candidates, changed, strict=True)
    ]
    return Plan(task, sum(rows.values()), candidates, agreement_table(task, labels))


def _first_fold(fold: FoldScores) -> Idea:
    return dataclasses.replace(IDEAS[0], name="single", what=f"the model of fold {fold.name} alone")


def _same(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> bool:
    return bool(np.array_equal(one, other))


def _statistics(
    task: Task, scores: Scores, truth: Mapping[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]
) -> dict[str, F64]:
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
    group = grouping(settings.group)
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
