"""OpenCV's Haar cascade: needs no model, is slow on whole frames, has no landmarks.

Once a face is known it is searched only around its last place and size, which is about five times
as fast; the caller asks for a whole look every few frames and wherever a face was lost.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import U8
from abaw_submit.errors import UserError
from abaw_submit.faces.detect import BOX, NO_FACES, SCORE, DetectorSpec, Faces
from abaw_submit.faces.settings import CropSettings

CASCADE = "haarcascade_frontalface_alt2.xml"  # of the four frontal ones the fewest false faces
SCALE_STEP = 1.1
NEIGHBOURS = 3
SMALLEST_PX = 20
NEIGHBOURS_HALF_SURE = 5.0  # a face found this often has score 0.5
WINDOW = 0.5  # room around the last box in which a known face is looked for, in box sizes
SIZE_CHANGE = 1.35  # most that a face grows or shrinks between two looks
# From the cascade's square to brows-to-chin: between YuNet's boxes of real and of synthetic faces.
SHIFT_Y, WIDTH, HEIGHT = 0.045, 0.73, 0.99


class Haar:
    """The frontal cascade."""

    def __init__(self, settings: CropSettings) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise UserError(
                f"OpenCV {cv2.__version__} has no Haar cascades; 4.x has."
                " Run `make setup`, or use --detector yunet."
            )
        path = Path(cv2.__file__).parent / "data" / CASCADE
        self._cascade = cv2.CascadeClassifier(str(path))
        if self._cascade.empty():
            raise UserError(f"OpenCV's cascade {path} cannot be loaded. Install opencv-python-headless 4.x.")
        self._min_face = settings.min_face

    def detect(self, image: npt.NDArray[np.uint8], near: Faces | None = None) -> Faces:
        """All faces; with `near`, only faces around those, or none at all if one of them is lost.

        "None at all" makes the caller look at the whole image.
        """
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
        if near is None:
            smallest = max(SMALLEST_PX, round(self._min_face * min(grey.shape) / HEIGHT))
            return self._search(grey, smallest, max(grey.shape))
        found = []
        for face in near:
            around = self._search_around(grey, face[BOX])
            if around is None:
                return NO_FACES
            found.append(around)
        return np.stack(found) if found else NO_FACES

    def _search_around(self, grey: U8, box: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
        x, y, w, h = box
        side = h / HEIGHT
        cx, cy = x + w / 2, y + h / 2 - SHIFT_Y * side
        reach = side * (0.5 * SIZE_CHANGE + WINDOW / 2)
        x0, y0 = max(0, round(cx - reach)), max(0, round(cy - reach))
        x1, y1 = min(grey.shape[1], round(cx + reach)), min(grey.shape[0], round(cy + reach))
        if min(x1 - x0, y1 - y0) < SMALLEST_PX:
            return None
        window = np.ascontiguousarray(grey[y0:y1, x0:x1])
        faces = self._search(
            window, max(SMALLEST_PX, round(side / SIZE_CHANGE)), round(side * SIZE_CHANGE) + 1
        )
        if not len(faces):
            return None
        faces[:, :2] += (x0, y0)
        centres = faces[:, :2] + faces[:, 2:4] / 2
        nearest = np.abs(centres - (x + w / 2, y + h / 2)).sum(1).argmin()
        best: npt.NDArray[np.float32] = faces[nearest]
        return best

    def _search(self, grey: U8, smallest_px: int, largest_px: int) -> Faces:
        squares, counts = self._cascade.detectMultiScale2(
            grey, SCALE_STEP, NEIGHBOURS, minSize=(smallest_px,) * 2, maxSize=(largest_px,) * 2
        )
        if not len(squares):
            return NO_FACES
        x, y, side, _ = np.asarray(squares, np.float32).T
        faces = np.full((len(squares), 15), np.nan, np.float32)
        width, height = WIDTH * side, HEIGHT * side
        cx, cy = x + side / 2, y + side * (0.5 + SHIFT_Y)
        faces[:, BOX] = np.stack([cx - width / 2, cy - height / 2, width, height], 1)
        number = np.ravel(counts).astype(np.float32)
        faces[:, SCORE] = number / (number + NEIGHBOURS_HALF_SURE)
        return faces


def make(spec: DetectorSpec, settings: CropSettings) -> Haar:
    """The registry's entry."""
    return Haar(settings)
