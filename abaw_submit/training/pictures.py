"""Pictures for training: decoded once at the encoder's size, then read from a temporary file.

Decoding a JPEG costs more than a small encoder's step, so it must not happen in every epoch. The pictures
are kept as uint8 in one file under the temporary folder (TMPDIR), which the system may page out: memory stays
bounded. Sets larger than `cache_gib` (2.17 M faces at 224 px are 304 GiB) are decoded again in every epoch,
by threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from abaw_submit.arrays import U8
from abaw_submit.corpus.crops import load_crop
from abaw_submit.models.profiling import part as timed
from abaw_submit.progress import Progress
from abaw_submit.scratch import scratch_array

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
_CHUNK = 512


class Pictures:
    """A list of picture files as square RGB pictures.

    Args:
        paths: the files.
        size_px: side of the pictures handed out.
        cache_gib: largest temporary file; a larger set is decoded at every use. Never changes a pixel.
        progress: shows the decoding, (items, total, label) -> items.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size_px: int,
        cache_gib: float = 8.0,
        progress: Progress | None = None,
    ) -> None:
        self.paths, self.size_px = list(paths), size_px
        self._threads = ThreadPoolExecutor(max(1, torch.get_num_threads()))
        self._cache: Any = None
        shape = (len(self.paths), size_px, size_px, 3)
        if self.paths and np.prod(shape, dtype=np.int64) <= cache_gib * 2**30:
            cache = scratch_array(shape, np.uint8, "decoded pictures")
            starts = range(0, len(self.paths), _CHUNK)
            for start in progress(starts, len(starts), "decode pictures") if progress else starts:
                self._decode_into(cache[start : start + _CHUNK], range(start, len(self.paths)))
            self._cache = cache

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, items: Iterable[int]) -> U8:
        """The pictures of some indices: (items, size_px, size_px, 3) uint8, RGB."""
        wanted = np.fromiter(items, np.int64)
        if self._cache is not None:
            with timed("reading"):
                return np.asarray(self._cache[wanted])
        pixels = np.empty((len(wanted), self.size_px, self.size_px, 3), np.uint8)
        self._decode_into(pixels, wanted)
        return pixels

    def chunks(self, size: int = 256) -> Iterator[U8]:
        """All pictures in order, in arrays of at most `size`."""
        for start in range(0, len(self.paths), size):
            yield self.batch(range(start, min(start + size, len(self.paths))))

    def _decode_into(self, target: Any, items: Sequence[int] | npt.NDArray[np.int64]) -> None:
        wanted = [self.paths[int(k)] for k in items[: len(target)]]
        with timed("decoding"):
            for at, picture in enumerate(self._threads.map(lambda p: load_crop(p, self.size_px), wanted)):
                target[at] = picture


def to_tensor(pixels: U8 | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """(batch, side, side, 3) uint8 to (batch, 3, side, side) float32 in [0, 1]."""
    there = pixels if isinstance(pixels, Tensor) else torch.from_numpy(pixels)
    tensor = there.to(device, non_blocking=True)
    return tensor.permute(0, 3, 1, 2).float().div_(255)


def list_pictures(folder: Path) -> list[Path]:
    """All jpg and png files under a folder, sorted by their path inside it; hidden ones are left out."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        here = Path(root)
        found += [here / f for f in files if f.lower().endswith(PICTURE_SUFFIXES) and not f.startswith(".")]
    return sorted(found, key=lambda p: p.relative_to(folder).as_posix())
