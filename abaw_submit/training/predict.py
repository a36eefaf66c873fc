"""The stage `predict`: scores of a trained fold, or of several over one reading of what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from abaw_submit.arrays import F16, F32
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.errors import UserError
from abaw_submit.features.cache import FeatureFile, read_features
from abaw_submit.layout import part_file
from abaw_submit.models.device import pick_device
from abaw_submit.scores.files import score_writer
from abaw_submit.store import Stage
from abaw_submit.tasks import Task, part_slices
from abaw_submit.training.fold import labels_of
from abaw_submit.training.scoring import predict_tracks
from abaw_submit.training.table import TrackFeatures
from abaw_submit.training.tmf import load_sequence
from abaw_submit.training.tracks import absent_tracks


@dataclass(frozen=True)
class Prediction:
    """One trained fold and where its scores go.

    Attributes:
        checkpoint: a folder that `train` made.
        features: features folders, as in training and in that order.
        out: the scores to write (`.h5`, or a folder of text files); of MTL, OUT_va.h5 and so on.
    """

    checkpoint: Path
    features: tuple[Path, ...]
    out: Path


def predict(
    checkpoint: Path, features: tuple[Path, ...], tracks: Path, out: Path, *, device: str | None = None
) -> tuple[Task, int] | None:
    """Scores of a trained fold for any tracks that have its features.

    Args:
        checkpoint: a folder that `train` made.
        features: features folders, as in training and in that order.
        tracks: a template, or a list of tracks.
        out: the scores to write (`.h5`, or a folder of text files); of MTL, OUT_va.h5 and so on.
        device: "cpu" or "cuda"; None takes what there is.

    Returns:
        The task and the rows written, or None if all was done before.

    Raises:
        UserError: no checkpoint, other features than in training, or rows that do not fit.
    """
    return predict_several([Prediction(checkpoint, features, out)], tracks, device=device)[0]


def predict_several(
    wanted: Sequence[Prediction], tracks: Path, *, device: str | None = None
) -> list[tuple[Task, int] | None]:
    """Scores of several folds, each track's features read once for all that share them.

    Tracks are written as they come, in name order; memory holds one of them. Each fold's scores have the
    bytes that they would have if it had been predicted alone.

    Args:
        wanted: the folds and where their scores go.
        tracks: a template, or a list of tracks.
        device: "cpu" or "cuda"; None takes what there is.

    Returns:
        For each the task and the rows written, or None if it was done before.

    Raises:
        UserError: as `predict`.
    """
    stages = [
        Stage("predict", w.out, settings={}, inputs=[w.checkpoint, *w.features, tracks]) for w in wanted
    ]
    results: list[tuple[Task, int] | None] = [None] * len(wanted)
    place = pick_device(device or "auto")
    # one track of each folder is kept, so that the next fold finds it
    folders = {folder for w in wanted for folder in w.features}
    read = lru_cache(maxsize=len(folders))(read_features)
    with ExitStack() as owned:
        with ExitStack() as opened:
            runs = {
                k: _Fold(wanted[k], owned.enter_context(stages[k]), tracks, place, read, opened)
                for k in sorted(range(len(wanted)), key=lambda k: str(wanted[k].out.absolute()))
                if not stages[k].done()
            }
            todo = list(runs.values())
            while todo:
                todo = [fold for fold in todo if fold.next_track()]
        for k, fold in runs.items():
            results[k] = fold.finish()
    return results


class _Fold:
    """One fold's prediction as it runs."""

    def __init__(
        self,
        wanted: Prediction,
        stage: Stage,
        tracks: Path,
        device: torch.device,
        read: Callable[[Path], FeatureFile],
        opened: ExitStack,
    ) -> None:
        self.stage, self.rows = stage, 0
        model, config = load_sequence(wanted.checkpoint)
        self.task: Task = model.task
        rows = read_tracks(tracks, model.task)
        for track in absent_tracks(wanted.features, rows):
            del rows[track]  # `format` will ask for it
        if not rows:
            raise UserError("No track to read features of.")
        reader = TrackFeatures(wanted.features, next(iter(rows)), read)
        _refuse_other_features(wanted.checkpoint, config, reader)
        mean = model.mean.numpy().copy()
        trained = config["train"]
        self._scores = predict_tracks(
            model.to(device),
            _values(reader, rows, mean),
            trained["clip_rows"],
            device,
            trained.get("stride_rows", 0),  # not there in older checkpoints
        )
        self.parts = []
        attributes = {"subset": "test", "fold": str(trained["fold"]), "fingerprint": stage.fingerprint}
        attributes |= labels_of(self.task)
        for part, columns, _ in part_slices(self.task):
            out = wanted.out
            path = out if len(self.task.parts) == 1 else out.with_name(part_file(out.name, part))
            write = opened.enter_context(score_writer(path, part, attributes))
            self.parts.append((path, columns, write))

    def next_track(self) -> bool:
        """Predict and write one more track; False if there is none."""
        for track, scores in self._scores:
            for _, columns, write in self.parts:
                write(track, scores[:, columns])
            self.rows += len(scores)
            return True
        return False

    def finish(self) -> tuple[Task, int]:
        """Note the files, once they are closed: the task and the rows written."""
        for path, _, _ in self.parts:
            self.stage.output(path)
            self.stage.count(f"rows in {path.name}", self.rows)
        return self.task, self.rows


def _refuse_other_features(checkpoint: Path, config: dict[str, Any], reader: TrackFeatures) -> None:
    found: list[list[Any]] = [[s.extractor for s in reader.sources], [s.dim for s in reader.sources]]
    wanted = [config["features"]["extractors"], config["features"]["dims"]]
    if found != wanted:
        raise UserError(
            f"{checkpoint} was trained on features {_named(wanted)};\nfound {_named(found)}."
            " Give the same --features in the same order."
        )


def _named(pairs: list[list[Any]]) -> str:
    return " + ".join(f"{name} ({dim})" for name, dim in zip(*pairs, strict=True))


def _values(reader: TrackFeatures, rows: Mapping[str, int | None], mean: F32) -> Iterator[tuple[str, F16]]:
    for track in sorted(rows):
        yield track, reader.read(track, rows[track]).filled(mean)
