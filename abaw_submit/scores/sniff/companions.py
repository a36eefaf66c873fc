"""A folder of arrays that belong together: scores.npy, lengths.npy and names.txt, as one dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abaw_submit.scores.sniff.arrays import format_of, read_tree
from abaw_submit.scores.sniff.dialect import decode
from abaw_submit.scores.sniff.names import stem_of
from abaw_submit.scores.sniff.words import (
    FEATURE_WORDS,
    FRAME,
    LENGTH_WORDS,
    LOCATION,
    MASK_WORDS,
    SCORE_WORDS,
    TRACK,
    plain,
    role_of,
)


def is_set(paths: Sequence[Path]) -> bool:
    """Whether files are named as the parts of one set of arrays: one of scores, and who they are of."""
    words = [plain(stem_of(path)) for path in paths]
    scores = [word for word in words if word in SCORE_WORDS | FEATURE_WORDS]
    told = [word for word in words if word in LENGTH_WORDS | MASK_WORDS or role_of(word) in (TRACK, LOCATION)]
    others = [word for word in words if role_of(word) == FRAME]
    return len(scores) == 1 and len(told) > 0 and len(scores) + len(told) + len(others) == len(words)


def read_set(paths: Sequence[Path]) -> dict[str, Any]:
    """The arrays of such a folder by the files' names; a text file is a list, one line each.

    Raises:
        UserError: a file that cannot be read.
    """
    found: dict[str, Any] = {}
    for path in paths:
        with path.open("rb") as handle:
            kind = format_of(path, handle.read(16))
        if kind != "text":
            tree = read_tree(path, kind)
            found[stem_of(path)] = (
                next(iter(tree.values())) if isinstance(tree, dict) and len(tree) == 1 else tree
            )
            continue
        lines = decode(path.read_bytes(), str(path))[0].decode().rstrip().split("\n")
        numbers = all(line.strip().isdigit() for line in lines) and role_of(plain(stem_of(path))) not in (
            TRACK,
            LOCATION,
        )
        found[stem_of(path)] = [int(line) if numbers else line.strip() for line in lines]
    return found
