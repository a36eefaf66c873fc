"""What an extraction reads: the crops or the video of each track, and what identifies them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.corpus.tracks import find_video, split_track
from abaw_submit.errors import UserError
from abaw_submit.store import fingerprint, sha256_file


def cropped_tracks(crops: Path) -> list[str]:
    """The tracks that have a ledger, in name order.

    Raises:
        UserError: there is none.
    """
    tracks = sorted(p.parent.name for p in crops.glob(f"*/{LEDGER_NAME}"))
    if not tracks:
        raise UserError(
            f"No <track>/{LEDGER_NAME} in {crops}. Make crops with `abaw-submit crop`, official ones too."
        )
    return tracks


def video_of(track: str, videos: Sequence[Path]) -> Path:
    """The media file of a track among files and folders: its exact name first, then without the side.

    Raises:
        UserError: there is none.
    """
    files = {p.stem: p for p in videos if p.is_file()}
    for name in (track, split_track(track)[0]):
        if name in files:
            return files[name]
    return find_video(track, [p for p in videos if p.is_dir()])


def videos_of(tracks: Sequence[str], videos: Sequence[Path]) -> list[Path]:
    """The media files of some tracks; a track without one is left out."""
    found = set()
    for track in tracks if videos else ():
        try:
            found.add(video_of(track, videos))
        except UserError:  # becomes this track's failure when its turn comes
            continue
    return sorted(found)


def sound_identity(folder: Path, video: Path) -> str:
    """What identifies the sound of a track's rows: the media file's bytes and the rows' times."""
    from abaw_submit.audio.avi import VERSION

    more = [VERSION] if video.suffix.lower() == ".avi" else []
    return fingerprint(sha256_file(video), read_ledger(folder).time_s, *more)


def crops_identity(folder: Path, sizes: Mapping[str, int] | None = None) -> str:
    """The bytes of the ledger and of the crops' record, which holds a hash of the pictures, and the
    pictures' names and sizes: reading them all again would take as long as extracting.

    Args:
        folder: `crops/<track>`.
        sizes: bytes of pictures, by name, that were just read: asking the system for them again would take
            longer than all else here.
    """
    if not (folder / LEDGER_NAME).is_file():
        return ""
    known = sizes or {}
    pictures, texts = [], []
    with os.scandir(folder) as entries:  # a pathlib object for each of millions of pictures takes minutes
        for entry in entries:
            name = entry.name
            if name.endswith(".jpg"):
                size = known.get(name)
                pictures.append((name, entry.stat().st_size if size is None else size))
            elif name.endswith((".csv", ".json")):
                texts.append(folder / name)
    return fingerprint([sha256_file(p) for p in sorted(texts)], sorted(pictures))


def ledger_bytes(folder: Path) -> int:
    """Size of a track's ledger, which grows with its rows; 0 without one."""
    path = folder / LEDGER_NAME
    return path.stat().st_size if path.is_file() else 0


def weight_files(source: str | None) -> list[Path]:
    """The file or folder that a source names, behind `timm:NAME@` or `torchaudio:NAME@` too."""
    if source is None:
        return []
    path = Path(source.partition("@")[2] if source.startswith(("timm:", "torchaudio:")) else source)
    return [path] if path.name and path.exists() else []
