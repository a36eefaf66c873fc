"""Tracks and videos: the suffix rule, the media file of a track, the siblings of one recording.

Source: the organisers' readme on `_left` / `_right` names (docs/reference/formats.md, section 1).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from abaw_submit.errors import UserError

SIDES = ("left", "right")
_LONGEST_NAME = 200  # bytes; with a suffix and what temporary names add, most disks take 255
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
# the part number of the two official name families; any other name has no part
_PARTS = (re.compile(r"(\d+-[\d.]+-\d+x\d+)-\d+"), re.compile(r"(video\d+)_\d+"))


def split_track(track: str) -> tuple[str, str | None]:
    """The video's name and the person's side of the screen.

    >>> split_track("10-60-1280x720_right"), split_track("video45_1")
    (('10-60-1280x720', 'right'), ('video45_1', None))
    """
    for side in SIDES:
        video = track.removesuffix(f"_{side}")
        if video != track and video:
            return video, side
    return track, None


def odd_name(track: str) -> str:
    """Why a name cannot be a track's in the official texts and in files; "" if it can.

    >>> odd_name("10-60-1280x720_right"), odd_name("a,b")
    ('', 'its name holds ",", which ends a cell in the official files: rename it')
    """
    for mark in (",", '"', "/", "\\"):
        if mark in track:
            return f'its name holds "{mark}", which ends a cell in the official files: rename it'
    if not track.isprintable():
        return "its name holds a line break, a control character or bytes that are no UTF-8: rename it"
    if track != track.strip() or track.startswith((".", "-")):
        return "its name begins or ends with a space, or begins with a dot or dash: rename it"
    if len(track.encode()) > _LONGEST_NAME:
        return f"its name has more than {_LONGEST_NAME} bytes: rename it"
    return ""


def sibling_group(track: str) -> str:
    """A key shared by the left, right and part siblings of one recording, for folds.

    `102` and `102-30-640x360` are different recordings.

    >>> sibling_group("video45_1_left"), sibling_group("24-30-1920x1080-1"), sibling_group("102")
    ('video45', '24-30-1920x1080', '102')
    """
    video, _ = split_track(track)
    for pattern in _PARTS:
        match = pattern.fullmatch(video)
        if match:
            return match[1]
    return video


def find_video(track: str, folder: Path | str | Sequence[Path | str]) -> Path:
    """The media file of a track: its exact name first, then without the side; mp4, avi, then others.

    Sub-folders are searched too, as the organisers' batches are unpacked into folders of their own.

    Args:
        track: a track's name.
        folder: where the videos are, one folder or several, in order of preference.

    Raises:
        UserError: no folder holds it.
    """
    folders = [Path(folder)] if isinstance(folder, str | Path) else [Path(f) for f in folder]
    names = list(dict.fromkeys([track, split_track(track)[0]]))
    places = _with_sub_folders(folders)
    for name in names:
        for suffix in VIDEO_SUFFIXES:
            for place in places:
                for written in (suffix, suffix.upper()):
                    path = place / f"{name}{written}"
                    if path.is_file():
                        return path
    where = ", ".join(str(f) for f in folders)
    raise UserError(
        f"No video for track {track} in {where}."
        f"\nLooked for {' and '.join(names)} with the suffixes {' '.join(VIDEO_SUFFIXES)}."
    )


def list_videos(paths: Iterable[Path | str]) -> list[Path]:
    """The media files given, or lying in the folders given and their sub-folders, sorted by name.

    What is hidden is left out.

    Raises:
        UserError: a path is missing or no video file, none is found, or two share a name without suffix.
    """
    found: dict[str, Path] = {}
    given = [Path(path) for path in paths]
    for path in given:
        if path.is_dir():
            places = _with_sub_folders([path])
            files = [
                p for f in places for p in f.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file()
            ]
        elif path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
            files = [path]
        elif path.exists():
            raise UserError(f"{path} is not a video: expected a suffix of {' '.join(VIDEO_SUFFIXES)}.")
        else:
            raise UserError(f"No file or folder {path}.")
        for file in sorted(files):
            if file.name.startswith("."):
                continue
            other = found.setdefault(file.stem, file)
            if other.resolve() != file.resolve():
                raise UserError(f"Two videos named {file.stem}: {other} and {file}. Rename or leave one out.")
    if not found:
        raise UserError(f"No videos in {', '.join(str(p) for p in given)}.{_instead(given)}")
    return [found[name] for name in sorted(found)]


def _with_sub_folders(folders: Iterable[Path]) -> list[Path]:
    """The folders and those below them, in name order; what is hidden is left out."""
    found = []
    for folder in folders:
        for place, below, _ in os.walk(folder, followlinks=True):
            below[:] = sorted(name for name in below if not name.startswith("."))
            found.append(Path(place))
    return found


def _instead(folders: Sequence[Path]) -> str:
    """What was looked for, and what a folder without videos holds."""
    others = [p.name for f in folders if f.is_dir() for p in sorted(f.rglob("*"))[:50] if p.is_file()]
    found = f"; found {', '.join(others[:3])}" if others else ""
    return f" Looked for {' '.join(VIDEO_SUFFIXES)}, in sub-folders too{found}."
