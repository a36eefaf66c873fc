"""AdamW's parameter groups and the learning rate of each step."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from abaw_submit.training.settings import LoopSettings

_NO_DECAY = ("cls_token", "pos_embed", "mask_token", "decoder_pos_embed")


def parameter_groups(
    model: nn.Module, settings: LoopSettings, layer_decay: float = 1.0, depth: int = 0
) -> list[dict[str, Any]]:
    """Parameters by weight decay and learning rate.

    Norms, biases, tokens and position embeddings are not decayed. With `layer_decay` below 1, block k of
    `depth` learns with `layer_decay ** (depth - k)` of the rate, the embedding one step slower than
    block 0, and everything outside the blocks at the full rate (He et al. 2022, appendix A.1).

    Args:
        model: whose trainable parameters are grouped.
        settings: weight decay and learning rate.
        layer_decay: factor from one block to the one below it.
        depth: number of blocks.

    Returns:
        Groups for the optimizer, in a fixed order, each with its `scale` of the learning rate.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in _NO_DECAY
        decay = 0.0 if plain else settings.weight_decay
        scale = layer_decay ** (depth + 1 - layer_of(name, depth))
        group = groups.setdefault(
            (scale, decay), {"params": [], "weight_decay": decay, "lr": settings.lr * scale, "scale": scale}
        )
        group["params"].append(parameter)
    return list(groups.values())


def layer_of(name: str, depth: int) -> int:
    """0 for the embedding, 1 .. depth for the blocks, depth + 1 for what comes after.

    >>> [layer_of(n, 4) for n in ("backbone.blocks.2.norm1.weight", "backbone.pos_embed", "head.bias")]
    [3, 0, 5]
    """
    parts = name.split(".")
    if "blocks" in parts[:-1]:
        return int(parts[parts.index("blocks") + 1]) + 1
    if any(part in ("cls_token", "pos_embed", "patch_embed") for part in parts):
        return 0
    return depth + 1


def learning_rate(step: int, steps: int, settings: LoopSettings) -> float:
    """Linear warm-up, then one half cosine down to `min_lr` over all steps; never a restart.

    Args:
        step: 0-based step.
        steps: steps of the whole training.
        settings: lr, warmup, min_lr.

    >>> s = LoopSettings(lr=1.0, warmup=0.5)
    >>> [round(learning_rate(k, 8, s), 3) for k in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    warm = round(settings.warmup * steps)
    if step < warm:
        return settings.lr * (step + 1) / warm
    # epochs may differ by a clip or two, so the last steps may lie past the planned end
    place = min(1.0, (step - warm) / max(1, steps - warm))
    return settings.min_lr + (settings.lr - settings.min_lr) * 0.5 * (1 + math.cos(math.pi * place))
