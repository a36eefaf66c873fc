"""SIGTERM (what Slurm and `kill` send) behaves as Ctrl-C: an exception in the main thread, once.

They are raised only where somebody hears them, in `listening`: what comes before waits for it, and what comes
after is too late to stop anything.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGXCPU)  # Slurm's --signal gives notice with any of them
_AGAIN_S = 5  # a stop that some library swallowed comes again
_ONCE_S = 2.0  # a stop so shortly after one is the same: it must not break what tidies up after the first
_came_s: list[float] = []
_waiting: list[int] = []
_listening: list[bool] = []
_deferring: list[bool] = []


class Terminated(BaseException):
    """The process was told to stop; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def install() -> None:
    """Take the stopping signals over. Only a program's entry point does this."""
    for number in (*STOPPING, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, _stop)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """While it lasts a stop raises `Terminated`, Ctrl-C `KeyboardInterrupt`; at once if one came before."""
    _listening.append(True)
    try:
        _raise()
        yield
    finally:
        _listening.clear()
        _waiting.clear()
        signal.alarm(0)


def _stop(number: int, frame: FrameType | None) -> None:
    if number != signal.SIGALRM:
        now, last = time.monotonic(), _came_s[-1] if _came_s else -_ONCE_S
        _came_s.append(now)
        if _waiting and (now - last < _ONCE_S or (number in _waiting and number != signal.SIGINT)):
            return  # said twice, meant once; a later Ctrl-C may be meant again
        _waiting.append(number)
    _raise()


def _raise() -> None:
    if not _waiting or not _listening or _deferring:
        return
    signal.alarm(_AGAIN_S)
    if _waiting[0] == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(_waiting[0])


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Hold stops and Ctrl-C back for a moment in which a state must not be torn; they come when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []
    before: Any = signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    _deferring.append(True)
    try:
        yield
    finally:
        _deferring.pop()
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt
    _raise()


@contextlib.contextmanager
def blocked() -> Iterator[None]:
    """No stop and no Ctrl-C reaches this thread, nor a process that is started meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*STOPPING, signal.SIGINT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
