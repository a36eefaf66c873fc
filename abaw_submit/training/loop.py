"""The training loop: the same bytes after a kill and a restart as without.

Nothing in a step depends on what ran before it in this process: the order of the data comes from (seed,
epoch), augmentation, masks and dropout from (seed, step), the learning rate from the step. So `last.pt`
needs only weights, optimizer, step and the numbers of the epoch so far, and a run may go on from the middle
of an epoch.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from abaw_submit.arrays import Index
from abaw_submit.models.checkpoint import read_last, write_last
from abaw_submit.models.profiling import part as timed
from abaw_submit.prefetch import prefetched
from abaw_submit.progress import quiet
from abaw_submit.signals import Terminated, deferred
from abaw_submit.training.average import WeightAverage
from abaw_submit.training.job import Fit, Job
from abaw_submit.training.losslog import LossLog
from abaw_submit.training.memory import free_bytes, item_bytes, refuse_batch
from abaw_submit.training.optim import learning_rate
from abaw_submit.training.parts import Parts, split
from abaw_submit.training.settings import LoopSettings


def seed_step(seed: int, step: int, rank: int = 0, part: int = 0) -> None:
    """Set torch's generators from these alone, so that a step's draws do not depend on the past."""
    words = (seed, step, rank, part) if part else (seed, step, rank)
    torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1))


def batches(items: Index, batch: int) -> list[Index]:
    """Nearly equal batches of at most `batch` items, none left out and no tiny last one.

    >>> [b.tolist() for b in batches(np.arange(7), 3)]
    [[0, 1, 2], [3, 4], [5, 6]]
    """
    return list(np.array_split(items, max(1, math.ceil(len(items) / batch))))


def shuffled(count: int, seed: int, epoch: int) -> Index:
    """A permutation of 0 .. count - 1 that depends on seed and epoch only."""
    return np.random.default_rng((seed, epoch)).permutation(count).astype(np.int64)


def make_accelerator(settings: LoopSettings) -> Any:
    """accelerate's view of the devices: one process, or as many as `torchrun` started."""
    # cuBLAS wants this before the first kernel to give the same sums every time
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    from accelerate import Accelerator

    if torch.cuda.is_available():
        torch.backends.cudnn.benchmark = not settings.deterministic
        torch.use_deterministic_algorithms(settings.deterministic, warn_only=True)
    # without `cpu`, processes that torchrun starts on a machine without GPU would not know of each other
    return Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())


def fit(job: Job, settings: LoopSettings) -> Fit:
    """Train for all epochs, or go on from `last.pt` of the same run.

    Raises:
        UserError: a loss is not finite.
    """
    accelerator = make_accelerator(settings)
    if job.prepare is not None:
        job.prepare(accelerator.device)
    # fused: one kernel for all weights; a small network's step is otherwise mostly the loop over them
    optimizer = torch.optim.AdamW(job.groups, lr=settings.lr, betas=(0.9, settings.beta2), fused=True)
    model, optimizer = accelerator.prepare(job.model, optimizer)
    plain: nn.Module = accelerator.unwrap_model(model)
    run = _Run(job, settings, accelerator, plain, optimizer)
    run.resume()
    run.check_memory()
    bar: Iterator[int] | None = None
    for epoch in range(run.epoch, settings.last_epoch):
        parts = batches(job.order(epoch), settings.batch)
        if run.steps == 0:
            run.steps = len(parts) * settings.epochs
        if bar is None:  # one for all epochs, drawn by one process
            show = job.progress if accelerator.is_main_process else quiet
            bar = show(range(run.step, run.steps), run.steps - run.step, job.label, run.note)
        try:
            run.one_epoch(epoch, parts, model, bar)
        except (KeyboardInterrupt, Terminated):
            if len(run.losses):
                run.save()
            raise
    for _ in bar or ():
        pass  # an epoch was shorter than the first one: close the bar
    accelerator.wait_for_everyone()
    weights = run.average.weights if run.average is not None else plain.state_dict()
    kept = {k: v.detach().cpu().clone() for k, v in weights.items()}
    return Fit(kept, run.history, accelerator.is_main_process, accelerator.device)


class _Run:
    """The state of a running training and how it is saved."""

    def __init__(
        self, job: Job, settings: LoopSettings, accelerator: Any, plain: nn.Module, optimizer: Any
    ) -> None:
        self.job, self.settings, self.accelerator = job, settings, accelerator
        self.plain, self.optimizer = plain, optimizer
        self.epoch, self.step, self.steps, self.done = 0, 0, 0, 0
        advice = f"Try a lower --lr than {settings.lr} or --precision no, and look for broken input."
        self.losses = LossLog(job.label, advice)
        self.history: list[dict[str, float]] = []
        averages = settings.ema or settings.keep == "average"
        self.average = WeightAverage(plain, settings) if averages else None
        self.saved = time.monotonic()

    def resume(self) -> None:
        state = read_last(self.job.folder, self.job.fingerprint)
        if state is None:
            return
        self.plain.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.steps, self.done = (state[k] for k in ("epoch", "step", "steps", "done"))
        self.losses.start(state["losses"])
        self.history = state["history"]
        if self.average is not None:
            self.average.restore(state["average"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def check_memory(self) -> None:
        """Refuse a batch that cannot fit before hours are lost; needs four items to tell.

        Raises:
            UserError: the setting that makes it fit.
        """
        items = self.job.order(self.epoch)
        free = free_bytes(self.accelerator.device)
        if min(len(items), self.settings.batch) < 8 or free is None:
            return

        def forward(count: int) -> Tensor:
            part = items[:count]
            batch = part if self.job.load is None else self.job.load(part)
            with self.accelerator.autocast():
                return self.job.loss(self.plain, batch, self.step, self.accelerator.device)

        batch = min(self.settings.batch, len(items))
        item = item_bytes(forward, self.plain)
        parts = self.settings.accumulate
        refuse_batch(batch, self.accelerator.num_processes, item, self.plain, free, parts)

    def save(self) -> None:
        self.saved = time.monotonic()
        losses = self.losses.read(self.epoch, self.step)
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "fingerprint": self.job.fingerprint,
            "model": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights if self.average is not None else None,
            "scaler": scaler.state_dict() if scaler is not None else None,
            "losses": losses,
            **{k: getattr(self, k) for k in ("epoch", "step", "steps", "done", "history")},
        }
        with timed("writing"):
            write_last(self.job.folder, state)

    def note(self) -> str:
        """The epoch, the loss so far in it, and the last score, for the progress line."""
        text = f"epoch {min(self.epoch + 1, self.settings.epochs)} of {self.settings.epochs}"
        losses = self.losses.known or ([self.history[-1]["loss"]] if self.history else [])
        if losses:
            text += f", loss {sum(losses) / len(losses):.4g}"
        if self.history and "validation" in self.history[-1]:
            text += f", validation {self.history[-1]['validation']:.3f}"
        return text

    def one_epoch(self, epoch: int, parts: Sequence[Index], model: nn.Module, bar: Iterator[int]) -> None:
        model.train()
        todo = range(self.done, len(parts))
        shares = [split(self.own(parts[at]), self.settings.accumulate) for at in todo]
        loaded = self.loaded(part for share in shares for part in share)
        for at, share in zip(todo, shares, strict=True):
            next(bar, None)
            with deferred():  # a stop comes before or after a step, when the state is whole
                loss = self.one_step([len(part) for part in share], loaded, model)
                self.losses.add(loss, epoch, self.step)
                self.step += 1
                self.done = at + 1
            if time.monotonic() - self.saved >= self.job.save_every_s and self.done < len(parts):
                self.save()
        losses = self.losses.read(epoch, self.step)
        if self.average is not None:
            self.average.after_epoch(epoch)
        row: dict[str, float] = {
            "epoch": epoch + 1,
            "step": self.step,
            "lr": learning_rate(self.step - 1, self.steps, self.settings),
            "loss": sum(losses) / max(1, len(losses)),
        }
        if self.accelerator.is_main_process:
            row.update(self.evaluate(epoch))
        self.history.append(row)
        self.epoch, self.done = epoch + 1, 0
        self.losses.start([])
        if self.epoch == self.settings.last_epoch or time.monotonic() - self.saved >= self.job.save_every_s:
            self.save()

    def own(self, items: Index) -> Index:
        """This process's share of a batch; every process needs an item, so a short one is filled up."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        return np.resize(items, max(len(items), world))[rank::world]

    def loaded(self, parts: Iterable[Index]) -> Iterator[Any]:
        """Parts of batches, loaded ahead."""
        return iter(parts) if self.job.load is None else prefetched(map(self.job.load, parts))

    def one_step(self, counts: Sequence[int], coming: Iterator[Any], model: nn.Module) -> Tensor:
        """Learn from one batch, which comes in parts of so many items; its loss, still on the device."""
        accelerator, settings = self.accelerator, self.settings
        world, rank = accelerator.num_processes, accelerator.process_index
        rate = learning_rate(self.step, self.steps, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad()
        parts = Parts(self.job, accelerator, lambda part: seed_step(settings.seed, self.step, rank, part))
        with timed("computing"):
            loss = parts.backward(model, counts, coming, self.step)
        if settings.clip_norm:
            accelerator.clip_grad_norm_(model.parameters(), settings.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.after_step(self.step)
        return accelerator.reduce(loss, "mean") if world > 1 else loss

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Curves of the weights that would be kept now."""
        if self.job.curves is None:
            return {}
        own = {k: v.clone() for k, v in self.plain.state_dict().items()}
        if self.average is not None:
            self.plain.load_state_dict(self.average.weights)
        self.plain.eval()
        try:
            with torch.no_grad():
                return self.job.curves(epoch, self.plain)
        finally:  # a stop, too, must find the weights that are trained
            self.plain.load_state_dict(own)
            self.plain.train()
