"""Fine-tuning of the encoder on single frames of one task (arXiv 2303.10849, section 3.2).

One linear layer on the encoder's feature. Only valid rows of training tracks that show a face are seen;
validation labels are used for the printed score alone, and the last epoch is kept, so nothing is chosen on
them.
"""

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
from abaw_submit.corpus.ledger import nearest_found
from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import is_main_process, recognise, write_config, write_weights
from abaw_submit.models.encoder import Encoder, load_encoder, new_encoder
from abaw_submit.models.losses import activate, class_weights, task_loss
from abaw_submit.models.settings import VitSize
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.tasks import Task
from abaw_submit.training.augment import augment
from abaw_submit.training.loop import SAVE_EVERY_S, Job, fit, seed_step, shuffled
from abaw_submit.training.optim import parameter_groups
from abaw_submit.training.outputs import (
    TEST_NAME,
    VALIDATION_NAME,
    draw_curves,
    official_score,
    save_scores,
    write_history,
)
from abaw_submit.training.pictures import Pictures, to_tensor
from abaw_submit.training.settings import FinetuneSettings
from abaw_submit.training.tracks import found_rows, picture_paths, read_division, read_track_rows


class SingleFrame(nn.Module):
    """Encoder and one linear layer: pictures to the task's outputs (VA through tanh, as TMF)."""

    def __init__(self, encoder: Encoder, task: Task) -> None:
        super().__init__()
        self.encoder, self.task = encoder, task
        self.head = nn.Linear(encoder.dim, task.outputs)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) in [0, 1] to (batch, outputs)."""
        output: Tensor = self.head(self.encoder(images))
        return output.tanh() if self.task.name == "VA" else output


@dataclass(frozen=True)
class Inputs:
    """The files a fine-tuning reads.

    Attributes:
        crops: the tracks' folders of crops.
        annotations: the official annotations.
        splits: the folds; None for the official split.
        fold: the fold's name.
        encoder: pre-trained weights (`load_encoder`); None starts from random ones.
        tracks: templates or lists of tracks to write test scores for.
    """

    crops: Path
    annotations: Path
    splits: Path | None = None
    fold: str = "official"
    encoder: str | None = None
    tracks: tuple[Path, ...] = ()

    def paths(self) -> list[Path]:
        """Those that are files or folders."""
        weights = [Path(self.encoder)] if self.encoder and Path(self.encoder).exists() else []
        return [self.crops, self.annotations, *([self.splits] if self.splits else []), *weights, *self.tracks]


def finetune(
    task: Task,
    inputs: Inputs,
    out: Path,
    *,
    size: VitSize | None,
    settings: FinetuneSettings,
    progress: Progress = quiet,
    save_every_s: float = SAVE_EVERY_S,
) -> float | None:
    """Train the single-frame model of a fold; write its checkpoint, validation and test scores.

    Args:
        task: the task, whose own labels are all that is used (rule: uni-task).
        inputs: what is read.
        out: the checkpoint folder to make.
        size: the encoder's sizes when it starts from random weights; ignored with `inputs.encoder`.
        settings: the training.
        progress: shows how far it is.
        save_every_s: seconds between two states to go on from.

    Returns:
        The score on the fold's validation tracks, or None if all was done before.

    Raises:
        UserError: missing crops, folds or annotations, or a loss that is not finite.
    """
    plain = {k: v for k, v in asdict(settings).items() if k != "cache_gib"}
    named = inputs.encoder if inputs.encoder and not Path(inputs.encoder).exists() else None
    stage = Stage(
        "finetune",
        out,
        settings={"task": task.name, "fold": inputs.fold, "encoder": named, "size": _plain(size), **plain},
        inputs=inputs.paths(),
        recognises=recognise,
    )
    if stage.done():
        return None
    division = read_division(task, inputs.annotations, inputs.splits, inputs.fold)
    tests = {t: rows for path in inputs.tracks for t, rows in read_track_rows(path).items()}
    with stage if is_main_process() else nullcontext():
        seed_step(settings.seed, 0)
        encoder = _encoder(inputs.encoder, size, settings.drop_path)
        model = SingleFrame(encoder, task)
        pictures, labels = _training_frames(division.train, inputs.crops, encoder.size_px, settings, progress)
        weights = class_weights(labels, np.ones(len(labels), bool), task)
        job = Job(
            model,
            parameter_groups(model, settings, settings.layer_decay, _depth(encoder)),
            lambda epoch: shuffled(len(pictures), settings.seed, epoch),
            _Loss(task, pictures, labels, weights, settings),
            out,
            stage.fingerprint,
            load=lambda items: (items, pictures.batch(items)),
            label=f"finetune {task.name} fold {inputs.fold}",
            progress=progress,
            save_every_s=save_every_s,
        )
        done = fit(job, settings)
        if not is_main_process():
            return None
        model.load_state_dict(done.weights)
        model.to(done.device).eval()
        state = {
            **encoder.backbone.state_dict(),
            **{f"head.{k}": v for k, v in model.head.state_dict().items()},
        }
        stage.output(write_weights(out, state))
        config = {"task": task.name, "fold": inputs.fold, "encoder_from": inputs.encoder, **asdict(settings)}
        stage.output(write_config(out, {"finetune": config, "encoder": encoder.config}))

        prior = _prior(task, labels)
        predict = _Predictor(model, inputs.crops, prior, done.device, progress)
        validation = predict({t: len(a.valid) for t, a in division.validation.items()}, "score validation")
        total = official_score(task, division.validation, validation)
        done.history[-1]["validation"] = total
        stage.output(write_history(out, done.history))
        title = f"{task.name} single frames, fold {inputs.fold}"
        stage.output(draw_curves(out, done.history, title))
        save_scores(stage, out / VALIDATION_NAME, task, validation, subset="validation", fold=inputs.fold)
        if tests:
            test = predict(tests, "score test")
            save_scores(stage, out / TEST_NAME, task, test, subset="test", fold=inputs.fold)
        stage.count("training frames", len(pictures))
    return total


class _Loss:
    """The loss of some training frames, augmented by (seed, step)."""

    def __init__(
        self, task: Task, pictures: Pictures, labels: F32, weights: F32, settings: FinetuneSettings
    ) -> None:
        self.task, self.pictures, self.settings = task, pictures, settings
        self.labels, self.weights = torch.from_numpy(labels), torch.from_numpy(weights)

    def __call__(
        self,
        model: nn.Module,
        batch: tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]],
        step: int,
        device: torch.device,
    ) -> Tensor:
        items, pixels = batch
        images = to_tensor(pixels, device)
        images = augment(images, self.settings.augment, int(torch.randint(2**62, ())))
        labels = self.labels[torch.from_numpy(items)].to(device)
        valid = torch.ones(len(items), dtype=torch.bool, device=device)
        return task_loss(self.task, model(images).float(), labels, valid, self.weights.to(device))


class _Predictor:
    """Scores of every row of tracks; rows without a face take those of the nearest row that has one."""

    def __init__(
        self, model: SingleFrame, crops: Path, prior: F32, device: torch.device, progress: Progress
    ) -> None:
        self.model, self.crops, self.prior = model, crops, prior
        self.device, self.progress = device, progress

    @torch.no_grad()
    def __call__(self, tracks: Mapping[str, int | None], label: str) -> dict[str, F32]:
        scores = {}
        names = sorted(tracks)
        for at in self.progress(range(len(names)), len(names), label):
            scores[names[at]] = self._track(names[at], tracks[names[at]])
        return scores

    def _track(self, track: str, rows: int | None) -> F32:
        found = found_rows(self.crops, track, rows)
        here = np.flatnonzero(found)
        if not len(here):  # nobody is ever seen: what the training rows are like on average
            return np.tile(self.prior, (len(found), 1))
        pictures = Pictures(picture_paths(self.crops, track, here), self.model.encoder.size_px, 0)
        parts = [
            activate(self.model.task, self.model(to_tensor(pixels, self.device)).float()).cpu().numpy()
            for pixels in pictures.chunks()
        ]
        full = np.zeros((len(found), self.model.task.outputs), np.float32)
        full[here] = np.concatenate(parts)
        return full[nearest_found(found)]


def _training_frames(
    train: Mapping[str, Annotation], crops: Path, size_px: int, settings: FinetuneSettings, progress: Progress
) -> tuple[Pictures, F32]:
    paths: list[Path] = []
    labels: list[F32] = []
    for track, annotation in train.items():
        use = annotation.valid & found_rows(crops, track, len(annotation.valid))
        rows = np.flatnonzero(use)[:: settings.frame_step]
        paths += picture_paths(crops, track, rows)
        labels.append(annotation.values[rows])
    if not paths:
        raise UserError(f"No training row is both annotated and cropped in {crops}.")
    return Pictures(paths, size_px, settings.cache_gib, progress), np.concatenate(labels)


def _prior(task: Task, labels: F32) -> F32:
    """The mean score of the training rows: how often an AU or expression occurs, mean valence and arousal."""
    if task.name == "EXPR":
        counts = np.bincount(labels[:, 0].astype(np.int64), minlength=task.outputs)
        return np.asarray(counts / counts.sum(), np.float32)
    return np.asarray(labels.mean(0), np.float32)


def _encoder(source: str | None, size: VitSize | None, drop_path: float) -> Encoder:
    if source is None:
        return new_encoder(size or VitSize(), drop_path=drop_path)
    return load_encoder(source, drop_path=drop_path)


def _depth(encoder: Encoder) -> int:
    blocks: Any = getattr(encoder.backbone, "blocks", ())
    return len(blocks)


def _plain(size: VitSize | None) -> dict[str, int] | None:
    return asdict(size) if size else None
