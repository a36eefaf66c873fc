"""A network's tokens or maps to one vector: the mean, the class token, attention, or a grid of means."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from abaw_submit.errors import UserError
from abaw_submit.models.weights.options import grid_side


def has_tokens(backbone: Any) -> bool:
    """Whether a timm network works on a sequence of tokens, as Vision Transformers do."""
    return hasattr(backbone, "blocks") and hasattr(backbone, "num_prefix_tokens")


def check_pool(backbone: Any, pool: str, where: str) -> None:
    """Refuse a pooling that a network has not the parts for.

    Raises:
        UserError: no class token, no attention pool, or an unknown word.
    """
    grid_side(pool)
    if pool == "cls" and not (has_tokens(backbone) and getattr(backbone, "cls_token", None) is not None):
        raise UserError(f"{where} has no class token. Use --pool avg or grid:3.")
    if pool == "map" and getattr(backbone, "attn_pool", None) is None:
        raise UserError(f"{where} has no attention pool. Use --pool avg, cls or grid:3.")


def pooled_dim(backbone: Any, pool: str) -> int:
    """Numbers per picture."""
    side = grid_side(pool)
    if not has_tokens(backbone) and side == 1:
        return int(getattr(backbone, "head_hidden_size", backbone.num_features))
    if pool == "own":
        return int(getattr(backbone, "head_hidden_size", None) or backbone.num_features)
    return int(backbone.num_features) * side * side


def pool_features(backbone: Any, features: Tensor, pool: str) -> Tensor:
    """One vector per picture.

    Args:
        backbone: a timm network.
        features: what its `forward_features` gave: (batch, tokens, dim), or maps.
        pool: "avg", "cls", "map", "own" or "grid:N".

    Returns:
        (batch, dim); for "grid:N" the vectors of N x N cells after each other, row by row.
    """
    side = grid_side(pool)
    if pool == "own" or (side == 1 and not has_tokens(backbone)):
        own: Tensor = backbone.forward_head(features, pre_logits=True)
        return own.flatten(1)
    if not has_tokens(backbone):
        if features.shape[1] != backbone.num_features:  # channels last, as Swin gives them
            features = features.permute(0, 3, 1, 2)
        return F.adaptive_avg_pool2d(features, side).flatten(2).transpose(1, 2).flatten(1)
    if pool == "map":
        vector: Tensor = backbone.attn_pool(features)
    elif pool == "cls":
        vector = features[:, 0]
    else:
        patches = features[:, int(backbone.num_prefix_tokens) :]
        vector = patches.mean(dim=1) if side == 1 else _cells(patches, side)
    norm = getattr(backbone, "fc_norm", None)
    vector = vector if norm is None else norm(vector)
    return vector.flatten(1)


def _cells(patches: Tensor, side: int) -> Tensor:
    """(batch, tokens, dim) to (batch, side * side, dim): means over the cells of a grid."""
    batch, tokens, dim = patches.shape
    across = round(tokens**0.5)
    maps = patches.transpose(1, 2).reshape(batch, dim, across, across)
    return F.adaptive_avg_pool2d(maps, side).flatten(2).transpose(1, 2)
