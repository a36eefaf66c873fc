"""Soft shading of a face: fixed maps, mixed linearly by the action units.

A frontal face detector needs the light and dark of a real face (sockets darker than forehead and
cheeks, a bright nose ridge); the action units add the folds and bulges that skin makes.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64

SHADE_SPAN = 1.7  # the map covers -1.7 .. 1.7 half face widths both ways
_SIDE = 112
Map = npt.NDArray[np.float32]


def shade(action: F64, light: F64) -> Map:
    """(112, 112) factors on the skin colour, covering the square of `SHADE_SPAN`.

    Args:
        action: (12,) AU intensities.
        light: (3,) brightness, change from left to right, change from top to bottom.
    """
    base, folds = _maps()
    weights = np.clip(action, 0, 1.25).astype(np.float32)
    grey = base + np.tensordot(weights, folds, axes=1)
    axis = np.linspace(-SHADE_SPAN, SHADE_SPAN, _SIDE, dtype=np.float32)
    slope = np.float32(light[0]) * (
        1 + np.float32(light[1]) * axis[None] + np.float32(light[2]) * axis[:, None]
    )
    shaded: Map = np.clip(grey, 0.15, 1.3) * slope
    return shaded


@cache
def _maps() -> tuple[Map, Map]:
    base = np.ones((_SIDE, _SIDE), np.float32)
    for side in (-1, 1):
        base -= 0.34 * _spot(side * 0.43, -0.22, 0.30, 0.17)  # sockets
        base += 0.13 * _spot(side * 0.52, 0.30, 0.22, 0.20)  # cheekbones
        base -= 0.13 * _spot(side * 0.30, 0.34, 0.07, 0.16)  # beside the nose
        base -= 0.30 * _spot(side * 1.02, 0.25, 0.18, 0.90)  # the sides turn away
    base += 0.13 * _spot(0, -0.72, 0.55, 0.22)  # forehead
    base += 0.20 * _spot(0, 0.05, 0.085, 0.32)  # nose ridge
    base += 0.12 * _spot(0, 0.34, 0.09, 0.07)  # nose tip
    base -= 0.22 * _spot(0, 0.51, 0.20, 0.05)  # under the nose
    base -= 0.16 * _spot(0, 1.00, 0.24, 0.05)  # under the lower lip
    base += 0.10 * _spot(0, 1.16, 0.18, 0.09)  # chin
    base -= 0.22 * _spot(0, 1.50, 0.60, 0.12)  # under the jaw
    return base, np.stack(_fold_maps())


def _fold_maps() -> list[Map]:
    zero = np.zeros((_SIDE, _SIDE), np.float32)
    au1 = _both(lambda s: -0.45 * _fold([(0.02 * s, -0.70), (0.22 * s, -0.76), (0.36 * s, -0.70)]))
    au2 = _both(lambda s: -0.45 * _fold([(0.40 * s, -0.74), (0.62 * s, -0.78), (0.80 * s, -0.66)]))
    au4 = _both(lambda s: -0.55 * _fold([(0.07 * s, -0.56), (0.06 * s, -0.34)])) - 0.16 * _spot(
        0, -0.42, 0.12, 0.12
    )
    au6 = _both(
        lambda s: (
            0.30 * _spot(0.55 * s, 0.20, 0.22, 0.10)
            - 0.30 * _fold([(0.25 * s, 0.05), (0.45 * s, 0.10), (0.66 * s, 0.04)])
            - 0.32 * _fold([(0.70 * s, -0.18), (0.86 * s, -0.24)])
            - 0.32 * _fold([(0.70 * s, -0.12), (0.86 * s, -0.06)])
        )
    )
    au7 = _both(lambda s: -0.42 * _fold([(0.26 * s, -0.02), (0.44 * s, 0.01), (0.60 * s, -0.03)]))
    au10 = _both(
        lambda s: (
            -0.45 * _fold([(0.22 * s, 0.26), (0.36 * s, 0.44), (0.42 * s, 0.62)])
            + 0.12 * _spot(0.28 * s, 0.50, 0.09, 0.07)
        )
    ) - 0.22 * _fold([(-0.12, 0.02), (0.12, 0.02)])
    au12 = _both(
        lambda s: (
            -0.40 * _fold([(0.34 * s, 0.42), (0.54 * s, 0.60), (0.60 * s, 0.80)])
            + 0.18 * _spot(0.62 * s, 0.36, 0.16, 0.14)
        )
    )
    au15 = _both(lambda s: -0.38 * _fold([(0.46 * s, 0.88), (0.54 * s, 1.02), (0.50 * s, 1.12)]))
    au23 = _both(lambda s: -0.25 * _fold([(0.14 * s, 0.60), (0.12 * s, 0.66)])) - 0.30 * _spot(
        0, 0.93, 0.26, 0.05
    )
    au24 = (
        0.26 * _spot(0, 0.60, 0.26, 0.06)
        + 0.30 * _spot(0, 0.91, 0.28, 0.06)
        - 0.20 * _spot(0, 1.02, 0.26, 0.03)
    )
    au26 = -0.22 * _spot(0, 1.30, 0.34, 0.10)
    return [au1, au2, au4, au6, au7, au10, au12, au15, au23, au24, zero, au26]


def _both(make: object) -> Map:
    total: Map = make(-1.0) + make(1.0)  # type: ignore[operator]
    return total


def _spot(x: float, y: float, wide: float, high: float) -> Map:
    """A soft spot of height 1 at a place in face coordinates."""
    axis = np.linspace(-SHADE_SPAN, SHADE_SPAN, _SIDE, dtype=np.float32)
    spot: Map = np.exp(-(((axis[None] - x) / wide) ** 2) - ((axis[:, None] - y) / high) ** 2)
    return spot


def _fold(points: list[tuple[float, float]], width: float = 0.035) -> Map:
    """A soft line through places in face coordinates."""
    big = 4
    canvas = np.zeros((_SIDE * big, _SIDE * big), np.uint8)
    pixels = (np.array(points) + SHADE_SPAN) * (_SIDE * big / (2 * SHADE_SPAN))
    thick = max(1, round(width * _SIDE * big / (2 * SHADE_SPAN) * 2))
    cv2.polylines(
        canvas, [np.round(pixels).astype(np.int32).reshape(-1, 1, 2)], False, 255, thick, cv2.LINE_AA
    )
    blurred = cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), big * 1.0)
    small = cv2.resize(blurred, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32)
