"""One owner at a time for an output: a lock that the system lets go when its process dies."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from abaw_submit.errors import UserError
from abaw_submit.notices import say
from abaw_submit.store.guard import state_path
from abaw_submit.textfile import read_own_json

_held: dict[str, FileLock] = {}  # by this process, which may ask again


class Owner:
    """The right to write an output. Held from `take` to `release`, or until the process ends.

    Args:
        out: the output.
        what: the work, as in `Stage.fingerprint`: the same work waits for its turn and then finds it done;
            other work is refused.
    """

    def __init__(self, out: Path, what: str = "") -> None:
        self.out, self.what = out, what
        self.path = state_path(out, "lock")

    def take(self) -> None:
        """Wait until the output is free, saying who has it.

        Raises:
            UserError: another process does other work there.
        """
        if str(self.path) in _held:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            self._wait(lock)
        _held[str(self.path)] = lock
        self.path.write_text(json.dumps(this_owner(self.what)), encoding="utf-8")  # for whoever waits

    def clear(self, *more: Path) -> None:
        """Remove the lock file, and more, of an owner that was killed just after its work was done."""
        if str(self.path) in _held or not any(map(os.path.lexists, (self.path, *more))):
            return
        # suppressed: it lives, or the disk is read-only
        with contextlib.suppress(Timeout, OSError), FileLock(self.path, timeout=0):
            for path in (*more, self.path):
                path.unlink(missing_ok=True)

    def _wait(self, lock: FileLock) -> None:
        with contextlib.suppress(Timeout):  # it may be about to say who it is, or to end
            lock.acquire(timeout=0.5)
            return
        owner = read_own_json(self.path, dict[str, Any]) or {}
        who = owner_text(owner) if owner else "another process"
        if owner.get("what", self.what) != self.what:
            raise UserError(
                f"{self.out} is being written by {who}, with other settings or inputs.\n"
                "Wait until it is done, stop it, or give another --out."
            )
        say(f"{self.out} is being made by {who}. Waiting for it; Ctrl-C stops only the waiting.")
        lock.acquire(timeout=-1, poll_interval=0.3)

    def release(self) -> None:
        """Let go; the lock file goes too (whoever waits for the old one sees that it is gone)."""
        lock = _held.pop(str(self.path), None)
        if lock is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            lock.release()


def release_all() -> None:
    """Let go of everything, at the end of the process: a stage that was never entered leaves its lock."""
    for key, lock in list(_held.items()):
        with contextlib.suppress(OSError):
            os.unlink(key)
            lock.release()
    _held.clear()


def this_owner(what: str) -> dict[str, Any]:
    """Who this process is, for the lock file."""
    return {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "what": what,
    }


def owner_text(owner: dict[str, Any]) -> str:
    """An owner in words.

    >>> owner_text({"pid": 7, "host": "node1", "since": "2026-03-01 10:00:00"})
    'process 7 on node1 since 2026-03-01 10:00:00'
    """
    return f"process {owner.get('pid')} on {owner.get('host')} since {owner.get('since')}"
