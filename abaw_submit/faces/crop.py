"""Crop one video's tracks: the unit of work that goes to a worker process or another machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av.error
import cv2

from abaw_submit.corpus.ledger import LEDGER_NAME, Ledger, write_ledger
from abaw_submit.errors import UserError
from abaw_submit.faces.adopt import adopt, pictures_by_row
from abaw_submit.faces.decode import packet_times
from abaw_submit.faces.detect import DetectorSpec, make_detector
from abaw_submit.faces.jobs import VideoJob
from abaw_submit.faces.openface import read_openface, see_table
from abaw_submit.faces.overrides import Override, apply_overrides
from abaw_submit.faces.people import choose
from abaw_submit.faces.rows import fill_rows
from abaw_submit.faces.sample import see
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.timeline import SLACK_ROWS, Timeline, by_order, timeline
from abaw_submit.faces.video import Look, VideoFaces, follow_video
from abaw_submit.store import VERSIONS, Owner, atomic_path, fingerprint, sha256_file, write_json
from abaw_submit.textfile import read_own_json

TRACK_RECORD = "crops.json"
SUMMARY_COLUMNS = (
    *("decoded", "official", "rows", "found", "filled", "longest_gap"),
    *("bad_packets", "lost", "without_row"),
)
_TRACK_FIELDS = {"fingerprint", *SUMMARY_COLUMNS}
_CROP = re.compile(r"\d{5,}\.jpg")
ALGORITHM = VERSIONS["crop"]


@dataclass(frozen=True)
class CropTask:
    """Everything a worker needs to crop one video.

    Attributes:
        job: the video and its tracks.
        out: folder of the crops.
        detector, settings: how.
        overrides: a person's decisions about these tracks.
    """

    job: VideoJob
    out: Path
    detector: DetectorSpec
    settings: CropSettings
    overrides: tuple[Override, ...] = ()

    def fingerprint(self) -> str:
        """Identifies the result; the same on every machine and for any number of workers."""
        job = self.job
        return fingerprint(
            ALGORITHM,
            asdict(self.settings),
            (self.detector.name, self.detector.identity),
            sha256_file(job.video) if job.video else None,
            sha256_file(job.table) if job.table else None,
            {track: pictures_identity(folder) for track, folder in job.pictures.items()},
            sorted(job.tracks.items()),
            [asdict(o) for o in self.overrides],
        )


@dataclass(frozen=True)
class CropResult:
    """What became of one video.

    Attributes:
        name: the video's file name.
        tracks: the record of each track, as in `crops.json`.
        problem: why it failed, or "".
    """

    name: str
    tracks: dict[str, dict[str, Any]]
    problem: str = ""


def pictures_identity(folder: Path) -> str:
    """Identifies a folder of crops by its files' names and sizes (millions of files: not by bytes)."""
    return fingerprint([(p.name, p.stat().st_size) for p in pictures_by_row(folder).values()])


def read_track_record(folder: Path) -> dict[str, Any] | None:
    """A track's record, or None if it has none or its crops are not all there."""
    record: dict[str, Any] | None = read_own_json(folder / TRACK_RECORD, dict[str, Any])
    if record is None or not set(record) >= _TRACK_FIELDS:
        return None
    pictures = sum(entry.name.endswith(".jpg") for entry in os.scandir(folder))
    complete = pictures == record.get("found") and (folder / LEDGER_NAME).is_file()
    return record if complete else None


def crop_video(task: CropTask) -> CropResult:
    """Crop one video, unless its crops are there already. A video that cannot be read is reported."""
    identity = task.fingerprint()
    owners = [Owner(task.out / track, identity) for track in sorted(task.job.tracks)]
    there = _there(task, identity)
    if there is not None:
        for owner in owners:
            owner.clear()
        return there
    cv2.setNumThreads(1)
    task.out.mkdir(parents=True, exist_ok=True)
    try:
        for owner in owners:  # a shard and a collecting run, or two of them, may come to the same video
            owner.take()
        return _there(task, identity) or _make(task, identity)
    except UserError as error:
        return CropResult(task.job.name, {}, str(error))
    finally:
        for owner in owners:
            owner.release()


def _there(task: CropTask, identity: str) -> CropResult | None:
    """The result if all of it is there already."""
    records = {track: read_track_record(task.out / track) for track in task.job.tracks}
    if all(r is not None and r["fingerprint"] == identity for r in records.values()):
        return CropResult(task.job.name, {t: r for t, r in records.items() if r is not None})
    return None


def _make(task: CropTask, identity: str) -> CropResult:
    try:
        if task.job.video is None or task.job.pictures:
            tracks = {t: _adopt(task, t, identity) for t in sorted(task.job.tracks)}
        else:
            with tempfile.TemporaryFile(dir=task.out, prefix=".spool") as spool:
                tracks = _crop(task, task.job.video, identity, spool)
    except UserError as error:
        return CropResult(task.job.name, {}, str(error))
    except (cv2.error, av.error.FFmpegError, ValueError, ArithmeticError, LookupError) as error:
        # a broken video must not stop the others
        return CropResult(task.job.name, {}, f"{type(error).__name__}: {str(error).strip()}")
    return CropResult(task.job.name, tracks)


def _crop(task: CropTask, video: Path, identity: str, spool: BinaryIO) -> dict[str, dict[str, Any]]:
    faces = follow_video(video, _look(task), task.settings, spool)
    decoded = len(faces.times_s)
    time = _timeline(task, video, faces)
    overrides = []
    for o in task.overrides:  # they speak of rows; what follows counts pictures
        first, last = time.pictures_of(o.first, o.last)
        overrides.append(dataclasses.replace(o, first=first, last=last))
    assignment = choose(list(task.job.tracks), faces.tracklets, task.settings.min_rows)
    assignment, hidden = apply_overrides(overrides, assignment, faces.tracklets, decoded)
    records = {}
    for track, rows in sorted(task.job.tracks.items()):
        times_s = time.times_s.tolist()
        filled = fill_rows(assignment[track], times_s, faces.rate_hz, rows, hidden.get(track), time.rows)
        record = _record(task, identity, filled.ledger, decoded, rows) | {
            "bad_packets": faces.bad_packets,
            "lost": time.lost,
            "without_row": int((time.rows > len(filled.ledger)).sum()),
        }
        pictures = ((row, _read(spool, *filled.spool[row])) for row in sorted(filled.spool))
        _write_track(task.out / track, pictures, filled.ledger, record)
        records[track] = record
    return records


def _timeline(task: CropTask, video: Path, faces: VideoFaces) -> Timeline:
    """By the pictures' order, unless some are lost."""
    official = max((n for n in task.job.tracks.values() if n is not None), default=None)
    short = official is not None and official - len(faces.times_s) > SLACK_ROWS
    if not faces.bad_packets and not short:
        return by_order(faces.times_s)
    return timeline(faces.times_s, packet_times(video, shown=True), faces.rate_hz, official)


def _look(task: CropTask) -> Look:
    if task.job.table is not None:
        return functools.partial(see_table, table=read_openface(task.job.table))
    detector = make_detector(task.detector, task.settings)
    return functools.partial(see, detector=detector, settings=task.settings)


def _read(spool: BinaryIO, offset: int, length: int) -> bytes:
    spool.seek(offset)
    return spool.read(length)


def _adopt(task: CropTask, track: str, identity: str) -> dict[str, Any]:
    rows = task.job.tracks[track]
    adopted = adopt(task.job.pictures[track], task.job.video, rows, task.settings)
    record = _record(task, identity, adopted.ledger, adopted.decoded, rows)
    record |= {"bad_packets": 0, "lost": 0, "without_row": 0}
    _write_track(task.out / track, adopted.pictures(), adopted.ledger, record)
    return record


def _record(
    task: CropTask, identity: str, ledger: Ledger, decoded: int | None, official: int | None
) -> dict[str, Any]:
    return {
        "fingerprint": identity,
        "video": task.job.video.name if task.job.video else None,
        "decoded": decoded,
        "official": official,
        "rows": len(ledger),
        "found": int(ledger.found.sum()),
        "filled": int((~ledger.found).sum()) if ledger.found.any() else 0,
        "longest_gap": ledger.longest_gap(),
        "detector": task.detector.name,
    }


def _write_track(
    folder: Path, pictures: Iterable[tuple[int, bytes]], ledger: Ledger, record: dict[str, Any]
) -> None:
    """The track's folder, whole or not at all; an older one is replaced if it holds nothing but crops."""
    digest = hashlib.sha256()
    with atomic_path(folder, is_crop) as temporary:
        temporary.mkdir()
        for row, data in pictures:
            digest.update(data)
            (temporary / f"{row:05d}.jpg").write_bytes(data)
        write_ledger(temporary, ledger)
        record["sha256"] = digest.hexdigest()
        write_json(temporary / TRACK_RECORD, record)


def is_crop(file: Path) -> bool:
    """Whether a file in a track's folder was written there by `crop`."""
    named = file.name in (LEDGER_NAME, TRACK_RECORD) or _CROP.fullmatch(file.name) is not None
    return named and (file.parent / TRACK_RECORD).is_file()


def remove_old_leftovers(out: Path) -> None:
    """What killed runs of earlier versions left: `.<track>.<process>.tmp`, if it holds nothing but crops."""
    for path in out.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.\d+\.tmp", path.name) and path.is_dir() and not path.is_symlink():
            names = [entry.name for entry in path.iterdir()]
            if all(n in (LEDGER_NAME, TRACK_RECORD) or _CROP.fullmatch(n) for n in names):
                shutil.rmtree(path, ignore_errors=True)


def recognise(entry: Path) -> bool:
    """Whether an entry of an output folder was made by `crop`."""
    old_leftover = re.fullmatch(r"\..+\.\d+\.tmp", entry.name) is not None
    return (entry / TRACK_RECORD).is_file() or entry.name in ("summary.csv", "sheets") or old_leftover
