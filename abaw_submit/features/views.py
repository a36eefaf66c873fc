"""Further views of a crop: mirrored, and jittered in place, size and light; the same every time."""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import U8
from abaw_submit.errors import UserError, suggest
from abaw_submit.models.weights.options import VIEW_RULES

VERSION = 1  # raise it when the pictures change
MAX_VIEWS = 8
SHIFT, ZOOM, LIGHT, CONTRAST = 0.04, 0.06, 20.0, 0.15  # of the side, of the size, of 255, of one


def check_views(views: int, merge: str) -> None:
    """Refuse a number of views that cannot be, or an unknown word for what becomes of them.

    Raises:
        UserError: below 1 or above `MAX_VIEWS`, or neither "mean" nor "keep".
    """
    if merge not in VIEW_RULES:
        raise UserError(f'Unknown --merge-views "{merge}". {suggest(merge, VIEW_RULES)}')
    if not 1 <= views <= MAX_VIEWS:
        raise UserError(f"views is {views}; expected 1 to {MAX_VIEWS}.")


def view_of(image: U8, view: int, row: int) -> U8:
    """One view of a crop.

    View 1 is the crop itself, view 2 its mirror image; from view 3 on they are moved, zoomed, lit and
    mirrored by numbers drawn for the row and the view, so that no worker and no order changes them.

    Args:
        image: (side, side, 3) RGB.
        view: 1-based view.
        row: 1-based row.

    Returns:
        (side, side, 3) RGB.
    """
    if view == 1:
        return image
    if view == 2:
        return np.ascontiguousarray(image[:, ::-1])
    import cv2  # here: what is made elsewhere is brought into the cache without it

    rng = np.random.default_rng([row, view])
    side = image.shape[0]
    zoom = 1 + rng.uniform(-ZOOM, ZOOM)
    shift = rng.uniform(-SHIFT, SHIFT, 2) * side
    middle = (side - 1) / 2
    mirror = -1 if rng.random() < 0.5 else 1
    matrix = np.array(
        [
            [mirror * zoom, 0, middle * (1 - mirror * zoom) + shift[0]],
            [0, zoom, middle * (1 - zoom) + shift[1]],
        ]
    )
    moved = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    lit = (moved.astype(np.float32) - 127.5) * (1 + rng.uniform(-CONTRAST, CONTRAST)) + 127.5
    return np.asarray(np.clip(np.rint(lit + rng.uniform(-LIGHT, LIGHT)), 0, 255), np.uint8)
