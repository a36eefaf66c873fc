"""Fine-tuning of the encoder on single frames of one task (arXiv 2303.10849, section 3.2).

One linear layer on the encoder's feature. Only valid rows of training tracks that show a face are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from abaw_submit.arrays import F32, U8, Index, Mask
from abaw_submit.corpus.ledger import nearest_found
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.models.device import copy_ahead
from abaw_submit.models.encoder import Encoder, new_encoder
from abaw_submit.models.losses import activate, class_shares, class_weights, soften, task_loss
from abaw_submit.models.sequence.network import bounded
from abaw_submit.models.settings import VitSize
from abaw_submit.models.weights.encoders import load_encoder
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.tasks import Task, part_slices
from abaw_submit.training.augment import augment
from abaw_submit.training.fold import FoldInputs, FoldTraining
from abaw_submit.training.job import SAVE_EVERY_S, Fit
from abaw_submit.training.loop import shuffled
from abaw_submit.training.mixing import mix_pictures, rand_augment, rand_policy, random_erase
from abaw_submit.training.optim import parameter_groups
from abaw_submit.training.pictures import Pictures, to_tensor
from abaw_submit.training.sampling import draw, fresh_rows, row_weights
from abaw_submit.training.settings import FinetuneSettings
from abaw_submit.training.stage import run_training
from abaw_submit.training.tracks import found_rows, picture_paths, row_labels


class SingleFrame(nn.Module):
    """Encoder and one linear layer: pictures to the task's outputs (VA through tanh, as TMF).

    Args:
        encoder: the encoder.
        task: the task.
        head_std: deviation of the layer's first weights; the official MAE fine-tuning's is 2e-5.
    """

    def __init__(self, encoder: Encoder, task: Task, head_std: float = 2e-5) -> None:
        super().__init__()
        self.encoder, self.task = encoder, task
        self.head = nn.Linear(encoder.dim, task.outputs)
        nn.init.trunc_normal_(self.head.weight, std=head_std)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) in [0, 1] to (batch, outputs)."""
        output: Tensor = self.head(self.encoder(images))
        return bounded(self.task, output)


class Finetuning(FoldTraining):
    """The single-frame model of a fold.

    Args:
        task: the task.
        inputs: what is read; `sources` is the folder of crops.
        size: the encoder's sizes when it starts from random weights; ignored with `inputs.encoder`.
        settings: the training.
        progress: shows how far it is.
    """

    name = "finetune"

    def __init__(
        self,
        task: Task,
        inputs: FoldInputs,
        size: VitSize | None,
        settings: FinetuneSettings,
        progress: Progress,
    ) -> None:
        super().__init__(task, inputs)
        if task.whole_videos:
            raise UserError(f"{task.name}: its labels are of whole videos, not of frames. Use `train`.")
        self.crops, self.size = inputs.sources[0], size
        self.settings: FinetuneSettings = settings
        self.progress = progress
        self.title = f"{task.name} single frames, fold {inputs.fold}"

    def identity(self) -> dict[str, Any]:
        encoder = self.files.encoder
        return {
            "task": self.task.name,
            "fold": self.files.fold,
            # a file is identified by its bytes
            "encoder": encoder if encoder and not Path(encoder).exists() else None,
            "size": asdict(self.size) if self.size else None,
        }

    def build(self) -> SingleFrame:
        self.encoder = self._encoder()
        self.model = SingleFrame(self.encoder, self.task, self.settings.head_std)
        if self.settings.checkpointing:
            self.encoder.checkpoint_activations()
        if self.settings.randaugment:
            rand_policy(self.settings.randaugment, self.encoder.size_px)  # refuses it before the first step
        if self.settings.mixup and self.task.decision is Decision.PARTS:
            raise UserError("--mixup mixes whole labels, and rows of MTL may lack some. Leave it out.")
        paths, labels, valid = self._training_frames()
        self.pictures = Pictures(paths, self.encoder.size_px, self.settings.cache_gib, self.progress)
        self.labels, self.valid = torch.from_numpy(labels), torch.from_numpy(valid)
        self.prior = _prior(self.task, labels, valid)
        self.often = row_weights(self.task, labels, self.track, self.settings.balance)
        self.weights = torch.from_numpy(class_weights(labels, valid, self.task, self.often))
        return self.model

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return parameter_groups(model, self.settings, self.settings.layer_decay)

    def items(self) -> int:
        return len(self.pictures)

    def order(self, epoch: int) -> Index:
        """Fresh rows of each track, as they are or drawn by their weights."""
        settings = self.settings
        rows = fresh_rows(self.track, settings.frame_step, settings.seed, epoch)
        if settings.balance == "none":
            return rows[shuffled(len(rows), settings.seed, epoch)]
        return rows[draw(self.often[rows], settings.seed, epoch)]

    def prepare(self, device: torch.device) -> None:
        self.device = device
        self.labels, self.valid = self.labels.to(device), self.valid.to(device)
        self.weights = self.weights.to(device)

    def load(self, items: Index) -> tuple[Tensor, U8 | Tensor]:
        pixels = self.pictures.batch(items)
        places = copy_ahead(torch.from_numpy(items), self.device)
        if self.settings.randaugment:  # which works on the host, with the step's own draws
            return places, pixels
        return places, copy_ahead(torch.from_numpy(pixels), self.device)

    def outputs(
        self, model: nn.Module, batch: tuple[Tensor, U8 | Tensor], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        places, pixels = batch
        settings, seed = self.settings, int(torch.randint(2**62, ()))
        if not isinstance(pixels, Tensor):
            pixels = rand_augment(pixels, settings.randaugment, seed)
        images = augment(to_tensor(pixels, device), settings.augment, seed)
        images = random_erase(images, settings.erasing, seed)
        labels, valid = self.labels[places], self.valid[places]
        labels = soften(self.task, labels, valid, settings.label_smoothing)
        if settings.mixup:
            if self.task.decision is Decision.ARGMAX:
                labels = class_shares(labels, valid, self.task.outputs)
            images, shares = mix_pictures(images, settings.mixup, seed)
            labels = shares @ labels
        return model(images), labels, valid

    def objective(self, outputs: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        return task_loss(self.task, outputs, labels, valid, self.weights)

    def state(self) -> dict[str, Tensor]:
        head = {f"head.{name}": value for name, value in self.model.head.state_dict().items()}
        return {**self.encoder.backbone.state_dict(), **head}

    def config(self) -> dict[str, dict[str, Any]]:
        files = {"task": self.task.name, "fold": self.files.fold, "encoder_from": self.files.encoder}
        return {"finetune": {**files, **asdict(self.settings)}, "encoder": self.encoder.config}

    @torch.no_grad()
    def predict(self, tracks: Mapping[str, int | None], label: str, device: torch.device) -> dict[str, F32]:
        names = sorted(tracks)
        return {t: self._score(t, tracks[t], device) for t in self.progress(names, len(names), label)}

    def finish(self, stage: Stage, done: Fit) -> None:
        super().finish(stage, done)
        self.note_weights(stage, self.weights)
        stage.count("training frames", len(self.pictures))

    def _score(self, track: str, rows: int | None, device: torch.device) -> F32:
        """Scores of a track's rows; rows without a face take those of the nearest row that has one."""
        found = found_rows(self.crops, track, rows)
        here = np.flatnonzero(found)
        if not len(here):  # nobody is ever seen: what the training rows are like on average
            return np.tile(self.prior, (len(found), 1))
        pictures = Pictures(picture_paths(self.crops, track, here), self.encoder.size_px, 0)
        parts = [
            activate(self.task, self.model(to_tensor(pixels, device)).float()).cpu().numpy()
            for pixels in pictures.chunks()
        ]
        full = np.zeros((len(found), self.task.outputs), np.float32)
        full[here] = np.concatenate(parts)
        return full[nearest_found(found)]

    def _training_frames(self) -> tuple[list[Path], F32, Mask]:
        """The crops of the training rows, their labels and which of these are valid."""
        paths: list[Path] = []
        labels: list[F32] = []
        valid: list[Mask] = []
        counts: list[int] = []
        for track, annotation in self.division.train.items():
            found = found_rows(self.crops, track, self.train_rows[track])
            own, there = row_labels(annotation, len(found))
            labelled = there if there.ndim == 1 else there.any(axis=1)
            rows = np.flatnonzero(labelled & found)
            paths += picture_paths(self.crops, track, rows)
            labels.append(own[rows])
            valid.append(there[rows])
            counts.append(len(rows))
        if not paths:
            raise UserError(f"No training row is both annotated and cropped in {self.crops}.")
        self.track: Index = np.repeat(np.arange(len(counts)), counts)
        return paths, np.concatenate(labels), np.concatenate(valid)

    def _encoder(self) -> Encoder:
        drop_path = self.settings.drop_path
        if self.files.encoder is None:
            return new_encoder(self.size or VitSize(), drop_path=drop_path)
        return load_encoder(self.files.encoder, drop_path=drop_path, finetune=True)


def finetune(
    task: Task,
    inputs: FoldInputs,
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
        inputs: what is read; `sources` is the folder of crops.
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
    training = Finetuning(task, inputs, size, settings, progress)
    run_training(training, out, save_every_s=save_every_s)
    return training.score


def _prior(task: Task, labels: F32, valid: Mask) -> F32:
    """The mean score of the training rows: how often an AU or expression occurs, mean valence and arousal."""
    found = []
    for at, (part, _, columns) in enumerate(part_slices(task)):
        rows = labels[valid if valid.ndim == 1 else valid[:, at]][:, columns]
        empty = np.zeros(part.outputs)
        found.append(part.kind.prior(rows, part.outputs) if len(rows) else empty)
    return np.concatenate(found).astype(np.float32)
