"""From the numbers of a row to one vector: concatenation, or gated cross-attention of picture and sound."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.sequence.streams import PICTURE, SOUND, Stream, columns_of


class Concatenation(nn.Sequential):
    """The paper's fusion: all numbers of a row through one 1x1 convolution and LeakyReLU 0.1."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__(nn.Conv1d(features, dim, kernel_size=1), nn.LeakyReLU(0.1))

    def fuse(self, x: Tensor, present: Tensor) -> Tensor:
        """(batch, rows, features) to (batch, rows, dim)."""
        fused: Tensor = self(x.transpose(1, 2)).transpose(1, 2)
        return fused


class GatedCrossAttention(nn.Module):
    """Picture looks at sound and sound at picture; two gates say how much each takes from what it saw, and
    a third how much of the row is picture and how much sound.

    Gates are sigmoids of both streams, one per channel. With the cross-attention gates closed this is a
    gated sum of two projections. Recent winners of the VA track use gates of this kind
    (docs/reference/recipe.md, section 5).

    Raises:
        UserError: the streams are not of both kinds.
    """

    def __init__(self, streams: Sequence[Stream], dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        columns = [columns_of(streams, kind) for kind in (PICTURE, SOUND)]
        if not all(columns):
            found = ", ".join(f"{s.extractor} ({s.kind})" for s in streams)
            raise UserError(
                f"fusion gate needs features of pictures and of sound; found {found}.\n"
                "Give both with --features, or use --fusion concat."
            )
        self.picture: Tensor
        self.sound: Tensor
        self.register_buffer("picture", torch.tensor(columns[0]), persistent=False)
        self.register_buffer("sound", torch.tensor(columns[1]), persistent=False)
        self.seen, self.heard = nn.Linear(len(columns[0]), dim), nn.Linear(len(columns[1]), dim)
        self.seen_norm, self.heard_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_sound = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.to_picture = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.gates = nn.Linear(2 * dim, 3 * dim)
        self.act = nn.LeakyReLU(0.1)

    def fuse(self, x: Tensor, present: Tensor) -> Tensor:
        """(batch, rows, features) to (batch, rows, dim)."""
        seen = self.seen_norm(self.seen(x[..., self.picture]))
        heard = self.heard_norm(self.heard(x[..., self.sound]))
        of_sound, _ = self.to_sound(seen, heard, heard, key_padding_mask=~present, need_weights=False)
        of_picture, _ = self.to_picture(heard, seen, seen, key_padding_mask=~present, need_weights=False)
        take, give, mix = self.gates(torch.cat([seen, heard], -1)).sigmoid().chunk(3, -1)
        fused: Tensor = self.act(mix * (seen + take * of_sound) + (1 - mix) * (heard + give * of_picture))
        return fused
