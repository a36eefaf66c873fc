"""One line to the person at the terminal from anywhere in the package: standard error, at once."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """Print a line that must not be missed and is not part of the answer; a closed terminal is no error."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
