"""What all sequence models share: standardisation, modality dropout, fusion, output heads, padding.

A model adds one thing: `encode`, from fused rows to rows that know their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from abaw_submit.decisions import Decision
from abaw_submit.models.losses import OUTPUTS
from abaw_submit.models.parallel import GlobalBatchNorm
from abaw_submit.models.sequence.fusion import Concatenation, GatedCrossAttention
from abaw_submit.models.sequence.streams import PICTURE, SOUND, Stream, columns_of, drop_one_kind, streams_of
from abaw_submit.models.settings import SequenceSize
from abaw_submit.tasks import Task, part_slices


class SequenceNetwork(nn.Module):
    """The network of one task.

    Attributes:
        mean, std: (features,) standardisation fitted on the training tracks; part of the weights, so that a
            checkpoint predicts without the training data.
    """

    def __init__(self, features: int | Sequence[Stream], task: Task, size: SequenceSize) -> None:
        super().__init__()
        self.task, self.size, self.streams = task, size, streams_of(features)
        width = sum(stream.dim for stream in self.streams)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))
        self.mean: Tensor
        self.std: Tensor
        kinds = [columns_of(self.streams, kind) for kind in (PICTURE, SOUND)]
        self.kinds = [torch.tensor(columns) for columns in kinds if columns]
        self.fuse: Concatenation | GatedCrossAttention
        if size.fusion == "gate":
            self.fuse = GatedCrossAttention(self.streams, size.conv_dim, size.heads, size.dropout)
        else:
            self.fuse = Concatenation(width, size.conv_dim)
        self.project = nn.Linear(size.conv_dim, size.model_dim)
        self.build(size)
        widths = [outputs for part in task.parts for outputs in _heads_of(part)]
        if task.whole_videos:
            self.pool = AttentionPooling(size.model_dim)
        self.heads = nn.ModuleList(Head(size.model_dim, size.head_dim, outputs) for outputs in widths)

    def build(self, size: SequenceSize) -> None:
        """Make the layers that `encode` uses."""
        raise NotImplementedError

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Fused rows to rows that know their neighbours.

        Args:
            x: (batch, rows, model_dim); padding holds numbers without meaning.
            present: (batch, rows) bool, True for the first rows of each clip, False for its padding.

        Returns:
            (batch, rows, model_dim); real rows must not depend on padding.
        """
        raise NotImplementedError

    def forward(self, features: Tensor, present: Tensor, rows: Tensor | None = None) -> Tensor:
        """Outputs of every row: logits for AU and EXPR, values in [-1, 1] for VA.

        Args:
            features: (batch, rows, features), as they come from the cache.
            present: (batch, rows) bool; False pads a track that is shorter than the clip.
            rows: (real rows,) where `present` is True in all rows of the batch; None finds them, for which
                the host waits.

        Returns:
            (batch, rows, outputs); padding rows hold numbers without meaning. (batch, 1, outputs) where the
            task has one label for a whole video.
        """
        x = (features - self.mean) / self.std
        x = torch.where(present[..., None], x, torch.zeros_like(x))
        if self.training:
            x = drop_one_kind(x, self.kinds, self.size.modality_dropout)
        x = self.encode(self.project(self.fuse.fuse(x, present)), present)
        if self.task.whole_videos:
            x, rows = self.pool(x, present), torch.arange(len(x), device=x.device)
        elif rows is None:
            rows = present.flatten().nonzero()[:, 0]
        output = torch.cat([head(x, rows) for head in self.heads], -1)
        return bounded(self.task, output)

    @torch.no_grad()
    def fit_standardisation(self, mean: Tensor, std: Tensor) -> None:
        """Keep the mean and deviation of the training rows; a constant feature is only centred."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)))


def bounded(task: Task, output: Tensor) -> Tensor:
    """Outputs of the last layers as the losses take them: valence and arousal through tanh."""
    parts = [OUTPUTS[part.decision].bound(output[..., scores]) for part, scores, _ in part_slices(task)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _heads_of(task: Task) -> list[int]:
    """Outputs of each head: valence and arousal have one of their own, AUs and expressions one together."""
    return [1] * task.outputs if task.decision is Decision.CLIP else [task.outputs]


class AttentionPooling(nn.Module):
    """A clip as one vector: the mean of its rows, weighted by a learned softmax (Ilse et al. 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1))

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """(batch, rows, dim) to (batch, 1, dim); padding has no weight."""
        weights = self.weigh(x)[..., 0].masked_fill(~present, float("-inf")).softmax(-1)
        # padding may hold anything, NaN too, and 0 times NaN is NaN
        pooled: Tensor = weights[:, None] @ torch.where(present[..., None], x, torch.zeros_like(x))
        return pooled


class Head(nn.Module):
    """Linear - BatchNorm - LeakyReLU - Linear; padding rows do not enter the batch statistics."""

    def __init__(self, dim: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, hidden)
        self.norm = GlobalBatchNorm(hidden)
        self.act = nn.LeakyReLU(0.1)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, rows: Tensor) -> Tensor:
        """(..., dim) to (..., outputs); 0 in all rows but those of `rows`, (real rows,)."""
        flat = x.flatten(0, -2)
        found: Tensor = self.out(self.act(self.norm(self.hidden(flat.index_select(0, rows)))))
        full = found.new_zeros(len(flat), found.shape[-1]).index_copy(0, rows, found)
        return full.view(*x.shape[:-1], -1)
