"""The two kinds of failure a user meets. Both print one to three lines and never a traceback."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

_LONGEST_LINE = 1200
_MACHINES = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS),  # disks
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),  # open files, memory
)


class UserError(Exception):
    """Wrong usage, settings or malformed input: nothing was done. Exit code 2.

    The message says what is wrong, where (file, line, track, row), what was expected and
    found, and what to do, in at most three lines.
    """

    exit_code = 2

    def __str__(self) -> str:
        return shortened(super().__str__())


class ProblemsFound(UserError):
    """The work was done, and problems were found or items failed. Exit code 1."""

    exit_code = 1


class Unread(Exception):
    """Nobody reads any more what is printed (`abaw-submit … | head -1`)."""


def is_machines(error: BaseException) -> bool:
    """Whether an error is the machine's, and the next item would fail of it too: a full or read-only disk,
    no more open files, no memory.

    >>> is_machines(OSError(errno.ENOSPC, "disk full")), is_machines(FileNotFoundError(2, "gone"))
    (True, False)
    """
    return isinstance(error, OSError) and error.errno in _MACHINES


def shortened(text: str) -> str:
    r"""A message with lines of a length that can be read, whatever it quotes; control characters as escapes.

    >>> len(shortened("x" * 2000)), "\x1b" in shortened("a\x1b[2J")
    (801, False)
    """
    lines = []
    for line in text.split("\n"):
        plain = "".join(
            c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line
        )
        lines.append(plain if len(plain) <= _LONGEST_LINE else f"{plain[:600]}…{plain[-200:]}")
    return "\n".join(lines)


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
