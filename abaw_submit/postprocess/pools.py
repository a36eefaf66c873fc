"""Pools: tracks that share something, such as the film that was watched, and so a level.

What is shared is a regular expression on the track's name, kept in the recipe, so that `apply` finds the same
among new tracks. No truth is needed: the levels that are averaged are the members' own. A track that
shares with no other is left as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from abaw_submit.arrays import F64, Index
from abaw_submit.errors import UserError

AUTO, NONE = "auto", "none"


def pool_of(tracks: Sequence[str], pattern: str) -> Index:
    """The pool of each track by number; tracks that the pattern does not match stand alone.

    >>> pool_of(["a_1", "b_1", "a_2", "x"], r"_(\\d)").tolist()
    [0, 0, 1, 2]
    """
    expression = re.compile(pattern)
    numbers: dict[tuple[str, str], int] = {}
    keys = []
    for track in tracks:
        found = expression.search(track)
        key = ("shared", found.group(1 if expression.groups else 0)) if found else ("alone", track)
        keys.append(numbers.setdefault(key, len(numbers)))
    return np.asarray(keys, np.int64)


def pool_sums(values: F64, pools: Index) -> F64:
    """The sum over each track's pool, (tracks,)."""
    return np.asarray(np.bincount(pools, values)[pools]) if len(pools) else values


def pool_means(levels: F64, pools: Index) -> F64:
    """The mean level of each track's pool, (tracks,)."""
    return pool_sums(levels, pools) / np.maximum(pool_sums(np.ones(len(levels)), pools), 1)


def name_fields(tracks: Sequence[str]) -> list[str]:
    """Regular expressions for the parts of names of one form, such as `sub3_vid10_part2`.

    Names of several forms, or of a single part, give none.

    >>> name_fields(["p1_f1", "p1_f2", "p2_f1", "p2_f2"])
    ['^(?:[^_]+_){0}([^_]+)', '^(?:[^_]+_){1}([^_]+)']
    """
    sizes = {track.count("_") for track in tracks}
    if len(sizes) != 1 or 0 in sizes:
        return []
    return [rf"^(?:[^_]+_){{{k}}}([^_]+)" for k in range(sizes.pop() + 1)]


def candidates(asked: str, groups: Sequence[str], tracks: Sequence[str]) -> tuple[str, ...]:
    """The patterns a search may pool by: those asked for, or the groupings given and the parts of the names.

    A pattern stays if it divides the tracks into at least two pools that mostly hold several tracks, and
    otherwise than the patterns before it.

    Args:
        asked: "auto", "none", or a regular expression.
        groups: the groupings that were given.
        tracks: names.

    Raises:
        UserError: not a regular expression.
    """
    if asked == NONE:
        return ()
    patterns = [*groups, *name_fields(tracks)] if asked == AUTO else [asked]
    kept: list[str] = []
    seen: set[bytes] = set()
    for pattern in patterns:
        try:
            pools = pool_of(tracks, pattern)
        except re.error as error:
            raise UserError(f'--pool "{pattern}" is not a regular expression: {error}.') from None
        number = int(pools.max(initial=-1)) + 1
        if 2 <= number <= len(tracks) // 2 and pools.tobytes() not in seen:
            kept.append(pattern)
        seen.add(pools.tobytes())
    return tuple(kept)
