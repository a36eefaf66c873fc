"""Scores of every row of whole tracks: the weighted mean over clips that overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from abaw_submit.arrays import F16, F32, F64, Index
from abaw_submit.models.device import Later, copy_ahead
from abaw_submit.models.losses import activate
from abaw_submit.models.profiling import part as timed
from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.training.clips import clip_weights, overlapping_starts

_CLIPS = 64  # in one batch
_CLIPS_TOGETHER = 512  # the same where clips of several tracks share a batch


class _Track:
    """What is known so far of one track's scores."""

    def __init__(self, name: str, rows: int, length: int, clips: int, outputs: int, whole: bool) -> None:
        self.name, self.length, self.left, self.whole = name, length, clips, whole
        self.weights = clip_weights(length)[:, None]
        self.total: F64 = np.zeros((rows, outputs))
        self.divisor: F64 = np.zeros((rows, 1))
        self.clips: list[F32] = []

    def add(self, starts: Index, outputs: F32) -> None:
        """Outputs of some clips: (clips, length, outputs), or (clips, 1, outputs) of a whole video."""
        self.left -= len(starts)
        if self.whole:
            self.clips += list(outputs)
            return
        for start, clip in zip(starts.tolist(), outputs, strict=True):
            self.total[start : start + self.length] += clip * self.weights
            self.divisor[start : start + self.length] += self.weights

    def scores(self) -> F32:
        if self.whole:
            return np.asarray(np.stack(self.clips).mean(0, dtype=np.float64), np.float32)
        return (self.total / self.divisor).astype(np.float32)


@dataclass(frozen=True)
class _Part:
    """Clips of one track that go into one batch; `values` are the track's, on the device."""

    track: _Track
    starts: Index
    values: Tensor

    def clips(self) -> Tensor:
        """(clips, length, dim) float32."""
        length = self.track.length
        return torch.stack([self.values[s : s + length] for s in self.starts.tolist()]).float()


@torch.no_grad()
def predict_tracks(
    model: SequenceNetwork,
    tracks: Iterable[tuple[str, F16]],
    clip_rows: int,
    device: torch.device,
    stride_rows: int = 0,
    *,
    together: bool | None = None,
) -> Iterator[tuple[str, F32]]:
    """Scores of every row of tracks that come one by one, handed on as they are ready, in the same order.

    Args:
        model: in evaluation mode.
        tracks: names with features (rows, dim).
        clip_rows: rows of a clip, as in training.
        device: where the model is.
        stride_rows: rows from one clip to the next; 0: half a clip.
        together: whether clips of several tracks share a batch, which suits a GPU and may change the last
            bits of a number with its neighbours in the batch; None: not on a CPU.

    Yields:
        Track and its scores (rows, outputs) float32.
    """
    shared = device.type != "cpu" if together is None else together
    waiting: list[tuple[list[_Part], Later]] = []  # the batch before, on its way back from the device
    order: list[_Track] = []
    parts = _parts(model, tracks, clip_rows, device, stride_rows, _CLIPS_TOGETHER if shared else _CLIPS)
    for batch in _batches(parts, shared):
        order += [part.track for part in batch if part.track not in order]
        with timed("computing"):
            features = torch.cat([part.clips() for part in batch])
            present = torch.ones(features.shape[:2], dtype=torch.bool, device=device)
            rows = torch.arange(present.numel(), device=device)
            waiting.append((batch, Later(activate(model.task, model(features, present, rows)))))
        if shared and len(waiting) < 2:
            continue
        _add(*waiting.pop(0))
        while order and not order[0].left:
            yield order[0].name, order.pop(0).scores()
    for left in waiting:
        _add(*left)
    for track in order:
        yield track.name, track.scores()


def _parts(
    model: SequenceNetwork,
    tracks: Iterable[tuple[str, F16]],
    clip_rows: int,
    device: torch.device,
    stride_rows: int,
    most: int,
) -> Iterator[_Part]:
    """The clips of each track, in nearly equal parts of at most `most`."""
    for name, values in tracks:
        rows = len(values)
        starts = np.array(overlapping_starts(rows, clip_rows, stride_rows), np.int64)
        length = min(clip_rows, rows)
        track = _Track(name, rows, length, len(starts), model.task.outputs, model.task.whole_videos)
        here = copy_ahead(torch.from_numpy(np.ascontiguousarray(values)), device)
        for some in np.array_split(starts, -(-len(starts) // most)):
            yield _Part(track, some, here)


def _batches(parts: Iterable[_Part], shared: bool) -> Iterator[list[_Part]]:
    """Parts that share a batch: one alone, or as many of clips of one length as fit."""
    batch: list[_Part] = []
    for part in parts:
        if not shared:
            yield [part]
            continue
        fits = sum(len(p.starts) for p in (*batch, part)) <= _CLIPS_TOGETHER
        if batch and not (fits and batch[0].track.length == part.track.length):
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def _add(batch: list[_Part], outputs: Later) -> None:
    found = outputs.get().numpy()
    at = 0
    for part in batch:
        part.track.add(part.starts, found[at : at + len(part.starts)])
        at += len(part.starts)
