"""Decode a video once, in order, as upright frames with the container's timestamps.

Frames keep the decoder's planes (Y, U, V), so that a caller converts to colour only the part it
needs. What decodes is used; what does not is counted. Memory does not grow with the length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import cv2
import numpy as np

from abaw_submit.arrays import U8
from abaw_submit.errors import UserError

_FORMATS = ("yuv420p",)  # everything else is converted to it first


@dataclass(frozen=True, eq=False)
class Frame:
    """One upright frame.

    Attributes:
        row: 1-based number of the frame among those that decode.
        time_s: presentation time in seconds on the container's clock, which its sound shares.
        y: luma (height, width) uint8.
        u, v: chroma, each (ceil(height / 2), ceil(width / 2)) uint8.
    """

    row: int
    time_s: float
    y: U8
    u: U8
    v: U8

    @property
    def height(self) -> int:
        """Height in px."""
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        """Width in px."""
        return int(self.y.shape[1])

    def reduced(self, long_side_px: int) -> tuple[U8, float]:
        """A smaller BGR copy and its scale (copy px per frame px); never larger than the frame."""
        scale = min(1.0, long_side_px / max(self.width, self.height))
        width, height = (max(2, round(side * scale / 2) * 2) for side in (self.width, self.height))
        image = np.empty((height * 3 // 2, width), np.uint8)
        cv2.resize(self.y, (width, height), dst=image[:height], interpolation=cv2.INTER_AREA)
        half = (width // 2, height // 2)
        chroma = np.concatenate(
            [cv2.resize(c, half, interpolation=cv2.INTER_AREA).ravel() for c in (self.u, self.v)]
        )
        image[height:] = chroma.reshape(-1, width)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420), np.uint8), width / self.width

    def thumbnail(self) -> U8:
        """A tiny (18, 32) grey picture, to tell a scene cut from a movement."""
        step_y, step_x = max(1, self.height // 72), max(1, self.width // 128)
        sparse = np.ascontiguousarray(self.y[::step_y, ::step_x])
        return np.asarray(cv2.resize(sparse, (32, 18), interpolation=cv2.INTER_AREA), np.uint8)


class VideoReader:
    """Iterate over the frames of a video that decode; afterwards `frames` and `bad_packets` are known.

    Args:
        path: the media file.

    Raises:
        UserError: it cannot be opened, or has no picture.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.frames = 0
        self.bad_packets = 0
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise UserError(f"{path} cannot be opened as a video: {_reason(error)}.") from None
        if not self._container.streams.video:
            self._container.close()
            raise UserError(f"{path} has no picture, only sound.")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise UserError(f"{path}: its picture has an unknown codec. Convert it, for example to H.264.")
        self._stream.thread_type = "NONE"  # one thread a video: the cores are used over videos
        self._stream.codec_context.thread_count = 1
        self._last_s = float("-inf")

    @property
    def rate_hz(self) -> float:
        """The frame rate the container claims; 30 if it claims none. Only for frames with no time."""
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(30)
        return float(rate)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        for picture in self._pictures():
            self.frames += 1
            yield Frame(self.frames, self._time_of(picture), *_planes(picture))

    def times_without_decoding(self, shown: bool = False) -> list[float]:
        """Times of all packets in presentation order; with `shown` without those an edit list cuts off."""
        base = self._stream.time_base or Fraction(1)
        packets = (p for p in self._packets() if not (shown and p.is_discard))
        return sorted(float(p.pts * base) for p in packets if p.pts is not None)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Decoded pictures in order; packets that give none are counted, most decoders do not complain."""
        packets = pictures = 0
        for packet in self._packets():
            packets += not packet.is_discard  # decoded, because others refer to it, but not shown
            for picture in self._decode(packet):
                pictures += 1
                yield picture
        for picture in self._decode(None):  # what the decoder still holds
            pictures += 1
            yield picture
        self.bad_packets += max(0, packets - pictures)

    def _packets(self) -> Iterator[av.Packet[Any]]:
        """Packets that hold data, until the file ends or breaks off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                self.bad_packets += 1
                return
            if packet is None:
                return
            if packet.size:
                yield packet

    def _decode(self, packet: av.Packet[Any] | None) -> list[av.VideoFrame]:
        try:
            return self._stream.codec_context.decode(packet)
        except av.error.FFmpegError:  # the missing picture is counted
            return []

    def _time_of(self, picture: av.VideoFrame) -> float:
        if picture.pts is not None and self._stream.time_base:
            time_s = float(picture.pts * self._stream.time_base)  # `picture.time` is NaN after a flush
        else:
            time_s = self._last_s + 1 / self.rate_hz if self.frames > 1 else 0.0
        self._last_s = max(time_s, self._last_s)  # a clock that jumps back stands still
        return self._last_s


def packet_times(path: Path | str, shown: bool = False) -> list[float]:
    """Presentation times of a video's pictures, without decoding: one per packet, in order.

    Args:
        path: the media file.
        shown: leave out packets that are decoded but not shown.

    Raises:
        UserError: it cannot be opened, or has no picture.
    """
    with VideoReader(path) as reader:
        return reader.times_without_decoding(shown)


def _planes(picture: av.VideoFrame) -> tuple[U8, U8, U8]:
    """The upright Y, U, V planes; views of the decoder's memory where no turn is needed."""
    if picture.format.name not in _FORMATS or any(p.line_size < 0 for p in picture.planes):
        picture = picture.reformat(format="yuv420p")
    turns = round(picture.rotation / 90) % 4
    planes = []
    for plane, shape in zip(picture.planes, _plane_shapes(picture), strict=True):
        image = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[
            : shape[0], : shape[1]
        ]
        planes.append(np.ascontiguousarray(np.rot90(image, turns)) if turns else image)
    return planes[0], planes[1], planes[2]


def _plane_shapes(picture: av.VideoFrame) -> tuple[tuple[int, int], ...]:
    half = ((picture.height + 1) // 2, (picture.width + 1) // 2)
    return (picture.height, picture.width), half, half


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text).rstrip(".")
