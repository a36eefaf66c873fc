"""A recipe applied to scores, track by track; only pooled levels look at other tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.postprocess import calibration, ensemble, smoothing, thresholds
from abaw_submit.postprocess.pools import pool_means, pool_of
from abaw_submit.postprocess.recipe import Column, Processing, Recipe
from abaw_submit.postprocess.smoothing import FilterPair
from abaw_submit.postprocess.stack import track_levels
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import Task, get_task

# processed scores are rounded to this many decimals: different machines' last bits then do not show
DECIMALS = 6
Members = Mapping[str, npt.NDArray[np.float32]]


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
    mixed: dict[str, list[F64]] = {}
    out: dict[str, npt.NDArray[np.float32]] = {}
    pooled = any(c.pooled for p in recipe.averaged for c in p.columns)
    for track in progress(tracks, label="apply"):
        one = mixtures(recipe, {m: members[m][track] for m in used})
        if any(np.isnan(values).any() for values in one):
            raise UserError(f"Track {track}: an output has no score in any row; predict it again.")
        if pooled:
            mixed[track] = one
        else:
            out[track] = finished(recipe, one).astype(np.float32)
    if pooled:
        draw_levels(recipe, mixed)
        out = {track: finished(recipe, one).astype(np.float32) for track, one in mixed.items()}
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


def mixtures(recipe: Recipe, members: Members) -> list[F64]:
    """The weighted means of one track, (rows, outputs), one for each processing; member -> its scores."""
    rows, outputs = next(iter(members.values())).shape
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

    found = []
    for processing in recipe.averaged:
        level = _stacked(processing, recipe.members, filled, outputs)
        columns = [
            mix(c, [smooth(m, k, c.filters) for m in recipe.members], level[k])
            for k, c in enumerate(processing.columns)
        ]
        found.append(np.column_stack(columns))
    return found


def draw_levels(recipe: Recipe, mixed: Mapping[str, list[F64]]) -> None:
    """Draw each track's level to the mean level of the tracks it shares something with, in place.

    Args:
        recipe: says what is shared, and how far to go, per processing and output.
        mixed: track -> its mixtures, (rows, outputs) each.
    """
    tracks = list(mixed)
    for p, processing in enumerate(recipe.averaged):
        for k, column in enumerate(processing.columns):
            if column.pooled:
                levels = np.array([mixed[t][p][:, k].mean() for t in tracks])
                moved = column.pooled * (pool_means(levels, pool_of(tracks, column.pool)) - levels)
                for track, by in zip(tracks, moved, strict=True):
                    mixed[track][p][:, k] += by


def finished(recipe: Recipe, mixed: Sequence[F64]) -> F64:
    """The mean of what the processings decide of one track's mixtures, (rows, outputs)."""
    task = get_task(recipe.task)
    decided_ = [decided(task, p.columns, one) for p, one in zip(recipe.averaged, mixed, strict=True)]
    mean = sum(one / len(decided_) for one in decided_)
    mean = np.clip(mean, -1, 1) if task.decision is Decision.CLIP else mean
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
    if task.decision is Decision.CLIP:
        level = mixed.mean(axis=0)
        gains = np.array([[c.level_gain, c.movement_gain, c.offset] for c in columns]).T
        return np.asarray(gains[2] + gains[0] * level + gains[1] * (mixed - level))
    mixed = np.clip(mixed, 0, 1)  # a Savitzky-Golay filter overshoots
    if task.decision is Decision.ARGMAX:
        bias = np.array([c.bias for c in columns])
        return calibration.softmax(np.log(np.maximum(mixed, 1e-6)) + bias) if bias.any() else mixed
    moved = [
        thresholds.shift_to_half(mixed[:, k], c.threshold) if c.threshold != 0.5 else mixed[:, k]
        for k, c in enumerate(columns)
    ]
    return np.column_stack(moved)


def rank_level(values: F64, knots: Sequence[Sequence[float]], member: int) -> F64:
    """Scores of a member brought to the members' common distribution: rank, then the mean of the members'
    quantiles at that rank. Their mean is a rank mean on the scale of scores."""
    table = np.asarray(knots, np.float64)
    ranks = ensemble.to_rank(values, table[member])
    return np.asarray(np.interp(ranks, np.linspace(0, 1, table.shape[1]), table.mean(axis=0)))
