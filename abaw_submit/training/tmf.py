"""Training of one fold's sequence model (the TMF: arXiv 2303.10849, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from abaw_submit.arrays import F16, F32, F64, Index, Mask
from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import WEIGHTS_NAME, read_config
from abaw_submit.models.losses import class_weights, task_loss
from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.sequence.streams import Stream
from abaw_submit.models.settings import SequenceSize
from abaw_submit.models.weights.read import read_weights
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.tasks import Task, any_task
from abaw_submit.training.clips import epoch_clips
from abaw_submit.training.fold import FoldInputs, FoldTraining
from abaw_submit.training.gather import ClipBatch, Clips
from abaw_submit.training.job import SAVE_EVERY_S, Fit
from abaw_submit.training.outputs import official_score
from abaw_submit.training.sampling import draw, row_weights
from abaw_submit.training.scoring import predict_tracks
from abaw_submit.training.settings import TmfSettings
from abaw_submit.training.stage import run_training
from abaw_submit.training.table import FeatureTable, TrackFeatures, kind_of
from abaw_submit.training.tracks import row_labels


class SequenceTraining(FoldTraining):
    """The sequence model of a fold.

    Args:
        task: the task.
        inputs: what is read; `sources` are the features folders.
        size: the network.
        settings: the training.
        progress: shows how far it is.
    """

    name = "train"

    def __init__(
        self, task: Task, inputs: FoldInputs, size: SequenceSize, settings: TmfSettings, progress: Progress
    ) -> None:
        super().__init__(task, inputs)
        self.size = size
        self.settings: TmfSettings = settings
        self.progress = progress
        self.title = f"{task.name} {size.model}, fold {inputs.fold}"
        self.held_out: FeatureTable | None = None
        self.scored: dict[str, F32] | None = None

    def identity(self) -> dict[str, Any]:
        return {"task": self.task.name, "fold": self.files.fold, "size": asdict(self.size)}

    def build(self) -> SequenceNetwork:
        self.table = FeatureTable(
            self.files.sources, self.train_rows, self.settings.cache_gib, with_views=True
        )
        self.mean, std = self.table.statistics()
        self.table.fill_absent(self.mean)
        self.model = build_model(self.table.streams, self.task, self.size)
        self.model.fit_standardisation(torch.from_numpy(self.mean), torch.from_numpy(std))
        rows = [
            row_labels(self.division.train[t], int(n))
            for t, n in zip(self.table.tracks, np.diff(self.table.begin), strict=True)
        ]
        labels = np.concatenate([labels for labels, _ in rows])
        valid = np.concatenate([valid for _, valid in rows])
        if not valid.any():
            raise UserError(f"No training row has a valid {self.task.name} annotation.")
        self.often = self._row_weights(labels, valid)
        self.weights = torch.from_numpy(class_weights(labels, valid, self.task, self.often))
        self.labels, self.valid = torch.from_numpy(labels), torch.from_numpy(valid)
        return self.model

    def prepare(self, device: torch.device) -> None:
        self.clips = Clips(self.table, self.settings.clip_rows, device)
        self.labels, self.valid = self.labels.to(device), self.valid.to(device)
        self.weights = self.weights.to(device)

    def items(self) -> int:
        return int(self.table.begin[-1])

    def order(self, epoch: int) -> Index:
        """First rows of clips, as they follow each other or drawn by the mean weight of their rows."""
        settings = self.settings
        starts = epoch_clips(self.table.begin, settings.clip_rows, settings.seed, epoch, settings.stride_rows)
        if settings.balance == "none":
            return starts
        sums = np.concatenate([[0.0], np.cumsum(self.often)])
        track = np.searchsorted(self.table.begin, starts, side="right")
        ends = np.minimum(starts + settings.clip_rows, self.table.begin[track])
        return starts[draw(sums[ends] - sums[starts], settings.seed, epoch)]

    def _row_weights(self, labels: F32, valid: Mask) -> F64:
        """How often each row is to be seen; rows without a label have no say."""
        labelled: Mask = valid if valid.ndim == 1 else np.asarray(valid.any(axis=1))
        track = np.repeat(np.arange(len(self.table.tracks)), np.diff(self.table.begin))
        weights = np.zeros(len(labelled))
        weights[labelled] = row_weights(self.task, labels[labelled], track[labelled], self.settings.balance)
        return weights

    def load(self, items: Index) -> ClipBatch:
        return self.clips.load(items)

    def outputs(
        self, model: nn.Module, batch: ClipBatch, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        several = self.table.views > 1  # kept views of the crops: each clip is seen in one of them
        views = torch.randint(self.table.views, (len(batch),)) if several else None
        features = self.clips.features(batch, views)
        real = batch.present if self.valid.ndim == 1 else batch.present[..., None]
        valid = self.valid[batch.places] & real
        labels = self.labels[batch.places]
        output = model(features, batch.present, batch.rows)
        if self.task.whole_videos:  # one output a clip; all its rows have the label of their video
            labels, valid = labels[:, :1], valid.any(1, keepdim=True)
        return output, labels, valid

    def objective(self, outputs: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        smoothing = self.settings.label_smoothing
        return task_loss(self.task, outputs, labels, valid, self.weights, smoothing)

    def curves(self, epoch: int, model: nn.Module) -> dict[str, float]:
        every, last = self.settings.curve_epochs, epoch + 1 == self.settings.last_epoch
        if not last and not (every and (epoch + 1) % every == 0):
            return {}
        scores = dict(self._held_out_scores(self.model.mean.device))
        self.scored = scores if last else None  # those of the weights that are kept
        return {"validation": official_score(self.task, self.division.validation, scores)}

    def state(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def config(self) -> dict[str, dict[str, Any]]:
        sources = self.table.sources
        return {
            "train": {"task": self.task.name, "fold": self.files.fold, **asdict(self.settings)},
            "sequence": asdict(self.size),
            "features": {"extractors": [s.extractor for s in sources], "dims": [s.dim for s in sources]},
        }

    def predict(self, tracks: Mapping[str, int | None], label: str, device: torch.device) -> dict[str, F32]:
        if tracks != self.validation_rows:
            reader = TrackFeatures(self.files.sources, self.table.tracks[0])
            values = ((track, reader.read(track, rows).filled(self.mean)) for track, rows in tracks.items())
            return dict(self._scores(values, device))
        if self.scored is None:  # a run that was stopped after its last epoch
            self.scored = dict(self._held_out_scores(device))
        return self.scored

    def finish(self, stage: Stage, done: Fit) -> None:
        super().finish(stage, done)
        self.note_weights(stage, self.weights)
        stage.count("training rows", self.items())

    def _held_out_scores(self, device: torch.device) -> Iterator[tuple[str, F32]]:
        if self.held_out is None:
            self.held_out = FeatureTable(self.files.sources, self.validation_rows, self.settings.cache_gib)
            self.held_out.fill_absent(self.mean)
        table = self.held_out
        return self._scores(((t, table.values_of(at)) for at, t in enumerate(table.tracks)), device)

    def _scores(self, tracks: Iterable[tuple[str, F16]], device: torch.device) -> Iterator[tuple[str, F32]]:
        settings = self.settings
        return predict_tracks(self.model, tracks, settings.clip_rows, device, settings.stride_rows)


def train(
    task: Task,
    inputs: FoldInputs,
    out: Path,
    *,
    size: SequenceSize,
    settings: TmfSettings,
    progress: Progress = quiet,
    save_every_s: float = SAVE_EVERY_S,
) -> float | None:
    """Train the sequence model of a fold; write its checkpoint, validation and test scores.

    Args:
        task: the task.
        inputs: what is read; `sources` are the features folders.
        out: the checkpoint folder to make.
        size: the network.
        settings: the training.
        progress: shows how far it is.
        save_every_s: seconds between two states to go on from.

    Returns:
        The score on the fold's validation tracks, or None if all was done before.

    Raises:
        UserError: missing features, folds or annotations, rows that do not fit, a loss that is not finite.
    """
    training = SequenceTraining(task, inputs, size, settings, progress)
    run_training(training, out, save_every_s=save_every_s)
    return training.score


def load_sequence(checkpoint: Path) -> tuple[SequenceNetwork, dict[str, Any]]:
    """A trained sequence model in evaluation mode, and its config.

    Raises:
        UserError: the folder is not a sequence model's checkpoint.
    """
    config = read_config(checkpoint)
    sizes = config.get("sequence") or config.get("tmf")  # "tmf": as written before other models came
    if sizes is None or not (checkpoint / WEIGHTS_NAME).is_file():
        raise UserError(f"{checkpoint} is not a checkpoint of `abaw-submit train`.")
    state = read_weights(checkpoint / WEIGHTS_NAME)
    try:
        named = zip(config["features"]["extractors"], config["features"]["dims"], strict=True)
        streams = [Stream(extractor, dim, kind_of(extractor)) for extractor, dim in named]
        model = build_model(streams, any_task(config["train"]["task"]), SequenceSize(**sizes))
        model.load_state_dict(state)
        trained = {"stride_rows": 0, "fold": "", **config["train"]}  # neither is in older checkpoints
        rows, stride = trained["clip_rows"], trained["stride_rows"]
        if not (type(rows) is type(stride) is int and rows > 0 <= stride):
            raise ValueError(f"clips of {rows} rows, {stride} apart")
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        text = " ".join(str(error).split())[:160]
        raise UserError(
            f"{checkpoint}: config.toml and {WEIGHTS_NAME} do not make a model ({text}). Train it again."
        ) from None
    return model.eval(), {**config, "train": trained}
