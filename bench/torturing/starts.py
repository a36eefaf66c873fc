"""Stages as real processes: started cold (`python -m abaw_submit`), or forked from this process, which has
imported everything and computed nothing.

Importing torch takes seconds of processor time, a stage on the small corpus a tenth of one: a fork can be
killed many times for the price of one cold start. It has a session, an exit code and streams of its own, and
runs `abaw_submit.cli.main`; what a cold start does beyond that is tested by the share that is cold.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STILL_S = 20  # nothing has used the processor for so long, or
BEYOND_S = 20  # so much processor time more than an undisturbed run: a hang, on a busy machine too
_LOOK_S = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")


@dataclass(frozen=True)
class Event:
    """What a fork does to itself before the n-th change of a file below a folder; 0: only count them."""

    folder: Path
    number: int = 0
    signal: int = signal.SIGKILL
    whole_session: bool = False


@dataclass
class Running:
    """A started process, the leader of its own session."""

    pid: int
    log: Path
    returncode: int | None = None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end (at most so long); whether it has ended."""
        if self.returncode is None:
            handle = os.pidfd_open(self.pid)
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            ended = poll.poll(None if timeout_s is None else timeout_s * 1000)
            os.close(handle)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode is not None

    def stopped(self) -> bool:
        """Wait until it has stopped itself (True) or ended (False)."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            return True
        self.returncode = os.waitstatus_to_exitcode(status)
        return False

    def send(self, number: int, whole_session: bool = False) -> None:
        """Send a signal to it, or to everything it started too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number) if whole_session else os.kill(self.pid, number)

    def said(self) -> str:
        """What it wrote to its standard streams."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def warm_up() -> None:
    """Import what the stages import."""
    from abaw_submit.cli import COMMANDS, warm

    warm._import_all()
    for name in (
        "av",
        "cv2",
        "joblib",
        "abaw_submit.__main__",
        "abaw_submit.faces.stage",
    ):
        importlib.import_module(name)
    for module, _, _ in COMMANDS.values():
        importlib.import_module(f"abaw_submit.cli.{module}")
    gc.collect()
    gc.freeze()


def start(words: Sequence[str], log: Path, *, warm: bool = True, event: Event | None = None) -> Running:
    """Start `abaw-submit WORDS`; its streams go to a file."""
    if warm and len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("this process has threads: it cannot be forked safely")
    sys.stdout.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    pid = os.fork()
    if pid == 0:
        try:
            # as the program's own first line: until it can say so in words, Ctrl-C ends it without any
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            _child(list(words), log, warm, event)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Running(pid, log)


def _child(words: list[str], log: Path, warm: bool, event: Event | None) -> None:
    os.setsid()
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        handle = os.open(name, flags, 0o644)
        os.dup2(handle, number)
        os.close(handle)
    os.dup2(1, 2)
    if not warm:
        os.execv(sys.executable, [sys.executable, "-m", "abaw_submit", *words])
    sys.argv = ["abaw-submit", *words]
    sys.modules["__main__"] = sys.modules["abaw_submit.__main__"]
    if event is not None:
        _listen(event, log)
    from abaw_submit.cli import main

    code = 70
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter does at its end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code & 255)


def _listen(event: Event, log: Path) -> None:
    below, seen = str(event.folder), 0

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        change = name in _EVENTS or (
            name == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        )
        if not change or not isinstance(arguments[0], (str, Path)) or below not in str(arguments[0]):
            return
        seen += 1
        if seen == event.number:
            os.killpg(0, event.signal) if event.whole_session else os.kill(os.getpid(), event.signal)

    sys.addaudithook(hear)
    if not event.number:
        atexit.register(lambda: log.with_suffix(".events").write_text(str(seen)))


def session(leader: int) -> dict[int, float]:
    """Processor seconds of every process in a session, by process."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = Path(f"/proc/{entry}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found[int(entry)] = sum(map(int, fields[11:15])) / _TICKS
    return found


def finish(running: Sequence[Running], usual_cpu_s: float) -> str:
    """Wait for all of them; "" or why they are taken for hanging, and they are killed then."""
    used, moved = 0.0, time.monotonic()
    while True:
        waiting = [r for r in running if not r.wait(_LOOK_S / len(running))]
        if not waiting:
            return ""
        now = sum(sum(session(r.pid).values()) for r in running)
        if now != used:  # what a worker used is not seen for a moment, when it ends
            used, moved = now, time.monotonic()
        why = ""
        if time.monotonic() - moved > STILL_S:
            why = f"it hangs: no processor time used in {STILL_S} s"
        elif used > usual_cpu_s * len(running) + BEYOND_S:
            why = f"it hangs: {used:.0f} s of processor time, {usual_cpu_s:.0f} s are usual"
        if why:
            for r in waiting:
                r.send(signal.SIGKILL, whole_session=True)
                r.wait()
            return why


def survivors(leader: int, patience_s: float = STILL_S) -> list[int]:
    """Processes of a session whose leader is gone, after some patience; they are ended."""
    until = time.monotonic() + patience_s
    while (left := session(leader)) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return list(left)
