"""Visual features: crops through a frozen encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from abaw_submit.arrays import F16, F32, FLOAT16_MAX, U8
from abaw_submit.corpus.crops import crop_path, decode_crop, read_crop
from abaw_submit.corpus.ledger import Ledger, read_ledger
from abaw_submit.features.views import view_of
from abaw_submit.models.device import (
    Later,
    copy_ahead,
    inference,
    pick_device,
    resolve_precision,
    weights_hash,
)
from abaw_submit.models.profiling import part as timed
from abaw_submit.models.weights.encoders import load_encoder
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.prefetch import ahead
from abaw_submit.store import VERSIONS, fingerprint

VERSION = VERSIONS["extract visual"]


class VisualExtractor(Protocol):
    """What a visual extractor is; docs/how-to/add-an-extractor.md shows one.

    Attributes:
        kind: "visual".
        dim: numbers per row.
        size_px: side of the pictures it takes.
        identity: hash of the weights and of everything else that changes the numbers.
    """

    kind: ClassVar[str]
    dim: int
    size_px: int
    identity: str

    def __call__(self, images: U8) -> F32:
        """(batch, size_px, size_px, 3) uint8 RGB to (batch, dim)."""


class EncoderFeatures:
    """The extractor around `models.encoder`.

    Args:
        source: what `load_encoder` takes: a checkpoint folder, a weights file or a timm name.
        device: "auto", "cpu", "cuda".
        precision: "auto", "no", "fp16" or "bf16", as in `device.inference`.
        options: pooling, size, normalisation, prefix and heads, where they are not the source's own.

    Raises:
        UserError: no encoder there, or weights that do not fit exactly.
    """

    kind: ClassVar[str] = "visual"

    def __init__(
        self,
        source: str,
        device: str = "cpu",
        precision: str = "auto",
        options: WeightOptions | None = None,
    ) -> None:
        self._device = pick_device(device)
        self._precision = resolve_precision(self._device, precision)
        self._encoder = load_encoder(source, options=options).to(self._device).eval()
        self.dim, self.size_px = self._encoder.dim, self._encoder.size_px
        self.notes = self._encoder.notes
        # the weights do not hold the heads, the epsilons or the pooling: the architecture has to be in it
        self.identity = fingerprint(
            "encoder",
            VERSION,
            self._precision,
            self._encoder.config,
            repr(self._encoder.backbone),
            weights_hash(self._encoder),
        )

    def __call__(self, images: U8) -> F32:
        """Features of (batch, size_px, size_px, 3) uint8 RGB pictures: (batch, dim) float32."""
        return np.asarray(self.later(images).get().numpy(), np.float32)

    @torch.inference_mode()
    def later(self, images: U8) -> Later:
        """The same, on its way from the device: the next pictures can follow before it is asked for."""
        pixels = copy_ahead(torch.from_numpy(images), self._device)
        with inference(self._device, self._precision):
            features = self._encoder(pixels.permute(0, 3, 1, 2).float() / 255)
        return Later(features.float())


def visual_features(
    folder: Path | str,
    asked: Sequence[tuple[VisualExtractor, int]],
    *,
    batch: int = 64,
    threads: int = 1,
    sizes: dict[str, int] | None = None,
) -> tuple[list[F16], Ledger]:
    """Vectors of the rows of a track that have a crop, by several extractors over one reading of the crops.

    Threads decode ahead while the extractors work. A batch never holds rows of two tracks, and each
    extractor gets the batches that it would get alone, so its numbers do not depend on the other tracks or
    extractors.

    Args:
        folder: `crops/<track>`, with its ledger.
        asked: extractors, each with how many views of every crop it looks at (`views.view_of`).
        batch: pictures at a time.
        threads: threads that decode.
        sizes: gets the bytes of every picture that was read, by its name.

    Returns:
        For each extractor (views, rows, dim), zeros where the row has no crop (`found` is False); and the
        ledger.

    Raises:
        UserError: the ledger or a crop is missing or broken.
    """
    ledger = read_ledger(folder)
    made = [np.zeros((views, len(ledger), extractor.dim), np.float16) for extractor, views in asked]
    rows = ledger.row[ledger.found]
    batches = [rows[at : at + batch] for at in range(0, len(rows), batch)]
    looks = sorted({(e.size_px, view) for e, views in asked for view in range(1, views + 1)})

    def load(part: npt.NDArray[np.int64]) -> dict[tuple[int, int], U8]:
        pictures = {look: np.empty((len(part), look[0], look[0], 3), np.uint8) for look in looks}
        for at, row in enumerate(part.tolist()):
            path = crop_path(folder, row)
            with timed("reading"):
                data = read_crop(path)
            if sizes is not None:
                sizes[path.name] = len(data)
            with timed("decoding"):
                for size_px in {size_px for size_px, _ in looks}:
                    crop = decode_crop(data, size_px, str(path))
                    for look in looks:
                        if look[0] == size_px:
                            pictures[look][at] = view_of(crop, look[1], row)
        return pictures

    with ThreadPoolExecutor(threads) as pool:
        under_way: list[tuple[F16, npt.NDArray[np.int64], _Coming]] = []
        for part, pictures in zip(batches, ahead(pool, load, batches, threads + 1), strict=True):
            before, under_way = under_way, []
            for values, (extractor, views) in zip(made, asked, strict=True):
                for view in range(1, views + 1):
                    with timed("computing"):
                        coming = _start(extractor, pictures[extractor.size_px, view])
                    under_way.append((values[view - 1], part - 1, coming))
            _collect(before)  # while the device has this batch to work on
        _collect(under_way)
    return made, ledger


_Coming = Callable[[], npt.ArrayLike]


def _start(extractor: VisualExtractor, pictures: U8) -> _Coming:
    """Give an extractor a batch; what is called gives the vectors, at once where it cannot do them later."""
    later = getattr(extractor, "later", None)
    if later is None:
        vectors = extractor(pictures)
        return lambda: vectors
    made = later(pictures)
    return lambda: np.asarray(made.get())


def _collect(under_way: Sequence[tuple[F16, npt.NDArray[np.int64], _Coming]]) -> None:
    for values, rows, coming in under_way:
        values[rows] = np.clip(coming(), -FLOAT16_MAX, FLOAT16_MAX)
