"""Training and prediction of one fold's sequence model (the TMF: arXiv 2303.10849, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from abaw_submit.arrays import F32, F64, Index, Mask
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import WEIGHTS_NAME, read_config
from abaw_submit.models.losses import activate, class_weights, task_loss
from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.sequence.streams import Stream
from abaw_submit.models.settings import SequenceSize
from abaw_submit.models.weights.read import read_weights
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.tasks import Task, any_task, part_slices
from abaw_submit.training.clips import FeatureTable, clip_weights, epoch_clips, kind_of, overlapping_starts
from abaw_submit.training.fold import FoldInputs, FoldTraining, part_file
from abaw_submit.training.loop import SAVE_EVERY_S, Fit
from abaw_submit.training.outputs import official_score, save_scores
from abaw_submit.training.sampling import draw, row_weights
from abaw_submit.training.settings import TmfSettings
from abaw_submit.training.stage import run_training
from abaw_submit.training.tracks import absent_tracks, row_labels

_PREDICT_CLIPS = 64


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
        self.held_out = self._table(self.validation_rows)
        self.noise = torch.from_numpy(std) * self.settings.noise
        rows = [
            row_labels(self.division.train[t], int(n))
            for t, n in zip(self.table.tracks, np.diff(self.table.begin), strict=True)
        ]
        self.labels = np.concatenate([labels for labels, _ in rows])
        self.valid = np.concatenate([valid for _, valid in rows])
        if not self.valid.any():
            raise UserError(f"No training row has a valid {self.task.name} annotation.")
        self.often = self._row_weights()
        self.weights = torch.from_numpy(class_weights(self.labels, self.valid, self.task, self.often))
        return self.model

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

    def _row_weights(self) -> F64:
        """How often each row is to be seen; rows without a label have no say."""
        labelled: Mask = self.valid if self.valid.ndim == 1 else np.asarray(self.valid.any(axis=1))
        track = np.repeat(np.arange(len(self.table.tracks)), np.diff(self.table.begin))
        weights = np.zeros(len(labelled))
        weights[labelled] = row_weights(
            self.task, self.labels[labelled], track[labelled], self.settings.balance
        )
        return weights

    def loss(self, model: nn.Module, batch: Index, step: int, device: torch.device) -> Tensor:
        several = self.table.views > 1  # kept views of the crops: each clip is seen in one of them
        views = torch.randint(self.table.views, (len(batch),)).numpy() if several else None
        values, present, places = self.table.gather(batch, self.settings.clip_rows, views)
        features = torch.from_numpy(values).to(device)
        if self.settings.noise:
            features = features + torch.randn_like(features) * self.noise.to(device)
        real = present if self.valid.ndim == 1 else present[..., None]
        valid = torch.from_numpy(self.valid[places] & real).to(device)
        labels = torch.from_numpy(self.labels[places]).to(device)
        output = model(features, torch.from_numpy(present).to(device))
        if self.task.whole_videos:  # one output a clip; all its rows have the label of their video
            labels, valid = labels[:, :1], valid.any(1, keepdim=True)
        smoothing = self.settings.label_smoothing
        return task_loss(self.task, output.float(), labels, valid, self.weights.to(device), smoothing)

    def curves(self, epoch: int, model: nn.Module) -> dict[str, float]:
        scores = self._predict(self.held_out, self.model.mean.device)
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
        table = self.held_out if tracks == self.validation_rows else self._table(tracks)
        return self._predict(table, device)

    def finish(self, stage: Stage, done: Fit) -> None:
        super().finish(stage, done)
        self.note_weights(stage, self.weights)
        stage.count("training rows", self.items())

    def _table(self, tracks: Mapping[str, int | None]) -> FeatureTable:
        table = FeatureTable(self.files.sources, tracks, self.settings.cache_gib)
        table.fill_absent(self.mean)
        return table

    def _predict(self, table: FeatureTable, device: torch.device) -> dict[str, F32]:
        settings = self.settings
        return predict_table(self.model, table, settings.clip_rows, device, settings.stride_rows)


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
    stage = Stage("predict", out, settings={}, inputs=[checkpoint, *features, tracks])
    if stage.done():
        return None
    model, config = load_sequence(checkpoint)
    with stage:
        rows = read_tracks(tracks, model.task)
        for track in absent_tracks(features, rows):
            del rows[track]  # `format` will ask for it
        table = FeatureTable(features, rows)
        found: list[list[Any]] = [[s.extractor for s in table.sources], [s.dim for s in table.sources]]
        wanted = [config["features"]["extractors"], config["features"]["dims"]]
        if found != wanted:
            raise UserError(
                f"{checkpoint} was trained on features {_named(wanted)};\nfound {_named(found)}."
                " Give the same --features in the same order."
            )
        table.fill_absent(model.mean.numpy())
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        trained = config["train"]
        stride_rows = trained.get("stride_rows", 0)  # not there in older checkpoints
        scores = predict_table(model.to(place), table, trained["clip_rows"], place, stride_rows)
        fold = str(config["train"]["fold"])
        for part, columns, _ in part_slices(model.task):
            path = out if len(model.task.parts) == 1 else out.with_name(part_file(out.name, part))
            own = {track: values[:, columns] for track, values in scores.items()}
            save_scores(stage, path, part, own, subset="test", fold=fold)
    return model.task, sum(len(v) for v in scores.values())


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
    named = zip(config["features"]["extractors"], config["features"]["dims"], strict=True)
    streams = [Stream(extractor, dim, kind_of(extractor)) for extractor, dim in named]
    model = build_model(streams, any_task(config["train"]["task"]), SequenceSize(**sizes))
    model.load_state_dict(state)
    return model.eval(), config


@torch.no_grad()
def predict_table(
    model: SequenceNetwork, table: FeatureTable, clip_rows: int, device: torch.device, stride_rows: int = 0
) -> dict[str, F32]:
    """Scores of every row of every track: the weighted mean over clips that overlap.

    Args:
        model: in evaluation mode.
        table: the tracks' features.
        clip_rows: rows of a clip, as in training.
        device: where the model is.
        stride_rows: rows from one clip to the next; 0: half a clip.

    Returns:
        track -> (rows, outputs) float32.
    """
    scores = {}
    for index, track in enumerate(table.tracks):
        rows = table.rows_of(index)
        count = rows.stop - rows.start
        length = min(clip_rows, count)
        weights = clip_weights(length)[:, None]
        total = np.zeros((count, model.task.outputs), np.float64)
        divisor = np.zeros((count, 1), np.float64)
        clips: list[F32] = []
        starts = np.array(overlapping_starts(count, clip_rows, stride_rows), np.int64)
        for part in np.array_split(starts, -(-len(starts) // _PREDICT_CLIPS)):
            values, present, _ = table.gather(part + rows.start, length)
            output = model(torch.from_numpy(values).to(device), torch.from_numpy(present).to(device))
            if model.task.whole_videos:
                clips += list(activate(model.task, output).cpu().numpy())
                continue
            for start, clip in zip(part, activate(model.task, output).cpu().numpy(), strict=True):
                total[start : start + length] += clip * weights
                divisor[start : start + length] += weights
        if model.task.whole_videos:
            scores[track] = np.stack(clips).mean(0, dtype=np.float64).astype(np.float32)
        else:
            scores[track] = (total / divisor).astype(np.float32)
    return scores


def _named(pairs: list[list[Any]]) -> str:
    return " + ".join(f"{name} ({dim})" for name, dim in zip(*pairs, strict=True))
