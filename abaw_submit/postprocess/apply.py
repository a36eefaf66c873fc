"""A recipe applied to scores, some tracks at a time; only pooled levels look at other tracks.

Where levels are pooled the scores are gone through twice, once for the levels alone, so that no more than a
batch of tracks is held in memory however large the set is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64, Mask
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
BATCH_ROWS = 50_000  # smoothed at a time


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
    scores = {m: members[m] for m in used}
    parts = batches({t: len(members[used[0]][t]) for t in tracks}, BATCH_ROWS)
    moves = (
        pool_moves(recipe, scores, parts) if any(c.pooled for p in recipe.averaged for c in p.columns) else {}
    )
    out: dict[str, npt.NDArray[np.float32]] = {}
    for part in progress(parts, label="apply"):
        for track, mixed in zip(part, mixtures(recipe, scores, part), strict=True):
            if any(np.isnan(values).any() for values in mixed):
                raise UserError(f"Track {track}: an output has no score in any row; predict it again.")
            if track in moves:
                mixed = [one + by for one, by in zip(mixed, moves[track], strict=True)]
            out[track] = finished(recipe, mixed).astype(np.float32)
    return Scores(task, out)


def batches(rows: Mapping[str, int], most: int) -> list[list[str]]:
    """Tracks in runs of about as many rows; a longer track stands alone.

    >>> batches({"a": 3, "b": 4, "c": 9, "d": 1}, most=8)
    [['a', 'b'], ['c'], ['d']]
    """
    out: list[list[str]] = []
    held = most + 1
    for track, number in rows.items():
        if held + number > most:
            out.append([])
            held = 0
        out[-1].append(track)
        held += number
    return out


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


def mixtures(recipe: Recipe, members: Mapping[str, Scores], tracks: Sequence[str]) -> list[list[F64]]:
    """The weighted means of each track, (rows, outputs), one for each processing."""
    lengths = [len(next(iter(members.values()))[t]) for t in tracks]
    edges = np.cumsum([0, *lengths])
    pack, outputs = smoothing.Pack(lengths), get_task(recipe.task).outputs
    filled = {m: np.concatenate([_filled(s[t]) for t in tracks]) for m, s in members.items()}
    known = {m: [~np.isnan(v[a:b]).any(axis=0) for a, b in pairwise(edges)] for m, v in filled.items()}
    levels = [
        np.stack(
            [
                _stacked(p, recipe.members, {m: v[a:b] for m, v in filled.items()}, outputs)
                for a, b in pairwise(edges)
            ]
        )
        for p in recipe.averaged
    ]
    out = [np.empty((edges[-1], outputs)) for _ in recipe.averaged]
    for k in range(outputs):
        smoothed: dict[tuple[str, FilterPair], F64] = {}  # the processings share most of their filters
        for p, processing in enumerate(recipe.averaged):
            column = processing.columns[k]
            for m in filled:
                if (m, column.filters) not in smoothed:
                    there = np.repeat([one[k] for one in known[m]], lengths)
                    smoothed[m, column.filters] = _smooth(
                        pack, filled[m][:, k], there, column.filters, recipe.rate_hz
                    )
            parts = [smoothed.get((m, column.filters)) for m in recipe.members]
            out[p][:, k] = mix(column, parts, np.repeat(levels[p][:, k], lengths) if column.stacked else 0.0)
    return [[one[a:b] for one in out] for a, b in pairwise(edges)]


def _filled(values: npt.ArrayLike) -> F64:
    """Scores without gaps, (rows, outputs); an output with no score at all stays NaN."""
    table = np.array(values, np.float64)
    for k in np.flatnonzero(np.isnan(table).any(axis=0)):
        table[:, k] = smoothing.fill_missing(table[:, k])
    return table


def _smooth(pack: smoothing.Pack, column: F64, known: Mask, filters: FilterPair, rate_hz: float) -> F64:
    """A column of some tracks, filtered; tracks that have nothing stay NaN and touch no other."""
    values = np.where(known, column, 0.0)
    for one in (filters.before, filters.after):
        values = pack.run(values, one.in_rows(rate_hz))
    return values if known.all() else np.where(known, values, np.nan)


def pool_moves(
    recipe: Recipe, members: Mapping[str, Scores], parts: Sequence[Sequence[str]]
) -> dict[str, list[F64]]:
    """How far each track's levels are drawn to those of its pools: (outputs,) for each processing."""
    tracks = [t for part in parts for t in part]
    levels = np.array(
        [[one.mean(axis=0) for one in mixed] for part in parts for mixed in mixtures(recipe, members, part)]
    )
    moves = np.zeros_like(levels)
    for p, processing in enumerate(recipe.averaged):
        for k, column in enumerate(processing.columns):
            if column.pooled:
                shared = pool_means(levels[:, p, k], pool_of(tracks, column.pool))
                moves[:, p, k] = column.pooled * (shared - levels[:, p, k])
    return {track: list(by) for track, by in zip(tracks, moves, strict=True)}


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


def mix(column: Column, parts: Sequence[F64 | None], level: F64 | float = 0.0) -> F64:
    """The weighted mean of the smoothed members of one output, (rows,). Where a member is NaN, or None, it
    has nothing: the others stand in."""
    rows = next(len(p) for p in parts if p is not None)
    total, weight = np.zeros(rows), np.zeros(rows)
    for k, values in enumerate(parts):
        if column.weights[k] == 0 or values is None:
            continue
        ranked = rank_level(values, column.knots, k) if column.knots else values
        lacking = np.isnan(ranked)
        if lacking.any():
            total += column.weights[k] * np.where(lacking, 0.0, ranked)
            weight += column.weights[k] * ~lacking
        else:
            total += column.weights[k] * ranked
            weight += column.weights[k]
    uneven = np.abs(weight - 1) > 1e-9
    if uneven.any():
        total[uneven] /= np.where(weight[uneven] > 0, weight[uneven], np.nan)
    return np.asarray(total + column.stacked * level)


def decided(task: Task, columns: Sequence[Column], mixed: F64) -> F64:
    """Scores on which the default decision is that of the columns, (rows, outputs), from one track's
    mixtures."""
    if task.decision is Decision.CLIP:
        level = mixed.mean(axis=0)
        gains = np.array([[c.level_gain, c.movement_gain, c.offset] for c in columns]).T
        out = np.asarray(gains[2] + gains[0] * level + gains[1] * (mixed - level))
        for k, c in enumerate(columns):
            out[:, k] = np.interp(out[:, k], c.curve[0], c.curve[1]) if c.curve else out[:, k]
        return out
    mixed = np.clip(mixed, 0, 1)  # a Savitzky-Golay filter overshoots
    if task.decision is Decision.ARGMAX:
        bias = np.array([c.bias for c in columns])
        return calibration.softmax(np.log(np.maximum(mixed, 1e-6)) + bias) if bias.any() else mixed
    return thresholds.shift_to_half(mixed, [c.threshold for c in columns])


def rank_level(values: F64, knots: Sequence[Sequence[float]], member: int) -> F64:
    """Scores of a member brought to the members' common distribution: rank, then the mean of the members'
    quantiles at that rank. Their mean is a rank mean on the scale of scores."""
    table = np.asarray(knots, np.float64)
    ranks = ensemble.to_rank(values, table[member])
    return np.asarray(np.interp(ranks, np.linspace(0, 1, table.shape[1]), table.mean(axis=0)))
