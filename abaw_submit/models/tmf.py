"""TMF, the temporal multi-modal fusion network: the features of a clip's rows to the task's outputs.

arXiv 2303.10849, section 3.3: features of a row are concatenated, a 1x1 convolution brings them
to 256 channels, LeakyReLU 0.1, a Transformer encoder of 4 layers and 4 heads with d_model = d_ff = 128 and
dropout 0.3, a head Linear 64 - BatchNorm - Linear. VA has two heads.

Where the paper is silent or contradicts itself:

* 256 channels do not enter a transformer of width 128. One linear layer, 256 to 128, stands between them: it
  keeps every number of the paper, where dropping either would not.
* Positions are sinusoidal: a clip has no natural end, so nothing about a row's place is worth learning, and
  clips of any length can be predicted.
* Layers are pre-norm, which trains without a long warm-up at the paper's learning rates.
* The head's two linear layers would be one linear map with only a BatchNorm between; a LeakyReLU follows it.
* VA outputs pass through tanh. The paper clamps to [-1, 1]; a clamp has no gradient outside, so a row that
  once leaves the range never comes back through the loss.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.sequence.transformer import encoder_layers
from abaw_submit.models.settings import SequenceSize


class Tmf(SequenceNetwork):
    """The paper's network of one task."""

    def build(self, size: SequenceSize) -> None:
        """A Transformer encoder."""
        self.transformer = encoder_layers(size)

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Attention over all rows of the clip; positions are counted from the clip's first row."""
        x = x + _positions(x.shape[1], x.shape[2], x.device, x.dtype)
        encoded: Tensor = self.transformer(x, src_key_padding_mask=~present)
        return encoded


@lru_cache(maxsize=64)
def _positions(rows: int, dim: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """`sinusoids`, made and brought to the device once."""
    return sinusoids(rows, dim).to(device, dtype)


def sinusoids(rows: int, dim: int) -> Tensor:
    """Sine and cosine positions (Vaswani et al. 2017, section 3.5).

    Returns:
        (rows, dim) float32.

    >>> sinusoids(3, 4).shape, float(sinusoids(3, 4)[0, 1])
    (torch.Size([3, 4]), 1.0)
    """
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    angles = torch.arange(rows)[:, None] * rates
    positions = torch.zeros(rows, dim)
    positions[:, 0::2] = angles.sin()
    positions[:, 1::2] = angles.cos()[:, : dim // 2]
    return positions
