"""From a followed face to a square crop: smooth over rows, turn upright, cut out.

The square's side is the face's size with a margin; its turn is that of the five landmarks where the
detector has them. Smoothing looks both ways, so the crop neither jitters nor lags.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import U8
from abaw_submit.faces.decode import Frame
from abaw_submit.faces.detect import BOX, LANDMARKS

# Where the landmarks of a frontal face lie in its box (parts of the box's height, from its centre):
# right eye, left eye, nose tip, right and left mouth corner. Medians over real clips.
TEMPLATE = np.array([(-0.165, -0.125), (0.165, -0.125), (0.0, 0.065), (-0.13, 0.225), (0.13, 0.225)])
SMALLEST_PART = 0.85  # a turned head narrows its landmarks: never crop tighter than this part of the box
BLACK = (16, 128, 128)  # Y, U, V outside the frame


@dataclass(frozen=True)
class Square:
    """The area to cut out: centre and side in px of the frame, turn in radians (clockwise on screen)."""

    cx: float
    cy: float
    side: float
    angle: float


def reach_rows(sigma: float) -> int:
    """Rows to each side that smoothing with `sigma` rows looks at."""
    return math.ceil(2.5 * sigma)


def smooth_at(faces: Sequence[npt.NDArray[np.float32]], index: int, sigma: float) -> npt.NDArray[np.float64]:
    """One face of a tracklet, smoothed over its neighbours: a straight line fitted with Gaussian weights.

    A line, not a mean, so that a moving face is not dragged behind at the tracklet's ends.

    Args:
        faces: the tracklet's faces, each (15,).
        index: which one.
        sigma: rows; 0 leaves it as it is.

    Returns:
        (15,) float64.
    """
    reach = reach_rows(sigma)
    low, high = max(0, index - reach), min(len(faces), index + reach + 1)
    if reach == 0 or high - low < 3:
        return faces[index].astype(np.float64)
    values = np.stack(faces[low:high]).astype(np.float64)
    t = np.arange(low, high) - index
    weight = np.exp(-0.5 * (t / sigma) ** 2)
    s0, s1, s2 = weight.sum(), weight @ t, weight @ (t * t)
    fitted: npt.NDArray[np.float64] = ((s2 * weight - s1 * weight * t) / (s0 * s2 - s1 * s1)) @ values
    fitted[14] = faces[index][14]  # the score is this row's own
    return fitted


def square_of(face: npt.NDArray[np.float64], margin: float) -> Square:
    """The crop of a face: from its five landmarks, or from its box where it has none.

    Args:
        face: (15,) as in `faces.detect`.
        margin: room on each side as a part of the face's size.
    """
    x, y, w, h = face[BOX]
    size = max(w, h)
    points = face[LANDMARKS].reshape(5, 2)
    if np.isnan(points).any():
        return Square(x + w / 2, y + h / 2, size * (1 + 2 * margin), 0.0)
    # least squares similarity from TEMPLATE to the landmarks, as complex numbers: p = a t + b
    t, p = TEMPLATE @ (1, 1j), points @ (1, 1j)
    t0, p0 = t.mean(), p.mean()
    a = (np.conj(t - t0) @ (p - p0)) / (np.abs(t - t0) ** 2).sum()
    centre = p0 - a * t0
    side = min(max(abs(a), SMALLEST_PART * size), size / SMALLEST_PART) * (1 + 2 * margin)
    return Square(float(centre.real), float(centre.imag), float(side), float(np.angle(a)))


def cut_out(frame: Frame, square: Square, size_px: int) -> U8:
    """The square as (size_px, size_px, 3) BGR; black where it leaves the frame.

    Luma and chroma are cut out on their own, so that only the crop is converted to colour.
    """
    image = np.empty((size_px * 3 // 2, size_px), np.uint8)
    image[:size_px] = _cut_plane(frame.y, square, size_px, BLACK[0])
    # a chroma sample lies in the middle of four luma samples
    half = Square((square.cx - 0.5) / 2, (square.cy - 0.5) / 2, square.side / 2, square.angle)
    chroma = [_cut_plane(c, half, size_px // 2, grey).ravel() for c, grey in ((frame.u, 128), (frame.v, 128))]
    image[size_px:] = np.concatenate(chroma).reshape(-1, size_px)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _cut_plane(plane: U8, square: Square, size_px: int, outside: int) -> U8:
    shrink = max(1, int(square.side / size_px))
    x0 = y0 = 0
    if shrink > 1:  # average first: picking single pixels out of many would flicker
        reach = square.side * 0.75
        x0, x1 = _span(square.cx, reach, plane.shape[1], shrink)
        y0, y1 = _span(square.cy, reach, plane.shape[0], shrink)
        if x1 <= x0 or y1 <= y0:
            return np.full((size_px, size_px), outside, np.uint8)
        size = ((x1 - x0) // shrink, (y1 - y0) // shrink)
        plane = np.asarray(cv2.resize(plane[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA), np.uint8)
    # crop pixel (i, j) -> plane pixel, both counted from their centres
    step = square.side / size_px / shrink
    cos, sin = math.cos(square.angle) * step, math.sin(square.angle) * step
    middle = (size_px - 1) / 2
    cx, cy = ((c - o + 0.5) / shrink - 0.5 for c, o in ((square.cx, x0), (square.cy, y0)))
    matrix = np.array(
        [[cos, -sin, cx - (cos - sin) * middle], [sin, cos, cy - (sin + cos) * middle]], np.float64
    )
    cut = cv2.warpAffine(
        plane,
        matrix,
        (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return np.asarray(cut, np.uint8)


def _span(centre: float, reach: float, length: int, step: int) -> tuple[int, int]:
    """A range around `centre` inside 0..length whose length is a multiple of `step`."""
    low = max(0, math.floor((centre - reach) / step) * step)
    high = min(length, math.ceil(centre + reach))
    return low, low + (high - low) // step * step
