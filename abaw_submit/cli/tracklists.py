"""Tracks named on the command line: by an official list, a template, or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def read_track_names(path: Path) -> list[str]:
    """The tracks of a test list or of a template, whichever the file is, in its order.

    Raises:
        UserError: it is neither.
    """
    from abaw_submit.corpus.templates import read_template
    from abaw_submit.corpus.testlists import read_track_list

    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        is_template = "," in handle.readline()
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
