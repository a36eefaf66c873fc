"""The two kinds of failure a user meets. Both print one to three lines and never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Wrong usage, settings or malformed input: nothing was done. Exit code 2.

    The message says what is wrong, where (file, line, track, row), what was expected and
    found, and what to do, in at most three lines.
    """

    exit_code = 2


class ProblemsFound(UserError):
    """The work was done, and problems were found or items failed. Exit code 1."""

    exit_code = 1


def suggest(word: str, known: Iterable[str]) -> str:
    """A "Did you mean … Available: …" tail for an unknown name.

    >>> suggest("yunt", ["haar", "yunet"])
    'Did you mean "yunet"? Available: haar, yunet.'
    >>> suggest("zzz", ["haar", "yunet"])
    'Available: haar, yunet.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1) or [n for n in names if word.startswith(n)]
    hint = f'Did you mean "{close[0]}"? ' if close else ""
    return f"{hint}Available: {', '.join(names)}."
