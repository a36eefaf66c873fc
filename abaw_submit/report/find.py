"""Where the parts of a run lie, and which of them are there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.store import read_record
from abaw_submit.tasks import TASKS, Task


@dataclass(frozen=True)
class TaskRun:
    """The files of one task in a run; lists are in fold order and empty where nothing was made.

    Attributes:
        task: the task.
        frame: out-of-fold scores of the single-frame head, one file a fold.
        tmf: out-of-fold scores of the TMF.
        visual: out-of-fold scores of the TMF without sound, if it was trained.
        folds: the TMF's checkpoint folders.
        recipe: folder of `select`, or None.
        zip: the submission's zip, or None.
    """

    task: Task
    frame: list[Path]
    tmf: list[Path]
    visual: list[Path]
    folds: list[Path]
    recipe: Path | None
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
    return TaskRun(
        task,
        scores("encoder"),
        scores("fold"),
        scores("visual"),
        sorted(p.parent for p in here.glob("fold_*/record.json")),
        recipe if (recipe / "selection.json").is_file() else None,
        packed if packed.is_file() else None,
    )


def selection(run: TaskRun) -> dict[str, Any] | None:
    """What `select` wrote about its candidates, or None."""
    if run.recipe is None:
        return None
    value: dict[str, Any] = json.loads((run.recipe / "selection.json").read_text(encoding="utf-8"))
    return value
