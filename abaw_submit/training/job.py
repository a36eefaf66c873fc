"""What one training is made of, and how it went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.arrays import Index
from abaw_submit.progress import Progress, quiet

SAVE_EVERY_S = 120.0


@dataclass
class Job:
    """What one training is made of.

    Attributes:
        model: called by `loss`; on the CPU, `fit` moves it.
        groups: parameter groups (training/optim.py).
        order: epoch -> the items of that epoch in order, the same for the same epoch.
        loss: (model, batch, step, device) -> a scalar loss, from nothing but its arguments. The batch is what
            `load` made of the items, or the items themselves.
        load: items -> batch, run in a thread while the device works on the batch before; no randomness here.
        outputs: the first half of `loss`, so that a batch can be computed in parts: (model, batch, device) ->
            the network's outputs, (items, …), and the labels and which of them are valid; None where the loss
            is a plain mean over the items.
        objective: the other half: (outputs, labels, valid) -> the loss.
        prepare: given the device before the first step, to put there what every step uses.
        curves: (epoch, the model without wrappers) -> numbers for the history, in evaluation mode; or None.
        folder: where `last.pt` goes.
        fingerprint: identifies the run; `last.pt` of another one is ignored.
        label: for the progress line.
    """

    model: nn.Module
    groups: list[dict[str, Any]]
    order: Callable[[int], Index]
    loss: Callable[[nn.Module, Any, int, torch.device], Tensor]
    folder: Path
    fingerprint: str
    load: Callable[[Index], Any] | None = None
    outputs: Callable[[nn.Module, Any, torch.device], tuple[Tensor, Tensor, Tensor]] | None = None
    objective: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    prepare: Callable[[torch.device], None] | None = None
    curves: Callable[[int, nn.Module], dict[str, float]] | None = None
    label: str = "train"
    save_every_s: float = SAVE_EVERY_S
    progress: Progress = quiet


@dataclass
class Fit:
    """How a training went.

    Attributes:
        weights: the state to keep, on the CPU: the averaged weights with `ema`, else the last.
        history: one row per epoch: epoch, step, lr, loss, then what `curves` gave.
        main: True on the process that writes files.
        device: where it ran.
    """

    weights: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    main: bool = True
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
