"""How a job goes, in a small file of its own that the run, `status` and a later job can read."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.store import write_json
from abaw_submit.textfile import read_json

BEAT_S = 15.0
# a job that has not been heard of for this long is not running any more
SILENT_S = 120.0


@dataclass(frozen=True)
class JobState:
    """One job, the last time it ran.

    Attributes:
        state: "running", "done" or "failed".
        host: the machine.
        pid: its process.
        device: the GPU it was given, or "".
        started: seconds since 1970.
        seconds: how long it took.
        cpu_s: processor time it took, with its child processes.
        result: what came of it, in a few words.
        failures: items that it could not do.
    """

    state: str
    host: str = ""
    pid: int = 0
    device: str = ""
    started: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0
    result: str = ""
    failures: int = 0

    def write(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_json(path, dataclasses.asdict(self))


def read_state(path: Path) -> JobState | None:
    """A job's state, or None if it never ran."""
    try:
        state: JobState = read_json(path, JobState)
    except (OSError, UserError):
        return None
    return state


def running(path: Path) -> JobState | None:
    """The state of a job that is running now, or None."""
    state = read_state(path)
    if state is None or state.state != "running":
        return None
    if state.host == socket.gethostname():
        return state if alive(state.pid) else None
    try:
        return state if time.time() - path.stat().st_mtime < SILENT_S else None
    except OSError:
        return None


def alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def heartbeat(path: Path, owner: tuple[str, int]) -> Iterator[None]:
    """Keep a state file's date fresh; end this process when the run that started it is gone.

    Args:
        path: the state file.
        owner: host and process of the run; another host's is not watched.
    """
    stop = threading.Event()
    watched = owner[1] if owner[0] == socket.gethostname() else 0

    def beat() -> None:
        last = time.monotonic()
        while not stop.wait(1.0):
            if watched and not alive(watched):
                os._exit(143)  # killed with the run; stages write whole files or none
            if time.monotonic() - last > BEAT_S:
                last = time.monotonic()
                try:
                    os.utime(path)
                except OSError:
                    return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
