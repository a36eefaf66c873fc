"""The five submissions a task allows: built, compared, scored honestly, and written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.errors import UserError
from abaw_submit.planning.compare import Candidate, build_plan
from abaw_submit.planning.fold_scores import FoldScores, read_fold_scores
from abaw_submit.planning.report import plan_dict, plan_lines
from abaw_submit.planning.settings import PlanSettings
from abaw_submit.postprocess.recipe_json import write_recipe
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import write_scores
from abaw_submit.store import Stage, write_json, write_text
from abaw_submit.submission.expected import ExpectedRows, expected_rows
from abaw_submit.submission.format import format_files
from abaw_submit.submission.pack import pack
from abaw_submit.tasks import Task

PLAN_JSON, PLAN_TEXT = "plan.json", "plan.md"


def make_plan(
    task: Task,
    fold_scores: Mapping[str, Path],
    truth: Path,
    out: Path,
    *,
    template: Path | None = None,
    tracks: Path | None = None,
    edition: int | None = None,
    settings: PlanSettings | None = None,
    progress: Progress = quiet,
) -> list[str]:
    """The stage: build the candidates, compare them, write and pack each.

    Args:
        task: the task.
        fold_scores: member -> a task's checkpoints: `fold_<k>/` with validation and test scores.
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
    members = {name: read_fold_scores(folder, task) for name, folder in sorted(fold_scores.items())}
    asked = expected_rows(task.name, template, tracks)
    everything = [fold for folds in members.values() for fold in folds]
    sources = [path for fold in everything for path in fold.paths]
    rows_source = template or tracks
    stage = Stage(
        "plan",
        out,
        settings={
            **dataclasses.asdict(settings),
            "task": task.name,
            "edition": edition,
            "members": {name: len(folds) for name, folds in members.items()},
        },
        inputs=[*sources, truth, *([rows_source] if rows_source else [])],
        recognises=lambda entry: (entry.parent / PLAN_JSON).is_file(),
    )
    if stage.done():
        return (out / PLAN_TEXT).read_text(encoding="utf-8").splitlines()
    with stage:
        annotations = read_annotation_set(truth, task)
        plan = build_plan(task, members, annotations, _test_rows(asked, everything), settings, progress)
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


def _test_rows(asked: ExpectedRows, folds: list[FoldScores]) -> dict[str, int]:
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


def _write(
    candidate: Candidate,
    out: Path,
    folds: list[FoldScores],
    template: Path | None,
    tracks: Path | None,
    edition: int | None,
    asked: ExpectedRows,
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
