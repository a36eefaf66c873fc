"""The five submissions a task allows: built, compared, scored honestly, and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit import metrics
from abaw_submit.corpus.annotations import Annotation, read_annotation_set
from abaw_submit.errors import UserError
from abaw_submit.postprocess.decide import decide
from abaw_submit.postprocess.ensemble import average_folds
from abaw_submit.postprocess.material import Material, build, grouping
from abaw_submit.postprocess.recipe import Recipe, nothing, write_recipe
from abaw_submit.postprocess.scores import Scores, write_scores
from abaw_submit.postprocess.smoothing import candidates as filters
from abaw_submit.store import Stage, write_json, write_text
from abaw_submit.submission.agreement import agreement_table, rows_changed, test_labels
from abaw_submit.submission.asked import Asked, asked_for
from abaw_submit.submission.candidates import IDEAS, MEMBER, Idea, apply_to_test, cross_fit, engine_for, fit
from abaw_submit.submission.foldscores import FoldScores, read_fold_scores
from abaw_submit.submission.format import format_files
from abaw_submit.submission.pack import pack
from abaw_submit.submission.planreport import plan_dict, plan_lines
from abaw_submit.submission.plansettings import PlanSettings
from abaw_submit.tasks import Task

Float = npt.NDArray[np.float64]
Progress = Callable[[Sequence[Idea]], Iterable[Idea]]
PLAN_JSON, PLAN_TEXT = "plan.json", "plan.md"


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
    agreement: Float


def make_plan(
    task: Task,
    fold_scores: Path,
    truth: Path,
    out: Path,
    *,
    template: Path | None = None,
    tracks: Path | None = None,
    edition: int | None = None,
    settings: PlanSettings | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """The stage: build the candidates, compare them, write and pack each.

    Args:
        task: the task.
        fold_scores: a task's checkpoints: `fold_<k>/` with validation and test scores.
        truth: official annotations of the validation tracks.
        out: folder for `<n>_<name>.zip`, the scores, the recipes, `plan.json` and `plan.md`.
        template: the rows to submit, in one file.
        tracks: a list of test tracks, for per-track editions.
        edition: whose headers.
        settings: of fitting and scoring.
        progress: wraps the candidates.

    Returns:
        The plan as lines of Markdown.

    Raises:
        UserError: scores, truth or template are missing or do not fit; problems found in a submission.
    """
    settings = settings or PlanSettings()
    official, folds = read_fold_scores(fold_scores, task)
    asked = asked_for(task.name, template, tracks)
    everything = [*folds, *([official] if official else [])]
    sources = [path for fold in everything for path in fold.paths]
    rows_source = template or tracks
    stage = Stage(
        "plan",
        out,
        settings={**dataclasses.asdict(settings), "task": task.name, "edition": edition},
        inputs=[*sources, truth, *([rows_source] if rows_source else [])],
    )
    if stage.done():
        return (out / PLAN_TEXT).read_text(encoding="utf-8").splitlines()
    with stage:
        annotations = read_annotation_set(truth, task)
        plan = build_plan(task, official, folds, annotations, _test_rows(asked, folds), settings, progress)
        for candidate in plan.candidates:
            for path in _write(candidate, out, everything, template, tracks, edition, asked):
                stage.output(path)
        lines = plan_lines(plan)
        write_text(out / PLAN_TEXT, "\n".join(lines) + "\n")
        write_json(out / PLAN_JSON, plan_dict(plan))
        stage.output(out / PLAN_TEXT)
        stage.output(out / PLAN_JSON)
        stage.count("candidates", len(plan.candidates))
        stage.count("rows", plan.rows)
    return lines


def _test_rows(asked: Asked, folds: list[FoldScores]) -> dict[str, int]:
    """The rows to submit; for a list of tracks as many as the scores have.

    Raises:
        UserError: a track that is asked for has no scores in some fold.
    """
    rows = {}
    for track, count in asked.tracks.items():
        lacking = [fold.name for fold in folds if track not in fold.test]
        if lacking:
            raise UserError(f"Track {track} has no test scores in fold {lacking[0]}. Predict it first.")
        rows[track] = len(folds[0].test[track]) if count is None else count
    return rows


def build_plan(
    task: Task,
    official: FoldScores | None,
    folds: list[FoldScores],
    annotations: Mapping[str, Annotation],
    rows: Mapping[str, int],
    settings: PlanSettings,
    progress: Progress | None = None,
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
    material = build(
        task,
        {MEMBER: out_of_fold},
        truth,
        folds=settings.crossfit_folds,
        group=grouping(settings.group),
        rate_hz=settings.rate_hz,
    )
    engine = engine_for(material, filters(settings.filters))
    parts = [fold.test for fold in [*folds, *([official] if official else [])]]
    single = official or folds[0]
    ideas = [IDEAS[0] if official else _first_fold(single), *IDEAS[1:]]
    candidates: list[Candidate] = []
    stats: list[dict[str, Float]] = []
    labels: list[npt.NDArray[np.generic]] = []
    for number, idea in enumerate(progress(ideas) if progress else ideas, start=1):
        if number == 1:
            recipe = nothing(task, [MEMBER])
            scored, test = single.validation, single.test
        else:
            recipe = fit(engine, tuple(range(material.folds)), idea)
            scored = cross_fit(engine, idea, out_of_fold) if idea.steps else out_of_fold
            test = apply_to_test(recipe, average_folds(parts, idea.restore))
        stats.append(_statistics(task, scored, truth))
        labels.append(test_labels(test, rows))
        same = [c.idea.name for c, other in zip(candidates, labels, strict=False) if _same(other, labels[-1])]
        gain = (
            _step(task, ideas[number - 2].name, stats[-1], stats[-2], material, settings)
            if candidates
            else None
        )
        candidates.append(
            Candidate(
                number,
                idea,
                recipe,
                Scores(task, {track: test[track] for track in rows}),
                _score(task, stats[-1], material, settings),
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
) -> dict[str, Float]:
    """Sums of each annotated track, from which any score follows."""
    return {
        track: metrics.statistics(task, truth[track][0], decide(task, scores[track]), truth[track][1])
        for track in scores
        if track in truth and truth[track][1].any()
    }


def _score(task: Task, stats: dict[str, Float], material: Material, settings: PlanSettings) -> metrics.Score:
    names = sorted(stats)
    return metrics.score_of_statistics(
        task,
        np.stack([stats[track] for track in names]),
        resamples=settings.resamples,
        seed=settings.seed,
        groups=_groups(names, material, settings),
    )


def _groups(names: list[str], material: Material, settings: PlanSettings) -> list[str]:
    known = dict(zip(material.names, material.groups, strict=True))
    group = grouping(settings.group)
    return [known.get(track) or group(track) for track in names]


def _step(
    task: Task,
    against: str,
    mine: dict[str, Float],
    before: dict[str, Float],
    material: Material,
    settings: PlanSettings,
) -> Step | None:
    """The paired difference on the tracks both have; None if there are none."""
    names = sorted(set(mine) & set(before))
    if not names:
        return None
    counts = metrics.bootstrap_counts(_groups(names, material, settings), settings.resamples, settings.seed)
    totals, samples = [], []
    for stats in (mine, before):
        stack = np.stack([stats[track] for track in names])
        totals.append(float(metrics.total(task, stack.sum(axis=0))))
        resampled = (counts @ stack.reshape(len(names), -1)).reshape(-1, *stack.shape[1:])
        samples.append(metrics.total(task, resampled))
    low, high = metrics.interval(samples[0] - samples[1])
    return Step(against, totals[0] - totals[1], low, high, len(names))


def _write(
    candidate: Candidate,
    out: Path,
    folds: list[FoldScores],
    template: Path | None,
    tracks: Path | None,
    edition: int | None,
    asked: Asked,
) -> list[Path]:
    """Write a candidate's recipe, scores, official files and zip, each with its record."""
    task = candidate.test.task
    stem = candidate.zip_name.removesuffix(".zip")
    recipe = out / "recipes" / f"{stem}.json"
    write_recipe(recipe, candidate.recipe)
    scores = out / "scores" / f"{stem}.h5"
    used = [fold.paths[1] for fold in folds]
    stage = Stage("plan-scores", scores, settings={"candidate": candidate.idea.name}, inputs=[recipe, *used])
    if not stage.done():
        with stage:
            write_scores(scores, candidate.test)
            stage.output(scores)
    official = out / (f"{stem}.txt" if template is not None else stem)
    format_files(task.name, [scores], official, template, tracks if template is None else None, edition)
    zip_path = out / candidate.zip_name
    pack([official], zip_path, task.name, asked, edition, template or tracks)
    return [recipe, scores, zip_path]
