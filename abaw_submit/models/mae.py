"""The masked autoencoder: hide 75 % of a picture's patches, learn to paint them (He et al. 2022).

The names of the weights, decoder's too, are the official ones: whole official checkpoints load.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from abaw_submit.models.encoder import build_vit
from abaw_submit.models.positions import sincos_positions
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD, DecoderSize, VitSize


class MaskedAutoencoder(nn.Module):
    """Encoder on the visible patches, light decoder on all of them, pixel loss on the hidden ones.

    Args:
        size: the encoder.
        decoder: the decoder.
        mask_ratio: share of the patches that is hidden, in (0, 1).
        normalise_pixels: the target of a patch is its pixels with zero mean and unit deviation, which gives
            better features (He et al. 2022, table 1d).
    """

    def __init__(
        self, size: VitSize, decoder: DecoderSize, mask_ratio: float = 0.75, normalise_pixels: bool = True
    ) -> None:
        super().__init__()
        transformer: Any = import_module("timm.models.vision_transformer")
        self.size, self.mask_ratio, self.normalise_pixels = size, mask_ratio, normalise_pixels
        self.checkpointing = False  # True: activations are computed again in the backward pass
        self.encoder = build_vit(size, pooled=False)
        side = size.img_size_px // size.patch_px
        width = decoder.decoder_dim
        self.decoder_embed = nn.Linear(size.dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.decoder_pos_embed = nn.Parameter(sincos_positions(width, side), requires_grad=False)
        self.decoder_blocks = nn.ModuleList(
            transformer.Block(
                width,
                decoder.decoder_heads,
                mlp_ratio=4.0,
                qkv_bias=True,
                norm_layer=lambda dim, **more: nn.LayerNorm(dim, eps=1e-6, **more),
            )
            for _ in range(decoder.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_pred = nn.Linear(width, size.patch_px**2 * 3)
        # fixed positions, as in the official pre-training; fine-tuning then trains them
        self.encoder.pos_embed = nn.Parameter(sincos_positions(size.dim, side), requires_grad=False)
        nn.init.normal_(self.encoder.cls_token, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        embed = self.encoder.patch_embed.proj
        nn.init.xavier_uniform_(embed.weight.view(embed.weight.shape[0], -1))
        self.register_buffer("_mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self._mean: Tensor
        self._std: Tensor

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """The reconstruction loss of a batch, a scalar.

        Args:
            images: (batch, 3, side, side) RGB in [0, 1].
            noise: (batch, patches), whose smallest values stay visible; random when None.
        """
        images = (images - self._mean) / self._std
        if noise is None:
            patches = (self.size.img_size_px // self.size.patch_px) ** 2
            noise = torch.rand(len(images), patches, device=images.device)
        rows = patchify(images, self.size.patch_px)
        predicted, hidden = self.reconstruct(rows, noise)
        target = _rows_at(rows, hidden)
        if self.normalise_pixels:
            target = target - target.mean(-1, keepdim=True)
            variance = target.square().sum(-1, keepdim=True) / (target.shape[-1] - 1)
            target = target / (variance + 1e-6).sqrt()
        return nn.functional.mse_loss(predicted, target)

    def reconstruct(self, rows: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted pixels of the hidden patches, and which patches these are.

        Only what is visible is embedded, and only what is hidden is painted: three quarters of the embedding
        and a quarter of the painting of the official code, whose results are thrown away there.

        Args:
            rows: (batch, patches, patch pixels x 3), of `patchify`, normalised.
            noise: (batch, patches); the patches of the smallest values stay visible.

        Returns:
            (batch, hidden, patch pixels x 3) and the places (batch, hidden) of these patches.
        """
        encoder, patches = self.encoder, rows.shape[1]
        visible = max(1, int(patches * (1 - self.mask_ratio)))
        order = noise.argsort(1)
        seen, hidden = order[:, :visible], order[:, visible:]
        embed = encoder.patch_embed.proj
        weight = embed.weight.permute(0, 2, 3, 1).flatten(1)  # pixels in the order of `patchify`
        kept = nn.functional.linear(_rows_at(rows, seen), weight, embed.bias)
        kept = kept + _rows_at(encoder.pos_embed[:, 1:].expand(len(rows), -1, -1), seen)
        first = (encoder.cls_token + encoder.pos_embed[:, :1]).expand(len(kept), -1, -1)
        latent = encoder.norm(self._through(encoder.blocks, torch.cat([first, kept], 1)))

        latent = self.decoder_embed(latent)
        masks = self.mask_token.expand(len(latent), patches - visible, -1)
        full = _rows_at(torch.cat([latent[:, 1:], masks], 1), order.argsort(1))
        x = torch.cat([latent[:, :1], full], 1) + self.decoder_pos_embed
        x = self._through(self.decoder_blocks, x)
        return self.decoder_pred(self.decoder_norm(_rows_at(x[:, 1:], hidden))), hidden

    def _through(self, blocks: Iterable[Any], x: Tensor) -> Tensor:
        again = self.checkpointing and self.training
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        return x

    def official_state(self) -> dict[str, Tensor]:
        """The weights under the names of the official release: the encoder's without a prefix."""
        return {name.removeprefix("encoder."): tensor for name, tensor in self.state_dict().items()}

    def load_official(self, state: dict[str, Tensor]) -> None:
        """Take over weights under the official names."""
        own = self.state_dict()
        self.load_state_dict({name: state[name.removeprefix("encoder.")] for name in own})


def _rows_at(rows: Tensor, places: Tensor) -> Tensor:
    """(batch, patches, width) at (batch, some) places: (batch, some, width)."""
    return rows.gather(1, places[:, :, None].expand(-1, -1, rows.shape[2]))


def patchify(images: Tensor, patch_px: int) -> Tensor:
    """Pictures as rows of patch pixels.

    Args:
        images: (batch, 3, side, side).
        patch_px: side of a patch.

    Returns:
        (batch, patches, patch_px * patch_px * 3): pixels in row order, the three channels of a
        pixel together, as in the official code.
    """
    batch, channels, height, width = images.shape
    rows, columns = height // patch_px, width // patch_px
    split = images.reshape(batch, channels, rows, patch_px, columns, patch_px)
    return split.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, patch_px**2 * channels)
