"""A Transformer whose rows know how far apart they are, and not where in the clip they stand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.settings import SequenceSize


def encoder_layers(
    size: SequenceSize, activation: Callable[[Tensor], Tensor] = functional.relu
) -> nn.TransformerEncoder:
    """The paper's encoder: pre-norm layers of d_model, d_ff, heads and dropout, a LayerNorm at the end."""
    layer = nn.TransformerEncoderLayer(
        size.model_dim,
        size.heads,
        size.feedforward_dim,
        size.dropout,
        activation,
        batch_first=True,
        norm_first=True,
    )
    return nn.TransformerEncoder(
        layer, size.layers, norm=nn.LayerNorm(size.model_dim), enable_nested_tensor=False
    )


def _relu(x: Tensor) -> Tensor:
    """ReLU under another name: with its own, PyTorch 2.11 takes a faster path without gradients, which gives
    NaN for masks of numbers (test_relative_positions_are_the_same_without_gradients)."""
    return functional.relu(x)


class RelativeTransformer(SequenceNetwork):
    """Attention with one learned number per head and distance (Shaw et al. 2018; Raffel et al. 2020).

    Distances beyond `reach_rows` share the farthest number. What is said of a row does not depend on where
    the clip begins, so long windows and strides other than the training's do no harm.
    """

    def build(self, size: SequenceSize) -> None:
        """The paper's encoder layers and a table of distances, shared by all layers."""
        self.transformer = encoder_layers(size, _relu)
        self.reach = size.reach_rows
        self.distance = nn.Embedding(2 * size.reach_rows + 1, size.heads)
        nn.init.zeros_(self.distance.weight)  # at first all distances are alike

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Attention over all rows of the clip."""
        clips, rows, _ = x.shape
        place = torch.arange(rows, device=x.device)
        apart = (place[None] - place[:, None]).clamp(-self.reach, self.reach) + self.reach
        bias = self.distance(apart).permute(2, 0, 1)  # (heads, rows, rows)
        hidden = torch.zeros(present.shape, device=x.device, dtype=x.dtype).masked_fill(
            ~present, float("-inf")
        )
        mask = bias[None].to(x.dtype) + hidden[:, None, None]
        encoded: Tensor = self.transformer(x, mask=mask.reshape(clips * len(bias), rows, rows))
        return encoded
