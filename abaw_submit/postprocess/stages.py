"""The stages `select` and `apply`, and `metrics`, as functions of explicit paths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit import metrics
from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.postprocess import pools
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.ensemble import average_folds
from abaw_submit.postprocess.recipe_json import RECIPE_NAME, read_recipe, write_recipe
from abaw_submit.postprocess.score_table import ScoreTable, build, groupings
from abaw_submit.postprocess.search import Adapter
from abaw_submit.postprocess.search_au import AdapterAU
from abaw_submit.postprocess.search_expr import AdapterEXPR
from abaw_submit.postprocess.search_va import AdapterVA
from abaw_submit.postprocess.selection import Rule, Selection, Selector
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.smoothing import candidates
from abaw_submit.postprocess.summary import summarise
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_scores, refuse_other_labels, write_scores
from abaw_submit.store import Stage, read_record, write_json
from abaw_submit.tasks import Task

Truth = dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]


@dataclass(frozen=True)
class SelectResult:
    """The summary (`selection.json`) and notes on tracks that did not count."""

    summary: dict[str, Any]
    notes: list[str]


ADAPTERS: dict[Decision, type[Adapter]] = {
    Decision.THRESHOLD: AdapterAU,
    Decision.ARGMAX: AdapterEXPR,
    Decision.CLIP: AdapterVA,
}


def make_search(
    table: ScoreTable,
    filters: int = 0,
    longest_rows: int = 601,
    progress: Progress = quiet,
    pools: Sequence[str] = (),
) -> Adapter:
    """The search of a task; 0 filters: as many as its adapter says. `pools`: see `pools.candidates`."""
    adapter = ADAPTERS[table.task.decision]
    return adapter(table, candidates(filters or adapter.usual_filters, longest_rows), progress, pools)


def choose(
    task: Task,
    members: Mapping[str, Scores],
    truth: Truth,
    settings: SelectSettings,
    progress: Progress = quiet,
) -> tuple[Selector, Selection]:
    """The whole search in memory.

    Raises:
        UserError: scores and truth do not fit, or too few groups.
    """
    table = build(
        task,
        members,
        truth,
        folds=settings.folds,
        group=groupings(settings.group),
        rate_hz=settings.rate_hz,
    )
    shared = pools.candidates(settings.pool, settings.group, table.names)
    search = make_search(table, settings.filters, settings.longest_rows, progress, shared)
    rule = Rule(settings.rule, settings.error_rate, settings.min_gain, settings.resamples, settings.seed)
    selector = Selector(search, settings.step_names(), rule, settings.average, settings.monotone)
    return selector, selector.run(dict(members), progress, min_run_rows=settings.min_run)


def run_select(
    task: Task,
    scores: Mapping[str, Sequence[Path]],
    truth: Path,
    out: Path,
    settings: SelectSettings,
    *,
    pictures: bool = True,
    progress: Progress = quiet,
) -> SelectResult:
    """The stage `select`: choose a recipe, write it with its cross-fitted scores.

    Args:
        task: the task.
        scores: member -> files.
        truth: annotations in any layout.
        out: the folder to write.
        settings: of the search.
        pictures: draw them.
        progress: wraps what is worked through: `progress(items, label=...)`.

    Raises:
        UserError: anything wrong with the inputs, named.
    """
    import json

    names = sorted(scores)
    plain = {**dataclasses.asdict(settings), "task": task.name, "members": names, "pictures": pictures}
    plain["files"] = [len(scores[n]) for n in names]
    stage = Stage(
        "select", out, settings=plain, inputs=[*(p for n in names for p in sorted(scores[n])), truth]
    )
    if stage.done():
        summary = json.loads((out / "selection.json").read_text(encoding="utf-8"))
        return SelectResult(summary, ["Nothing to do: the record matches inputs and settings."])
    if not settings.other_labels:
        for path in (path for name in names for path in scores[name]):
            refuse_other_labels(read_scores(path, task), path)
    members = {n: gather(scores[n], task) for n in names}
    labels = read_truth(truth, task)
    notes = [*(note for n in names for note in members[n].notes), *track_notes(members, labels)]
    with stage:
        selector, selection = choose(task, members, labels, settings, progress)
        kept = {n: _only(s, selector.table.names) for n, s in members.items()}
        summary = {**summarise(selector, selection, kept, progress), "notes": notes}
        noted = {
            "tracks": len(selector.table.names),
            "fingerprint": stage.fingerprint,
            "settings": stage.settings,
            "score": summary["chosen"]["cross_fitted"],
        }
        recipe = dataclasses.replace(selection.recipe, notes=noted)
        write_recipe(out / RECIPE_NAME, recipe)
        write_json(out / "selection.json", summary)
        write_scores(out / "crossfit", selection.crossfit)
        for path in [
            out / RECIPE_NAME,
            out / "selection.json",
            *sorted((out / "crossfit").iterdir()),
        ]:
            stage.output(path)
        if pictures:
            from abaw_submit.postprocess.charts import draw_all

            for path in draw_all(out, summary, selector.table, selection.crossfit):
                stage.output(path)
        stage.count("tracks", len(selector.table.names))
        stage.count("rows", summary["rows"])
    return SelectResult(json.loads(json.dumps(summary, default=float)), notes)


def run_apply(
    recipe: Path,
    scores: Mapping[str, Sequence[Path]],
    out: Path,
    restore: float | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """The stage `apply`: scores and a recipe to processed scores.

    Raises:
        UserError: scores of another task, other members or other columns; a malformed recipe.
    """
    chosen = read_recipe(recipe)
    if restore is not None:
        chosen = dataclasses.replace(chosen, restore=restore)
    if len(scores) == 1 and len(chosen.members) == 1 and set(scores) != set(chosen.members):
        (only,) = scores.values()
        if all("=" not in str(p) for p in only):
            scores = {chosen.members[0]: only}
    names = sorted(scores)
    files = [p for n in names for p in sorted(scores[n])]
    source = recipe / RECIPE_NAME if recipe.is_dir() else recipe
    settings = {"members": names, "files": [len(scores[n]) for n in names], "restore": chosen.restore}
    made = (
        [recipe] if recipe.is_dir() and read_record(recipe) else []
    )  # a folder of `select` holds nothing else
    stage = Stage("apply", out, settings=settings, inputs=[source, *files], reads=made)
    if not stage.done():
        members = {n: gather(scores[n], chosen.task, chosen.restore) for n in names}
        with stage:
            result = apply_recipe(chosen, members, progress)
            attributes = {"recipe": str(chosen.notes.get("fingerprint", "")), "steps": ",".join(chosen.steps)}
            write_scores(out, dataclasses.replace(result, attributes=attributes))
            for path in [out] if out.is_file() else sorted(out.glob("*.txt")):
                stage.output(path)
            stage.count("tracks", len(result))
            stage.count("rows", result.rows)

    counts = (read_record(out) or {"counts": {}})["counts"]
    return {
        "task": chosen.task,
        "tracks": int(counts["tracks"]),
        "rows": int(counts["rows"]),
        "out": str(out),
    }


def run_metrics(
    task: Task,
    paths: Sequence[Path],
    truth: Path,
    edition: int,
    group: Sequence[str],
    resamples: int,
    seed: int,
) -> tuple[metrics.Score, list[str]]:
    """The official score of scores under the default decision.

    Raises:
        UserError: no track in common, other row counts, or missing values.
    """
    scores = gather(paths, task)
    labels = read_truth(truth, task)
    notes = [*scores.notes, *track_notes({"scores": scores}, labels)]
    shared = [t for t in labels if t in scores]
    if not shared:
        raise UserError(
            "No track has both scores and truth. Compare the track names of --scores and --truth."
        )
    decided = {t: decide(task, scores[t]) for t in shared}
    for t in shared:
        if np.isnan(scores[t]).any():
            raise UserError(f"Track {t} has missing (NaN) scores; `apply` a recipe fills them.")
        if np.isinf(scores[t]).any():
            raise UserError(f"Track {t} holds infinite scores. Predict them again.")
    width = len(task.columns_of(edition)) if task.decision is Decision.THRESHOLD else None
    key = groupings(group)[0]
    score = metrics.score(
        task,
        {t: labels[t][0][:, :width] for t in shared},
        {t: decided[t][:, :width] for t in shared},
        {t: labels[t][1] for t in shared},
        edition=edition,
        resamples=resamples,
        seed=seed,
        groups={t: key(t) for t in shared},
    )
    return score, notes


def gather(paths: Sequence[Path], task: Task | str, restore: float = 1.0) -> Scores:
    """One member from its files: other tracks are put together, the same ones averaged (see `average_folds`).
    The order of the files does not matter."""
    return average_folds([read_scores(p, task) for p in sorted(paths)], restore)


def read_truth(path: Path, task: Task) -> Truth:
    """Track -> labels and valid rows, from annotations in any layout."""
    annotations = read_annotation_set(path, task)
    return {t: (a.values, a.valid) for t, a in sorted(annotations.items())}


def track_notes(members: Mapping[str, Scores], truth: Truth) -> list[str]:
    """Which tracks do not count, in words."""
    notes = []
    scored = set.intersection(*(set(s) for s in members.values()))
    for what, tracks in (
        ("annotated tracks have no scores and do not count", set(truth) - scored),
        ("scored tracks have no truth and do not count", scored - set(truth)),
    ):
        if tracks:
            names = sorted(tracks)
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            notes.append(f"Note: {len(names)} {what}: {', '.join(names[:5])}{more}.")
    return notes


def _only(scores: Scores, tracks: Sequence[str]) -> Scores:
    return Scores(scores.task, {t: scores[t] for t in tracks})
