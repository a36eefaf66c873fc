"""What a search needs of a task: fit a column's processing on some folds, and count how it does on others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from abaw_submit.arrays import F64
from abaw_submit.postprocess import ensemble
from abaw_submit.postprocess.recipe import Column, rank_level
from abaw_submit.postprocess.score_table import ScoreTable
from abaw_submit.postprocess.smoothing import Filter, parse_filter

Folds = tuple[int, ...]
Pair = tuple[Filter, Filter]
Columns = tuple[Column, ...]
T = TypeVar("T")


class Engine(Protocol):
    """A task's search. A *part* is a set of columns chosen together: one AU, valence, all expressions."""

    table: ScoreTable
    parts: int

    @property
    def pairs(self) -> Sequence[Pair]:
        """The filters to choose from: on the members, and on their mean; the first is none."""

    def steps(self) -> tuple[str, ...]:
        """Steps that mean something for this task and these members."""

    def fit(self, part: int, folds: Folds, steps: frozenset[str], pairs: Sequence[int] | None) -> Columns:
        """Choose the processing of a part from the tracks of some folds alone.

        Args:
            part: which.
            folds: folds that may be looked at, sorted.
            steps: steps allowed; the others do nothing.
            pairs: filters to choose from, by index; None: all.
        """

    def probe(self, part: int, folds: Folds, steps: frozenset[str], pair: int) -> Columns:
        """A quick fit with one filter given: weights as `fit` chooses them on the same folds, and the
        plainest form of the other steps. For tables and pictures of every filter."""

    def stats(self, part: int, columns: Columns) -> F64:
        """Statistics of every track, (tracks, columns of the part, ...), under some processing."""

    def score(self, stats: F64) -> F64:
        """A part's score (the mean over its outputs) from summed statistics; leading axes are kept."""


@dataclass(frozen=True)
class Option:
    """One way to do a step inside a fit.

    Attributes:
        value: whatever describes it.
        cost: how much it asks of the data: members with a weight, say. Among options that are as good as the
            best within one standard error, the cheapest wins.
        pooled: its score on held-out folds, pooled.
        by_fold: its score on each held-out fold.
    """

    value: object
    cost: float
    pooled: float
    by_fold: tuple[float, ...]


def one_standard_error(options: Sequence[Option]) -> Option:
    """The cheapest option not worse than the best by more than one standard error of their difference
    over folds (Breiman et al. 1984); among equally cheap ones the best. The first wins ties."""
    best = max(options, key=lambda o: o.pooled)
    fine = []
    for option in options:
        gap = np.asarray(best.by_fold) - np.asarray(option.by_fold)
        error = float(gap.std(ddof=1) / np.sqrt(len(gap))) if len(gap) > 1 else 0.0
        if best.pooled - option.pooled <= error + 1e-12:
            fine.append(option)
    cheapest = min(o.cost for o in fine)
    return max((o for o in fine if o.cost <= cheapest), key=lambda o: o.pooled)


def own_filters_pay(
    folds: Folds,
    parts: int,
    own: Callable[[int, Folds], int],
    shared: Callable[[Folds], int],
    stats: Callable[[int, Folds, int, int], F64],
    score: Callable[[F64], F64],
) -> bool:
    """Whether a filter per output is better on held-out folds than one for the whole task, by more than
    one standard error.

    Args:
        folds: folds that may be looked at.
        parts: number of outputs.
        own: (part, folds) -> the filter that is best for one output.
        shared: folds -> the filter that is best on the mean of all outputs.
        stats: (part, folds fitted on, fold scored, filter) -> statistics of an output.
        score: score of an output from statistics.
    """
    options = []
    for mine in (False, True):
        pooled: list[F64 | float] = [0.0] * parts
        by_fold = []
        for inner, j in held_out(folds):
            together = shared(inner)
            now = [stats(p, inner, j, own(p, inner) if mine else together) for p in range(parts)]
            pooled = [a + b for a, b in zip(pooled, now, strict=True)]
            by_fold.append(float(np.mean([score(x) for x in now])))
        whole = float(np.mean([score(np.asarray(x)) for x in pooled]))
        options.append(Option(mine, 1.0 + mine, whole, tuple(by_fold)))
    return bool(one_standard_error(options).value)


def held_out(folds: Folds) -> list[tuple[Folds, int]]:
    """The divisions of some folds: (the others, the one left out). With one fold there is nothing to leave
    out, and it stands for both."""
    if len(folds) == 1:
        return [(folds, folds[0])]
    return [(tuple(k for k in folds if k != j), j) for j in folds]


def memoize(function: Callable[..., T]) -> Callable[..., T]:
    """Keep a method's results by its arguments, in the instance's `memory`."""

    def wrapper(self: object, *args: object) -> T:
        memory: dict[object, T] = self.__dict__.setdefault("_memory", {})
        key = (function.__name__, *args)
        if key not in memory:
            memory[key] = function(self, *args)
        return memory[key]

    return wrapper


def mixed_rows(table: ScoreTable, output: int, column: Column) -> F64:
    """The weighted mean of all rows of an output, smoothed and widened, not yet calibrated: what
    `recipe.mix` does for one track."""
    before, after = parse_filter(column.before), parse_filter(column.after)
    total = np.zeros(table.scores.shape[2])
    for k, weight in enumerate(column.weights):
        if weight:
            values = table.member(k, output, before)
            total += weight * (rank_level(values, column.knots, k) if column.knots else values)
    total = table.filtered(total, after)
    return column.centre + (total - column.centre) * column.gain if column.gain != 1 else total


def rank_knots(table: ScoreTable, output: int, folds: Folds, before: Filter) -> tuple[tuple[float, ...], ...]:
    """Quantiles of each member's scores of an output on some folds; the truth is not used."""
    mine = np.repeat(np.isin(table.fold, folds), table.lengths)
    return tuple(
        tuple(ensemble.rank_knots(table.member(k, output, before)[mine]).tolist())
        for k in range(len(table.members))
    )


def memoize_arrays(megabytes: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """`memoize` for arrays, forgetting the least recently used beyond a size."""

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        def wrapper(self: object, *args: object) -> T:
            memory: OrderedDict[object, T] = self.__dict__.setdefault(
                f"_memory_{function.__name__}", OrderedDict()
            )
            if args not in memory:
                memory[args] = function(self, *args)
            memory.move_to_end(args)
            size = max(int(getattr(memory[args], "nbytes", 1)), 1)
            while len(memory) * size > megabytes << 20 and len(memory) > 1:
                memory.popitem(last=False)
            return memory[args]

        return wrapper

    return decorate


def nearby(pairs: Sequence[Pair], choices: Sequence[int], chosen: int, reach: float = 1.6) -> list[int]:
    """The choices of the same kinds as one, of up to `reach` times its size, and "none"."""
    before, after = pairs[chosen]

    def close(a: Filter, b: Filter) -> bool:
        return a.kind == b.kind and b.size / reach <= a.size <= b.size * reach

    return [f for f in choices if f == 0 or (close(pairs[f][0], before) and close(pairs[f][1], after))]
