"""Progress: a bar on a terminal, one line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY_S = 60.0


def progress(
    items: Iterable[T], total: int | None = None, label: str = "", note: Callable[[], str] | None = None
) -> Iterator[T]:
    """Pass items through and show how far it is, and how long it will take, on standard error.

    Args:
        items: what is worked through.
        total: how many there are, when `items` has no length.
        label: what is being done, a word or two.
        note: asked now and then for what is worth seeing, such as the loss.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        yield from _bar(items, total, label, note)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_EVERY_S:
            last = now
            left = f" of {total}, about {_time((now - start) / done * (total - done))} left" if total else ""
            more = f"; {note()}" if note else ""
            print(f"{label}: {done}{left}{more}", file=sys.stderr, flush=True)


def _bar(items: Iterable[T], total: int | None, label: str, note: Callable[[], str] | None) -> Iterator[T]:
    from tqdm import tqdm

    with tqdm(items, total=total, desc=label, dynamic_ncols=True, leave=False) as bar:
        for item in bar:
            yield item
            if note is not None:
                bar.set_postfix_str(note(), refresh=False)  # drawn when the bar is drawn anyway


def _time(seconds: float) -> str:
    """A time as people say it.

    >>> _time(45), _time(600), _time(9000)
    ('45 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
