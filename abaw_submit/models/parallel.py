"""Sums over all processes that train together, so that N processes compute what one would.

One process with a batch of 8 and two with 4 each must give the same loss, gradient and statistics. Averaging
the losses of the shares does not do that where a loss is no item mean: CCC, class-weighted losses and
batch statistics are ratios of sums. So the sums are taken over all processes, with gradients, and every
process then computes the same whole loss; the averaging of gradients between processes gives back the
gradient of that loss.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


def processes() -> int:
    """Processes that train together: 1 unless `torchrun` started several."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def global_sum(values: Tensor) -> Tensor:
    """The sum of a tensor over all processes; gradients flow to every share. One process: the same tensor."""
    if processes() == 1:
        return values
    summed: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return summed


class _Sum(torch.autograd.Function):
    """All-reduce forward; the gradient of a sum that every process uses is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.detach().clone().contiguous()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].detach().clone().contiguous()
        distributed.all_reduce(total)
        return total


class GlobalBatchNorm(nn.BatchNorm1d):
    """BatchNorm over the rows of all processes together; on one process it is PyTorch's own.

    PyTorch's SyncBatchNorm does the same on GPUs only. One single row has no statistics: the running ones
    serve.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(rows, channels) to the same shape."""
        if not self.training:
            return super().forward(input)
        if processes() == 1:
            return super().forward(input) if len(input) > 1 else self._running(input)
        sums = torch.cat([input.sum(0), input.new_full((1,), len(input))])
        sums = global_sum(sums)
        rows = sums[-1].detach()
        if rows <= 1:
            return self._running(input)
        mean = sums[:-1] / rows
        variance = global_sum((input - mean).square().sum(0)) / rows
        self._remember(mean.detach(), variance.detach() * rows / (rows - 1))
        normed = (input - mean) * (variance + self.eps).rsqrt()
        return normed * self.weight + self.bias

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)
        self.num_batches_tracked.add_(1)

    def _running(self, input: Tensor) -> Tensor:
        return nn.functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )
