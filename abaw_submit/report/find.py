"""Where the parts of a run lie, and which of them are there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.store import read_record
from abaw_submit.tasks import TASKS, Task

VALIDATION = "scores_validation.h5"
SYSTEMS = {"single-frame head": "encoder", "TMF, picture only": "visual", "TMF": "fold"}


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
    """A run: its name, its work folder and its tasks."""

    name: str
    work: Path
    checkpoints: Path
    tasks: list[TaskRun]

    @property
    def crops(self) -> dict[str, Any] | None:
        """The record of the crops."""
        return read_record(self.work / "crops")


def find_run(work: Path) -> Run:
    """The run whose work folder is `work`, `<root>/work/<name>`; its checkpoints and submissions lie
    in `<root>/checkpoints/<name>` and `<root>/submissions/<name>`.

    Raises:
        UserError: there is nothing of a run.
    """
    work = work.resolve()
    root, name = work.parent.parent, work.name
    checkpoints, submissions = root / "checkpoints" / name, root / "submissions" / name
    tasks = [_task_run(task, work, checkpoints, submissions) for task in TASKS.values()]
    found = [t for t in tasks if t.tmf or t.frame or t.zip or t.recipe]
    if not found:
        raise UserError(
            f"Nothing of run {name} to report: no scores under {checkpoints} and no zip under"
            f" {submissions}.\nGive the run's work folder, for example --run work/demo."
        )
    return Run(name, work, checkpoints, found)


def _task_run(task: Task, work: Path, checkpoints: Path, submissions: Path) -> TaskRun:
    here = checkpoints / task.key

    def scores(kind: str) -> list[Path]:
        # the official split is one more model, not a fold: its validation tracks are in the folds too
        return sorted(here.glob(f"{kind}_[0-9]*/scores_validation.h5"))

    recipe, packed = work / task.key / "recipe", submissions / f"{task.name}.zip"
    test = work / task.key / "test_scores.h5"
    return TaskRun(
        task,
        scores("encoder"),
        scores("fold"),
        scores("visual"),
        sorted(p.parent for p in here.glob("fold_*/record.json")),
        {
            name: path
            for name, kind in SYSTEMS.items()
            if (path := here / f"{kind}_official" / VALIDATION).is_file()
        },
        {p.parent.name.partition("_")[2]: p for p in sorted(here.glob("fold_*/scores_test.h5"))},
        test if test.is_file() else None,
        recipe if (recipe / "selection.json").is_file() else None,
        _plan(work, submissions, task),
        packed if packed.is_file() else None,
    )


def _plan(work: Path, submissions: Path, task: Task) -> Path | None:
    """The plan of a task, wherever in the run's folders it was written."""
    for path in sorted([*work.glob("**/plan.json"), *submissions.glob("**/plan.json")]):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        if isinstance(value, dict) and value.get("task") == task.name and "candidates" in value:
            return path
    return None


def selection(run: TaskRun) -> dict[str, Any] | None:
    """What `select` wrote about its candidates, or None."""
    if run.recipe is None:
        return None
    value: dict[str, Any] = json.loads((run.recipe / "selection.json").read_text(encoding="utf-8"))
    return value
