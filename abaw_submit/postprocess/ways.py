"""What a search chooses among: ways to weight members and ways to decide, and how the best is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Floats = tuple[float, ...]
Probes = tuple["Decision", ...]


@dataclass(frozen=True)
class Option(Generic[T]):
    """One way to do something, and its score on tracks that it was not fitted on."""

    value: T
    score: float


def best_of(options: Iterable[Option[T]]) -> T:
    """The option with the highest score; the first, which is the simplest, wins ties.

    >>> best_of([Option("equal", 0.5), Option("fitted", 0.5), Option("best member", 0.4)])
    'equal'
    """
    return max(options, key=lambda o: round(o.score, 9)).value


@dataclass(frozen=True)
class Weighting:
    """A way to weight members.

    Attributes:
        kind: "equal"; "best": the one best member; "fitted": non-negative least squares; "greedy": greedy
            selection by the score; "rank": equal, of ranks.
        shrink: "fitted": towards weights in proportion to each member's skill; "greedy": share of equal
            weights.
        own: an output's own moments count this much, the mean over all outputs the rest.
        without: a member that is left out, by place.
    """

    kind: str = "equal"
    shrink: float = 0.0
    own: float = 0.0
    without: int | None = None


@dataclass(frozen=True)
class Decision:
    """A way from mixed scores to what is decided; see each adapter's `decisions`.

    Attributes:
        kind: the way; "none": nothing is done.
        strength: how far to go, from 0 to 1.
        stacked: share of the stacked member.
        pool: what tracks share whose levels are drawn together; see `pools`.
    """

    kind: str = "none"
    strength: float = 0.0
    stacked: float = 0.0
    pool: str = ""


@dataclass(frozen=True)
class Choice:
    """What a fit chose: filters by place, one per output group, and the two ways."""

    filters: tuple[int, ...]
    weighting: Weighting = Weighting()
    decision: Decision = Decision()
