"""Where the time of a stage goes: reading, decoding, copying, computing, writing; and a trace of torch's.

The stages name their parts with `part`; unless a profile runs, that costs nothing to speak of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from abaw_submit.errors import UserError

PARTS = ("reading", "decoding", "copying", "computing", "writing")
_TRACED_S = 60.0  # a trace of hours would fill the disk; the table counts on to the end


class _Table:
    """Seconds of each part, of all threads."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.times = dict.fromkeys(PARTS, 0)
        self.lock = threading.Lock()
        self.trace: Any = None
        self.start = time.perf_counter()

    def add(self, name: str, seconds: float) -> None:
        with self.lock:
            self.seconds[name] += seconds
            self.times[name] += 1


_running: _Table | None = None


def part(name: str) -> AbstractContextManager[None]:
    """Counts the time inside as one of `PARTS`, where a profile runs."""
    return nullcontext() if _running is None else _counted(_running, name)


@contextmanager
def _counted(table: _Table, name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        with torch.profiler.record_function(name):
            yield
    finally:
        table.add(name, time.perf_counter() - start)
        if table.trace is not None and time.perf_counter() - table.start > _TRACED_S:
            _end_trace(table)


def _end_trace(table: _Table) -> None:
    with table.lock:
        trace, table.trace = table.trace, None
    if trace is not None and threading.current_thread() is threading.main_thread():
        trace[0].stop()
        trace[0].export_chrome_trace(str(trace[1]))
    elif trace is not None:  # only the thread that began it may end it
        table.trace = trace


@contextmanager
def profile(path: Path | None) -> Iterator[list[str]]:
    """Profile what runs inside, in this process.

    Args:
        path: the trace to write, for chrome://tracing or ui.perfetto.dev; None does nothing.

    Yields:
        Lines of a table, filled in at the end. Threads work beside each other, so parts may add up to more
        than the whole; on a GPU "computing" is handing work over, which ends before the work does.

    Raises:
        UserError: a profile runs already.
    """
    global _running
    lines: list[str] = []
    if path is None:
        yield lines
        return
    if _running is not None:
        raise UserError("A profile runs already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    table = _running = _Table()
    profiler = torch.profiler.profile(activities=activities)
    profiler.start()
    table.trace = (profiler, path)
    try:
        yield lines
    finally:
        _running = None
        _end_trace(table)
        whole = time.perf_counter() - table.start
        lines += [
            f"{name:<10} {seconds:9.2f} s  {seconds / whole:6.1%}  {table.times[name]:>8} times"
            for name, seconds in table.seconds.items()
        ]
        lines.append(f"{'whole':<10} {whole:9.2f} s")
