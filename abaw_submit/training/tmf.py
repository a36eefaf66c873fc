"""Training and prediction of one fold's sequence model (the TMF: arXiv 2303.10849, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from abaw_submit.arrays import F32
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import (
    WEIGHTS_NAME,
    is_main_process,
    read_config,
    recognise,
    write_config,
    write_weights,
)
from abaw_submit.models.encoder import read_weights
from abaw_submit.models.losses import activate, class_weights, task_loss
from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.sequence.streams import Stream
from abaw_submit.models.settings import SequenceSize
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.tasks import Task, get_task
from abaw_submit.training.clips import FeatureTable, clip_weights, epoch_clips, kind_of, overlapping_starts
from abaw_submit.training.loop import SAVE_EVERY_S, Job, fit, seed_step
from abaw_submit.training.optim import parameter_groups
from abaw_submit.training.outputs import (
    TEST_NAME,
    VALIDATION_NAME,
    draw_curves,
    official_score,
    save_scores,
    write_history,
)
from abaw_submit.training.settings import TmfSettings
from abaw_submit.training.tracks import read_division, read_track_rows

_PREDICT_CLIPS = 64


@dataclass(frozen=True)
class Inputs:
    """The files a training reads.

    Attributes:
        features: features folders, concatenated per row in this order.
        annotations: the official annotations.
        splits: the folds; None for the official split.
        fold: the fold's name.
        tracks: templates or lists of tracks to write test scores for.
    """

    features: tuple[Path, ...]
    annotations: Path
    splits: Path | None = None
    fold: str = "official"
    tracks: tuple[Path, ...] = ()

    def paths(self) -> list[Path]:
        """All of them."""
        return [*self.features, self.annotations, *([self.splits] if self.splits else []), *self.tracks]


def train(
    task: Task,
    inputs: Inputs,
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
        inputs: what is read.
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
    plain = {k: v for k, v in asdict(settings).items() if k != "cache_gib"}
    stage = Stage(
        "train",
        out,
        settings={"task": task.name, "fold": inputs.fold, **plain, "size": asdict(size)},
        inputs=inputs.paths(),
        recognises=recognise,
    )
    if stage.done():
        return None
    division = read_division(task, inputs.annotations, inputs.splits, inputs.fold)
    tests = {t: rows for path in inputs.tracks for t, rows in read_track_rows(path).items()}
    with stage if is_main_process() else nullcontext():
        table = FeatureTable(inputs.features, _rows(division.train), settings.cache_gib)
        mean, std = table.statistics()
        table.fill_absent(mean)
        seed_step(settings.seed, 0)
        model = build_model(table.streams, task, size)
        model.fit_standardisation(torch.from_numpy(mean), torch.from_numpy(std))
        held_out = FeatureTable(inputs.features, _rows(division.validation), settings.cache_gib)
        held_out.fill_absent(mean)

        def curves(epoch: int, network: nn.Module) -> dict[str, float]:
            if not isinstance(network, SequenceNetwork):
                raise TypeError(type(network).__name__)
            device = network.mean.device
            scores = predict_table(network, held_out, settings.clip_rows, device, settings.stride_rows)
            return {"validation": official_score(task, division.validation, scores)}

        job = Job(
            model,
            parameter_groups(model, settings),
            lambda epoch: epoch_clips(
                table.begin, settings.clip_rows, settings.seed, epoch, settings.stride_rows
            ),
            _Loss(task, table, division.train, settings, std),
            out,
            stage.fingerprint,
            curves=curves,
            label=f"train {task.name} fold {inputs.fold}",
            progress=progress,
            save_every_s=save_every_s,
        )
        done = fit(job, settings)
        if not is_main_process():
            return None
        model.load_state_dict(done.weights)
        model.to(done.device).eval()
        stage.output(write_weights(out, model.state_dict()))
        stage.output(
            write_config(
                out,
                {
                    "train": {"task": task.name, "fold": inputs.fold, **asdict(settings)},
                    "sequence": asdict(size),
                    "features": {
                        "extractors": [s.extractor for s in table.sources],
                        "dims": [s.dim for s in table.sources],
                    },
                },
            )
        )
        stage.output(write_history(out, done.history))
        stage.output(draw_curves(out, done.history, f"{task.name} {size.model}, fold {inputs.fold}"))
        validation = predict_table(model, held_out, settings.clip_rows, done.device, settings.stride_rows)
        save_scores(stage, out / VALIDATION_NAME, task, validation, subset="validation", fold=inputs.fold)
        if tests:
            test_table = FeatureTable(inputs.features, tests, settings.cache_gib)
            test_table.fill_absent(mean)
            test = predict_table(model, test_table, settings.clip_rows, done.device, settings.stride_rows)
            save_scores(stage, out / TEST_NAME, task, test, subset="test", fold=inputs.fold)
        stage.count("training rows", int(table.begin[-1]))
    return official_score(task, division.validation, validation)


def predict(
    checkpoint: Path, features: tuple[Path, ...], tracks: Path, out: Path, *, device: str | None = None
) -> tuple[Task, int] | None:
    """Scores of a trained fold for any tracks that have its features.

    Args:
        checkpoint: a folder that `train` made.
        features: features folders, as in training and in that order.
        tracks: a template, or a list of tracks.
        out: the scores to write (`.h5`, or a folder of text files).
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
        table = FeatureTable(features, read_track_rows(tracks))
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
        save_scores(stage, out, model.task, scores, subset="test", fold=fold)
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
    model = build_model(streams, get_task(config["train"]["task"]), SequenceSize(**sizes))
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
        starts = np.array(overlapping_starts(count, clip_rows, stride_rows), np.int64)
        for part in np.array_split(starts, -(-len(starts) // _PREDICT_CLIPS)):
            values, present, _ = table.gather(part + rows.start, length)
            output = model(torch.from_numpy(values).to(device), torch.from_numpy(present).to(device))
            for start, clip in zip(part, activate(model.task, output).cpu().numpy(), strict=True):
                total[start : start + length] += clip * weights
                divisor[start : start + length] += weights
        scores[track] = (total / divisor).astype(np.float32)
    return scores


class _Loss:
    """The loss of some clips of the training tracks."""

    def __init__(
        self,
        task: Task,
        table: FeatureTable,
        train: Mapping[str, Annotation],
        settings: TmfSettings,
        std: F32,
    ) -> None:
        self.task, self.table, self.settings = task, table, settings
        self.noise = torch.from_numpy(std) * settings.noise
        self.labels = np.concatenate([train[t].values for t in table.tracks])
        self.valid = np.concatenate([train[t].valid for t in table.tracks])
        if not self.valid.any():
            raise UserError(f"No training row has a valid {task.name} annotation.")
        self.weights = torch.from_numpy(class_weights(self.labels, self.valid, task))

    def __call__(
        self, model: nn.Module, items: npt.NDArray[np.int64], step: int, device: torch.device
    ) -> Tensor:
        values, present, places = self.table.gather(items, self.settings.clip_rows)
        features = torch.from_numpy(values).to(device)
        if self.settings.noise:
            features = features + torch.randn_like(features) * self.noise.to(device)
        valid = torch.from_numpy(self.valid[places] & present).to(device)
        labels = torch.from_numpy(self.labels[places]).to(device)
        output = model(features, torch.from_numpy(present).to(device))
        return task_loss(self.task, output.float(), labels, valid, self.weights.to(device))


def _rows(annotations: Mapping[str, Annotation]) -> dict[str, int | None]:
    return {track: len(a.valid) for track, a in annotations.items()}


def _named(pairs: list[list[Any]]) -> str:
    return " + ".join(f"{name} ({dim})" for name, dim in zip(*pairs, strict=True))
