"""Crop one video's tracks: the unit of work that goes to a worker process or another machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cv2

from abaw_submit.corpus.ledger import LEDGER_NAME, write_ledger
from abaw_submit.errors import UserError
from abaw_submit.faces.detect import DetectorSpec, make_detector
from abaw_submit.faces.overrides import Override, apply_overrides
from abaw_submit.faces.people import choose
from abaw_submit.faces.plan import VideoJob
from abaw_submit.faces.rows import TrackRows, fill_rows
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.video import follow_video
from abaw_submit.store import atomic_path, fingerprint, sha256_file, write_json

TRACK_RECORD = "crops.json"
ALGORITHM = 1  # raise it when the same settings would give other bytes


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
        return fingerprint(
            ALGORITHM,
            asdict(self.settings),
            (self.detector.name, self.detector.identity),
            sha256_file(self.job.video),
            sorted(self.job.tracks.items()),
            [asdict(o) for o in self.overrides],
        )


@dataclass(frozen=True)
class CropResult:
    """What became of one video.

    Attributes:
        video: its path.
        tracks: the record of each track, as in `crops.json`.
        problem: why it failed, or "".
    """

    video: Path
    tracks: dict[str, dict[str, Any]]
    problem: str = ""


def read_track_record(folder: Path) -> dict[str, Any] | None:
    """A track's record, or None if it has none or its crops are not all there."""
    import json

    try:
        record: dict[str, Any] = json.loads((folder / TRACK_RECORD).read_text(encoding="utf-8"))
        pictures = sum(entry.name.endswith(".jpg") for entry in os.scandir(folder))
    except (OSError, ValueError):
        return None
    complete = pictures == record.get("found") and (folder / LEDGER_NAME).is_file()
    return record if complete else None


def crop_video(task: CropTask) -> CropResult:
    """Crop one video, unless its crops are there already. A video that cannot be read is reported."""
    mark = task.fingerprint()
    records = {track: read_track_record(task.out / track) for track in task.job.tracks}
    if all(r is not None and r["fingerprint"] == mark for r in records.values()):
        return CropResult(task.job.video, {t: r for t, r in records.items() if r is not None})
    cv2.setNumThreads(1)
    detector = make_detector(task.detector, task.settings)
    task.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=task.out, prefix=".spool") as spool:
            return _crop(task, mark, detector, spool)
    except UserError as error:
        return CropResult(task.job.video, {}, str(error))


def _crop(task: CropTask, mark: str, detector: Any, spool: BinaryIO) -> CropResult:
    faces = follow_video(task.job.video, detector, task.settings, spool)
    claims = choose(list(task.job.tracks), faces.tracklets, task.settings.min_rows)
    claims, hidden = apply_overrides(task.overrides, claims, faces.tracklets, len(faces.times_s))
    records = {}
    for track, rows in sorted(task.job.tracks.items()):
        filled = fill_rows(claims[track], faces.times_s, faces.rate_hz, rows, hidden.get(track))
        ledger = filled.ledger
        record = {
            "fingerprint": mark,
            "video": task.job.video.name,
            "decoded": len(faces.times_s),
            "bad_packets": faces.bad_packets,
            "official": rows,
            "rows": len(ledger),
            "found": int(ledger.found.sum()),
            "filled": int((~ledger.found).sum()) if ledger.found.any() else 0,
            "longest_gap": ledger.longest_gap(),
            "detector": task.detector.name,
        }
        _write_track(task.out / track, filled, record, spool)
        records[track] = record
    return CropResult(task.job.video, records)


def _write_track(folder: Path, filled: TrackRows, record: dict[str, Any], spool: BinaryIO) -> None:
    """The track's folder, whole or not at all."""
    digest = hashlib.sha256()
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for row in sorted(filled.spool):
            offset, length = filled.spool[row]
            spool.seek(offset)
            data = spool.read(length)
            digest.update(data)
            (temporary / f"{row:05d}.jpg").write_bytes(data)
        write_ledger(temporary, filled.ledger)
        record["sha256"] = digest.hexdigest()
        write_json(temporary / TRACK_RECORD, record)


def remove_leftovers(out: Path) -> None:
    """Temporary folders of a killed run."""
    for path in out.glob(".*.tmp*"):
        shutil.rmtree(path, ignore_errors=True)
