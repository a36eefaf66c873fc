"""Settings of the three trainings; the defaults are the paper's (arXiv 2303.10849; docs/reference/recipe.md).

Standard library only: the command line turns the fields into options.
"""

from __future__ import annotations

from dataclasses import dataclass

from abaw_submit.config import Settings, setting
from abaw_submit.errors import UserError

_PRECISIONS = ("no", "fp16", "bf16")
BALANCES = ("none", "video", "class", "both")
KEEPS = ("last", "average")


@dataclass(frozen=True)
class LoopSettings(Settings):
    """What every training loop needs; the commands have their own defaults."""

    epochs: int = setting(20, "passes over the training data; none is picked by its score", ge=1)
    batch: int = setting(32, "items per step, over all devices", ge=1)
    lr: float = setting(1e-4, "learning rate at the end of the warm-up", gt=0)
    weight_decay: float = setting(0.05, "AdamW weight decay; norms, biases and positions have none", ge=0)
    warmup: float = setting(0.05, "share of the steps in which the learning rate grows to lr", ge=0, lt=1)
    min_lr: float = setting(0.0, "learning rate at the end of the cosine", ge=0)
    beta2: float = setting(0.999, "AdamW's second beta", ge=0, lt=1)
    clip_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never", ge=0)
    ema: float = setting(
        0.0, "decay per step of the averaged weights that are kept; 0: the last weights", ge=0, lt=1
    )
    keep: str = setting(
        "last", "the weights that are kept: of the last epoch, or the average of the last ones", choices=KEEPS
    )
    keep_epochs: int = setting(5, "epochs that --keep average averages over (SWA)", ge=1)
    stop_after: int = setting(
        0, "stop after so many epochs of the schedule (see choose-epoch); 0: all of them", ge=0
    )
    seed: int = setting(0, "seed of weights, order, augmentation and dropout")
    accumulate: int = setting(
        1,
        "parts that a batch is computed in one after the other, where memory is short; the same batch",
        ge=1,
    )
    precision: str = setting("no", "mixed precision", choices=_PRECISIONS)
    deterministic: bool = setting(
        False,
        "on a GPU only kernels that give the same bytes every time, which are slower; a CPU always does",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop_after > self.epochs:
            raise UserError(
                f"--stop-after {self.stop_after}: expected at most the {self.epochs} of --epochs."
            )
        if self.ema and self.keep == "average":
            raise UserError("--ema and --keep average both average the weights. Choose one.")

    @property
    def last_epoch(self) -> int:
        """How many epochs are trained."""
        return self.stop_after or self.epochs


@dataclass(frozen=True)
class PretrainSettings(LoopSettings):
    """Masked-autoencoder pre-training: 800 epochs, batch 4096, lr 2.4e-3, 75 % masked."""

    epochs: int = setting(800, "passes over the pictures", ge=1)
    batch: int = setting(4096, "pictures per step, over all devices", ge=1)
    lr: float = setting(2.4e-3, "learning rate at the end of the warm-up", gt=0)
    beta2: float = setting(0.95, "AdamW's second beta", ge=0, lt=1)
    clip_norm: float = setting(0.0, "gradients are scaled down to this norm; 0: never", ge=0)
    mask_ratio: float = setting(0.75, "share of the patches that is hidden", gt=0, lt=1)
    min_crop: float = setting(
        0.45, "smallest random part of a picture, as a share of its side; 1: all of it", gt=0, le=1
    )
    normalise_pixels: bool = setting(True, "the target is each patch with zero mean and unit deviation")
    checkpointing: bool = setting(
        False, "activations are computed again in the backward pass: less memory, more time, the same numbers"
    )
    cache_gib: float = setting(8.0, "pictures are decoded once into a temporary file up to this size", ge=0)


@dataclass(frozen=True)
class FinetuneSettings(LoopSettings):
    """Single-frame fine-tuning: batch 512, lr 1e-4, drop path 0.1."""

    epochs: int = setting(20, "passes over the training frames", ge=1)
    batch: int = setting(512, "frames per step, over all devices", ge=1)
    min_lr: float = setting(1e-6, "learning rate at the end of the cosine", ge=0)
    drop_path: float = setting(0.1, "stochastic depth of the last block", ge=0, lt=1)
    layer_decay: float = setting(
        0.75, "each block's learning rate is this times that of the next", gt=0, le=1
    )
    head_std: float = setting(2e-5, "deviation of the linear layer's first weights", gt=0)
    augment: float = setting(1.0, "strength of flip, shift, zoom, turn and colour changes; 0: none", ge=0)
    randaugment: str = setting("", "timm's RandAugment, such as rand-m9-mstd0.5-inc1; empty: none")
    erasing: float = setting(0.0, "share of the pictures that lose a random rectangle", ge=0, lt=1)
    mixup: float = setting(0.0, "mixup's alpha: pictures and labels are mixed in pairs; 0: none", ge=0)
    label_smoothing: float = setting(0.0, "share of AU and EXPR labels that goes to not knowing", ge=0, lt=1)
    checkpointing: bool = setting(
        False, "activations are computed again in the backward pass: less memory, more time, the same numbers"
    )
    frame_step: int = setting(
        5,
        "an epoch has one random row of every n neighbouring ones, which are nearly the same; 1: all rows",
        ge=1,
    )
    balance: str = setting(
        "none", "an epoch draws rows balanced by video, by class, or by both", choices=BALANCES
    )
    cache_gib: float = setting(8.0, "crops are decoded once into a temporary file up to this size", ge=0)


@dataclass(frozen=True)
class TmfSettings(LoopSettings):
    """Sequence models; the TMF: clips of 100 rows, batch 32, lr 1e-4, about 20 epochs."""

    batch: int = setting(32, "clips per step, over all devices", ge=1)
    clip_rows: int = setting(100, "rows in a clip (K)", ge=2)
    stride_rows: int = setting(
        0, "rows from one clip to the next; 0: a whole clip in training, half of one in prediction", ge=0
    )
    balance: str = setting(
        "none", "an epoch draws clips balanced by video, by class, or by both", choices=BALANCES
    )
    label_smoothing: float = setting(0.0, "share of AU and EXPR labels that goes to not knowing", ge=0, lt=1)
    curve_epochs: int = setting(
        1, "validation is scored after every n-th epoch, for the curve; 0: after the last one only", ge=0
    )
    cache_gib: float = setting(
        8.0, "features above this size are kept in a temporary file, not in memory", ge=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride_rows > self.clip_rows:
            raise UserError(
                f"--stride-rows {self.stride_rows}: expected at most the {self.clip_rows} of --clip-rows, or"
                " the rows between clips would be in none."
            )
