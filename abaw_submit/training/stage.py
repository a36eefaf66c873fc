"""The one way every training runs as a stage: done already, guard, seed, fit, checkpoint, record.

A kind of training is a subclass of `Training`: it says what it reads, what it builds and what a step's loss
is. Everything between is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from abaw_submit.arrays import Index
from abaw_submit.models.checkpoint import (
    LAST_NAME,
    is_main_process,
    recognise,
    write_config,
    write_weights,
)
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import Stage
from abaw_submit.training.job import SAVE_EVERY_S, Fit, Job
from abaw_submit.training.loop import fit, seed_step, shuffled
from abaw_submit.training.optim import parameter_groups
from abaw_submit.training.outputs import draw_curves, write_history
from abaw_submit.training.settings import LoopSettings

# how much is kept in memory changes no byte of the result
_NO_IDENTITY = ("cache_gib", "checkpointing")


class Training(ABC):
    """One kind of training. The methods are called in the order in which they stand here.

    Attributes:
        name: the stage's name, and the command's.
        label: for the progress line.
        title: of the picture of its curves.
        settings: of the loop and of this kind.
        progress: shows how far it is.
    """

    name: ClassVar[str]
    label: str
    title: str
    settings: LoopSettings
    progress: Progress = quiet

    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What identifies the result beside `settings` and the bytes of the inputs."""

    @abstractmethod
    def inputs(self) -> Sequence[Path]:
        """Files and folders that are read."""

    @abstractmethod
    def read(self) -> None:
        """Look at the inputs before an older result is touched; raises UserError."""

    @abstractmethod
    def build(self) -> nn.Module:
        """The network; torch's generators are seeded. The training data is read here too."""

    def groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Parameter groups of the optimizer."""
        return parameter_groups(model, self.settings)

    def order(self, epoch: int) -> Index:
        """The items of an epoch in order."""
        return shuffled(self.items(), self.settings.seed, epoch)

    @abstractmethod
    def items(self) -> int:
        """How many training items there are."""

    def load(self, items: Index) -> Any:
        """What `loss` gets of a batch's items; runs in a thread, without randomness."""
        return items

    def prepare(self, device: torch.device) -> None:  # noqa: B027 - most need nothing
        """Put what every step uses where the steps run; called once, before the first."""

    def loss(self, model: nn.Module, batch: Any, step: int, device: torch.device) -> Tensor:
        """The loss of a batch, from nothing but the arguments and torch's generators."""
        outputs, labels, valid = self.outputs(model, batch, device)
        return self.objective(outputs.float(), labels, valid)

    def outputs(self, model: nn.Module, batch: Any, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """The network's outputs of a batch, its labels, and which of them are valid.

        A training whose loss is a plain mean over items overrides `loss` instead.
        """
        raise NotImplementedError

    def objective(self, outputs: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """The loss of a whole batch, given its outputs."""
        raise NotImplementedError

    def curves(self, epoch: int, model: nn.Module) -> dict[str, float]:
        """Numbers for the history after an epoch, the network in evaluation mode; none unless overridden."""
        return {}

    @abstractmethod
    def state(self) -> Mapping[str, Tensor]:
        """The weights to write, once the network holds those to keep."""

    @abstractmethod
    def config(self) -> Mapping[str, Mapping[str, Any]]:
        """Sections of the checkpoint's config."""

    @abstractmethod
    def finish(self, stage: Stage, done: Fit) -> None:
        """Write what the trained network says and count for the record; may add to the history's last row."""


def run_training(training: Training, out: Path, *, save_every_s: float = SAVE_EVERY_S) -> bool:
    """Train, unless it is done already, and write the checkpoint folder.

    Args:
        training: what is trained.
        out: the checkpoint folder to make.
        save_every_s: seconds between two states to go on from.

    Returns:
        Whether this process wrote it: False if it was done before, and in the processes beside the first.

    Raises:
        UserError: something is wrong with the inputs, or a loss is not finite.
    """
    plain = {k: v for k, v in asdict(training.settings).items() if k not in _NO_IDENTITY}
    stage = Stage(
        training.name,
        out,
        settings={**plain, **training.identity()},
        inputs=training.inputs(),
        recognises=recognise,
    )
    if stage.done():
        _drop_state(out)  # of a run that was killed with its record written
        return False
    training.read()
    if not is_main_process():
        training.progress = quiet
    with stage if is_main_process() else nullcontext():
        seed_step(training.settings.seed, 0)
        model = training.build()
        job = Job(
            model,
            training.groups(model),
            training.order,
            training.loss,
            out,
            stage.fingerprint,
            load=training.load,
            outputs=None if type(training).outputs is Training.outputs else training.outputs,
            objective=training.objective,
            prepare=training.prepare,
            curves=None if type(training).curves is Training.curves else training.curves,
            label=training.label,
            progress=training.progress,
            save_every_s=save_every_s,
        )
        done = fit(job, training.settings)
        if not is_main_process():
            return False
        model.load_state_dict(done.weights)
        model.to(done.device).eval()
        stage.output(write_weights(out, training.state()))
        stage.output(write_config(out, training.config()))
        training.finish(stage, done)
        stage.output(write_history(out, done.history))
        stage.output(draw_curves(out, done.history, training.title))
    _drop_state(out)
    return True


def _drop_state(out: Path) -> None:
    """What is done needs no state to go on from: three times the weights, 1 GB of each ViT-B/16."""
    # on a read-only disk even what is not there cannot be removed
    if is_main_process() and (out / LAST_NAME).exists():
        (out / LAST_NAME).unlink(missing_ok=True)
