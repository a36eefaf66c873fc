"""Clips of a feature table as tensors: gathered on the device when the table fits there.

Otherwise they are gathered on the host ahead of their step, and copied beside the computing. Either way a
step waits for nothing, and the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from abaw_submit.arrays import F16, Index
from abaw_submit.models.device import copy_ahead
from abaw_submit.models.profiling import part as timed
from abaw_submit.scratch import RowStore
from abaw_submit.training.memory import free_bytes
from abaw_submit.training.table import FeatureTable

_SHARE = 0.6  # of a device's free memory that a table may take
_BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class ClipBatch:
    """Some clips of a table, on the device of the step.

    Attributes:
        starts: (clips,) first rows.
        present: (clips, rows) bool, False in the padding of a track that is shorter than a clip.
        places: (clips, rows) the rows' places in the table; the clip's last real one in the padding.
        rows: (real rows,) where `present` is True in all rows of the batch.
        values: (clips, rows, dim) float16, zero in the padding; None where the device gathers them itself.
        looked: the same of further views of the crops, by first column of the folder.
    """

    starts: Tensor
    present: Tensor
    places: Tensor
    rows: Tensor
    values: Tensor | None = None
    looked: Mapping[int, Sequence[Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.starts)


class Clips:
    """Clips of a table for a device.

    Args:
        table: the features, with gaps filled.
        clip_rows: rows of a clip.
        device: where the steps run.
        on_device: whether the table is kept there; None: where it is not the host's and the table fits.
    """

    def __init__(
        self, table: FeatureTable, clip_rows: int, device: torch.device, on_device: bool | None = None
    ) -> None:
        self.table, self.clip_rows, self.device = table, clip_rows, device
        stores = [table.store, *(view for views in table.further.values() for view in views)]
        if on_device is None:
            free = free_bytes(device) if device.type != "cpu" else None
            on_device = free is not None and sum(s.nbytes for s in stores) <= free * _SHARE
        self._tables = {id(s): _upload(s, device) for s in stores} if on_device else None

    def load(self, starts: Index) -> ClipBatch:
        """What a step needs of some clips; may run in a thread beside the step before."""
        track = np.searchsorted(self.table.begin, starts, side="right") - 1
        ends = self.table.begin[track + 1]
        places = starts[:, None] + np.arange(self.clip_rows)
        present = places < ends[:, None]
        places = np.minimum(places, ends[:, None] - 1)
        made = (starts, present, places, np.flatnonzero(present))
        first, real, where, rows = (copy_ahead(torch.from_numpy(a), self.device) for a in made)
        if self._tables is not None:
            return ClipBatch(first, real, where, rows)
        counts = present.sum(1)
        values = self._read(self.table.store, starts, counts)
        looked = {
            at: [self._read(view, starts, counts) for view in views]
            for at, views in self.table.further.items()
        }
        return ClipBatch(first, real, where, rows, values, looked)

    def features(self, batch: ClipBatch, views: Tensor | None = None) -> Tensor:
        """The numbers of clips, (clips, rows, dim) float32, zero in the padding.

        Args:
            batch: what `load` made.
            views: (clips,) which view each clip is seen in, 0 for the crops themselves; None: 0 for all.
        """
        values = self._gather(batch, self.table.store, batch.values)
        if views is not None:
            chosen = views.to(self.device)[:, None, None]
            for source in self.table.sources:
                at = source.columns.start
                for k, store in enumerate(self.table.further.get(at, [])):
                    seen = self._gather(batch, store, batch.looked[at][k] if batch.looked else None)
                    columns = values[..., source.columns]
                    values[..., source.columns] = torch.where(chosen == k + 1, seen, columns)
        return values

    def _gather(self, batch: ClipBatch, store: RowStore, values: Tensor | None) -> Tensor:
        if values is not None:
            return values.float()
        if self._tables is None:
            raise RuntimeError("the batch was loaded for a table on the device")
        found = self._tables[id(store)][batch.places].float()
        return found.masked_fill_(~batch.present[..., None], 0)

    def _read(self, store: RowStore, starts: Index, counts: Index) -> Tensor:
        values: F16 = np.empty((len(starts), self.clip_rows, store.dim), np.float16)
        with timed("reading"):
            for clip, first, count in zip(values, starts.tolist(), counts.tolist(), strict=True):
                store.read_into(clip[:count], first)
                clip[count:] = 0
        return copy_ahead(torch.from_numpy(values), self.device)


def _upload(store: RowStore, device: torch.device) -> Tensor:
    """A store's rows on a device, block by block."""
    whole = torch.empty((store.rows, store.dim), dtype=torch.float16, device=device)
    for first in range(0, store.rows, _BLOCK_ROWS):
        last = min(first + _BLOCK_ROWS, store.rows)
        whole[first:last] = torch.from_numpy(np.ascontiguousarray(store.read(first, last)))
    return whole
