"""Contact sheets: one picture per video to judge its tracks at a glance.

A tile every n rows, in reading order, with its time; a bar under each tile shows how many of its rows
have a face (green) or take the nearest one (red); a row with no face is a dimmed copy of the nearest.
Persons of one video stand under each other, so a swap of left and right shows.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.ledger import LEDGER_NAME, Ledger, read_ledger
from abaw_submit.corpus.tracks import split_track
from abaw_submit.store import atomic_path

SHEETS = "sheets"
TILE_PX = 96
BAR_PX = 6
LABEL_PX = 14
COLUMNS = 12
MAX_TILES = 96
GREEN, RED, INK, PAPER = (90, 170, 60), (60, 60, 220), (40, 40, 40), (245, 245, 245)

Image = npt.NDArray[np.uint8]


def write_sheets(crops: Path, every_s: float = 0.0) -> int:
    """One PNG per video in `crops/sheets`, its persons under each other.

    Args:
        crops: the folder of tracks.
        every_s: seconds between tiles; 0: as fit on one sheet, at least half a second.

    Returns:
        Number of sheets.
    """
    videos: dict[str, list[str]] = {}
    for path in sorted(crops.glob(f"*/{LEDGER_NAME}")):
        videos.setdefault(split_track(path.parent.name)[0], []).append(path.parent.name)
    for video, tracks in videos.items():
        with atomic_path(crops / SHEETS / f"{video}.png") as temporary:
            cv2.imwrite(str(temporary), video_sheet(crops, tracks, every_s))
    return len(videos)


def video_sheet(crops: Path, tracks: list[str], every_s: float = 0.0) -> Image:
    """The sheet of one video's tracks as (height, width, 3) BGR."""
    ledgers = [read_ledger(crops / track) for track in tracks]
    starts = _tile_starts(max(ledgers, key=len), every_s)
    blocks: list[Image] = []
    for low in range(0, len(starts), COLUMNS):
        for track, ledger in zip(tracks, ledgers, strict=True):
            tiles = [
                _tile(crops / track, ledger, first, last)
                for first, last in zip(starts[low : low + COLUMNS], ends(starts, ledger)[low:], strict=False)
            ]
            tiles += [_paper(tiles[0].shape)] * (COLUMNS - len(tiles))
            blocks.append(np.hstack(tiles))
        blocks.append(_paper((LABEL_PX // 2, blocks[0].shape[1], 3)))
    heads = [_head(track, ledger, blocks[0].shape[1]) for track, ledger in zip(tracks, ledgers, strict=True)]
    return np.vstack([*heads, *blocks])


def ends(starts: list[int], ledger: Ledger) -> list[int]:
    """The index after the last row of each tile."""
    return [*starts[1:], len(ledger)]


def _tile_starts(ledger: Ledger, every_s: float) -> list[int]:
    """Indices of the rows shown."""
    length_s = float(ledger.time_s[-1] - ledger.time_s[0])
    step_s = every_s or max(0.5, length_s / MAX_TILES)
    ticks = ledger.time_s[0] + step_s * np.arange(int(length_s / step_s) + 1)
    return [int(i) for i in np.unique(np.searchsorted(ledger.time_s, ticks - 1e-6))]


def _tile(folder: Path, ledger: Ledger, first: int, last: int) -> Image:
    tile = _paper((LABEL_PX + TILE_PX + BAR_PX, TILE_PX, 3))
    if first >= len(ledger):
        return tile
    picture_row = int(ledger.picture_rows()[first])
    picture = cv2.imread(str(folder / f"{picture_row:05d}.jpg")) if picture_row else None
    if picture is not None:
        picture = cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
        if not ledger.found[first]:
            picture = (picture // 3 + 150).astype(np.uint8)
        tile[LABEL_PX : LABEL_PX + TILE_PX] = picture
    label = f"{ledger.row[first]} {ledger.time_s[first]:.1f}s"
    _text(tile, label, 1, LABEL_PX - 4, 0.32)
    part = ledger.found[first : max(last, first + 1)]
    edges = np.linspace(0, len(part), TILE_PX + 1).astype(int)
    for column in range(TILE_PX):
        here = part[edges[column] : max(edges[column] + 1, edges[column + 1])]
        tile[-BAR_PX:, column] = GREEN if here.all() else RED
    return tile


def _head(track: str, ledger: Ledger, width: int) -> Image:
    head = _paper((LABEL_PX + 8, width, 3))
    found = int(ledger.found.sum())
    text = f"{track}: {len(ledger)} rows, {found} with a face, longest gap {ledger.longest_gap()}"
    _text(head, text, 4, LABEL_PX, 0.45)
    return head


def _paper(shape: tuple[int, ...]) -> Image:
    return np.full(shape, PAPER, np.uint8)


def _text(image: Image, text: str, x: int, y: int, scale: float) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, INK, 1, cv2.LINE_AA)
