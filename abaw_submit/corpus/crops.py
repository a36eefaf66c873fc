"""Crops as pictures of the size an encoder wants: the one decoder of training and extraction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError

# JPEG can be decoded at 1/2, 1/4 or 1/8 of its size, which is faster and averages like an area filter
_REDUCED = {
    1: "IMREAD_COLOR",
    2: "IMREAD_REDUCED_COLOR_2",
    4: "IMREAD_REDUCED_COLOR_4",
    8: "IMREAD_REDUCED_COLOR_8",
}
# markers of a JPEG frame header, which holds the height and the width; C4, C8 and CC are others
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def crop_path(folder: Path | str, row: int) -> Path:
    """The crop of a row in its track's folder.

    Args:
        folder: `crops/<track>`.
        row: 1-based row.

    >>> crop_path("crops/102", 7).as_posix()
    'crops/102/00007.jpg'
    """
    return Path(folder) / f"{row:05d}.jpg"


def load_crop(path: Path | str, size_px: int) -> npt.NDArray[np.uint8]:
    """A picture file as a square RGB picture. The same file always gives the same pixels.

    The JPEG is decoded at the smallest scale that is not below `size_px`, then resized (area filter
    when it shrinks, bicubic when it grows), so 112 px official crops and 224 px crops both do.

    Args:
        path: a picture file, of any size.
        size_px: side of the result, px.

    Returns:
        (size_px, size_px, 3) uint8, RGB.

    Raises:
        UserError: the file is missing or cannot be decoded.
    """
    return decode_crop(read_crop(path), size_px, str(path))


def read_crop(path: Path | str) -> bytes:
    """The bytes of a picture file.

    Raises:
        UserError: the file is missing.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"No picture at {path}. Make the crops again with `abaw-submit crop`.") from None


def decode_crop(data: bytes, size_px: int, where: str = "picture") -> npt.NDArray[np.uint8]:
    """`load_crop` for bytes already read; `where` names them in an error."""
    import cv2  # here, so that rows and paths of crops need no picture library

    size = jpeg_size(data)
    factor = max((f for f in _REDUCED if size and min(size) // f >= size_px), default=1)
    buffer = np.frombuffer(data, np.uint8)
    flags = getattr(cv2, _REDUCED[factor]) | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(buffer, flags) if len(buffer) else None
    if image is None:
        raise UserError(f"{where} cannot be decoded as a picture. Make the crops again.")
    height, width = image.shape[:2]
    if (height, width) != (size_px, size_px):
        shrinks = min(height, width) >= size_px
        way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        image = cv2.resize(image, (size_px, size_px), interpolation=way)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG from its frame header; None if it has none.

    >>> jpeg_size(b"not a JPEG") is None
    True
    """
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _FRAME_HEADERS:
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
