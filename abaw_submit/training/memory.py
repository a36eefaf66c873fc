"""Whether a batch can fit: asked before training starts, since the system kills a process without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError

_SHARE = 0.7  # of the free memory that a batch of the advised size may take
_STATES = 3  # gradient and AdamW's two moments, beside the weights that are there already


def kept_bytes(forward: Callable[[], Tensor]) -> int:
    """Bytes that a forward pass keeps for the backward one: what a step needs at least.

    Args:
        forward: computes a loss.
    """
    seen: dict[tuple[int, int], int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[(storage.data_ptr(), storage.nbytes())] = storage.nbytes()
        alive.append(tensor)  # a freed tensor's place would be counted once for two
        return tensor

    alive: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        forward()
    return sum(seen.values())


def item_bytes(forward: Callable[[int], Tensor], model: nn.Module) -> int:
    """Bytes that each further item of a batch needs: the difference between four items and two.

    Of a masked autoencoder of 86 M weights it gives 20.7 MiB; the process grew by 20.3 MiB an item.
    Random numbers and the statistics of normalisation layers are afterwards as they were before.

    Args:
        forward: number of items -> their loss.
        model: the model that `forward` calls.
    """
    before = [buffer.clone() for buffer in model.buffers()]
    training = model.training
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        model.train()
        few, more = (kept_bytes(lambda n=n: forward(n)) for n in (2, 4))  # type: ignore[misc]
    model.train(training)
    with torch.no_grad():
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
    return max(more - few, 0) // 2


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None if it cannot be known. On a CPU a container's limit counts too."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    found = []
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            found.append(int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return max(min(found), 0)


def refuse_batch(
    batch: int, world: int, item: int, model: nn.Module, free: int | None, parts: int = 1
) -> None:
    """Refuse a batch that cannot fit, with the setting that makes it fit.

    Args:
        batch: items of a step, over all processes.
        world: processes.
        item: bytes that each item needs at least.
        model: the model; gradients and the optimizer's moments come on top of its weights.
        free: free bytes of the device; None: nothing is refused.
        parts: parts that a batch is computed in.

    Raises:
        UserError: it cannot fit.
    """
    fixed = _STATES * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
    share = -(-batch // (world * parts))
    if free is None or fixed + share * item <= free:
        return
    gib = 2**30
    fits = int((free * _SHARE - fixed) // max(item, 1))
    if fits < 1:
        raise UserError(
            f"The model needs {fixed / gib:.1f} GiB for its gradients and {item / gib:.2f} GiB for each item;"
            f" {free / gib:.1f} GiB are free. Give a smaller model, or another machine."
        )
    needed = -(-batch // (world * fits))
    raise UserError(
        f"--batch {batch} needs at least {(fixed + share * item) / gib:.1f} GiB"
        f"{' on each device' if world > 1 else ''} ({item / 2**20:.1f} MiB an item);"
        f" {free / gib:.1f} GiB are free.\nUse --accumulate {needed}: the same batch in parts."
        " Less is needed with --precision bf16 where the device can, and in pictures with --checkpointing."
    )
