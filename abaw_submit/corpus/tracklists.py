"""Tracks as users name them: by an official list, a template, annotations, one by one, or by shard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from abaw_submit.corpus.junk import is_junk
from abaw_submit.corpus.mtl import MTL_HEADER, read_mtl
from abaw_submit.corpus.templates import header_task, read_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.corpus.videolist import read_video_list
from abaw_submit.errors import UserError
from abaw_submit.tasks import AH, TASKS, Task

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
    first = first_line(path)
    if first == MTL_HEADER:
        return dict.fromkeys(read_mtl(path).tracks)
    if "," in first or "/" in first:
        return dict(read_template(path).tracks)
    return dict.fromkeys(read_track_list(path))


def known_tests(paths: Sequence[Path]) -> int:
    """Of how many of the three tasks these are the test lists.

    A template names its task in its header, and two of one task are the list of one. A list that names none
    may be of any: it counts for one task, and no second time. A multi-task list counts for none.

    Raises:
        UserError: a file is no list of tracks.
    """
    named, others = set(), set()
    for path in paths:
        tracks = frozenset(read_tracks(path))
        first = first_line(path)
        if first == MTL_HEADER:
            continue
        task = header_task("".join(first.split()))[0] if "/" not in first else None
        if task is None:
            others.add(tracks)
        else:
            named.add(task.name)
    return min(len(named) + len(others), len(TASKS))


def first_line(path: Path) -> str:
    """The first line of a file with anything in it, without the spaces around it."""
    with path.open(encoding="utf-8-sig", errors="replace") as handle:
        return next((line.strip() for line in handle if line.strip()), "")


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
