"""Audio features of a track: decode, cut into windows, extract, align by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F32, F64
from abaw_submit.audio.align import Aligner, Window, windows
from abaw_submit.audio.sound import Block, read_sound
from abaw_submit.prefetch import prefetched


class AudioExtractor(Protocol):
    """What an audio extractor is; docs/how-to/add-an-extractor.md shows one.

    Attributes:
        kind: "audio".
        dim: numbers per vector.
        identity: hash of the weights and of everything else that changes the numbers.
        wants_level: whether windows shall carry the level of the whole sound (optional; read twice then).
        core_samples: sound handed over at a time, in samples at 16 kHz.
        context_samples: sound added before and after it, where there is any.
    """

    kind: ClassVar[str]
    dim: int
    identity: str
    core_samples: int
    context_samples: int

    def vectors(self, window: Window) -> tuple[F64, F32]:
        """Vectors whose centres lie in the window's core: times (n,) increasing, vectors (n, dim)."""


def audio_features(
    video: Path | str, times_s: npt.ArrayLike, extractor: AudioExtractor
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
    """One vector per row at the row's time; memory does not grow with the length but for the result.

    Args:
        video: a media file, with or without sound.
        times_s: (rows,) when each row is shown, in seconds on the container's clock.
        extractor: what turns sound into vectors.

    Returns:
        values (rows, dim), zeros where not valid; valid (rows,), False without sound at that time.

    Raises:
        UserError: the file cannot be opened.
    """
    aligner = Aligner(times_s, extractor.dim)
    span: list[float] = []

    def noted() -> Iterator[Block]:
        for block in read_sound(video):
            span[:] = [span[0] if span else block.start_s, block.end_s]
            yield block

    level = sound_level(read_sound(video)) if getattr(extractor, "wants_level", False) else None
    for window in prefetched(windows(noted(), extractor.core_samples, extractor.context_samples)):
        aligner.add(*extractor.vectors(window if level is None else replace(window, level=level)))
    start_s, end_s = span or (0.0, 0.0)
    return aligner.values, aligner.finish(start_s, end_s)


def sound_level(blocks: Iterable[Block]) -> tuple[float, float]:
    """Mean and variance of a whole sound, in memory that does not grow with it; (0, 0) without any."""
    count, total, squares = 0, 0.0, 0.0
    for block in blocks:
        samples = block.samples.astype(np.float64)
        count += len(samples)
        total += float(samples.sum())
        squares += float(np.square(samples).sum())
    mean = total / max(1, count)
    return mean, max(0.0, squares / max(1, count) - mean**2)
