"""TMF, the temporal multi-modal fusion network: the features of a clip's rows to the task's outputs.

arXiv 2303.10849, section 3.3, and RECIPE: features of a row are concatenated, a 1x1 convolution brings them
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

import torch
from torch import Tensor, nn

from abaw_submit.models.settings import TmfSize
from abaw_submit.tasks import Task


class Tmf(nn.Module):
    """The network of one task.

    Attributes:
        mean, std: (features,) standardisation fitted on the training tracks; part of the weights, so that a
            checkpoint predicts without the training data.
    """

    def __init__(self, features: int, task: Task, size: TmfSize) -> None:
        super().__init__()
        self.task = task
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.mean: Tensor
        self.std: Tensor
        self.fuse = nn.Sequential(nn.Conv1d(features, size.conv_dim, kernel_size=1), nn.LeakyReLU(0.1))
        self.project = nn.Linear(size.conv_dim, size.model_dim)
        layer = nn.TransformerEncoderLayer(
            size.model_dim,
            size.heads,
            size.feedforward_dim,
            size.dropout,
            batch_first=True,
            norm_first=True,
        )
        self.transformer = nn.TransformerEncoder(
            layer, size.layers, norm=nn.LayerNorm(size.model_dim), enable_nested_tensor=False
        )
        heads, outputs = (2, 1) if task.name == "VA" else (1, task.outputs)
        self.heads = nn.ModuleList(_Head(size.model_dim, size.head_dim, outputs) for _ in range(heads))

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Outputs of every row: logits for AU and EXPR, values in [-1, 1] for VA.

        Args:
            features: (batch, rows, features), as they come from the cache.
            present: (batch, rows) bool; False pads a track that is shorter than the clip.

        Returns:
            (batch, rows, outputs); padding rows hold numbers without meaning.
        """
        x = (features - self.mean) / self.std
        x = torch.where(present[..., None], x, torch.zeros_like(x))
        x = self.project(self.fuse(x.transpose(1, 2)).transpose(1, 2))
        x = x + sinusoids(x.shape[1], x.shape[2]).to(x)
        x = self.transformer(x, src_key_padding_mask=~present)
        output = torch.cat([head(x, present) for head in self.heads], -1)
        return output.tanh() if self.task.name == "VA" else output

    @torch.no_grad()
    def fit_standardisation(self, mean: Tensor, std: Tensor) -> None:
        """Keep the mean and deviation of the training rows; a constant feature is only centred."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))


class _Head(nn.Module):
    """Linear - BatchNorm - LeakyReLU - Linear; padding rows do not enter the batch statistics."""

    def __init__(self, dim: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.act = nn.LeakyReLU(0.1)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        hidden = self.hidden(x[present])
        # one single row has no batch statistics; the running ones serve
        normed = self.norm(hidden) if len(hidden) > 1 or not self.training else self._running(hidden)
        rows: Tensor = self.out(self.act(normed))
        full = rows.new_zeros(*x.shape[:-1], rows.shape[-1])
        full[present] = rows
        return full

    def _running(self, hidden: Tensor) -> Tensor:
        norm = self.norm
        return nn.functional.batch_norm(
            hidden, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
        )


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
