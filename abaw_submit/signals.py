"""SIGTERM (what Slurm and `kill` send) behaves as Ctrl-C: an exception in the main thread, once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGXCPU)  # Slurm's --signal gives notice with any of them
_AGAIN_S = 5  # a stop that some library swallowed comes again
_waiting: list[int] = []
_deferring: list[bool] = []


class Terminated(BaseException):
    """The process was told to stop; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def install() -> None:
    """Let the stopping signals raise `Terminated`. Only a program's entry point does this."""
    for number in STOPPING:
        signal.signal(number, _stop)
    signal.signal(signal.SIGALRM, _stop)


def ended() -> None:
    """The stop has been heard: it does not come again."""
    signal.alarm(0)
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    first = number if number != signal.SIGALRM else (_waiting or [signal.SIGTERM])[0]
    if first not in _waiting:
        _waiting.append(first)
    if _deferring:
        return
    signal.alarm(_AGAIN_S)
    raise Terminated(first)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Hold stops and Ctrl-C back for a moment in which a state must not be torn; they come when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda number, frame: interrupts.append(number))
    _deferring.append(True)
    try:
        yield
    finally:
        _deferring.pop()
        signal.signal(signal.SIGINT, before)
    if interrupts:
        raise KeyboardInterrupt
    if _waiting:
        raise Terminated(_waiting[0])
