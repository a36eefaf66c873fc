"""Whether every file of a run still is what its stage wrote: every recorded sha256, read afresh."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.layout import Layout
from abaw_submit.progress import Progress, quiet
from abaw_submit.store import RECORD_NAME, read_record, read_sha256, record_path
from abaw_submit.tasks import MORE_TASKS, TASKS
from abaw_submit.textfile import read_json

TRACK_RECORD = "crops.json"  # beside a track's pictures: one hash over all of them, in the order of rows
_CROP = re.compile(r"\d{5,}\.jpg")


@dataclass
class Verified:
    """What was found.

    Attributes:
        records: stage records read.
        files: files whose bytes were compared, pictures among them.
        problems: one line each: what is missing or changed.
        failures: items that failed when their stage ran; no problem of the files.
    """

    records: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)
    failures: int = 0


def places_of(run: str, root: Path = Path(".")) -> list[Path]:
    """The folders and files of a run: a path, or the name of a run below `root`.

    Raises:
        UserError: there is neither.
    """
    if Path(run).exists():
        return [Path(run)]
    layout = Layout(run, root=root)
    splits = [layout.splits(task.key) for task in (*TASKS.values(), *MORE_TASKS.values())]
    found = [p for p in (*layout.owned, *splits) if p.exists()]
    if not found:
        raise UserError(
            f'No run "{run}": no such path, and nothing in work/, checkpoints/, submissions/, splits/ here.'
        )
    return found


def verify(places: list[Path], progress: Progress = quiet) -> Verified:
    """Compare every recorded output below some folders, and the pictures of crops, with their sha256.

    Args:
        places: folders, or outputs that are files.
        progress: wraps the records.

    Raises:
        UserError: nothing there carries a record.
    """
    outputs = [out for place in places for out in _recorded(place)]
    if not outputs:
        raise UserError(f"Nothing in {', '.join(map(str, places))} carries the record of a stage.")
    found = Verified()
    for out in progress(outputs, len(outputs), "verify"):
        _verify_one(out, found)
    return found


def _recorded(place: Path) -> Iterator[Path]:
    """Outputs with a record: the place itself, and all below it."""
    if not place.is_dir():
        if record_path(place).is_file():
            yield place
        return
    for path in sorted(place.rglob(f"*{RECORD_NAME}")):
        if path.name == RECORD_NAME:
            yield path.parent
        elif path.name.endswith(f".{RECORD_NAME}"):
            yield path.with_name(path.name.removesuffix(f".{RECORD_NAME}"))


def _verify_one(out: Path, found: Verified) -> None:
    record = read_record(out)
    if record is None:
        if not out.exists():
            found.problems.append(f"{out}: missing")
        else:
            found.problems.append(f"{record_path(out)}: not readable as a record")
        return
    found.records += 1
    found.failures += len(record["failures"])
    base = record_path(out).parent
    for entry in record["outputs"]:
        path = base / entry["path"]
        found.files += 1
        if not path.is_file():
            found.problems.append(f"{path}: missing")
        elif read_sha256(path) != entry["sha256"]:
            found.problems.append(f"{path}: changed since `{record['stage']}` wrote it")
        elif path.name == TRACK_RECORD:
            _verify_pictures(path, found)


def _verify_pictures(path: Path, found: Verified) -> None:
    record: Any = read_json(path)
    wanted = record.get("sha256") if isinstance(record, dict) else None
    digest = hashlib.sha256()
    pictures = sorted(
        (p for p in path.parent.iterdir() if _CROP.fullmatch(p.name)), key=lambda p: int(p.stem)
    )
    for picture in pictures:
        digest.update(picture.read_bytes())
    found.files += len(pictures)
    if digest.hexdigest() != wanted:
        found.problems.append(f"{path.parent}: the pictures are not those `crop` wrote")
