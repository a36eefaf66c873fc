"""Averages of the weights: over all steps (EMA), or over the ends of the last epochs (SWA)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from abaw_submit.training.settings import LoopSettings


class WeightAverage:
    """The weights that are kept where they are not the last ones.

    Args:
        model: whose weights are averaged; its tensors must stay the same ones.
        settings: `ema`, or `keep` and `keep_epochs`.
    """

    def __init__(self, model: nn.Module, settings: LoopSettings) -> None:
        self.settings = settings
        self._live = model.state_dict()
        self.weights = {k: v.detach().clone() for k, v in self._live.items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Go on from an average that was saved."""
        for name, value in self.weights.items():
            value.copy_(weights[name])

    def after_step(self, step: int) -> None:
        """EMA; `step` counts the steps that are done before this one."""
        if self.settings.ema:
            # early on the average would be mostly the random start; it begins short and grows
            self._move(1 - min(self.settings.ema, (1 + step) / (10 + step)))

    def after_epoch(self, epoch: int) -> None:
        """`keep = average`: mean of the weights after each of the last epochs (SWA, Izmailov et al. 2018).

        Running batch statistics are averaged like weights. Until the last epochs begin, the average is the
        newest epoch, so that curves show what would be kept.
        """
        if not self.settings.ema:
            first = max(0, self.settings.last_epoch - self.settings.keep_epochs)
            self._move(1 / max(1, epoch + 1 - first))

    @torch.no_grad()
    def _move(self, share: float) -> None:
        for name, value in self._live.items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, share)
            else:
                self.weights[name].copy_(value)
