"""Faces of every frame from a detector that runs on every n-th: where two looks agree, the frames
between them are interpolated; where they disagree, the frames between are looked at too."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit.faces.decode import Frame
from abaw_submit.faces.detect import BOX, NO_FACES, SCORE, Detector, Faces, iou, keep_plausible
from abaw_submit.faces.settings import CropSettings

AGREE_IOU = 0.7  # two looks with faces that overlap so much have nothing surprising between them
WHOLE_LOOK_EVERY = 2  # looks; between them a slow detector may look only around known faces
REMEMBERED_LOOKS = 6  # a face lost in one of so many looks is searched everywhere
CUT_GREY = 28.0  # mean change of a tiny grey picture that is always a scene cut
CUT_GREY_SUDDEN = 9.0  # smaller changes are one if they are also sudden
CUT_SUDDEN = 6.0  # times the usual change of the frames before


@dataclass(frozen=True)
class Seen:
    """A frame and its faces.

    Attributes:
        frame: the frame.
        faces: (n, 15) in px of the frame, see `faces.detect`.
        looked: True if the detector ran on this frame, False if the faces are interpolated.
        cut: True if a scene cut lies just before this frame.
    """

    frame: Frame
    faces: Faces
    looked: bool
    cut: bool


class CutFinder:
    """Tells a scene cut from a movement by the change of a tiny grey picture."""

    def __init__(self) -> None:
        self._last: npt.NDArray[np.float32] | None = None
        self._usual: float | None = None  # unknown at the start and after a cut: it may be a pan

    def step(self, frame: Frame) -> bool:
        """True if a cut lies between the last frame and this one."""
        now = frame.thumbnail().astype(np.float32)
        last, self._last = self._last, now
        if last is None:
            return False
        change = float(np.abs(now - last).mean())
        usual = self._usual
        sudden = usual is not None and change > max(CUT_GREY_SUDDEN, CUT_SUDDEN * usual)
        cut = change > CUT_GREY or sudden
        self._usual = None if cut else change if usual is None else usual + 0.2 * (change - usual)
        return cut


def see(frames: Iterable[Frame], detector: Detector, settings: CropSettings) -> Iterator[Seen]:
    """Faces of every frame, in order; holds at most `every` + 1 frames.

    Args:
        frames: frames in order.
        detector: runs on the reduced frame.
        settings: `every`, `long_side_px`, `min_face`, `people`.
    """
    looker = _Looker(detector, settings)
    cuts = CutFinder()
    left: Seen | None = None  # the last frame looked at
    waiting: list[tuple[Frame, bool]] = []
    for frame in frames:
        cut = cuts.step(frame)
        same_size = left is None or left.frame.y.shape == frame.y.shape
        if left is None or cut or not same_size:
            yield from _settle(left, waiting, looker)
            left, waiting = Seen(frame, looker.look(frame, None), True, cut or not same_size), []
            yield left
            continue
        waiting.append((frame, cut))
        if len(waiting) == settings.every:
            *_, left = settled = list(_settle(left, waiting, looker))
            waiting = []
            yield from settled
    yield from _settle(left, waiting, looker)


class _Looker:
    """Runs the detector on reduced frames and gives faces in px of the frame."""

    def __init__(self, detector: Detector, settings: CropSettings) -> None:
        self._detector, self._settings, self._looks = detector, settings, 0
        self._recent: deque[int] = deque(maxlen=REMEMBERED_LOOKS)  # faces found

    def look(self, frame: Frame, near: Faces | None) -> Faces:
        image, scale = frame.reduced(self._settings.long_side_px)
        self._looks += 1
        faces = NO_FACES
        none_lost = near is not None and len(near) >= max(self._recent, default=0)
        if near is not None and none_lost and len(near) and self._looks % WHOLE_LOOK_EVERY:
            near = near.copy()
            near[:, :SCORE] *= scale
            faces = self._detector.detect(image, near)
        if not len(faces):
            faces = self._detector.detect(image)
        height, width = image.shape[:2]
        faces = keep_plausible(faces, width, height, self._settings).copy()
        faces[:, :SCORE] /= scale
        self._recent.append(len(faces))
        return faces


def _settle(left: Seen | None, waiting: list[tuple[Frame, bool]], looker: _Looker) -> Iterator[Seen]:
    """The waiting frames after `left`, the last of which is looked at."""
    if left is None or not waiting:
        return
    last = Seen(waiting[-1][0], looker.look(waiting[-1][0], left.faces), True, False)
    yield from _between(left, [f for f, _ in waiting[:-1]], last, looker)
    yield last


def _between(left: Seen, frames: list[Frame], right: Seen, looker: _Looker) -> Iterator[Seen]:
    if not frames:
        return
    order = match(left.faces, right.faces)
    if order is not None:
        first, length = left.frame.row, right.frame.row - left.frame.row
        for frame in frames:
            part = np.float32((frame.row - first) / length)
            faces = left.faces + part * (right.faces[order] - left.faces)
            yield Seen(frame, faces, False, False)
        return
    half = len(frames) // 2
    near = max(left.faces, right.faces, key=len)
    middle = Seen(frames[half], looker.look(frames[half], near), True, False)
    yield from _between(left, frames[:half], middle, looker)
    yield middle
    yield from _between(middle, frames[half + 1 :], right, looker)


def match(a: Faces, b: Faces) -> npt.NDArray[np.intp] | None:
    """The order of `b` that pairs it with `a` where each face has one clear partner; else None."""
    if len(a) != len(b):
        return None
    overlap = iou(a[:, BOX], b[:, BOX])
    order = overlap.argmax(1) if len(a) else np.zeros(0, np.intp)
    clear = len(set(order.tolist())) == len(a) and (overlap.max(1, initial=0) >= AGREE_IOU).all()
    return order if clear else None
