"""What the trainings of one fold share: the fold's tracks, and the scores they leave behind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from abaw_submit.arrays import F32
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.multitask import is_union
from abaw_submit.corpus.tracklists import known_tests, read_tracks
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.errors import UserError
from abaw_submit.layout import TEST_SCORES, VALIDATION_SCORES, part_file
from abaw_submit.store import Stage
from abaw_submit.tasks import MORE_TASKS, MTL, MTL_PARTS, Task, part_slices
from abaw_submit.training.folds import group_tracks, read_splits
from abaw_submit.training.job import Fit
from abaw_submit.training.outputs import official_score, save_scores
from abaw_submit.training.stage import Training
from abaw_submit.training.tracks import absent_tracks, read_division
from abaw_submit.training.weights import write_weights_table

V = TypeVar("V")


@dataclass(frozen=True)
class FoldInputs:
    """The files that the training of a fold reads.

    Attributes:
        sources: features folders, concatenated per row in this order; or the one folder of crops.
        annotations: the official annotations.
        splits: the folds; None for the official split.
        fold: the fold's name.
        tracks: templates or lists of tracks to write test scores for.
        encoder: pre-trained weights (`load_encoder`) of a fine-tuning; None starts from random ones.
    """

    sources: tuple[Path, ...]
    annotations: Path
    splits: Path | None = None
    fold: str = "official"
    tracks: tuple[Path, ...] = ()
    encoder: str | None = None

    def paths(self) -> list[Path]:
        """Those that are files or folders."""
        weights = [Path(self.encoder)] if self.encoder and Path(self.encoder).exists() else []
        splits = [self.splits] if self.splits else []
        return [*self.sources, self.annotations, *splits, *weights, *self.tracks]


class FoldTraining(Training):
    """A training on the labelled tracks of one fold that scores its validation and test tracks.

    Validation labels are used for printed scores and curves alone, and the last epoch is kept, so nothing is
    chosen on them.

    Args:
        task: the task, whose own labels are all that is used (rule: uni-task).
        inputs: what is read.

    Attributes:
        score: the official score on the fold's validation tracks, once trained.
        absent: tracks that the stages before could not do; training and scores go without them.
    """

    def __init__(self, task: Task, inputs: FoldInputs) -> None:
        self.task, self.files = task, inputs
        self.label = f"{self.name} {task.name} fold {inputs.fold}"
        self.score: float | None = None

    def inputs(self) -> Sequence[Path]:
        return self.files.paths()

    def read(self) -> None:
        self.division = read_division(self.task, self.files.annotations, self.files.splits, self.files.fold)
        self.tests = {t: n for path in self.files.tracks for t, n in read_tracks(path, self.task).items()}
        if self.task is MTL and is_union(self.files.annotations):
            self._want_test_lists()
        if self.task.name in MORE_TASKS:
            self._refuse_test_tracks()
        division = self.division
        wanted = {*division.train, *division.validation, *self.tests}
        self.absent = absent_tracks(self.files.sources, wanted)
        if self.absent:
            self.division = replace(
                division, train=self._there(division.train), validation=self._there(division.validation)
            )
            self.tests = self._there(self.tests)
            if not self.division.train:
                raise UserError(f"None of the training tracks of fold {self.files.fold} could be made ready.")

    def _want_test_lists(self) -> None:
        """Without the test lists of every task nobody knows which tracks must not be trained on."""
        splits = self.files.splits
        given = max(known_tests(self.files.tracks), read_splits(splits).tests if splits else 0)
        if given < len(MTL_PARTS):
            raise UserError(
                f"{self.files.annotations} holds the labels of {len(MTL_PARTS)} tasks, and a track of one may"
                f" be a test track of another; tasks whose test tracks are known: {given}.\nGive those of all"
                " with --tracks, or make the folds with `split --task MTL --test … --test … --test …`."
            )

    def _refuse_test_tracks(self) -> None:
        """A track that one task labels may be a test track of another: its labels are not to be seen."""
        held_out = group_tracks(self.tests)
        both = [t for t in self.division.train if sibling_group(t) in held_out]
        if both:
            raise UserError(
                f"{len(both)} training tracks of fold {self.files.fold} are test tracks, or their siblings:"
                f" {', '.join(both[:5])}.\nMake the folds again with `split --task {self.task.name} --test`."
            )

    def _there(self, tracks: dict[str, V]) -> dict[str, V]:
        return {track: value for track, value in tracks.items() if track not in self.absent}

    @property
    def train_rows(self) -> dict[str, int | None]:
        """Rows by training track; None where the labels do not say (MTL lists name some rows, AH none)."""
        return self._rows(self.division.train)

    @property
    def validation_rows(self) -> dict[str, int | None]:
        """Rows by validation track, None likewise."""
        return self._rows(self.division.validation)

    def _rows(self, annotations: Mapping[str, Annotation]) -> dict[str, int | None]:
        known = self.task.name not in MORE_TASKS
        return {track: len(a.valid) if known else None for track, a in annotations.items()}

    @abstractmethod
    def predict(self, tracks: Mapping[str, int | None], label: str, device: torch.device) -> dict[str, F32]:
        """Scores (rows, outputs) of tracks, None rows where the sources may say how many."""

    def finish(self, stage: Stage, done: Fit) -> None:
        validation = self.predict(self.validation_rows, "score validation", done.device)
        self.score = official_score(self.task, self.division.validation, validation)
        done.history[-1].setdefault("validation", self.score)
        if self.absent:
            stage.count("tracks left out", len(self.absent))
        self._save(stage, VALIDATION_SCORES, validation, "validation")
        if self.tests:
            self._save(stage, TEST_SCORES, self.predict(self.tests, "score test", done.device), "test")

    def note_weights(self, stage: Stage, weights: Tensor) -> None:
        """The class weights beside the paper's, for the reader."""
        path = write_weights_table(stage.out, self.task, weights.cpu().numpy())
        if path is not None:
            stage.output(path)

    def _save(self, stage: Stage, name: str, scores: Mapping[str, F32], subset: str) -> None:
        """One file; of MTL one for each task."""
        more = labels_of(self.task)
        for part, columns, _ in part_slices(self.task):
            path = stage.out / (part_file(name, part) if more else name)
            own = {track: values[:, columns] for track, values in scores.items()}
            save_scores(stage, path, part, own, subset=subset, fold=self.files.fold, **more)


def labels_of(task: Task) -> dict[str, str]:
    """What the scores of a multi-task model say of themselves: whose labels it knows (rule: uni-task)."""
    return {"labels_of": " ".join(p.name for p in task.parts)} if len(task.parts) > 1 else {}
