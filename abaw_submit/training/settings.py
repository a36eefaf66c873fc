"""Settings of the three trainings; the defaults are the paper's (arXiv 2303.10849; docs/reference/recipe.md).

Standard library only: the command line turns the fields into options.
"""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import setting
from abaw_submit.errors import UserError

_PRECISIONS = ("no", "fp16", "bf16")


@dataclass(frozen=True)
class LoopSettings:
    """What every training loop needs; the commands have their own defaults."""

    epochs: int = setting(20, "passes over the training data; the last one is kept, none is picked")
    batch: int = setting(32, "items per step, over all devices")
    lr: float = setting(1e-4, "learning rate at the end of the warm-up")
    weight_decay: float = setting(0.05, "AdamW weight decay; norms, biases and positions have none")
    warmup: float = setting(0.05, "share of the steps in which the learning rate grows to lr")
    min_lr: float = setting(0.0, "learning rate at the end of the cosine")
    beta2: float = setting(0.999, "AdamW's second beta")
    clip_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never")
    ema: float = setting(0.0, "decay per step of the averaged weights that are kept; 0: the last weights")
    seed: int = setting(0, "seed of weights, order, augmentation and dropout")
    precision: str = setting("no", "mixed precision: no, fp16 or bf16")

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: a number out of range, or an unknown precision.
        """
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected at least 1.")
        if not self.lr > 0:
            raise UserError(f"lr is {self.lr}; expected more than 0.")
        for name in ("warmup", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; expected 0 or more, below 1.")
        if self.precision not in _PRECISIONS:
            raise UserError(f'precision "{self.precision}" is not one of {", ".join(_PRECISIONS)}.')


@dataclass(frozen=True)
class PretrainSettings(LoopSettings):
    """Masked-autoencoder pre-training: 800 epochs, batch 4096, lr 2.4e-3, 75 % masked."""

    epochs: int = setting(800, "passes over the pictures")
    batch: int = setting(4096, "pictures per step, over all devices")
    lr: float = setting(2.4e-3, "learning rate at the end of the warm-up")
    beta2: float = setting(0.95, "AdamW's second beta")
    clip_norm: float = setting(0.0, "gradients are scaled down to this norm; 0: never")
    mask_ratio: float = setting(0.75, "share of the patches that is hidden")
    min_crop: float = setting(0.45, "smallest random part of a picture, as a share of its side; 1: all of it")
    normalise_pixels: bool = setting(True, "the target is each patch with zero mean and unit deviation")
    cache_gib: float = setting(8.0, "pictures are decoded once into a temporary file up to this size")

    def check(self) -> None:
        super().check()
        if not 0 < self.mask_ratio < 1:
            raise UserError(f"mask_ratio is {self.mask_ratio}; expected between 0 and 1.")
        if not 0 < self.min_crop <= 1:
            raise UserError(f"min_crop is {self.min_crop}; expected above 0, at most 1.")


@dataclass(frozen=True)
class FinetuneSettings(LoopSettings):
    """Single-frame fine-tuning: batch 512, lr 1e-4, drop path 0.1."""

    epochs: int = setting(20, "passes over the training frames")
    batch: int = setting(512, "frames per step, over all devices")
    drop_path: float = setting(0.1, "stochastic depth of the last block")
    layer_decay: float = setting(1.0, "each block's learning rate is this times that of the next")
    augment: float = setting(1.0, "strength of flip, shift, zoom, turn and colour changes; 0: none")
    frame_step: int = setting(1, "train on every n-th row of a track; neighbours are nearly the same")
    cache_gib: float = setting(8.0, "crops are decoded once into a temporary file up to this size")

    def check(self) -> None:
        super().check()
        if self.frame_step < 1:
            raise UserError(f"frame_step is {self.frame_step}; expected at least 1.")


@dataclass(frozen=True)
class TmfSettings(LoopSettings):
    """Sequence models; the TMF: clips of 100 rows, batch 32, lr 1e-4, about 20 epochs."""

    batch: int = setting(32, "clips per step, over all devices")
    clip_rows: int = setting(100, "rows in a clip (K)")
    stride_rows: int = setting(
        0, "rows from one clip to the next; 0: a whole clip in training, half of one in prediction"
    )
    noise: float = setting(0.0, "deviation of noise added to standardised features in training")
    cache_gib: float = setting(8.0, "features above this size are kept in a temporary file, not in memory")

    def check(self) -> None:
        super().check()
        if self.clip_rows < 2:
            raise UserError(f"clip_rows is {self.clip_rows}; expected at least 2.")
        if not 0 <= self.stride_rows <= self.clip_rows:
            raise UserError(
                f"stride_rows is {self.stride_rows}; expected 0 to clip_rows ({self.clip_rows}): rows between"
                " clips would be in none."
            )
