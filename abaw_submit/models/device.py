"""Where a network runs, and what identifies its weights."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from abaw_submit.errors import UserError, suggest
from abaw_submit.models.profiling import part as timed

_TYPES = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def pick_device(name: str) -> torch.device:
    """A device by name; "auto" takes a GPU if there is one.

    Raises:
        UserError: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f'Unknown device "{name}". Expected auto, cpu, cuda or cuda:0.') from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f'No GPU for device "{name}" here. Use --device cpu.')
    return device


def resolve_precision(device: torch.device, precision: str) -> str:
    """What "auto" means on a device: fp16 on a GPU, float32 on a CPU.

    Raises:
        UserError: another word.
    """
    if precision == "auto":
        return "fp16" if device.type == "cuda" else "no"
    if precision not in _TYPES:
        raise UserError(f'Unknown precision "{precision}". {suggest(precision, [*_TYPES, "auto"])}')
    return precision


def inference(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Mixed precision for a network that only runs forward.

    Args:
        device: where it runs.
        precision: "no" is float32; "fp16" and "bf16" mixed; "auto" fp16 on a GPU, float32 on a CPU.

    Raises:
        UserError: another word.
    """
    kind = _TYPES[resolve_precision(device, precision)]
    return nullcontext() if kind is None else torch.autocast(device.type, dtype=kind)


def weights_hash(model: nn.Module) -> str:
    """16 hex digits over the names, types and bytes of all weights, wherever they were loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def copy_ahead(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A host tensor on a device, by a copy that runs beside what the device computes."""
    if device.type == "cpu":
        return tensor
    with timed("copying"):
        return tensor.pin_memory().to(device, non_blocking=True)


class Later:
    """A device's tensor on its way to the host: the copy runs beside what the device computes next.

    Args:
        tensor: on any device.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self._host = tensor.to("cpu", non_blocking=True)
        self._done: torch.cuda.Event | None = None
        if tensor.is_cuda:
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._done.record()  # type: ignore[no-untyped-call]

    def get(self) -> torch.Tensor:
        """The tensor on the host, once it is there."""
        if self._done is not None:
            self._done.synchronize()  # type: ignore[no-untyped-call]
        return self._host
