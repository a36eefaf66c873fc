"""Draw a face whose geometry and shading follow the 12 action units.

Face coordinates: x to the picture's right, y down, the unit is half the width of the face, the
origin lies between the eyes and the nose tip. A pose maps them to pixels. Soft shading is a linear
mix of fixed maps (`shading.py`); edges are anti-aliased polygons.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.demo.people import Character, Colour
from abaw_submit.demo.shading import SHADE_SPAN, shade

Image = npt.NDArray[np.uint8]
_SHIFT = 4  # sub-pixel bits of OpenCV's drawing functions
AU1, AU2, AU4, AU6, AU7, AU10, AU12, AU15, AU23, AU24, AU25, AU26 = range(12)
BOX = (-0.98, -0.78, 0.98, 1.22)  # what a frontal face detector calls the face: x0 y0 x1 y1


@dataclass(frozen=True)
class Pose:
    """Where a head is: centre (px), half width of the face (px), roll, yaw and pitch (radians)."""

    x: float
    y: float
    size: float
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    def matrix(self) -> F64:
        """(2, 3) map from face coordinates to pixels, without the parallax of `depth`."""
        cos, sin = np.cos(self.roll) * self.size, np.sin(self.roll) * self.size
        return np.array([[cos, -sin, self.x], [sin, cos, self.y]])

    def place(self, points: npt.ArrayLike, depth: float = 0.0) -> F64:
        """(n, 2) face coordinates to pixels; `depth` above 0 is nearer to the camera than the cheeks."""
        shift = np.array([depth * np.sin(self.yaw), depth * np.sin(self.pitch)])
        p = np.asarray(points, np.float64).reshape(-1, 2) + shift
        matrix = self.matrix()
        placed: F64 = p @ matrix[:, :2].T + matrix[:, 2]
        return placed

    def box(self) -> tuple[float, float, float, float]:
        """x, y, w, h (px) of the face, as a frontal face detector would frame it."""
        x0, y0, x1, y1 = BOX
        corners = self.place([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        return float(left), float(top), float(right - left), float(bottom - top)


class _Pen:
    """Draws shapes given in face coordinates on one picture."""

    def __init__(self, image: Image, pose: Pose) -> None:
        self.image, self.pose = image, pose

    def _fixed(self, points: npt.ArrayLike, depth: float) -> npt.NDArray[np.int32]:
        placed = np.round(self.pose.place(points, depth) * (1 << _SHIFT))
        return placed.astype(np.int32).reshape(-1, 1, 2)

    def fill(self, points: npt.ArrayLike, colour: Colour, depth: float = 0.0) -> None:
        cv2.fillPoly(self.image, [self._fixed(points, depth)], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: npt.ArrayLike, colour: Colour, width: float, depth: float = 0.0) -> None:
        thick = max(1, round(width * self.pose.size))
        fixed = self._fixed(points, depth)
        cv2.polylines(self.image, [fixed], False, colour, thick, cv2.LINE_AA, _SHIFT)

    def oval(
        self, centre: tuple[float, float], axes: tuple[float, float], colour: Colour, depth: float = 0.0
    ) -> None:
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.fill(
            np.c_[centre[0] + axes[0] * np.cos(angle), centre[1] + axes[1] * np.sin(angle)], colour, depth
        )


def draw_face(image: Image, person: Character, pose: Pose, action: F64, lids: float, light: F64) -> None:
    """Draw one head on an RGB picture, in place.

    Args:
        image: (height, width, 3) uint8.
        person: who.
        pose: where.
        action: (12,) AU intensities, 0 none to 1 full; somewhat outside is fine.
        lids: how far the eyes are open: 0 shut, 1 normal, 1.4 wide.
        light: (3,) brightness, change of brightness from left to right and from top to bottom.
    """
    a = np.clip(action + person.resting, -0.2, 1.25)
    jaw_drop = 0.27 * max(a[AU26], 0.0)
    pen = _Pen(image, pose)
    _body_and_back_hair(pen, person, light)
    outline = _outline(person, jaw_drop)
    for side in (-1.0, 1.0):
        pen.oval((side * 1.0, 0.12), (0.13, 0.24), _lit(person.skin, 0.82 * light[0]), -0.25)
    _skin(image, pose, person, outline, a, light)
    _eyes(pen, person, a, lids, light)
    _brows(pen, person, a, light)
    _nose(pen, person, a, light)
    _mouth(pen, person, a, jaw_drop, light)
    _front_hair(pen, person, light)


def _lit(colour: Colour, factor: float) -> Colour:
    red, green, blue = (float(np.clip(c * factor, 0, 255)) for c in colour)
    return red, green, blue


def _outline(person: Character, jaw_drop: float) -> F64:
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x, y = np.cos(angle), np.sin(angle)
    low = np.clip(y, 0, 1)
    width = 1.0 - (1.0 - person.jaw) * low**1.5
    height = np.where(y > 0, person.chin + jaw_drop, 1.22)
    return np.stack([np.sign(x) * np.abs(x) ** 0.88 * width, y * height], axis=1)


def _body_and_back_hair(pen: _Pen, person: Character, light: F64) -> None:
    hair = _lit(person.hair, 0.8 * light[0])
    if person.long_hair:
        pen.fill(
            [(-1.22, -0.4), (-1.28, 1.5), (1.28, 1.5), (1.22, -0.4), (0.7, -1.35), (-0.7, -1.35)], hair, -0.4
        )
    else:
        pen.oval((0, -0.35), (1.08, 1.08), hair, -0.3)
    shirt = _lit((person.hair[2] + 40, 90, person.skin[0] * 0.5), light[0])
    pen.fill([(-2.2, 7.0), (-1.6, 2.0), (-0.5, 1.65), (0.5, 1.65), (1.6, 2.0), (2.2, 7.0)], shirt, -0.5)
    pen.fill(
        [(-0.52, 0.9), (-0.55, 1.75), (0, 1.95), (0.55, 1.75), (0.52, 0.9)],
        _lit(person.skin, 0.66 * light[0]),
        -0.4,
    )


def _skin(image: Image, pose: Pose, person: Character, outline: F64, a: F64, light: F64) -> None:
    x0, y0, x1, y1 = _clip_box(pose.place(outline), image.shape)
    if x1 <= x0 or y1 <= y0:
        return
    grey = shade(a, light)
    if person.beard:
        grey = grey * _beard_map(len(grey))
    scale = len(grey) / (2 * SHADE_SPAN)
    to_face = np.array([[1 / scale, 0, -SHADE_SPAN], [0, 1 / scale, -SHADE_SPAN], [0, 0, 1.0]])
    to_pixels = np.vstack([pose.matrix(), [0, 0, 1.0]]) @ to_face
    turned = pose.place([(0, 0)], depth=0.1)[0] - pose.place([(0, 0)])[0]  # folds go with the features
    to_pixels[:2, 2] += turned - (x0, y0)
    warped = cv2.warpAffine(
        grey, to_pixels[:2], (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    points = np.round((pose.place(outline) - (x0, y0)) * (1 << _SHIFT)).astype(np.int32)
    cv2.fillPoly(mask, [points.reshape(-1, 1, 2)], 255, cv2.LINE_AA, _SHIFT)
    alpha = mask.astype(np.float32)[..., None] / 255
    part = image[y0:y1, x0:x1]
    skin = np.clip(warped[..., None] * np.array(person.skin, np.float32), 0, 255)
    part[:] = (part + alpha * (skin - part)).astype(np.uint8)


def _clip_box(points: F64, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    x0, y0 = np.floor(points.min(0)).astype(int) - 1
    x1, y1 = np.ceil(points.max(0)).astype(int) + 2
    return max(x0, 0), max(y0, 0), min(x1, shape[1]), min(y1, shape[0])


def _beard_map(side: int) -> npt.NDArray[np.float32]:
    y = np.linspace(-SHADE_SPAN, SHADE_SPAN, side, dtype=np.float32)[:, None]
    dark = 1 - 0.30 / (1 + np.exp(-(y - 0.62) / 0.08))
    return np.repeat(dark, side, axis=1).astype(np.float32)


def _eyes(pen: _Pen, person: Character, a: F64, lids: float, light: F64) -> None:
    narrow = max(a[AU7], 0.0)
    cheek = max(a[AU6], 0.0)
    upper = 0.135 * np.clip(lids - 0.42 * narrow, 0.06, 1.6)
    lower = 0.085 * np.clip(min(lids, 1.0) - 0.80 * narrow - 0.55 * cheek, -0.5, 1.0)
    t = np.linspace(-1, 1, 13)
    bow = 1 - t**2
    for side in (-1.0, 1.0):
        x, y = side * person.eye_x, -0.17
        top = np.c_[x + person.eye_size * t, y - upper * bow - 0.01 * side * t]
        bottom = np.c_[x + person.eye_size * t, y + lower * bow - 0.01 * side * t]
        almond = np.r_[top, bottom[::-1]]
        pen.fill(almond, _lit((222, 218, 214), light[0]), 0.1)
        opening = (upper + lower) / 2
        middle = y + (lower - upper) / 2
        radius = 0.098
        pen.oval((x, middle), (radius, min(radius, max(opening, 0.012))), _lit(person.iris, 0.8), 0.12)
        pen.oval((x, middle), (0.045, min(0.045, max(opening, 0.01))), (12, 10, 10), 0.12)
        if opening > 0.04:
            pen.oval((x - 0.03, middle - 0.03), (0.018, 0.018), (240, 240, 240), 0.12)
        dark = _lit(person.skin, 0.30 * light[0])
        pen.line(top, dark, 0.050, 0.1)
        pen.line(bottom, _lit(person.skin, 0.55 * light[0]), 0.022, 0.1)
        crease = top[2:-2] - (0, 0.06 + 0.02 * lids)
        pen.line(crease, _lit(person.skin, 0.62 * light[0]), 0.02, 0.1)


def _brows(pen: _Pen, person: Character, a: F64, light: F64) -> None:
    t = np.linspace(0, 1, 9)
    inner_up = 0.24 * a[AU1] - 0.19 * a[AU4]
    outer_up = 0.26 * a[AU2] - 0.05 * a[AU4]
    together = 0.08 * max(a[AU4], 0.0)
    rise = inner_up * (1 - t) ** 1.3 + outer_up * t**1.3 + 0.045 * np.sin(np.pi * t)
    inner_x = 0.17 - together
    x = inner_x + (0.72 - inner_x) * t
    half = person.brow_width * (0.62 + 0.30 * np.sin(np.pi * np.clip(t + 0.15, 0, 1)))
    colour = _lit(person.hair, 0.75 * light[0])
    for side in (-1.0, 1.0):
        top = np.c_[side * x, person.brow_y - rise - half]
        bottom = np.c_[side * x, person.brow_y - rise + half]
        pen.fill(np.r_[top, bottom[::-1]], colour, 0.12)


def _nose(pen: _Pen, person: Character, a: F64, light: F64) -> None:
    up = 0.06 * max(a[AU10], 0.0)
    wide = person.nose * (1 + 0.30 * max(a[AU10], 0.0) + 0.10 * max(a[AU12], 0.0))
    dark = _lit(person.skin, 0.50 * light[0])
    for side in (-1.0, 1.0):
        wing = [
            (side * wide * 0.9, 0.28 - up),
            (side * wide * 1.08, 0.38 - up),
            (side * wide * 0.8, 0.45 - up),
        ]
        pen.line(wing, dark, 0.03, 0.25)
        pen.oval((side * wide * 0.48, 0.45 - up), (0.055, 0.03), _lit(person.skin, 0.28 * light[0]), 0.25)


def _mouth(pen: _Pen, person: Character, a: F64, jaw_drop: float, light: F64) -> None:
    smile, frown = a[AU12], max(a[AU15], 0.0)
    tight, press = max(a[AU23], 0.0), max(a[AU24], 0.0)
    width = person.mouth_width * (1 + 0.30 * smile + 0.04 * frown - 0.40 * tight + 0.10 * press)
    corner = -0.21 * smile + 0.24 * frown
    gap = max(0.0, (0.17 * max(a[AU25], 0.0) + 0.9 * jaw_drop) * (1 - 0.85 * min(press, 1.0)))
    thick = person.lip * (1 - 0.42 * tight - 0.72 * press)
    raise_upper = 0.12 * max(a[AU10], 0.0)
    t = np.linspace(-1, 1, 17)
    bow = 1 - t**2
    y = 0.76 + corner * np.abs(t) ** 1.6 - 0.25 * corner
    inner_top = y - (0.30 * gap + 0.6 * raise_upper) * bow
    inner_low = y + (0.70 * gap + 0.02 * raise_upper) * bow
    cupid = 1 - 0.16 * np.exp(-((t / 0.16) ** 2))
    outer_top = inner_top - (thick * 0.85 * cupid + 0.3 * raise_upper) * bow**0.75
    outer_low = inner_low + thick * 1.15 * bow**0.75
    x = width * t
    depth = 0.18
    lips = _lit(person.lips, light[0])
    pen.fill(np.r_[np.c_[x, outer_top], np.c_[x, outer_low][::-1]], lips, depth)
    pen.fill(np.r_[np.c_[x, inner_top], np.c_[x, y][::-1]], _lit(person.lips, 0.85 * light[0]), depth)
    opening = inner_low - inner_top
    if opening.max() > 0.015:
        pen.fill(np.r_[np.c_[x, inner_top], np.c_[x, inner_low][::-1]], (46, 18, 20), depth)
        teeth = np.minimum(opening * 0.55, 0.085)
        inside = np.abs(t) < 0.86
        upper = np.c_[x, inner_top][inside]
        pen.fill(
            np.r_[upper, np.c_[x, inner_top + teeth][inside][::-1]], _lit((226, 222, 210), light[0]), depth
        )
    seam = _lit(person.lips, 0.42 * light[0])
    pen.line(np.c_[x, inner_top], seam, 0.022 + 0.040 * press, depth)
    corner_mark = 0.05 * (1 + tight + frown)
    for side, end in ((-1.0, 0), (1.0, -1)):
        mark = [(x[end], y[end]), (x[end] + side * corner_mark, y[end] + 0.4 * corner)]
        pen.line(mark, _lit(person.skin, 0.5 * light[0]), 0.03, depth)


def _front_hair(pen: _Pen, person: Character, light: F64) -> None:
    hair = _lit(person.hair, light[0])
    t = np.linspace(0, 1, 15)
    outer = np.c_[-1.12 * np.cos(np.pi * t), -0.30 - 1.12 * np.sin(np.pi * t)]
    line = np.c_[0.96 * np.cos(np.pi * t), -0.42 - 0.52 * np.sin(np.pi * t) ** 0.7]
    pen.fill(np.r_[outer, line], hair, 0.0)
