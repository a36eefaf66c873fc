"""The sound of a video as a stream of 16 kHz mono samples on the container's clock.

Audio features are aligned by time: the first sample's time comes from the stream's own timestamps, holes
in the stream become silence, and nothing is ever stretched to the number of frames. Memory does not
grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.resampler import AudioResampler

from abaw_submit.audio.avi import avi_shift_s
from abaw_submit.errors import UserError

RATE_HZ = 16_000
BLOCK_SAMPLES = 10 * RATE_HZ
HOLE_S = 0.05  # timestamps further off than this are a hole or an overlap, not rounding
BROKEN_CLOCK_S = 3600.0  # a jump beyond this is a broken timestamp; the sound is taken as gapless

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """A stretch of sound without a hole.

    Attributes:
        start_s: time of the first sample, in seconds on the container's clock.
        samples: (n,) float32 in [-1, 1], 16 kHz mono.
    """

    start_s: float
    samples: Samples

    @property
    def end_s(self) -> float:
        """Time just after the last sample."""
        return self.start_s + len(self.samples) / RATE_HZ


def read_sound(path: Path | str, block_samples: int = BLOCK_SAMPLES) -> Iterator[Block]:
    """Decode the first sound track; blocks follow each other without a hole. No block: no sound track.

    Packets that do not decode are left out and become silence by the timestamps of what follows.

    Args:
        path: a media file.
        block_samples: length of every block but the last; it does not change the samples.

    Raises:
        UserError: the file cannot be opened, or its sound's codec is unknown.
    """
    start_s: float | None = None
    sent = waiting = 0
    held: list[Samples] = []
    for time_s, piece in _pieces(Path(path)):
        if start_s is None:
            start_s = time_s
        held.append(piece)
        waiting += len(piece)
        if waiting >= block_samples:
            joined = np.concatenate(held)
            for at in range(0, len(joined) - block_samples + 1, block_samples):
                yield Block(start_s + sent / RATE_HZ, joined[at : at + block_samples])
                sent += block_samples
            held = [joined[len(joined) // block_samples * block_samples :]]
            waiting = len(held[0])
    if start_s is not None and waiting:
        yield Block(start_s + sent / RATE_HZ, np.concatenate(held))


def _pieces(path: Path) -> Iterator[tuple[float, Samples]]:
    """Resampled pieces in order, holes filled with silence; the time is that of the first piece."""
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be opened: {reason}.") from None
    with container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UserError(f"{path}: its sound track has an unknown codec. Convert it, for example to aac.")
        stream.codec_context.thread_count = 1
        line = TimeLine(avi_shift_s(str(path)))
        for frame in _frames(container, stream):
            yield from line.add(frame)
        yield from line.end()


class TimeLine:
    """Puts decoded frames at the place on the output that their timestamps say."""

    def __init__(self, shift_s: float = 0.0) -> None:
        self.shift_s = shift_s  # added to every timestamp
        self.start_s: float | None = None  # of the whole sound
        self.written = 0  # output samples so far
        self.skip = 0  # output samples to drop: the input overlaps what was written
        self.segment_s = 0.0  # start of the current stretch without a hole
        self.segment_samples = 0  # input samples in it
        self.rate_hz = 0
        self.kind: tuple[str, str, int] | None = None
        self.resampler: AudioResampler | None = None

    def add(self, frame: av.AudioFrame) -> Iterator[tuple[float, Samples]]:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        expected = self.segment_s + self.segment_samples / self.rate_hz if self.rate_hz else None
        time_s = float(frame.time) + self.shift_s if frame.time is not None else (expected or 0.0)
        if self.start_s is None:
            self.start_s = self.segment_s = time_s
        off_s = 0.0 if expected is None else time_s - expected
        jump = HOLE_S < abs(off_s) < BROKEN_CLOCK_S
        if jump or kind != self.kind:
            yield from self._flush()
            self.resampler = AudioResampler(format="fltp", rate=RATE_HZ)
            self.segment_s = time_s if jump or expected is None else expected
            self.segment_samples = 0
            self.kind, self.rate_hz = kind, frame.sample_rate
        if jump:
            place = round((time_s - self.start_s) * RATE_HZ)
            self.skip = max(0, self.written - place)
            while self.written < place:
                yield self._emit(np.zeros(min(place - self.written, BLOCK_SAMPLES), np.float32))
        self.segment_samples += frame.samples
        frame.pts = None  # the resampler shall not fill holes by itself
        if self.resampler is not None:
            yield from self._pass_on(self.resampler.resample(frame))

    def end(self) -> Iterator[tuple[float, Samples]]:
        yield from self._flush()

    def _flush(self) -> Iterator[tuple[float, Samples]]:
        if self.resampler is not None:
            yield from self._pass_on(self.resampler.resample(None))
            self.resampler = None

    def _pass_on(self, frames: Iterable[av.AudioFrame]) -> Iterator[tuple[float, Samples]]:
        for frame in frames:
            # the mean of all channels; ffmpeg's own mixing would make sound in both of them louder
            samples = frame.to_ndarray().mean(axis=0, dtype=np.float32)
            dropped = min(self.skip, len(samples))
            self.skip -= dropped
            if dropped < len(samples):
                yield self._emit(samples[dropped:])

    def _emit(self, samples: Samples) -> tuple[float, Samples]:
        time_s = (self.start_s or 0.0) + self.written / RATE_HZ
        self.written += len(samples)
        return time_s, np.nan_to_num(samples, copy=False)


def _frames(container: av.container.InputContainer, stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Decoded frames; a packet that does not decode is left out."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            packet = None
        if packet is None or packet.size == 0:
            break
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            continue
    try:
        for frame in stream.codec_context.decode(None):  # what the decoder still holds
            frame.pts = None  # its clock is not the stream's; it follows what came before
            yield frame
    except av.error.FFmpegError:
        return
