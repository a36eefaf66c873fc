"""Where the parts of a run lie, and which of them are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.layout import ENCODER, MODEL, OFFICIAL, TEST_SCORES, VALIDATION_SCORES, VISUAL, Layout
from abaw_submit.store import read_record
from abaw_submit.tasks import TASKS, Task
from abaw_submit.textfile import read_json, read_own_json

SYSTEMS = {"single-frame head": ENCODER, "TMF, picture only": VISUAL, "TMF": MODEL}


@dataclass(frozen=True)
class TaskRun:
    """The files of one task in a run; lists are in fold order and empty where nothing was made.

    Attributes:
        task: the task.
        frame: out-of-fold scores of the single-frame head, one file a fold.
        tmf: out-of-fold scores of the TMF.
        visual: out-of-fold scores of the TMF without sound, if it was trained.
        folds: the TMF's checkpoint folders.
        official: the official split's own validation scores: name of the system -> file.
        tests: test scores of the TMF: name of the fold -> file.
        test: test scores of all folds together, after the recipe, or None.
        recipe: folder of `select`, or None.
        plan: what `plan` wrote about its candidates, or None.
        zip: the submission's zip, or None.
    """

    task: Task
    frame: list[Path]
    tmf: list[Path]
    visual: list[Path]
    folds: list[Path]
    official: dict[str, Path]
    tests: dict[str, Path]
    test: Path | None
    recipe: Path | None
    plan: Path | None
    zip: Path | None


@dataclass(frozen=True)
class Run:
    """A run: where its files lie, and its tasks."""

    layout: Layout
    tasks: list[TaskRun]

    @property
    def name(self) -> str:
        """The run's name."""
        return self.layout.name

    @property
    def work(self) -> Path:
        """What was made on the way."""
        return self.layout.work

    @property
    def checkpoints(self) -> Path:
        """Its networks."""
        return self.layout.checkpoints

    @property
    def crops(self) -> dict[str, Any] | None:
        """The record of the crops."""
        return read_record(self.layout.crops)


def find_run(run: Path | str) -> Run:
    """A run, with whatever of it is there.

    Args:
        run: its work folder, or its name, for a run below the current folder.

    Raises:
        UserError: there is nothing of a run.
    """
    work = Path(run) if Path(run).is_dir() else Layout(str(run)).work
    layout = Layout.of_work(work.resolve())
    tasks = [_task_run(task, layout) for task in TASKS.values()]
    found = [t for t in tasks if t.tmf or t.frame or t.zip or t.recipe]
    if not found:
        others = sorted(path.name for path in layout.checkpoints.parent.glob("*/") if path.is_dir())
        there = f"Runs there: {', '.join(others[:6])}." if others else "No run was made there."
        raise UserError(
            f"Nothing of run {layout.name}: no scores under {layout.checkpoints} and no zip under"
            f" {layout.submissions}.\n{there} Give a run's name, or its work folder, such as work/demo."
        )
    return Run(layout, found)


def annotations_of(run: Run) -> Path | None:
    """The annotations that the run's recipes were chosen by, as their records say; None if they are gone."""
    for task in run.tasks:
        record = read_record(task.recipe) if task.recipe is not None else None
        truth = Path(record["inputs"][-1]["path"]) if record is not None and record["inputs"] else None
        if truth is not None and truth.is_dir():
            return truth
    return None


def _task_run(task: Task, layout: Layout) -> TaskRun:
    here, recipe = layout.checkpoints / task.key, layout.recipe(task.key)
    packed, test = layout.zip(task.key), layout.scores(task.key)
    return TaskRun(
        task,
        layout.validation_scores(task.key, ENCODER),
        layout.validation_scores(task.key, MODEL),
        layout.validation_scores(task.key, VISUAL),
        layout.trained_folds(task.key),
        {
            name: path
            for name, kind in SYSTEMS.items()
            if (path := here / f"{kind}_{OFFICIAL}" / VALIDATION_SCORES).is_file()
        },
        {p.parent.name.partition("_")[2]: p for p in layout.of_folds(task.key, MODEL, TEST_SCORES)},
        test if test.is_file() else None,
        recipe if (recipe / "selection.json").is_file() else None,
        _plan(layout, task),
        packed if packed.is_file() else None,
    )


def _plan(layout: Layout, task: Task) -> Path | None:
    """The plan of a task, wherever in the run's folders it was written."""
    for path in sorted([*layout.work.glob("**/plan.json"), *layout.submissions.glob("**/plan.json")]):
        value = read_own_json(path, dict[str, Any])
        if value is not None and value.get("task") == task.name and "candidates" in value:
            return path
    return None


def selection(run: TaskRun) -> dict[str, Any] | None:
    """What `select` wrote about its candidates, or None."""
    if run.recipe is None:
        return None
    value: dict[str, Any] = read_json(run.recipe / "selection.json", dict[str, Any])
    return value
