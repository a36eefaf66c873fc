"""What the numbers of a row are: which extractor gave them, and whether it saw or heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PICTURE, SOUND = "picture", "sound"


@dataclass(frozen=True)
class Stream:
    """One features folder's share of a row.

    Attributes:
        extractor: the extractor's name.
        dim: numbers per row.
        kind: "picture" or "sound".
    """

    extractor: str
    dim: int
    kind: str = PICTURE


def streams_of(features: int | Sequence[Stream]) -> tuple[Stream, ...]:
    """Streams as given, or one picture stream of so many numbers."""
    return (Stream("", features),) if isinstance(features, int) else tuple(features)


def columns_of(streams: Sequence[Stream], kind: str) -> list[int]:
    """Columns of a row that are of a kind.

    >>> columns_of([Stream("mae", 2), Stream("vggish", 1, SOUND), Stream("clip", 1)], PICTURE)
    [0, 1, 3]
    """
    kinds = [stream.kind for stream in streams for _ in range(stream.dim)]
    return [at for at, found in enumerate(kinds) if found == kind]


def drop_one_kind(features: Tensor, columns: Sequence[Tensor], share: float) -> Tensor:
    """Modality dropout: in some clips, every number of one kind (all pictures, or all sound) becomes 0.

    Never both. Standardised features have mean 0, so a dropped kind says "average", which is also what a
    silent track says in prediction.

    Args:
        features: (batch, rows, features), standardised.
        columns: the column numbers of each kind.
        share: probability that a clip loses one kind.

    Returns:
        (batch, rows, features).
    """
    if share <= 0 or len(columns) < 2:
        return features
    draws = torch.rand(2, len(features), device=features.device)
    lost = torch.where(draws[0] < share, (draws[1] * len(columns)).long(), -1)
    keep = torch.ones(len(features), features.shape[-1], dtype=torch.bool, device=features.device)
    for kind, where in enumerate(columns):
        keep[:, where] &= (lost != kind)[:, None]
    return torch.where(keep[:, None], features, torch.zeros_like(features))
