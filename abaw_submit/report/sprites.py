"""One strip of small faces per track, one a second, for the player. Only on request: the data may not be"
" passed on."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger

TILE_PX = 56
COLUMNS = 20
QUALITY = 60
TILE_BYTES = 1_300  # about what a tile takes, to plan with
BUDGET_BYTES = 500_000  # of all strips of a task


def add_sprites(data: dict[str, Any], crops: Path) -> int:
    """Put a strip of faces beside each track of a player's data; gives the number of faces.

    One face a second, or fewer where all tracks together would be too large for one page.

    Args:
        data: what `timeline.player_data` made; each track gets "faces" (a JPEG), "at" (seconds) and "tile".
        crops: the run's crops.
    """
    lengths = [t["time"][-1] - t["time"][0] for t in data["tracks"] if t["time"]]
    every_s = max(1.0, sum(lengths) * TILE_BYTES / BUDGET_BYTES)
    number = 0
    for track in data["tracks"]:
        folder = crops / track["name"]
        if not (folder / LEDGER_NAME).is_file():
            continue
        ledger = read_ledger(folder)
        first, last = float(ledger.time_s[0]), float(ledger.time_s[-1])
        at = np.arange(first, last + 1e-6, every_s)
        rows = np.minimum(np.searchsorted(ledger.time_s, at), len(ledger) - 1)
        pictures = ledger.picture_rows()[rows]
        if not pictures.any():
            continue
        tiles = [_tile(folder / f"{k:05d}.jpg") for k in pictures]
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS if len(tiles) > COLUMNS else 0)
        width = min(len(tiles), COLUMNS)
        strip = np.vstack([np.hstack(tiles[k : k + width]) for k in range(0, len(tiles), width)])
        _, code = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        track["faces"] = "data:image/jpeg;base64," + base64.b64encode(code.tobytes()).decode()
        track["at"], track["tile"], track["columns"] = np.round(at, 2).tolist(), TILE_PX, width
        number += len(at)
    return number


def _tile(path: Path) -> Any:
    picture = cv2.imread(str(path))
    if picture is None:
        return np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    return cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
