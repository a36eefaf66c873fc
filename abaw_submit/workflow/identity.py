"""What the files from outside are, in a few words: a change of them changes what hangs on them.

Text is known by its content. Media files and weights are known by name, size and date: hashing 100 GB of
video to find that there is nothing to do would take longer than the cropping of a few; the stage itself
looks at their content when one of these changes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from abaw_submit.corpus.annotations import annotation_files
from abaw_submit.corpus.multitask import multitask_lists
from abaw_submit.errors import UserError
from abaw_submit.tasks import MTL, any_task
from abaw_submit.workflow.commands import annotation_folder
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.settings import EMBEDDING
from abaw_submit.workflow.units import Unit, maker_of

ABSENT = "not there"


def unit_files(layout: RunLayout, unit: Unit) -> dict[str, str]:
    """The files a job reads that no job of the run makes: what each is -> its identity.

    Args:
        layout: the run's paths.
        unit: the job.
    """
    run, key = layout.run, unit.task
    labels = {"annotations": lambda: labels_identity(layout, key)}
    lists = [*run.templates(key), run.template(key)] if key else []
    template = {"template": lambda: " ".join(map(text_identity, dict.fromkeys(lists)))} if any(lists) else {}
    media = {"videos": lambda: media_identity(run.videos)}
    crops = {"official crops": lambda: folders_identity(run.crops)} if run.crops else {}
    rows = {"rows": lambda: rows_identity(layout)} if _names_rows(layout) else {}
    tracks = {"annotated tracks": lambda: names_identity(layout, key)} if run.annotations else {}
    weights = {"encoder": lambda: media_identity(run.encoder)} if os.path.exists(run.encoder) else {}
    named = run.embedding.partition("@")[2] or run.embedding
    # weights that the run makes itself are the graph's
    own = run.embedding and maker_of(layout, named) is not None
    embedding = {"embedding": lambda: run.embedding if own else f"{run.embedding} {media_identity(named)}"}
    table: dict[str, dict[str, Callable[[], str]]] = {
        "crop": {**media, **crops, **rows, "detector": detector_identity},
        "sound": embedding if unit.part == EMBEDDING else media,
        "pretrain": {"faces": lambda: media_identity(run.faces)},
        "split": {**labels, **template},
        "finetune": {**labels, **template, **weights},
        "plain": weights,
        "features": {**tracks, **template},
        "train": {**labels, **template},
        "ablate": labels,
        "tables": labels,
        "predict": template,
        "select": labels,
        "ensemble": labels,
        "smooth": labels,
        "submit": template,
        "report": {"annotations": lambda: labels_identity(layout, *run.task_keys)} if run.annotations else {},
    }
    return {what: identity() for what, identity in table.get(unit.stage, {}).items()}


def _names_rows(layout: RunLayout) -> bool:
    run = layout.run
    return bool(run.annotations or any(run.templates(key) for key in run.task_keys))


def detector_identity() -> str:
    """The face detector's model: the one that ABAW_YUNET names, or one that was fetched before."""
    if named := os.environ.get("ABAW_YUNET"):
        return media_identity(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "abaw_submit"
    found = sorted(cache.glob("face_detection_yunet*.onnx"))
    return media_identity(str(found[0])) if found else "none"


def text_identity(path: str) -> str:
    """A text file, by its content."""
    return _digest([_content(Path(path))]) if os.path.isfile(path) else ABSENT


def labels_identity(layout: RunLayout, *keys: str) -> str:
    """The annotations of some tasks, by their content."""
    files = [path for key in keys for path in _annotations(layout, key)]
    return f"{len(files)} files, {_digest(f'{p.parent.name}/{p.name} {_content(p)}' for p in files)}"


def names_identity(layout: RunLayout, key: str) -> str:
    """Which tracks a task has annotations of."""
    files = _annotations(layout, key)
    return f"{len(files)} tracks, {_digest(p.stem for p in files)}"


def rows_identity(layout: RunLayout) -> str:
    """Which tracks there are in annotations and templates, and how many rows each has."""
    run = layout.run
    lines = [
        f"{key} {path.parent.name}/{path.name} {_line_count(path)}"
        for key in run.task_keys
        for path in _annotations(layout, key)
    ]
    for path in sorted({path for key in run.task_keys for path in run.templates(key)}):
        lines.append(_locations(Path(path)) if os.path.isfile(path) else ABSENT)
    return _digest(lines)


def media_identity(path: str) -> str:
    """A file, or all files of a folder, by name, size and date."""
    if not os.path.exists(path):
        return ABSENT
    found = [(Path(path).name, os.stat(path))] if os.path.isfile(path) else _walk(Path(path))
    total = sum(stat.st_size for _, stat in found)
    lines = (f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in found)
    return f"{len(found)} files, {total} bytes, {_digest(lines)}"


def folders_identity(path: str) -> str:
    """The folders in a folder, by name and date: a look at millions of pictures would take minutes."""
    if not os.path.isdir(path):
        return ABSENT
    found = sorted((e.name, e.stat().st_mtime_ns) for e in os.scandir(path) if e.is_dir())
    return f"{len(found)} folders, {_digest(f'{name} {date}' for name, date in found)}"


def _walk(folder: Path) -> list[tuple[str, os.stat_result]]:
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            path = Path(parent) / name
            # the record of the stage that made the folder is not a picture
            if not name.startswith(".") and name != "record.json" and path.is_file():
                found.append((path.relative_to(folder).as_posix(), path.stat()))
    return found


def _annotations(layout: RunLayout, key: str) -> list[Path]:
    found = []
    for part in any_task(key).parts:
        folder = annotation_folder(layout, part.key)
        if folder is not None and folder.is_dir():
            with suppress(UserError):  # said by the check before the run
                found += [path for path, _ in annotation_files(folder, part)]
    lists = multitask_lists(Path(layout.run.annotations)) if key == MTL.key else {}
    return list(lists.values()) or found


def _content(path: Path) -> str:
    stat = path.stat()
    return _content_of(str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=100_000)
def _content_of(path: str, size: int, mtime_ns: int, inode: int) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _line_count(path: Path) -> int:
    return sum(1 for line in path.read_bytes().splitlines() if line.strip())


def _locations(path: Path) -> str:
    """The first column: which rows of which tracks are asked for."""
    return _digest(line.split(b",")[0].decode("utf-8", "replace") for line in path.read_bytes().splitlines())


def _digest(lines: Iterable[str]) -> str:
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode() + b"\n")
    return total.hexdigest()[:16]
