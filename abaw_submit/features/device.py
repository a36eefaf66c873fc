"""Where a network runs, and what identifies its weights."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from abaw_submit.errors import UserError


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


def inference(device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision on a GPU, plain float32 on a CPU."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.float16)
    return nullcontext()


def weights_hash(model: nn.Module) -> str:
    """16 hex digits over the names, types and bytes of all weights, wherever they were loaded from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]
