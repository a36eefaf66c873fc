"""selection.json: every candidate's score, optimistic and cross-fitted side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from abaw_submit import metrics
from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.postprocess import calibration, ensemble
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.recipe import identity_recipe
from abaw_submit.postprocess.selection import Selection, Selector, row_statistics
from abaw_submit.postprocess.ways import Choice, Weighting
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
    raw = row_statistics(m, apply_recipe(identity_recipe(m.task, m.members), members))
    best = row_statistics(m, apply_recipe(selection.recipe, members))
    fair = row_statistics(m, selection.crossfit)
    before = _sampled(selector, raw)
    return {
        "schema": SCHEMA,
        "task": m.task.name,
        "metric": m.task.metric,
        "tracks": len(m.names),
        "groups": len(set(m.groups)),
        "folds": len(m.levels),
        "rows": int(m.valid.sum()),
        "rule": dataclasses.asdict(rule),
        "steps_tried": list(selector.steps),
        "steps_kept": list(selection.recipe.steps),
        "verdicts": verdicts(selector, selection),
        "nothing": {"score": before[0], "interval": metrics.interval(before[1])},
        "best_member": _best_member(selector),
        "chosen": _row(best_score(m.task, best), _sampled(selector, fair), before),
        "per_output": _per_output(selector, raw, best, fair),
        "tests": [{**dataclasses.asdict(g), "kept": g.kept} for g in selection.tests],
        "step_sets": _step_sets(selector),
        "filters": _filters(selector, selection, progress),
        "members": member_report(selector, selection, members),
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


def verdicts(selector: Selector, selection: Selection) -> dict[str, str]:
    """What became of each step that was tried, in a word or two: a late step takes the place of others."""
    kept = set(selection.recipe.steps)
    found = {t.step: "kept" if t.step in kept else "dropped" for t in selection.tests}
    last = {t.step: t for t in selection.tests}
    for late, others in selector.search.late_steps.items():
        for step in others & set(last) if late in kept else ():
            if last[step].kept:
                found[step] = f"replaced by {late}"
    return found


def best_score(task: Any, stats: F64) -> float:
    """The official total of statistics per track."""
    return float(metrics.total(task, stats.sum(axis=0)))


def _sampled(selector: Selector, stats: F64) -> tuple[float, F64]:
    m, rule = selector.table, selector.rule
    samples = metrics.bootstrap(stats, rule.resamples, rule.seed, list(m.groups))
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
    samples = metrics.per_output(task, metrics.bootstrap(fair, rule.resamples, rule.seed, list(m.groups)))
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
        name = [s for s in selector.steps if s in steps]
        out.append({"steps": name, **_row(selector.optimistic(steps), fair, nothing)})
    return out


def _filters(selector: Selector, selection: Selection, progress: Progress) -> list[dict[str, Any]]:
    """Every filter for all outputs, with the weighting and decision of the chosen recipe refitted around
    it."""
    if "smooth" not in selector.steps:
        return []
    search, folds = selector.search, selector.all_folds
    chosen = search.choose(folds, frozenset({*selection.recipe.steps, "smooth"}))
    rows = []
    unsmoothed: tuple[float, F64] | None = None
    for f, pair in enumerate(progress(search.filters, label="table of filters")):
        choice = Choice((f,) * len(search.output_groups), chosen.weighting, chosen.decision)
        fair = _crossed(selector, choice)
        unsmoothed = fair if unsmoothed is None else unsmoothed
        whole = [search.stats(g, c, folds) for g, c in enumerate(search.fitted(choice, folds))]
        optimistic = float(np.mean([search.score(x.sum(axis=0)) for x in whole]))
        row = _row(optimistic, fair, unsmoothed)
        rows.append({"before": str(pair.before), "after": str(pair.after), **row})
    return rows


def _crossed(selector: Selector, choice: Choice) -> tuple[float, F64]:
    """The cross-fitted score of a given choice, and its bootstrap samples."""
    search, table = selector.search, selector.table
    out: list[F64] = []
    for inner, j in table.held_out(selector.all_folds):
        mine = table.tracks_in((j,))
        for g, columns in enumerate(search.fitted(choice, inner)):
            stats = search.stats(g, columns, inner)
            if g == len(out):
                out.append(np.zeros_like(stats))
            out[g][mine] = stats[mine]
    return selector.sampled(out, selector.all_folds)


def _best_member(selector: Selector) -> dict[str, float]:
    """One member alone, nothing else done to it: the best of each fold's training tracks, on the fold."""
    alone = Choice((0,) * len(selector.search.output_groups), Weighting("best"))
    return {"cross_fitted": _crossed(selector, alone)[0]}


def member_report(
    selector: Selector, selection: Selection, members: Mapping[str, Scores]
) -> list[dict[str, Any]]:
    """Strength against likeness: which members add something, and which only repeat the others.

    Per member its score alone, its mean correlation with the others, its weight per output, and what the
    cross-fitted score of the chosen recipe loses when it is left out of the weighting.
    """
    m = selector.table
    likeness = np.mean(list(_agreement(selector).values()), axis=0)
    chosen = selector.search.choose(selector.all_folds, frozenset(selection.recipe.steps))
    whole = _crossed(selector, chosen)[0]
    out = []
    for k, name in enumerate(m.members):
        own = row_statistics(m, apply_recipe(identity_recipe(m.task, [name]), {name: members[name]}))
        values = metrics.per_output(m.task, own.sum(axis=0))
        others = [i for i in range(len(m.members)) if i != k]
        weighting = dataclasses.replace(chosen.weighting, without=k)
        rest = _crossed(selector, dataclasses.replace(chosen, weighting=weighting))[0] if others else 0.0
        out.append(
            {
                "name": name,
                "score": best_score(m.task, own),
                "per_output": dict(zip(m.task.columns, values.tolist(), strict=True)),
                "weights": {c: column.weights[k] for c, column in selection.recipe.columns().items()},
                "correlation": float(likeness[k][others].mean()) if others else None,
                "adds": whole - rest if others else None,
            }
        )
    return out


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
    plain = apply_recipe(identity_recipe(m.task, m.members), members)
    both = {"before": plain, "after": selection.crossfit}
    out: dict[str, Any] = {}
    for k, name in enumerate(m.task.columns):
        argmax = m.task.decision is Decision.ARGMAX
        column = m.truth[m.valid, 0] == k if argmax else m.truth[m.valid, k]
        out[name] = {
            when: calibration.reliability(np.concatenate([s[t][:, k] for t in m.names])[m.valid], column)
            for when, s in both.items()
        }
    return out
