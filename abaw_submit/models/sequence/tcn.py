"""A temporal convolutional network: each layer looks twice as far as the one before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.settings import SequenceSize


class Tcn(SequenceNetwork):
    """Dilated convolutions in residual blocks (Bai et al. 2018), to both sides: nothing here is online.

    Layer k has dilation 2^k, so a row sees `(kernel_rows - 1) / 2 * (2^layers - 1)` rows to each side.
    """

    def build(self, size: SequenceSize) -> None:
        """The residual blocks."""
        self.blocks = nn.ModuleList(
            _Block(size.model_dim, size.kernel_rows, 2**k, size.dropout) for k in range(size.layers)
        )
        self.norm = nn.LayerNorm(size.model_dim)

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Convolutions along the rows."""
        real = present[..., None]
        for block in self.blocks:
            x = block(x, real)
        normed: Tensor = self.norm(x)
        return normed


class _Block(nn.Module):
    """x + ReLU of a convolution of LayerNorm(x); it takes padding for zeros, like what lies beyond a clip."""

    def __init__(self, dim: int, kernel_rows: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        side = dilation * (kernel_rows // 2)
        self.conv = nn.Conv1d(dim, dim, kernel_rows, padding=side, dilation=dilation)
        self.point = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        normed = torch.where(real, self.norm(x), torch.zeros_like(x))
        seen = self.conv(normed.transpose(1, 2)).transpose(1, 2).relu()
        added: Tensor = x + self.drop(self.point(self.drop(seen)))
        return added
