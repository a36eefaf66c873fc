"""What a family's small random encoder is made of: its file, and a second implementation of its feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

SIDE, PATCH, DIM, DEPTH, HEADS = 32, 8, 64, 2, 4
State = dict[str, Tensor]


@dataclass
class Case:
    """A family's file as its authors write it.

    Attributes:
        content: what `torch.save` is given.
        reference: normalised pictures (batch, 3, side, side) to features, by another implementation.
        heads: the `heads` option the small widths need.
        options: further options.
        family: the family it must be recognised as.
        dropped: rules that must have taken something.
    """

    content: Any
    reference: Callable[[Tensor], Tensor]
    family: str
    heads: int | None = HEADS
    options: dict[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def randomised(module: nn.Module, seed: int = 0) -> Any:
    """A module whose every weight is random, norms and scales too, so that none of them can go unused."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.1 + (1.0 if _scales(name, p) else 0.0))
    return module.eval()


def _scales(name: str, p: Tensor) -> bool:
    return (p.ndim == 1 and name.endswith("weight")) or "lambda1" in name or "gamma" in name


def renamed(state: State, pairs: list[tuple[str, str]]) -> State:
    out = {}
    for key, value in state.items():
        for old, new in pairs:
            key = key.replace(old, new)
        out[key] = value
    return out


def fused(state: State, names: tuple[str, str, str], fused: str, dot: str = ".") -> State:
    """Query, key and value projections as one."""
    out: State = {}
    for key, value in state.items():
        query = next((n for n in names if n in key), None)
        if query is None:
            out[key] = value
        elif query == names[0]:
            parts = [state.get(key.replace(query, n)) for n in names]
            zeros = torch.zeros_like(value)
            joined = torch.cat([zeros if p is None else p for p in parts])
            out[key.replace(f"{query}.", f"{fused}{dot}")] = joined
    return out


def network(kind: str, **more: Any) -> Any:
    """A small model of transformers with random weights: `<kind>Model` of its `<kind>Config`."""
    import transformers

    sizes = {"hidden_size": DIM, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS}
    sizes |= {"image_size": SIDE, "patch_size": PATCH}
    given = getattr(transformers, f"{kind}Config")(**sizes, **more)
    made = getattr(transformers, f"{kind}Model")
    return randomised(made(given, add_pooling_layer=False) if kind == "ViT" else made(given))


def class_token(model: Any) -> Callable[[Tensor], Tensor]:
    """The class token after the last norm."""
    return lambda x: model(x).last_hidden_state[:, 0]


def mean_token(model: Any) -> Callable[[Tensor], Tensor]:
    """The mean of the patch tokens after the last norm."""
    return lambda x: model(x).last_hidden_state[:, 1:].mean(1)


QKV = ("attention.q_proj", "attention.k_proj", "attention.v_proj")


def pictures(size_px: int = 32) -> Tensor:
    return torch.rand(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(1))


def normalised(images: Tensor, encoder: Any) -> Tensor:
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    return (images - mean) / std
