"""One video, decoded once: every followed face, smoothed, cut out and encoded into a spool file.

Which tracklet is which person is only known at the end, so the crops of all are kept in the spool
(a temporary file) and the chosen ones are copied out. Memory holds a few frames and some numbers a row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2

from abaw_submit.arrays import U8
from abaw_submit.errors import UserError
from abaw_submit.faces.align import cut_out, reach_rows, smooth_at, square_of
from abaw_submit.faces.appearance import appearance_of, likeness
from abaw_submit.faces.decode import Frame, VideoReader
from abaw_submit.faces.follow import Follower, Tracklet
from abaw_submit.faces.sample import Seen
from abaw_submit.faces.settings import CropSettings

# A face the detector missed for a few rows is hidden or turned (likeness to itself 0.75 to 1), or was
# gone for a moment (0.45 to 0.6): measured on the synthetic corpus, whose truth is known.
STILL_THERE = 0.67
Look = Callable[[Iterable[Frame]], Iterator[Seen]]


@dataclass(frozen=True)
class VideoFaces:
    """What one pass over a video gives.

    Attributes:
        times_s: presentation time of each decoded frame.
        bad_packets: packets that did not decode.
        rate_hz: the rate the container claims.
        tracklets: every followed face, its crops in the spool.
    """

    times_s: list[float]
    bad_packets: int
    rate_hz: float
    tracklets: list[Tracklet]


def follow_video(path: Path | str, look: Look, settings: CropSettings, spool: BinaryIO) -> VideoFaces:
    """Decode, detect, follow, smooth, cut out and encode.

    Args:
        path: the media file.
        look: gives the faces of each frame, such as `sample.see` with a detector.
        settings: how.
        spool: gets the JPEG bytes one after another.

    Raises:
        UserError: the video cannot be opened, or no frame of it decodes.
    """
    cutter = _Cutter(settings, spool)
    times_s: list[float] = []
    with VideoReader(path) as reader:
        for seen in look(reader):
            times_s.append(seen.frame.time_s)
            cutter.follower.step(seen)
            cutter.waiting.append(seen.frame)
            cutter.cut_until(seen.frame.row - cutter.lag_rows)
        cutter.cut_until(len(times_s))
        if not times_s:
            raise UserError(f"{path}: no frame of it decodes.")
        return VideoFaces(times_s, reader.bad_packets, reader.rate_hz, cutter.follower.tracklets)


class _Cutter:
    """Cuts out the faces of a frame once their neighbours in time are known."""

    def __init__(self, settings: CropSettings, spool: BinaryIO) -> None:
        self.settings, self.spool, self.offset = settings, spool, 0
        self.follower = Follower(settings.bridge_rows)
        self.waiting: deque[Frame] = deque()
        self.lag_rows = settings.bridge_rows + reach_rows(settings.smooth_rows) + 1
        self._next = 0  # tracklets before this one are cut out
        self._active: list[Tracklet] = []

    def cut_until(self, row: int) -> None:
        while self.waiting and self.waiting[0].row <= row:
            self._cut(self.waiting.popleft())

    def _cut(self, frame: Frame) -> None:
        tracklets = self.follower.tracklets
        while self._next < len(tracklets) and tracklets[self._next].first <= frame.row:
            self._active.append(tracklets[self._next])
            self._next += 1
        self._active = [t for t in self._active if t.last >= frame.row]
        for tracklet in self._active:
            face = smooth_at(tracklet.faces, frame.row - tracklet.first, self.settings.smooth_rows)
            crop = cut_out(frame, square_of(face, self.settings.margin), self.settings.size_px)
            offset = frame.row - tracklet.first
            seen, known = appearance_of(crop), tracklet.appearance
            gone = tracklet.missed[offset] and likeness(seen, known) < STILL_THERE
            tracklet.smooth.append(face)
            tracklet.spool.append(None if gone else self._encode(crop))
            if tracklet.looked[offset]:
                tracklet.appearance = seen if known is None else known + seen

    def _encode(self, crop: U8) -> tuple[int, int]:
        _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, self.settings.quality])
        place = (self.offset, data.size)
        self.spool.write(data.data)
        self.offset += data.size
        return place
