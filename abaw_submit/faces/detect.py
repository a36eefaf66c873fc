"""Face detectors by name. A new one is a file with a `Detector` and a line in `settings.DETECTORS`.

A detector gets a reduced BGR image and gives faces as an array (n, 15) float32: x, y, w, h of the
box, five landmarks (x, y each: right eye, left eye, nose tip, right and left mouth corner, as seen
from the person; NaN where it has none), score. Boxes of all detectors mean the same area (brows to
chin), so that crops of different detectors look alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError, suggest
from abaw_submit.faces.settings import DETECTOR_CHOICES, DETECTORS, CropSettings

Faces = npt.NDArray[np.float32]  # (n, 15)
BOX, LANDMARKS, SCORE = slice(0, 4), slice(4, 14), 14
NO_FACES: Faces = np.zeros((0, 15), np.float32)


class Detector(Protocol):
    """What finds faces in a picture."""

    def detect(self, image: npt.NDArray[np.uint8], near: Faces | None = None) -> Faces:
        """Faces in a BGR image, any order.

        Args:
            image: (height, width, 3) uint8.
            near: faces of a frame shortly before; a detector may look only around them.
        """
        ...


@dataclass(frozen=True)
class DetectorSpec:
    """How a detector is made, in plain values: goes to worker processes and into fingerprints.

    Attributes:
        name: a key of `DETECTORS`.
        model: its model file, if it needs one.
        identity: the model's sha256, so that another model is other work.
    """

    name: str
    model: Path | None = None
    identity: str = ""


# name -> "module:function(spec, settings) -> Detector"


def make_detector(spec: DetectorSpec, settings: CropSettings) -> Detector:
    """The detector of a spec.

    Raises:
        UserError: no detector of that name.
    """
    if spec.name not in DETECTORS:
        raise UserError(f'No face detector "{spec.name}". {suggest(spec.name, DETECTOR_CHOICES)}')
    module, function = DETECTORS[spec.name].split(":")
    detector: Detector = getattr(import_module(module), function)(spec, settings)
    return detector


def keep_plausible(faces: Faces, width: int, height: int, settings: CropSettings) -> Faces:
    """Faces large enough, at least half inside the image, largest first, no more than `people`."""
    if not len(faces):
        return NO_FACES
    x, y, w, h = faces[:, BOX].T
    inside_w = np.minimum(x + w, width) - np.maximum(x, 0)
    inside_h = np.minimum(y + h, height) - np.maximum(y, 0)
    inside = inside_w.clip(0) * inside_h.clip(0) >= 0.5 * w * h
    kept = faces[inside & (np.maximum(w, h) >= settings.min_face * min(width, height))]
    order = np.lexsort((kept[:, 0], -kept[:, 2] * kept[:, 3]))  # ties by position: always one order
    largest: Faces = kept[order][: settings.people]
    return largest


def iou(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Overlap of boxes (n, 4) with boxes (m, 4), each x y w h: intersection over union (n, m).

    >>> iou(np.array([[0, 0, 2, 2]]), np.array([[0, 0, 2, 2], [1, 0, 2, 2], [5, 5, 1, 1]])).round(3).tolist()
    [[1.0, 0.333, 0.0]]
    """
    a, b = np.asarray(a, np.float64)[:, None], np.asarray(b, np.float64)[None]
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    common = (high - low).clip(0).prod(-1)
    union = a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - common
    overlap: npt.NDArray[np.float64] = common / np.maximum(union, 1e-9)
    return overlap
