"""Strips of small faces, about one a second, for the players. Only on request: the data may not be passed on.

A page is to stay under 5 MB. Where a face a second of every track would be too much, long tracks get fewer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger

TILE_PX = 48
COLUMNS = 20
QUALITY = 45  # of WebP
BUDGET_BYTES = 1_500_000  # of all strips of a page, as they stand in it
_FACE_BYTES = 800  # of one face there, to begin with; what it really takes is measured
_FEWEST = 4  # faces of a track


@dataclass(frozen=True)
class Faces:
    """The strips of a page.

    Attributes:
        strips: by track: "faces" (a picture), "at" (seconds of each face), "columns".
        note: a sentence about how many there are.
    """

    strips: Mapping[str, dict[str, Any]]
    note: str


def face_strips(tracks: Sequence[str], crops: Path, budget_bytes: int = BUDGET_BYTES) -> Faces:
    """A strip of faces for each track that has crops.

    Args:
        tracks: the tracks that the players show.
        crops: the run's crops, with ledgers.
        budget_bytes: what all of them may take on the page.
    """
    seconds = {}
    for track in dict.fromkeys(tracks):
        if (crops / track / LEDGER_NAME).is_file():
            time_s = read_ledger(crops / track).time_s
            seconds[track] = int(time_s[-1] - time_s[0]) + 1
    most = _most_a_track(list(seconds.values()), budget_bytes // _FACE_BYTES)
    while True:
        strips = {track: _strip(crops / track, min(count, most)) for track, count in seconds.items()}
        found = {track: strip for track, strip in strips.items() if strip is not None}
        size = sum(len(strip["faces"]) for strip in found.values())
        if size <= budget_bytes or most <= _FEWEST:
            break
        most = max(int(most * 0.95 * budget_bytes / size), _FEWEST)
    thinned = sum(count > most for count in seconds.values())
    if not thinned:
        return Faces(found, "The faces are one a second.")
    return Faces(
        found,
        f"So that the page stays small, {thinned} of {len(found)} tracks, those of more than {most} seconds,"
        f" show {most} faces each in place of one a second.",
    )


def _most_a_track(seconds: Sequence[int], total: int) -> int:
    """The most faces of one track with which all tracks together have no more than `total`.

    >>> _most_a_track([10, 100, 1000], 210)
    100
    """
    if sum(seconds) <= total:
        return max(seconds, default=1)
    low, high = 1, max(seconds)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(s, middle) for s in seconds) <= total else (low, middle - 1)
    return low


def _strip(folder: Path, count: int) -> dict[str, Any] | None:
    """So many faces of a track, evenly over its time; None if it shows none."""
    ledger = read_ledger(folder)
    first, last = float(ledger.time_s[0]), float(ledger.time_s[-1])
    step_s = max((last - first) / count, 1.0)
    at = first + step_s * np.arange(count)
    rows = np.minimum(np.searchsorted(ledger.time_s, at), len(ledger) - 1)
    pictures = ledger.picture_rows()[rows]
    if not pictures.any():
        return None
    tiles = [_tile(folder / f"{k:05d}.jpg") for k in pictures]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS if len(tiles) > COLUMNS else 0)
    width = min(len(tiles), COLUMNS)
    strip = np.vstack([np.hstack(tiles[k : k + width]) for k in range(0, len(tiles), width)])
    _, code = cv2.imencode(".webp", strip, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    picture = "data:image/webp;base64," + base64.b64encode(code.tobytes()).decode()
    return {"faces": picture, "at": np.round(at, 2).tolist(), "columns": width}


def _tile(path: Path) -> Any:
    picture = cv2.imread(str(path))
    if picture is None:
        return np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    return cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
