"""Position embeddings that are computed, not learnt, as in the official MAE code (He et al. 2022)."""

from __future__ import annotations

import torch
from torch import Tensor


def sincos_positions(dim: int, side: int) -> Tensor:
    """Fixed 2-D sine-cosine position embeddings with a zero row for the class token.

    Half of the width encodes the column and half the row, as in the official code.

    Args:
        dim: width; a multiple of 4.
        side: patches along one side.

    Returns:
        (1, 1 + side * side, dim) float32.
    """
    quarter = dim // 4
    rates = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    steps = torch.arange(side, dtype=torch.float64)
    waves = steps[:, None] * rates
    line = torch.cat([waves.sin(), waves.cos()], 1)  # (side, dim / 2)
    column = line[None, :, :].expand(side, side, -1)
    row = line[:, None, :].expand(side, side, -1)
    grid = torch.cat([column, row], -1).reshape(side * side, dim)
    return torch.cat([torch.zeros(1, dim, dtype=torch.float64), grid])[None].float()
