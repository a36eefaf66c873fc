"""The visual encoder: a face picture to one vector.

This project's own is a Vision Transformer whose feature is the LayerNorm of the mean of the patch
tokens, as in MAE fine-tuning (He et al. 2022; arXiv 2303.10849, section 3.2). It is stored under the names
of the official MAE release, so that its files load here and files made here load there; `models.weights`
loads those of all other families.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD, VitSize
from abaw_submit.models.weights.pool import pool_features

_NEEDED = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight")


class Encoder(nn.Module):
    """Pictures to vectors; normalises inside, so callers pass plain RGB in [0, 1].

    Attributes:
        size_px: side of the square input picture, px.
        dim: length of the vector.
        mean: per-channel mean that is subtracted.
        std: per-channel deviation that is divided by.
        backbone: the timm network.
        pool: how its tokens become one vector: "avg", "cls", "map" or "grid:N".
        config: what `config.toml` keeps to build it again.
        notes: what was assumed when its weights were loaded.
    """

    def __init__(
        self,
        backbone: nn.Module,
        size_px: int,
        dim: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        config: Mapping[str, Any] | None = None,
        pool: str = "avg",
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.size_px, self.dim = size_px, dim
        self.mean, self.std = mean, std
        self.config: dict[str, Any] = dict(config or {})
        self.pool, self.notes = pool, notes
        self._mean: Tensor
        self._std: Tensor
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of RGB pictures.

        Args:
            images: (batch, 3, size_px, size_px), in [0, 1].

        Returns:
            (batch, dim).
        """
        network: Any = self.backbone
        features: Tensor = network.forward_features((images - self._mean) / self._std)
        return pool_features(network, features, self.pool)

    def checkpoint_activations(self) -> None:
        """Compute activations again in the backward pass in place of keeping them.

        Raises:
            UserError: the network cannot.
        """
        network: Any = self.backbone
        try:
            network.set_grad_checkpointing(True)
        except (AttributeError, AssertionError, NotImplementedError):
            raise UserError(f"{type(network).__name__} has no --checkpointing. Leave it out.") from None


def build_vit(size: VitSize, *, drop_path: float = 0.0, pooled: bool = True) -> Any:
    """timm's VisionTransformer of a size, freshly initialised, without a classifier.

    Args:
        size: the sizes.
        drop_path: stochastic depth of the last block; earlier blocks have proportionally less.
        pooled: mean of the patch tokens, then LayerNorm (`fc_norm`); False keeps all tokens and ends in
            `norm`, as MAE pre-training needs.
    """
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=size.img_size_px,
        patch_size=size.patch_px,
        embed_dim=size.dim,
        depth=size.depth,
        num_heads=size.heads,
        num_classes=0,
        global_pool="avg" if pooled else "",
        fc_norm=pooled,
        drop_path_rate=drop_path,
        norm_layer=lambda dim, **more: nn.LayerNorm(dim, eps=1e-6, **more),
    )


def new_encoder(size: VitSize, *, drop_path: float = 0.0) -> Encoder:
    """An encoder with random weights."""
    return _vit_encoder(size, drop_path)


def size_of_state(state: Mapping[str, Tensor], where: str, heads: int) -> VitSize:
    """The sizes of a Vision Transformer, read off its weights; only the heads cannot be.

    Raises:
        UserError: these are not weights in the official MAE format.
    """
    absent = [name for name in _NEEDED if name not in state]
    if absent:
        some = ", ".join(sorted(state)[:3]) or "nothing"
        raise UserError(
            f"{where} is not in the official MAE format: {absent[0]} is missing (it holds {some}, …).\n"
            "Expected cls_token, pos_embed, patch_embed.proj.*, blocks.*.attn.qkv.*, …"
        )
    dim, _, patch_px, _ = state["patch_embed.proj.weight"].shape
    side = math.isqrt(state["pos_embed"].shape[1] - 1)
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    return VitSize(side * patch_px, patch_px, dim, depth, heads)


def _vit_encoder(size: VitSize, drop_path: float) -> Encoder:
    backbone = build_vit(size, drop_path=drop_path)
    return Encoder(backbone, size.img_size_px, size.dim, config={"timm_name": "", **vars(size)})
