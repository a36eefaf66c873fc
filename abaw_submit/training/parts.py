"""One batch in several parts, one after the other: the gradient of the whole batch in the memory of a part.

A loss that is a plain mean over items is the weighted mean of its parts. CCC and class-weighted losses are
not: they are ratios of sums over the whole batch. There all outputs are computed first, without what a
gradient needs; the loss of the whole batch says what each of them should change; and each part is computed
again with it. That costs a third more time and is exact.

What is not as in one batch: batch statistics (BatchNorm) and mixup's pairs are of a part, and each part draws
its own dropout, masks and augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from abaw_submit.arrays import Index
from abaw_submit.training.job import Job


def split(items: Index, parts: int) -> list[Index]:
    """Nearly equal parts of a batch; fewer where there are fewer items.

    >>> [part.tolist() for part in split(np.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    return list(np.array_split(items, min(parts, len(items))))


class Parts:
    """Computes a batch in parts.

    Args:
        job: the training.
        accelerator: accelerate's.
        seed: sets torch's generators for a part of this step.
    """

    def __init__(self, job: Job, accelerator: Any, seed: Callable[[int], None]) -> None:
        self.job, self.accelerator, self.seed = job, accelerator, seed

    def backward(self, model: nn.Module, counts: Sequence[int], coming: Iterator[Any], step: int) -> Tensor:
        """Gradients of the whole batch; its loss, on the device.

        Args:
            model: what is trained, with its wrappers.
            counts: items of each part.
            coming: the parts, loaded.
            step: the step.
        """
        if len(counts) > 1 and self.job.outputs is not None and self.job.objective is not None:
            return self._in_two_passes(model, [next(coming) for _ in counts])
        losses = []
        for at, count in enumerate(counts):
            batch = next(coming)
            self.seed(at)
            with self.accelerator.autocast():
                loss = self.job.loss(model, batch, step, self.accelerator.device)
            if len(counts) > 1:
                loss = loss * (count / sum(counts))
            losses.append(loss.detach())
            with self._synchronised(model, at + 1 == len(counts)):
                self.accelerator.backward(loss)
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def _in_two_passes(self, model: nn.Module, parts: Sequence[Any]) -> Tensor:
        assert self.job.objective is not None
        with torch.no_grad():
            first = [self._outputs(model, part, at) for at, part in enumerate(parts)]
        found, labels, valid = (list(of_parts) for of_parts in zip(*first, strict=True))
        whole = torch.cat(found).requires_grad_()
        with self.accelerator.autocast():
            loss = self.job.objective(whole, torch.cat(labels), torch.cat(valid))
        (wanted,) = torch.autograd.grad(loss, whole)
        shares = torch.split(wanted, [len(own) for own in found])
        for at, (part, own) in enumerate(zip(parts, shares, strict=True)):
            outputs, _, _ = self._outputs(model, part, at)
            with self._synchronised(model, at + 1 == len(parts)):
                # its gradient is `own`, whatever the accelerator multiplies it with
                self.accelerator.backward((outputs * own).sum())
        return loss.detach()

    def _outputs(self, model: nn.Module, part: Any, at: int) -> tuple[Tensor, Tensor, Tensor]:
        assert self.job.outputs is not None
        self.seed(at)
        with self.accelerator.autocast():
            outputs, labels, valid = self.job.outputs(model, part, self.accelerator.device)
        return outputs.float(), labels, valid

    def _synchronised(self, model: nn.Module, last: bool) -> AbstractContextManager[Any]:
        """Processes add their gradients up with the last part only."""
        return nullcontext() if last else self.accelerator.no_sync(model)
