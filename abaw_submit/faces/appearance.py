"""What a face looks like, roughly: a tiny picture of its crop. Enough to tell two people of one scene
apart, or a face from the wall behind it; not enough to know a person again in another light."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Appearance = npt.NDArray[np.float64]  # (192,)
SIDE_PX = 8


def appearance_of(crop: npt.NDArray[np.uint8]) -> Appearance:
    """The crop as 8 x 8 colours."""
    tiny = cv2.resize(crop, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(tiny, np.float64).ravel()


def unit(appearance: Appearance | None) -> Appearance | None:
    """The appearance without brightness and contrast: mean 0, length 1."""
    if appearance is None:
        return None
    centred = appearance - appearance.mean()
    scaled: Appearance = centred / max(float(np.linalg.norm(centred)), 1e-9)
    return scaled


def likeness(a: Appearance | None, b: Appearance | None) -> float:
    """How alike two appearances are, -1 to 1; 0 if one is unknown.

    >>> likeness(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0]))
    1.0
    """
    one, other = unit(a), unit(b)
    return 0.0 if one is None or other is None else round(float(one @ other), 12)
