"""AdamW's parameter groups and the learning rate of each step."""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

from torch import nn

from abaw_submit.training.settings import LoopSettings

# tokens and tables of positions: never decayed, as the networks' own `no_weight_decay` says
_NO_DECAY = (
    "cls_token", "pos_embed", "mask_token", "decoder_pos_embed", "reg_token", "latent",
    "relative_position_bias_table",
)  # fmt: skip
_EMBEDDING = ("cls_token", "pos_embed", "patch_embed", "reg_token", "norm_pre")


def parameter_groups(
    model: nn.Module, settings: LoopSettings, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameters by weight decay and learning rate.

    Norms, biases, tokens and position embeddings are not decayed. With `layer_decay` below 1, each layer of
    the encoder learns with `layer_decay` times the rate of the one above it; what comes after the layers
    learns at the full rate (He et al. 2022, appendix A.1), so no rate is ever above it.

    Args:
        model: whose trainable parameters are grouped.
        settings: weight decay and learning rate.
        layer_decay: factor from one layer to the one below it.

    Returns:
        Groups for the optimizer, in a fixed order, each with its `scale` of the learning rate.
    """
    layers = layers_of(model) if layer_decay != 1.0 else {}
    top = max(layers.values(), default=0)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        plain = parameter.ndim <= 1 or name.rsplit(".", 1)[-1] in _NO_DECAY
        decay = 0.0 if plain else settings.weight_decay
        scale = layer_decay ** (top - layers.get(name, top))
        group = groups.setdefault(
            (scale, decay), {"params": [], "weight_decay": decay, "lr": settings.lr * scale, "scale": scale}
        )
        group["params"].append(parameter)
    return list(groups.values())


def layers_of(model: nn.Module) -> dict[str, int]:
    """The layer of every parameter, 0 for the embedding; what comes after the encoder's layers is the last.

    Vision Transformers follow the official MAE code: block k is layer k + 1. Other timm networks say it
    themselves (`group_matcher`): Swin by blocks, ConvNeXt by blocks of its stages, and so on.

    Args:
        model: a timm network, or one that holds it as `backbone` or `encoder.backbone`.
    """
    prefix, backbone = "", model
    for part in ("encoder", "backbone"):
        inner = getattr(backbone, part, None)
        if isinstance(inner, nn.Module):
            prefix, backbone = f"{prefix}{part}.", inner
    names = [name for name, _ in model.named_parameters()]
    own = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    if hasattr(backbone, "num_prefix_tokens") and hasattr(backbone, "blocks"):
        depth = len(backbone.blocks)  # type: ignore[arg-type]
        inside = {name: layer_of(name, depth) for name in own}
    elif hasattr(backbone, "group_matcher"):
        manipulate: Any = import_module("timm.models")
        matcher = backbone.group_matcher(coarse=False)  # type: ignore[operator]
        found = manipulate.group_parameters(backbone, matcher, reverse=True)
        inside = {name: int(found[name]) for name in own}
        depth = max(inside.values(), default=0)
    else:
        return dict.fromkeys(names, 0)
    after = depth + 1
    return {n: inside.get(n.removeprefix(prefix), after) if n.startswith(prefix) else after for n in names}


def layer_of(name: str, depth: int) -> int:
    """Of a Vision Transformer: 0 for the embedding, 1 .. depth for the blocks, depth + 1 for what follows.

    >>> [layer_of(n, 4) for n in ("blocks.2.norm1.weight", "pos_embed", "fc_norm.bias")]
    [3, 0, 5]
    """
    parts = name.split(".")
    if parts[0] == "blocks":
        return int(parts[1]) + 1
    return 0 if parts[0] in _EMBEDDING else depth + 1


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
