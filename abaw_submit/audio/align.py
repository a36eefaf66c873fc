"""From a stream of sound to one vector per row, by time and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F32, F64, FLOAT16_MAX
from abaw_submit.audio.sound import RATE_HZ, Block, Samples

SLACK_S = 0.05  # rows this close before or after the sound still have it (codecs start a frame late)


@dataclass(frozen=True)
class Window:
    """A stretch of sound to analyse: a core, with what is heard before and after it as context.

    Attributes:
        start_s: time of the first sample.
        samples: (n,) float32, 16 kHz.
        first: number of the first sample, counted from the start of the sound.
        core: sample numbers [begin, end) whose results are to be kept.
        is_last: nothing follows.
        level: mean and variance of the whole sound, where somebody asked for them.
    """

    start_s: float
    samples: Samples
    first: int
    core: tuple[int, int]
    is_last: bool
    level: tuple[float, float] | None = None

    def time_of(self, sample: npt.ArrayLike) -> F64:
        """Time of sample numbers (may be fractions), in seconds on the container's clock."""
        return self.start_s + (np.asarray(sample, np.float64) - self.first) / RATE_HZ


def windows(blocks: Iterable[Block], core_samples: int, context_samples: int) -> Iterator[Window]:
    """Cut a stream into windows whose cores tile it; the memory held is one window and one block.

    Args:
        blocks: consecutive blocks of sound.
        core_samples: length of every core but the last.
        context_samples: what is added on both sides where there is sound.
    """
    start_s: float | None = None
    buffer = np.zeros(0, np.float32)
    first = begin = 0  # sample numbers of the buffer's start and of the next core

    def cut(end: int, stop: int, is_last: bool) -> Window:
        at_s = (start_s or 0.0) + first / RATE_HZ
        return Window(at_s, buffer[: stop - first], first, (begin, end), is_last)

    for block in blocks:
        if start_s is None:
            start_s = block.start_s
        buffer = np.concatenate([buffer, block.samples])
        while first + len(buffer) > begin + core_samples + context_samples:
            yield cut(begin + core_samples, begin + core_samples + context_samples, False)
            begin += core_samples
            keep = max(first, begin - context_samples)
            buffer, first = buffer[keep - first :], keep
    stop = first + len(buffer)
    while begin < stop:  # what is left may be a core and its context
        end = min(begin + core_samples, stop)
        yield cut(end, stop, end == stop)
        begin = end


class Aligner:
    """Gives every row the vector at its time: linear between two vectors, the nearest beyond the ends.

    Args:
        times_s: (rows,) the rows' times, in any order.
        dim: numbers per vector.
    """

    def __init__(self, times_s: npt.ArrayLike, dim: int) -> None:
        self._times = np.asarray(times_s, np.float64)
        self._order = np.argsort(self._times, kind="stable")
        self._sorted = self._times[self._order]
        self._next = 0  # the first row, in order of time, that has no vector yet
        self._last_time: float | None = None
        self._last = np.zeros(dim, np.float32)
        self.values: npt.NDArray[np.float16] = np.zeros((len(self._times), dim), np.float16)

    def add(self, times_s: F64, vectors: F32) -> None:
        """Take the next vectors of the stream.

        Args:
            times_s: (n,) increasing, and later than all before.
            vectors: (n, dim).
        """
        if not len(times_s):
            return
        if self._last_time is not None:
            times_s = np.concatenate([[self._last_time], times_s])
            vectors = np.concatenate([self._last[None], vectors])
        upto = int(np.searchsorted(self._sorted, times_s[-1], side="right"))
        at = self._sorted[self._next : upto]
        left = np.clip(np.searchsorted(times_s, at, side="right") - 1, 0, max(0, len(times_s) - 2))
        right = np.minimum(left + 1, len(times_s) - 1)
        span = np.maximum(times_s[right] - times_s[left], 1e-9)
        weight = np.clip((at - times_s[left]) / span, 0, 1)[:, None].astype(np.float32)
        self._put(upto, vectors[left] * (1 - weight) + vectors[right] * weight)
        self._last_time, self._last = float(times_s[-1]), vectors[-1]

    def finish(self, start_s: float, end_s: float) -> npt.NDArray[np.bool_]:
        """Fill the rows after the last vector and say which rows have sound.

        Args:
            start_s: when the sound starts.
            end_s: when it ends.

        Returns:
            (rows,) bool; rows outside the sound (by more than `SLACK_S`) are False, their values zeros.
        """
        if self._last_time is None:
            return np.zeros(len(self._times), bool)
        self._put(len(self._sorted), self._last)
        valid = (self._times >= start_s - SLACK_S) & (self._times <= end_s + SLACK_S)
        self.values[~valid] = 0
        return valid

    def _put(self, upto: int, vectors: F32) -> None:
        """Set the rows before `upto`, in order of time: (n, dim), or (dim,) for all of them."""
        if upto > self._next:
            rows = self._order[self._next : upto]
            self.values[rows] = np.clip(vectors, -FLOAT16_MAX, FLOAT16_MAX)
            self._next = upto
