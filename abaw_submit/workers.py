"""Work in processes beside this one, which end with it however it ends: the only place that knows joblib."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.resource_tracker import ensure_running
from typing import Any, TypeVar

from abaw_submit.errors import UserError
from abaw_submit.signals import blocked

R = TypeVar("R")
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def in_workers(function: Callable[..., R], calls: Sequence[tuple[Any, ...]], jobs: int = 0) -> Iterator[R]:
    """Results of a function in the order in which they are ready.

    Args:
        function: what to do; of a module, so that another process finds it.
        calls: its arguments, the longest work first.
        jobs: processes; 0: one per core; with 1 it is done here.

    Raises:
        UserError: a worker process was ended from outside.
    """
    jobs = min(jobs or cores(), len(calls))
    if jobs <= 1:
        yield from (function(*call) for call in calls)
        return
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

    # another folder to work in makes other workers: the paths of the calls may be relative to it
    parallel = joblib.Parallel(
        jobs, return_as="generator_unordered", initializer=_begin, initargs=(os.getpid(), os.getcwd())
    )
    ensure_running()  # Python's own helper process, whose start would undo the next line
    try:
        with blocked():  # this process hears Ctrl-C and SIGTERM, and ends its workers
            results = parallel(joblib.delayed(function)(*call) for call in calls)
        yield from results
    except BrokenProcessPool:
        raise UserError(
            "A worker process was ended from outside, perhaps for want of memory.\n"
            "Give fewer --jobs; the same command goes on where it was."
        ) from None


def cores() -> int:
    """Processors that this process may use."""
    import joblib

    return int(joblib.cpu_count())


def _begin(parent: int, folder: str) -> None:
    """The first thing a worker does: where the system can, ask to be ended with the process that started it.

    Left to itself it would wait minutes for more work of a parent that was killed.
    """
    os.chdir(folder)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before this was asked for
            os._exit(1)


def stop_workers(kill: bool = True) -> None:
    """End the worker processes: at once, or when they have done what they were given."""
    pool = sys.modules.get("joblib.externals.loky.reusable_executor")
    executor = getattr(pool, "_executor", None)
    if executor is not None:
        with contextlib.suppress(Exception):
            executor.shutdown(wait=not kill, kill_workers=kill)
