"""The organisers' crops: `cropped_aligned` comes in two zips whose folders belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from abaw_submit.errors import UserError

_PICTURE = re.compile(r"(\d{5,})\.jpg", re.ASCII)


def crop_folders(roots: Path | str | Iterable[Path | str]) -> dict[str, list[Path]]:
    """The folders of each track over all roots, by track in name order.

    Args:
        roots: one or several `cropped_aligned` folders; a root may hold another `cropped_aligned`.

    Raises:
        UserError: a root is missing, or no root holds a track's folder.
    """
    places = [Path(roots)] if isinstance(roots, str | Path) else [Path(root) for root in roots]
    found: dict[str, list[Path]] = {}
    for place in places:
        if not place.is_dir():
            raise UserError(f"No folder {place}. Unpack the official crops there.")
        inner = place / "cropped_aligned"
        for folder in sorted((inner if inner.is_dir() else place).iterdir()):
            if folder.is_dir() and not folder.name.startswith((".", "__")):
                found.setdefault(folder.name, []).append(folder)
    if not found:
        raise UserError(f"No <track> folders in {', '.join(map(str, places))}.")
    return {track: found[track] for track in sorted(found)}


def crop_pictures(folders: Sequence[Path | str]) -> dict[int, Path]:
    """The pictures of one track by row (1-based), from all its folders; the first folder wins.

    Frames without a detected face have none.
    """
    pictures: dict[int, Path] = {}
    for folder in folders:
        for path in sorted(Path(folder).iterdir()):
            match = _PICTURE.fullmatch(path.name)
            if match is not None:
                pictures.setdefault(int(match[1]), path)
    return {row: pictures[row] for row in sorted(pictures)}
