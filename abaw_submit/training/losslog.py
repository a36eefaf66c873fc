"""The losses of an epoch, kept on the device: reading one makes the host wait for every step before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from abaw_submit.errors import UserError

READ_EVERY = 50  # steps; so late may a loss be found that is not finite


class LossLog:
    """Losses as they come, read together.

    Args:
        label: of the training, for the message.
        advice: what to do about a loss that is not finite.
    """

    def __init__(self, label: str, advice: str) -> None:
        self.label, self.advice = label, advice
        self.known: list[float] = []
        self._coming: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.known) + len(self._coming)

    def add(self, loss: Tensor, epoch: int, step: int) -> None:
        """Take a step's loss.

        Args:
            loss: a number on the device.
            epoch: 0-based epoch.
            step: 0-based step of the whole training.

        Raises:
            UserError: this loss, or one of the steps before, is not finite.
        """
        self._coming.append(loss.detach())
        if len(self._coming) >= READ_EVERY:
            self.read(epoch, step + 1)

    def read(self, epoch: int, steps: int) -> list[float]:
        """All losses of the epoch so far, with one wait for the device.

        Args:
            epoch: 0-based epoch.
            steps: steps done so far in the whole training.

        Raises:
            UserError: one of them is not finite: which.
        """
        if self._coming:
            values = torch.stack(self._coming).tolist()
            first = steps - len(values)
            self._coming = []
            for at, value in enumerate(values):
                if not math.isfinite(value):
                    raise UserError(
                        f"The loss is {value} in epoch {epoch + 1}, step {first + at + 1} ({self.label}).\n"
                        f"{self.advice}"
                    )
            self.known += values
        return self.known

    def start(self, known: list[float]) -> None:
        """Begin an epoch, or go on in one."""
        self.known, self._coming = list(known), []
