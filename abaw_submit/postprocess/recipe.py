"""A recipe: the chosen post-processing as JSON, and how it is applied to scores.

A recipe is several processings whose results are averaged: the one fitted on all tracks, and those fitted
    without
each fold. Each does, per output, in this order: fill missing rows; smooth each member; rank, if asked;
weighted mean, with the stacked member's level on top; scale the track's level and the movement around it;
move the decision to its default place. After the mean of all, no run is shorter than `min_run_rows`. What
comes out are scores on which the task's default decision (0.5, argmax, clip) is the chosen one."""

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
from abaw_submit.postprocess.smoothing import UNFILTERED, FilterPair, parse_filter
from abaw_submit.postprocess.stack import Stack, track_levels
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import Scores
from abaw_submit.store import write_json
from abaw_submit.tasks import Task, get_task
from abaw_submit.textfile import read_json

SCHEMA = "abaw_submit.recipe/2"
RECIPE_NAME = "recipe.json"
# processed scores are rounded to this many decimals: different machines' last bits then do not show
DECIMALS = 6


@dataclass(frozen=True)
class Column:
    """The processing of one output.

    Attributes:
        weights: one per member, in the recipe's order, summing to 1.
        filters: on every member, one after the other.
        knots: per member the quantiles of its reference scores, if ranks are averaged; else empty.
        stacked: VA: what the stacked member's level is multiplied by before it is added.
        offset: VA: added at the end.
        level_gain: VA: what a track's mean is multiplied by.
        movement_gain: VA: what the movement around it is multiplied by.
        threshold: AU: what counts as present.
        bias: EXPR: added to the log score.
    """

    weights: tuple[float, ...]
    filters: FilterPair = UNFILTERED
    knots: tuple[tuple[float, ...], ...] = ()
    stacked: float = 0.0
    offset: float = 0.0
    level_gain: float = 1.0
    movement_gain: float = 1.0
    threshold: float = 0.5
    bias: float = 0.0


# the values of a recipe's file that are no lists or tables, and what they must be
_PLAIN: dict[str, Any] = {"task": str, "restore": int | float, "min_run_rows": int, "rate_hz": int | float}


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


# ---- as JSON -----------------------------------------------------------------------------------------


def write_recipe(path: Path | str, recipe: Recipe) -> None:
    """Write `recipe.json`, whole or not at all."""
    write_json(path, {"schema": SCHEMA, **to_json(recipe)})


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Plain values; filters as text, and only what is not at its default."""
    outputs = get_task(recipe.task).columns
    plain = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    plain["averaged"] = [
        {
            "columns": {n: _column_json(c) for n, c in zip(outputs, p.columns, strict=True)},
            "stack": dataclasses.asdict(p.stack) if p.stack else None,
        }
        for p in recipe.averaged
    ]
    return plain


def _column_json(column: Column) -> dict[str, Any]:
    plain: dict[str, Any] = {"weights": column.weights}
    for f in dataclasses.fields(Column)[1:]:
        value = getattr(column, f.name)
        if f.name == "filters":
            plain |= {"before": str(value.before), "after": str(value.after)}
        elif value != f.default:
            plain[f.name] = value
    return plain


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe from its file or the folder it lies in.

    Raises:
        UserError: not there, not JSON, another schema, or a value that makes no sense (named).
    """
    path = Path(path)
    path = path / RECIPE_NAME if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"No recipe at {path}. `abaw-submit select` writes one.")
    data = read_json(path)
    schema = data.pop("schema", None) if isinstance(data, dict) else None
    if schema == "abaw_submit.recipe/1":
        raise UserError(
            f"{path} is a recipe of an older version, which this one cannot apply. Run `select` again."
        )
    if schema != SCHEMA:
        raise UserError(f'{path} is not a recipe of schema "{SCHEMA}".')
    try:
        outputs = get_task(str(data["task"])).columns
        averaged = tuple(_processing(value, outputs, str(path)) for value in data.pop("averaged"))
        steps, members = tuple(data.pop("steps")), tuple(str(m) for m in data.pop("members"))
        recipe = Recipe(averaged=averaged, steps=steps, members=members, **data)
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


def _processing(value: Mapping[str, Any], outputs: Sequence[str], where: str) -> Processing:
    if tuple(value["columns"]) != tuple(outputs):
        raise UserError(f"{where}: columns {list(value['columns'])}; expected {list(outputs)}.")
    stack = value.get("stack")
    if stack is not None:
        plain: dict[str, Any] = {k: tuple(v) for k, v in stack.items()}
        stack = Stack(**{**plain, "value": tuple(map(tuple, plain["value"]))})
    return Processing(tuple(_column(dict(c)) for c in value["columns"].values()), stack)


def _column(value: dict[str, Any]) -> Column:
    filters = FilterPair(parse_filter(value.pop("before", "none")), parse_filter(value.pop("after", "none")))
    knots = tuple(tuple(float(x) for x in k) for k in value.pop("knots", ()))
    weights = tuple(float(w) for w in value.pop("weights"))
    return Column(weights, filters, knots, **{k: float(v) for k, v in value.items()})


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
            if column.stacked and processing.stack is None:
                raise UserError(f"{here}: uses a stacked member, but the recipe holds none.")
        stack = processing.stack
        if stack is not None and max(stack.feature, default=0) >= number * task.outputs:
            raise UserError(f"{where}: the stacked member asks for more members than there are.")


# ---- applied -----------------------------------------------------------------------------------------


def apply_recipe(recipe: Recipe, members: Mapping[str, Scores], progress: Progress = quiet) -> Scores:
    """Processed scores of all tracks, in the grammar of scores.

    Args:
        recipe: what to do.
        members: name -> scores. All members that are used are needed, and no others are allowed.
        progress: wraps the list of tracks.

    Raises:
        UserError: another task, other members, a track that a member lacks, other row counts, or a
            track with no scores at all.
    """
    task = get_task(recipe.task)
    stacked = any(p.stack for p in recipe.averaged)
    used = [
        m
        for k, m in enumerate(recipe.members)
        if stacked or any(c.weights[k] > 0 for p in recipe.averaged for c in p.columns)
    ]
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
    filled = {
        m: np.column_stack([smoothing.fill_missing(c) for c in np.asarray(v, np.float64).T]).reshape(rows, -1)
        for m, v in members.items()
    }
    smoothed: dict[tuple[str, int, FilterPair], F64] = {}  # the processings share most of their filters

    def smooth(member: str, output: int, filters: FilterPair) -> F64 | None:
        key = (member, output, filters)
        if member in filled and key not in smoothed:
            smoothed[key] = filters.run(filled[member][:, output], recipe.rate_hz)
        return smoothed.get(key)

    mean = np.zeros((rows, task.outputs))
    for processing in recipe.averaged:
        level = _stacked(processing, recipe.members, filled, task.outputs)
        out = np.empty((rows, task.outputs))
        for k, c in enumerate(processing.columns):
            out[:, k] = mix(c, [smooth(m, k, c.filters) for m in recipe.members], level[k])
        mean += decided(task, processing.columns, out) / len(recipe.averaged)
    mean = np.clip(mean, -1, 1) if task.name == "VA" else mean
    return thresholds.drop_short_runs(task, np.round(mean, DECIMALS), recipe.min_run_rows)


def _stacked(processing: Processing, names: Sequence[str], filled: Mapping[str, F64], outputs: int) -> F64:
    """The stacked member's levels of a track; a member without scores is stood in for by the others' mean."""
    if processing.stack is None:
        return np.zeros(outputs)
    known = [v for v in filled.values() if not np.isnan(v).any()]
    if not known:
        return np.full(outputs, np.nan)
    stand_in = np.mean(known, axis=0)
    parts = [stand_in if m not in filled or np.isnan(filled[m]).any() else filled[m] for m in names]
    return np.asarray(processing.stack.predict(track_levels(parts)[None])[0])


def mix(column: Column, parts: Sequence[F64 | None], level: float = 0.0) -> F64:
    """The weighted mean of the smoothed members of one output, (rows,). Members that are None or hold NaN
    have nothing for this track: the others stand in."""
    total, weight = np.zeros(1), 0.0
    for k, values in enumerate(parts):
        if column.weights[k] == 0 or values is None or np.isnan(values).any():
            continue
        ranked = rank_level(values, column.knots, k) if column.knots else values
        total = total + column.weights[k] * ranked
        weight += column.weights[k]
    if weight == 0:
        rows = next(len(p) for p in parts if p is not None)
        return np.full(rows, np.nan)
    mean = total / weight if abs(weight - 1) > 1e-9 else total
    return np.asarray(mean + column.stacked * level) if column.stacked else mean


def decided(task: Task, columns: Sequence[Column], mixed: F64) -> F64:
    """Scores on which the default decision is that of the columns, (rows, outputs), from one track's
    mixtures."""
    if task.name != "VA":
        mixed = np.clip(mixed, 0, 1)  # a Savitzky-Golay filter overshoots
    if task.name == "EXPR":
        bias = np.array([c.bias for c in columns])
        return calibration.softmax(np.log(np.maximum(mixed, 1e-6)) + bias) if bias.any() else mixed
    if task.name == "AU":
        moved = [
            thresholds.shift_to_half(mixed[:, k], c.threshold) if c.threshold != 0.5 else mixed[:, k]
            for k, c in enumerate(columns)
        ]
        return np.column_stack(moved)
    level = mixed.mean(axis=0)
    gains = np.array([[c.level_gain, c.movement_gain, c.offset] for c in columns]).T
    return np.asarray(gains[2] + gains[0] * level + gains[1] * (mixed - level))


def rank_level(values: F64, knots: Sequence[Sequence[float]], member: int) -> F64:
    """Scores of a member brought to the members' common distribution: rank, then the mean of the members'
    quantiles at that rank. Their mean is a rank mean on the scale of scores."""
    table = np.asarray(knots, np.float64)
    ranks = ensemble.to_rank(values, table[member])
    return np.asarray(np.interp(ranks, np.linspace(0, 1, table.shape[1]), table.mean(axis=0)))
