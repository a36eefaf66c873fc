"""selection.json: every candidate's score, optimistic and cross-fitted side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from abaw_submit import metrics
from abaw_submit.arrays import F64
from abaw_submit.postprocess import calibration, ensemble
from abaw_submit.postprocess.recipe import apply_recipe
from abaw_submit.postprocess.selection import Selection, Selector, mean_recipe, row_statistics
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import Scores

SCHEMA = "abaw_submit.selection/1"


def summarise(
    selector: Selector,
    selection: Selection,
    members: Mapping[str, Scores],
    progress: Progress = quiet,
) -> dict[str, Any]:
    """What `selection.json` holds.

    Every score comes twice: `optimistic` is fitted and scored on the same tracks, `cross_fitted` on
    tracks without a say; `difference` is what one would have fooled oneself by.
    """
    m, rule = selector.table, selector.rule
    raw = row_statistics(m, apply_recipe(mean_recipe(selection.recipe), members))
    best = row_statistics(m, apply_recipe(selection.recipe, members))
    fair = row_statistics(m, selection.crossfit)
    before = _sampled(selector, raw)
    return {
        "schema": SCHEMA,
        "task": m.task.name,
        "metric": m.task.metric,
        "tracks": len(m.names),
        "groups": len(set(m.groups)),
        "folds": m.folds,
        "rows": int(m.valid.sum()),
        "rule": dataclasses.asdict(rule),
        "steps_tried": list(selector.steps),
        "steps_kept": list(selection.recipe.steps),
        "nothing": {"score": before[0], "interval": metrics.interval(before[1])},
        "chosen": _row(best_score(m.task, best), _sampled(selector, fair), before),
        "per_output": _per_output(selector, raw, best, fair),
        "tests": [{**dataclasses.asdict(g), "kept": g.kept} for g in selection.tests],
        "step_sets": _step_sets(selector),
        "filters": _filters(selector, selection, progress),
        "members": _members(selector, selection, members),
        "agreement": _agreement(selector),
        "fold_recipes": [
            {
                "fold": k,
                "steps": list(r.steps),
                "tracks": [t for t, j in zip(m.names, m.fold, strict=True) if j == k],
            }
            for k, r in enumerate(selection.fold_recipes)
        ],
        "track_gains": _track_gains(selector, raw, fair),
        "reliability": _reliability(selector, members, selection),
    }


def best_score(task: Any, stats: F64) -> float:
    """The official total of statistics per track."""
    return float(metrics.total(task, stats.sum(axis=0)))


def _sampled(selector: Selector, stats: F64) -> tuple[float, F64]:
    m, rule = selector.table, selector.rule
    samples = metrics.bootstrap(stats, rule.resamples, rule.seed, m.group_list)
    return best_score(m.task, stats), metrics.total(m.task, samples)


def _row(optimistic: float, fair: tuple[float, F64], nothing: tuple[float, F64]) -> dict[str, Any]:
    return {
        "optimistic": optimistic,
        "cross_fitted": fair[0],
        "difference": optimistic - fair[0],
        "interval": metrics.interval(fair[1]),
        "gain": fair[0] - nothing[0],
        "gain_interval": metrics.interval(fair[1] - nothing[1]),
    }


def _per_output(selector: Selector, raw: F64, best: F64, fair: F64) -> dict[str, Any]:
    m, rule = selector.table, selector.rule
    task = m.task
    samples = metrics.per_output(task, metrics.bootstrap(fair, rule.resamples, rule.seed, m.group_list))
    values = [metrics.per_output(task, x.sum(axis=0)) for x in (raw, best, fair)]
    return {
        name: {
            "nothing": float(values[0][k]),
            "optimistic": float(values[1][k]),
            "cross_fitted": float(values[2][k]),
            "interval": metrics.interval(samples[:, k]),
        }
        for k, name in enumerate(task.columns)
    }


def _step_sets(selector: Selector) -> list[dict[str, Any]]:
    nothing = selector.measured(selector.all_folds, frozenset())
    out = []
    for steps in selector.every_set():
        fair = selector.measured(selector.all_folds, steps)
        parts = range(selector.engine.parts)
        optimistic = [float(selector.engine.score(selector.optimistic(steps, p).sum(axis=0))) for p in parts]
        name = [s for s in selector.steps if s in steps]
        out.append({"steps": name, **_row(float(np.mean(optimistic)), fair, nothing)})
    return out


def _filters(selector: Selector, selection: Selection, progress: Progress) -> list[dict[str, Any]]:
    """Every filter with the other kept steps around it (their plainest form)."""
    if "smooth" not in selector.steps:
        return []
    steps = frozenset({*selection.recipe.steps, "smooth"})
    pairs = selector.engine.pairs
    numbers = range(len(pairs))
    rows = []
    unsmoothed: tuple[float, F64] | None = None
    for f in progress(numbers, label="table of filters"):
        optimistic, fair = selector.probed(steps, f)
        unsmoothed = fair if unsmoothed is None else unsmoothed
        before, after = pairs[f]
        rows.append({"before": str(before), "after": str(after), **_row(float(optimistic), fair, unsmoothed)})
    return rows


def _members(selector: Selector, selection: Selection, members: Mapping[str, Scores]) -> list[dict[str, Any]]:
    m = selector.table
    out = []
    for k, name in enumerate(m.members):
        own = row_statistics(m, apply_recipe(mean_recipe(_alone(selection, name)), {name: members[name]}))
        values = metrics.per_output(m.task, own.sum(axis=0))
        weights = {c: column.weights[k] for c, column in selection.recipe.columns.items()}
        out.append(
            {
                "name": name,
                "score": best_score(m.task, own),
                "per_output": dict(zip(m.task.columns, values.tolist(), strict=True)),
                "weights": weights,
            }
        )
    return out


def _alone(selection: Selection, name: str) -> Any:
    return dataclasses.replace(selection.recipe, members=(name,))


def _agreement(selector: Selector) -> dict[str, Any]:
    m = selector.table
    return {
        name: ensemble.agreement(np.atleast_2d(np.cov(m.scores[:, k][:, m.valid]))).round(4).tolist()
        for k, name in enumerate(m.task.columns)
    }


def _track_gains(selector: Selector, raw: F64, fair: F64) -> list[dict[str, Any]]:
    """What each track adds to the gain: the pooled gain with it less the pooled gain without it."""
    task = selector.table.task
    whole = best_score(task, fair) - best_score(task, raw)
    without = metrics.total(task, fair.sum(0) - fair) - metrics.total(task, raw.sum(0) - raw)
    rows = [
        {"track": t, "gain": float(whole - w)} for t, w in zip(selector.table.names, without, strict=True)
    ]
    return sorted(rows, key=lambda r: (-r["gain"], r["track"]))


def _reliability(selector: Selector, members: Mapping[str, Scores], selection: Selection) -> dict[str, Any]:
    """Mean truth against mean score, before and after (cross-fitted), per output."""
    m = selector.table
    plain = apply_recipe(mean_recipe(selection.recipe), members)
    both = {"before": plain, "after": selection.crossfit}
    out: dict[str, Any] = {}
    for k, name in enumerate(m.task.columns):
        column = m.truth[m.valid, 0] == k if m.task.name == "EXPR" else m.truth[m.valid, k]
        out[name] = {
            when: calibration.reliability(np.concatenate([s[t][:, k] for t in m.names])[m.valid], column)
            for when, s in both.items()
        }
    return out
