"""Crops made elsewhere, taken as they are: the organisers' folders, OpenFace's aligned folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from abaw_submit.corpus.ledger import DETECTED, NEAREST, NONE, Ledger
from abaw_submit.corpus.tracks import VIDEO_SUFFIXES, split_track
from abaw_submit.errors import UserError
from abaw_submit.faces.decode import packet_times
from abaw_submit.faces.jobs import VideoJob
from abaw_submit.faces.settings import CropSettings

ALIGNED = "_aligned"
NOMINAL_HZ = 30.0  # the clock of a track whose video is not given
_PICTURE = re.compile(r"(?:frame_det_00_)?0*([1-9]\d*)\.(?:jpg|jpeg|png|bmp)", re.IGNORECASE)


@dataclass(frozen=True)
class Adopted:
    """A track made of pictures made elsewhere.

    Attributes:
        ledger: one line per row; boxes are unknown and 0.
        decoded: pictures in the video, None if it was not given.
        files: row -> picture.
        quality: JPEG quality for pictures that are not jpg yet.
    """

    ledger: Ledger
    decoded: int | None
    files: dict[int, Path]
    quality: int

    def pictures(self) -> Iterator[tuple[int, bytes]]:
        """Rows and JPEG bytes; a jpg's bytes are not touched.

        Raises:
            UserError: a picture cannot be read.
        """
        for row, path in self.files.items():
            data = path.read_bytes()
            if path.suffix.lower() not in (".jpg", ".jpeg"):
                image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                if image is None:
                    raise UserError(f"{path} cannot be read as a picture.")
                data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, self.quality])[1].tobytes()
            elif not data.startswith(b"\xff\xd8"):
                raise UserError(f"{path} is not a JPEG picture.")
            yield row, data


def adopt(folder: Path, video: Path | None, rows: int | None, settings: CropSettings) -> Adopted:
    """The rows of a track whose crops exist already.

    Args:
        folder: pictures numbered by row.
        video: for the rows' times; without it they are counted at 30 per second.
        rows: official row count; None: as many as the video has, or the last picture's number.
        settings: for the JPEG quality.

    Raises:
        UserError: the video cannot be read.
    """
    files = pictures_by_row(folder)
    times = packet_times(video) if video else []
    count = rows or len(times) or max(files, default=0)
    files = {row: path for row, path in files.items() if row <= count}
    found = np.zeros(count, bool)
    found[np.array(list(files), int) - 1] = True
    known = np.array(times[:count] or [0.0])
    step = 1 / NOMINAL_HZ if len(known) < 2 else float(np.median(np.diff(known)))
    more = known[-1] + step * np.arange(1, count - len(known) + 1)
    zeros = np.zeros(count)
    ledger = Ledger(
        row=np.arange(1, count + 1),
        time_s=np.concatenate([known, more])[:count],
        found=found,
        score=found.astype(np.float64),
        x=zeros,
        y=zeros,
        w=zeros,
        h=zeros,
        source=np.where(found, DETECTED, NEAREST if found.any() else NONE),
    )
    return Adopted(ledger, len(times) if video else None, files, settings.quality)


def is_picture_folder(path: Path) -> bool:
    """True for a folder that holds pictures numbered by row."""
    return path.is_dir() and any(_PICTURE.fullmatch(p.name) for p in path.iterdir())


def pictures_by_row(folder: Path) -> dict[int, Path]:
    """Row number -> picture, in order: `00012.jpg`, or OpenFace's `frame_det_00_000012.bmp`."""
    found = {}
    for path in sorted(folder.iterdir()):
        match = _PICTURE.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Sources:
    """What the given paths hold.

    Attributes:
        videos: media files and folders that hold some.
        pictures: folders of crops by track.
        tables: OpenFace CSVs by video name.
    """

    videos: list[Path]
    pictures: dict[str, Path]
    tables: dict[str, Path]


def find_sources(paths: Iterable[Path]) -> Sources:
    """Sort out videos, folders of videos, folders of track folders, OpenFace output folders and CSVs.

    Raises:
        UserError: the same track or table twice (the two official zips share none).
    """
    sources = Sources([], {}, {})
    for path in paths:
        if not path.is_dir():
            if path.suffix.lower() == ".csv":
                _add(sources.tables, path.stem, path)
            else:
                sources.videos.append(path)
            continue
        entries = sorted(p for p in path.iterdir() if not p.name.startswith("."))
        if _holds_videos(entries):
            sources.videos.append(path)
        for entry in entries:
            if entry.suffix.lower() == ".csv":
                _add(sources.tables, entry.stem, entry)
            elif is_picture_folder(entry):
                _add(sources.pictures, entry.name.removesuffix(ALIGNED), entry)
    return sources


def _holds_videos(entries: Iterable[Path]) -> bool:
    """Whether there are videos among entries, or in folders of them that are not pictures of a track."""
    entries = list(entries)
    if any(p.suffix.lower() in VIDEO_SUFFIXES for p in entries):
        return True
    folders = [p for p in entries if p.is_dir() and not is_picture_folder(p)]
    return any(_holds_videos(p for p in sorted(f.iterdir()) if not p.name.startswith(".")) for f in folders)


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    other = found.setdefault(name, path)
    if other.resolve() != path.resolve():
        raise UserError(f"{name} twice: {other} and {path}. Name only one of them.")


def plan_adoption(
    detector: str, videos: Sequence[Path], sources: Sources, tracks: dict[str, int | None] | None
) -> tuple[list[VideoJob], list[tuple[str, str]]]:
    """Jobs that use what was made elsewhere, and the tracks for which there is nothing, with the reason.

    `official` takes the pictures. `openface` crops from the video by its table where it has both,
    and takes the pictures of the aligned folder otherwise.
    """
    by_name = {video.stem: video for video in videos}
    if tracks is None:
        tables = () if detector == "official" else sources.tables
        tracks = dict.fromkeys(sorted({*sources.pictures, *tables}))
    jobs: dict[str, VideoJob] = {}
    failures = []
    for track, rows in tracks.items():
        video = next((by_name[n] for n in (track, split_track(track)[0]) if n in by_name), None)
        table = sources.tables.get(video.stem) if video and detector == "openface" else None
        if video and table:
            jobs.setdefault(video.stem, VideoJob(video, {}, table)).tracks[track] = rows
        elif track in sources.pictures:
            pictures = {track: sources.pictures[track]}
            jobs[f"{track}{ALIGNED}"] = VideoJob(video, {track: rows}, None, pictures)
        else:
            wanted = "folder of crops" if detector == "official" else "OpenFace table with its video"
            failures.append((track, f"no {wanted} was given"))
    return [jobs[name] for name in sorted(jobs)], failures
