"""A recipe: the chosen post-processing as data.

A recipe is several processings whose results are averaged: the one fitted on all tracks, and those fitted
without each fold. Each does, per output, in this order: fill missing rows; smooth each member; rank, if
asked; weighted mean, with the stacked member's level on top; draw the track's level to that of the tracks it
shares something with; scale the level and the movement around it, and bend it, if asked; move the decision
to its default place. After the mean of all, no run is shorter than `min_run_rows`. What comes out are scores
on which the task's default decision (0.5, argmax, clip) is the chosen one. `recipe_json` writes and reads it,
`apply` uses it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from abaw_submit.errors import UserError
from abaw_submit.postprocess import ensemble, smoothing
from abaw_submit.postprocess.smoothing import UNFILTERED, FilterPair
from abaw_submit.postprocess.stack import Stack
from abaw_submit.tasks import Task, get_task


@dataclass(frozen=True)
class Column:
    """The processing of one output.

    Attributes:
        weights: one per member, in the recipe's order, summing to 1.
        filters: on every member, one after the other.
        knots: per member the quantiles of its reference scores, if ranks are averaged; else empty.
        stacked: VA: what the stacked member's level is multiplied by before it is added.
        pool: VA: regular expression for what tracks share (a film); "": nothing.
        pooled: VA: how far a track's level is drawn to the mean level of the tracks it shares that with.
        offset: VA: added at the end.
        level_gain: VA: what a track's mean is multiplied by.
        movement_gain: VA: what the movement around it is multiplied by.
        curve: VA: knots (scores, values) of a rising curve that is applied last; else empty.
        threshold: AU: what counts as present.
        bias: EXPR: added to the log score.
    """

    weights: tuple[float, ...]
    filters: FilterPair = UNFILTERED
    knots: tuple[tuple[float, ...], ...] = ()
    stacked: float = 0.0
    pool: str = ""
    pooled: float = 0.0
    offset: float = 0.0
    level_gain: float = 1.0
    movement_gain: float = 1.0
    curve: tuple[tuple[float, ...], ...] = ()
    threshold: float = 0.5
    bias: float = 0.0


@dataclass(frozen=True)
class Processing:
    """One fit's processing of all outputs.

    Attributes:
        columns: per output, in the task's order.
        stack: the stacked member, if any column uses it.
    """

    columns: tuple[Column, ...]
    stack: Stack | None = None


@dataclass(frozen=True)
class Recipe:
    """The whole post-processing of one task.

    Attributes:
        task: "AU", "EXPR" or "VA".
        members: names of the score sets, in the order of the weights.
        averaged: the processings whose results are averaged; the first was fitted on all tracks.
        steps: the steps that were kept, for the reader.
        restore: how far the spread of averaged folds is restored when applied (VA, AU), 0 to 1.
        min_run_rows: shortest run of one decision; 0: any.
        rate_hz: rows per second, for filters in seconds.
        notes: where it comes from: settings, fingerprints, counts.
    """

    task: str
    members: tuple[str, ...]
    averaged: tuple[Processing, ...]
    steps: tuple[str, ...] = ()
    restore: float = 1.0
    min_run_rows: int = 0
    rate_hz: float = smoothing.DEFAULT_RATE_HZ
    notes: Mapping[str, Any] = field(default_factory=dict)

    def columns(self) -> dict[str, Column]:
        """The columns of the fit on all tracks, by output."""
        return dict(zip(get_task(self.task).columns, self.averaged[0].columns, strict=True))


def identity_recipe(task: Task | str, members: Sequence[str], rate_hz: float = 30.0) -> Recipe:
    """The recipe that does nothing: the plain mean of the members and the default decision."""
    task = get_task(task)
    column = Column(tuple(ensemble.equal_weights(len(members)).tolist()))
    return Recipe(task.name, tuple(members), (Processing((column,) * task.outputs),), rate_hz=rate_hz)


def validate(recipe: Recipe, where: str = "recipe") -> None:
    """Check a recipe by itself.

    Raises:
        UserError: weights that do not fit the members, a stacked member that is missing or impossible.
    """
    task, number = get_task(recipe.task), len(recipe.members)
    if not number or len(set(recipe.members)) != number:
        raise UserError(f"{where}: members {list(recipe.members)}; expected at least one, no name twice.")
    if not recipe.averaged:
        raise UserError(f"{where}: no processing in `averaged`.")
    for processing in recipe.averaged:
        for name, column in zip(task.columns, processing.columns, strict=True):
            here = f"{where}, {name}"
            weights = np.asarray(column.weights)
            if len(weights) != number or not np.isfinite(weights).all() or (weights < 0).any():
                raise UserError(f"{here}: weights {list(column.weights)} for {number} members.")
            if abs(weights.sum() - 1) > 1e-3:
                raise UserError(f"{here}: weights sum to {weights.sum():.4g}; expected 1.")
            if column.knots and len(column.knots) != number:
                raise UserError(f"{here}: {len(column.knots)} sets of knots for {number} members.")
            if column.curve:
                x, y = (np.asarray(side, np.float64) for side in column.curve)
                if len(x) != len(y) or len(x) < 2 or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
                    raise UserError(f"{here}: curve; expected as many rising values as rising scores.")
            if column.stacked and processing.stack is None:
                raise UserError(f"{here}: uses a stacked member, but the recipe holds none.")
            try:
                re.compile(column.pool)
            except re.error as error:
                raise UserError(f"{here}: pool is not a regular expression: {error}.") from None
        stack = processing.stack
        if stack is not None and max(stack.feature, default=0) >= number * task.outputs:
            raise UserError(f"{where}: the stacked member asks for more members than there are.")
