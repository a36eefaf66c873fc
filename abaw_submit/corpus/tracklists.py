"""Tracks as users name them: by an official list, a template, annotations, one by one, or by shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from abaw_submit.corpus.junk import is_junk
from abaw_submit.corpus.mtl import MTL_HEADER, read_mtl
from abaw_submit.corpus.templates import read_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.corpus.videolist import read_video_list
from abaw_submit.errors import UserError
from abaw_submit.tasks import AH, Task

Item = TypeVar("Item")


def read_tracks(path: Path, task: Task | None = None) -> dict[str, int | None]:
    """The tracks of a template, with their rows, or of a list, without (None), in the file's order.

    A list of test tracks has neither a comma nor a slash in its first line with anything in it. A list of
    the multi-task challenge is known by its header.

    Args:
        path: the file.
        task: AH: it is a list of videos.

    Raises:
        UserError: it is none of these.
    """
    if task is AH:
        return dict.fromkeys(read_video_list(path).ids)
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        first = next((line for line in handle if line.strip()), "")
    if first.strip() == MTL_HEADER:
        return dict.fromkeys(read_mtl(path).tracks)
    if "," in first or "/" in first:
        return dict(read_template(path).tracks)
    return dict.fromkeys(read_track_list(path))


def named_tracks(given: Sequence[str]) -> list[str]:
    """Tracks by name, list, template or annotation folder; in name order, each once."""
    names: set[str] = set()
    for item in given:
        path = Path(item)
        if path.is_dir():
            names.update(p.stem for p in path.rglob("*.txt") if not is_junk(p.name))
        else:
            names.update(read_tracks(path) if path.is_file() else [item])
    return sorted(names)


def take_shard(items: Sequence[Item], shard: str) -> list[Item]:
    """Every n-th item, for an array of jobs: "3/8" is the third of eight shards.

    >>> take_shard(["a", "b", "c", "d", "e"], "2/3")
    ['b', 'e']

    Raises:
        UserError: not of the form i/n with 1 <= i <= n.
    """
    first, _, second = shard.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise UserError(f'--shard "{shard}": expected i/n with i from 1 to n, such as 3/8.')
    return list(items[int(first) - 1 :: int(second)])
