"""A recipe: the chosen post-processing as JSON, and how it is applied to scores.

Per output column, in this order: fill missing rows; smooth each member (`before`); rank, if asked; weighted
mean; widen about a centre (`centre`, `gain`); smooth (`after`); calibrate; move the decision to its
default place; then, over all columns, shorten no run below `min_run_rows`. What comes out are scores on
which the task's default decision (0.5, argmax, clip) is the chosen one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError
from abaw_submit.postprocess import calibration, ensemble, smoothing, thresholds
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import Scores
from abaw_submit.store import write_json
from abaw_submit.tasks import Task, get_task
from abaw_submit.textfile import read_json

SCHEMA = "abaw_submit.recipe/1"
RECIPE_NAME = "recipe.json"
# processed scores are rounded to this many decimals: different machines' last bits then do not show
DECIMALS = 6


@dataclass(frozen=True)
class Column:
    """The processing of one output.

    Attributes:
        weights: one per member, in the recipe's order, summing to 1.
        before: filter of each member's scores, as text.
        after: filter of the weighted mean.
        knots: per member the quantiles of its reference scores, if ranks are averaged; else empty.
        centre: point about which the mean is widened by `gain`.
        gain: 1: as averaged.
        calibration: kind "none"; "affine" with scale, offset; "monotone" with positions, values;
            "platt" (AU) with slope, bias.
        threshold: AU: what counts as present. Others: not used.
        bias: EXPR: added to the log score, prior shift and decision together.
    """

    weights: tuple[float, ...]
    before: str = "none"
    after: str = "none"
    knots: tuple[tuple[float, ...], ...] = ()
    centre: float = 0.0
    gain: float = 1.0
    calibration: Mapping[str, Any] = field(default_factory=lambda: {"kind": "none"})
    threshold: float = 0.5
    bias: float = 0.0


# the values of a recipe's file that are no lists or tables, and what they must be
_PLAIN: dict[str, Any] = {"task": str, "restore": int | float, "min_run_rows": int, "rate_hz": int | float}


@dataclass(frozen=True)
class Recipe:
    """The whole post-processing of one task.

    Attributes:
        task: "AU", "EXPR" or "VA".
        members: names of the score sets, in the order of the weights.
        columns: processing per output, in the task's order.
        steps: the steps that were kept, for the reader.
        restore: how far the spread of averaged folds is restored when applied (VA), 0 to 1.
        min_run_rows: shortest run of one decision; 0: any.
        rate_hz: rows per second, for filters in seconds.
        notes: where it comes from: settings, fingerprints, counts.
    """

    task: str
    members: tuple[str, ...]
    columns: Mapping[str, Column]
    steps: tuple[str, ...] = ()
    restore: float = 1.0
    min_run_rows: int = 0
    rate_hz: float = smoothing.DEFAULT_RATE_HZ
    notes: Mapping[str, Any] = field(default_factory=dict)


def nothing(task: Task | str, members: Sequence[str]) -> Recipe:
    """The recipe that does nothing: the plain mean of the members and the default decision."""
    task = get_task(task)
    column = Column(tuple(ensemble.equal_weights(len(members)).tolist()))
    return Recipe(task.name, tuple(members), dict.fromkeys(task.columns, column))


def write_recipe(path: Path | str, recipe: Recipe) -> None:
    """Write `recipe.json`, whole or not at all."""
    write_json(path, {"schema": SCHEMA, **dataclasses.asdict(recipe)})


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe from its file or the folder it lies in.

    Raises:
        UserError: not there, not JSON, not this schema, or a value that makes no sense (named).
    """
    path = Path(path)
    path = path / RECIPE_NAME if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"No recipe at {path}. `abaw-submit select` writes one.")
    data = read_json(path)
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise UserError(f'{path} is not a recipe of schema "{SCHEMA}".')
    try:
        columns = {name: _column(value) for name, value in data.pop("columns").items()}
        steps, members = tuple(data.pop("steps")), tuple(str(m) for m in data.pop("members"))
        recipe = Recipe(columns=columns, steps=steps, members=members, **data)
        for name, kind in _PLAIN.items():
            value = getattr(recipe, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"{name} is {value!r:.60}")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: malformed recipe: {error}.") from None
    try:
        validate(recipe, str(path))
    except (TypeError, ValueError, AttributeError, KeyError) as error:  # values of the wrong types
        raise UserError(f"{path}: malformed recipe: {error}.") from None
    return recipe


def _column(value: Mapping[str, Any]) -> Column:
    knots = tuple(tuple(float(x) for x in k) for k in value.get("knots", ()))
    weights = tuple(float(w) for w in value["weights"])
    return Column(**{**value, "weights": weights, "knots": knots})


def validate(recipe: Recipe, where: str = "recipe") -> None:
    """Check a recipe by itself.

    Raises:
        UserError: columns that are not the task's, weights that do not fit the members, unknown filters or
            calibrations.
    """
    task = get_task(recipe.task)
    if tuple(recipe.columns) != task.columns:
        raise UserError(f"{where}: columns {list(recipe.columns)}; expected {list(task.columns)}.")
    if not recipe.members or len(set(recipe.members)) != len(recipe.members):
        raise UserError(f"{where}: members {list(recipe.members)}; expected at least one, no name twice.")
    for name, column in recipe.columns.items():
        here = f"{where}, {name}"
        weights = np.asarray(column.weights)
        if len(weights) != len(recipe.members) or not np.isfinite(weights).all() or (weights < 0).any():
            raise UserError(f"{here}: weights {list(column.weights)} for {len(recipe.members)} members.")
        if abs(weights.sum() - 1) > 1e-3:
            raise UserError(f"{here}: weights sum to {weights.sum():.4g}; expected 1.")
        if column.knots and len(column.knots) != len(recipe.members):
            raise UserError(f"{here}: {len(column.knots)} sets of knots for {len(recipe.members)} members.")
        kind = column.calibration.get("kind")
        needed = {"none": (), "affine": ("scale", "offset"), "monotone": ("positions", "values")}
        needed["platt"] = ("slope", "bias")
        needed["prior"] = ("temperature",)
        if kind not in needed or any(key not in column.calibration for key in needed[kind]):
            raise UserError(f"{here}: calibration {dict(column.calibration)} is not known or not complete.")
        for text in (column.before, column.after):
            smoothing.parse_filter(text)


def apply_recipe(
    recipe: Recipe,
    members: Mapping[str, Scores],
    progress: Progress = quiet,
) -> Scores:
    """Processed scores of all tracks, in the grammar of scores.

    Args:
        recipe: what to do.
        members: name -> scores. All members with a weight are needed, and no others are allowed.
        progress: wraps the list of tracks.

    Raises:
        UserError: another task, other members, a track that a member lacks, other row counts, or a
            track with no scores at all.
    """
    task = get_task(recipe.task)
    used = [m for k, m in enumerate(recipe.members) if any(c.weights[k] > 0 for c in recipe.columns.values())]
    extra, lacking = set(members) - set(recipe.members), set(used) - set(members)
    if extra or lacking:
        raise UserError(
            f"The recipe is for {', '.join(recipe.members)}; found {', '.join(sorted(members))}.\n"
            "Name the scores as the recipe does: --scores NAME=PATH."
        )
    tracks = check_members(task, {m: members[m] for m in used})
    out: dict[str, npt.NDArray[np.float32]] = {}
    for track in progress(tracks, label="apply"):
        values = process(recipe, {m: members[m][track] for m in used})
        if np.isnan(values).any():
            raise UserError(f"Track {track}: an output has no score in any row; predict it again.")
        out[track] = values.astype(np.float32)
    return Scores(task, out)


def check_members(task: Task, members: Mapping[str, Scores]) -> list[str]:
    """The tracks that all members hold, in order.

    Raises:
        UserError: a member of another task, a track that one lacks, or other row counts.
    """
    first, reference = next(iter(members.items()))
    for name, scores in members.items():
        if scores.task.name != task.name:
            raise UserError(f"Member {name} holds {scores.task.name} scores; expected {task.name}.")
        missing = sorted(set(reference) ^ set(scores))
        if missing:
            lacks = name if missing[0] not in scores else first
            raise UserError(
                f"{len(missing)} tracks are not in every member, the first {missing[0]} (not in {lacks}).\n"
                "Give every member scores of the same tracks."
            )
        for track in reference:
            if len(scores[track]) != len(reference[track]):
                raise UserError(
                    f"Track {track}: {len(reference[track])} rows in {first}, {len(scores[track])} in {name}."
                )
    return sorted(reference)


def process(recipe: Recipe, members: Mapping[str, npt.NDArray[np.float32]]) -> F64:
    """Apply a recipe to one track: member -> (rows, outputs); gives (rows, outputs)."""
    task = get_task(recipe.task)
    rows = len(next(iter(members.values())))
    out = np.empty((rows, task.outputs))
    for k, column in enumerate(recipe.columns.values()):
        mixed = mix(recipe, column, {m: np.asarray(v[:, k], np.float64) for m, v in members.items()})
        out[:, k] = calibrate(column, mixed)
    if task.name == "EXPR":
        bias = np.array([c.bias for c in recipe.columns.values()])
        inverse = np.array([1 / c.calibration.get("temperature", 1.0) for c in recipe.columns.values()])
        if bias.any() or (inverse != 1).any():
            out = calibration.softmax(np.log(np.maximum(out, 1e-6)) * inverse + bias)
    elif task.name == "AU":
        moved = [
            thresholds.shift_to_half(out[:, k], c.threshold) if c.threshold != 0.5 else out[:, k]
            for k, c in enumerate(recipe.columns.values())
        ]
        out = np.column_stack(moved)
    else:
        out = np.clip(out, -1, 1)
    return thresholds.drop_short_runs(task, np.round(out, DECIMALS), recipe.min_run_rows)


def mix(recipe: Recipe, column: Column, members: Mapping[str, F64]) -> F64:
    """Smoothed, weighted, widened scores of one output of one track, (rows,)."""
    before = smoothing.parse_filter(column.before)
    after = smoothing.parse_filter(column.after)
    total = np.zeros(len(next(iter(members.values()))))
    weight = 0.0
    for k, name in enumerate(recipe.members):
        if column.weights[k] == 0 or name not in members:
            continue
        values = smoothing.smooth(members[name], before, rate_hz=recipe.rate_hz)
        if np.isnan(values).any():  # the member has nothing for this track: the others stand in
            continue
        if column.knots:
            values = rank_level(values, column.knots, k)
        total += column.weights[k] * values
        weight += column.weights[k]
    if weight == 0:
        return np.full_like(total, np.nan)
    mean = total / weight if abs(weight - 1) > 1e-9 else total
    if column.gain != 1.0:
        mean = column.centre + (mean - column.centre) * column.gain
    return smoothing.smooth(mean, after, rate_hz=recipe.rate_hz)


def rank_level(values: F64, knots: Sequence[Sequence[float]], member: int) -> F64:
    """Scores of a member brought to the members' common distribution: rank, then the mean of the members'
    quantiles at that rank. Their mean is a rank mean on the scale of scores."""
    table = np.asarray(knots, np.float64)
    ranks = ensemble.to_rank(values, table[member])
    return np.asarray(np.interp(ranks, np.linspace(0, 1, table.shape[1]), table.mean(axis=0)))


def calibrate(column: Column, values: F64) -> F64:
    """The calibration of one output, (rows,)."""
    c = column.calibration
    if c["kind"] == "affine":
        return np.asarray(c["scale"] * values + c["offset"])
    if c["kind"] == "monotone":
        return np.asarray(np.interp(values, c["positions"], c["values"]))
    if c["kind"] == "platt":
        return calibration.sigmoid(c["slope"] * calibration.logit(values) + c["bias"])
    return values
