"""Everything that a task's scores say against its truth: read once, then asked by the sections of the"
" page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from abaw_submit import metrics
from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation, read_annotation_set
from abaw_submit.report.find import TaskRun
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_member, read_scores
from abaw_submit.tasks import Task


@dataclass
class Results:
    """A task's out-of-fold scores and their truth.

    Attributes:
        task: the task.
        truth: annotations by track.
        raw: the TMF's out-of-fold scores, as they are.
        processed: after the recipe, which was chosen without the track; the raw ones if there is no recipe.
        has_recipe: whether they differ in meaning.
        fold_of: track -> fold that did not train on it.
        tracks: tracks with truth and scores, in name order.
    """

    task: Task
    truth: dict[str, Annotation]
    raw: Scores
    processed: Scores
    has_recipe: bool
    fold_of: dict[str, str]
    tracks: list[str] = field(default_factory=list)

    def statistics(self, scores: Scores, tracks: Iterable[str] | None = None) -> F64:
        """Sums per track of scores under the default decision, from which any score follows."""
        names = self.tracks if tracks is None else list(tracks)
        return np.stack([self._track(scores, t) for t in names])

    def _track(self, scores: Scores, track: str) -> F64:
        truth = self.truth[track]
        rows = min(len(truth.values), len(scores[track]))
        labels = decide(self.task, scores[track][:rows])
        return metrics.statistics(self.task, truth.values[:rows], labels, truth.valid[:rows])

    def pooled(self, scores: Scores) -> tuple[F64, F64]:
        """Truth (rows, label columns) and scores (rows, outputs) of all valid rows."""
        truths, values = [], []
        for track in self.tracks:
            truth = self.truth[track]
            rows = min(len(truth.values), len(scores[track]))
            keep = truth.valid[:rows]
            truths.append(truth.values[:rows][keep])
            values.append(scores[track][:rows][keep])
        return np.concatenate(truths).astype(np.float64), np.concatenate(values).astype(np.float64)

    def validation_tracks(self) -> list[str]:
        """Tracks of the official validation set that have scores."""
        return [t for t in self.tracks if self.truth[t].subset == "validation"]


def read_results(run: TaskRun, annotations: Path) -> Results | None:
    """The results of a task, or None if it has no out-of-fold scores.

    Args:
        run: the task's files.
        annotations: root of the official annotations.
    """
    if not run.tmf:
        return None
    raw, fold_of = read_member(run.tmf, run.task), {}
    for path in run.tmf:
        for track in read_scores(path, run.task):
            fold_of[track] = path.parent.name.rpartition("_")[2]
    crossfit = run.recipe / "crossfit" if run.recipe else None
    found = crossfit is not None and crossfit.exists()
    processed = read_member([crossfit], run.task) if crossfit is not None and found else raw
    truth = read_annotation_set(annotations, run.task)
    tracks = sorted(set(truth) & set(raw) & set(processed))
    tracks = [t for t in tracks if truth[t].valid.any()]
    return Results(run.task, truth, raw, processed, found, fold_of, tracks) if tracks else None
