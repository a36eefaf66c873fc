"""How a stage tells how far it is: it passes its items through a `Progress`, and never draws itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Passes items through and may show how far it is, as `abaw_submit.cli.progress` does."""

    def __call__(
        self,
        items: Iterable[T],
        total: int | None = None,
        label: str = "",
        note: Callable[[], str] | None = None,
    ) -> Iterator[T]:
        """Pass items through.

        Args:
            items: what is worked through.
            total: how many there are, when `items` has no length.
            label: what is being done, a word or two.
            note: asked now and then for what is worth seeing, such as the loss.
        """
        ...


def quiet(
    items: Iterable[T], total: int | None = None, label: str = "", note: Callable[[], str] | None = None
) -> Iterator[T]:
    """Pass items through and show nothing.

    >>> list(quiet("ab"))
    ['a', 'b']
    """
    yield from items
