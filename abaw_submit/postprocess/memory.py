"""Results of methods kept in their instance: what many fits of one search share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def memoize(function: Callable[..., T]) -> Callable[..., T]:
    """Keep a method's results by its arguments, in the instance."""

    def wrapper(self: object, *args: object) -> T:
        memory: dict[object, T] = self.__dict__.setdefault("_memory", {})
        key = (function.__name__, *args)
        if key not in memory:
            memory[key] = function(self, *args)
        return memory[key]

    return wrapper


def memoize_some(megabytes: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """`memoize` for arrays, forgetting the least recently used beyond a size."""

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        def wrapper(self: object, *args: object) -> T:
            memory: OrderedDict[object, T] = self.__dict__.setdefault(
                f"_some_{function.__name__}", OrderedDict()
            )
            if args not in memory:
                memory[args] = function(self, *args)
                size = max(int(getattr(memory[args], "nbytes", 1)), 1)
                while len(memory) * size > megabytes << 20 and len(memory) > 1:
                    memory.popitem(last=False)
            memory.move_to_end(args)
            return memory[args]

        return wrapper

    return decorate
