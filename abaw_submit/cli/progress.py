"""Progress: a bar on a terminal, one line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
LOG_EVERY_S = 60.0


def progress(items: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
    """Pass items through and show how far it is, on standard error.

    Args:
        items: what is worked through.
        total: how many there are, when `items` has no length.
        label: what is being done, a word or two.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=label, dynamic_ncols=True, leave=False)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_EVERY_S:
            last = now
            left = (
                "" if not total else f" of {total}, about {(now - start) / done * (total - done):.0f} s left"
            )
            print(f"{label}: {done}{left}", file=sys.stderr, flush=True)
