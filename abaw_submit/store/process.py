"""Which process wrote a name, and whether it still lives. Known for this machine only."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from pathlib import Path


@cache
def host() -> str:
    """Eight hex digits for this machine (its name may hold anything)."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def started(pid: int) -> str:
    """When a process started, in the kernel's clock ticks; "0" where the system does not tell.

    A process number is given out again after a while; with its start it names one process.
    """
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")")[1].split()[19]
        )
    except (OSError, IndexError):
        return "0"


def this_process() -> str:
    """A name for this process: `<host>-<pid>-<start>`."""
    return f"{host()}-{os.getpid()}-{started(os.getpid())}"


def is_dead(name: str) -> bool:
    """True if the process of that name ran on this machine and is gone; False where nobody can know."""
    where, _, rest = name.partition("-")
    pid, _, start = rest.partition("-")
    if where != host() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return start != "0" and started(int(pid)) not in (start, "0")
