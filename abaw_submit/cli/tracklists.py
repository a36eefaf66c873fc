"""Tracks named on the command line: by an official list, a template, or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abaw_submit.tasks import Task


def read_track_names(path: Path, task: Task | None = None) -> list[str]:
    """The tracks of a test list, a template or an MTL list, whichever the file is, in its order.

    Args:
        path: the file.
        task: AH: it is a list of videos.

    Raises:
        UserError: it is none of these.
    """
    from abaw_submit.corpus.mtl import MTL_HEADER, read_mtl
    from abaw_submit.corpus.templates import read_template
    from abaw_submit.corpus.testlists import read_track_list
    from abaw_submit.corpus.videolist import read_video_list
    from abaw_submit.tasks import AH

    if task is AH:
        return read_video_list(path).ids
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        first = handle.readline()
    if first.strip() == MTL_HEADER:
        return list(dict.fromkeys(read_mtl(path).tracks))
    is_template = "," in first
    return list(read_template(path).tracks) if is_template else read_track_list(path)


def track_names(given: Sequence[str]) -> list[str]:
    """Tracks by name, list, template or annotation folder; in name order, each once."""
    names: set[str] = set()
    for item in given:
        path = Path(item)
        if path.is_dir():
            names.update(p.stem for p in path.rglob("*.txt") if not p.name.startswith("."))
        else:
            names.update(read_track_names(path) if path.is_file() else [item])
    return sorted(names)
