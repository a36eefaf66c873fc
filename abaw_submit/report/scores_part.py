"""The part of the page that says how good the run is: every number with what it may be compared to."""

from __future__ import annotations

from typing import Any

from abaw_submit import charts, metrics
from abaw_submit.arrays import F64
from abaw_submit.corpus.official import OFFICIAL
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.report.blocks import Block, Chart, Section, Table, Text
from abaw_submit.report.find import TaskRun
from abaw_submit.report.published import ON_TEST, ON_VALIDATION
from abaw_submit.report.results import Results
from abaw_submit.report.scoreboard import Board
from abaw_submit.scores.files import Scores, read_member
from abaw_submit.tasks import Task

RECIPE_NAME = "TMF + recipe"


def scores_section(board: Board, results: Results) -> Section:
    """All lines of the board with intervals, what each adds, and the published scores."""
    task = board.task
    rows = [
        _point(n.name, n.score.total, n.score.intervals["total"], "this run, out of fold")
        for n in board.lines
    ]
    if _is_official(results):  # elsewhere a picture would compare what cannot be compared
        rows += [
            _point(p.name, p.test[task.name], (p.test[task.name],) * 2, "published, official test set")
            for p in ON_TEST
            if task.name in p.test
        ]
    gains = [
        [n.name, f"{n.gain:+.3f}", "{:+.3f} … {:+.3f}".format(*n.gain_interval), n.against]
        for n in board.lines
        if n.against
    ]
    if board.smoothing is not None:
        s = board.smoothing
        gains.append([s.name, f"{s.gain:+.3f}", "{:+.3f} … {:+.3f}".format(*s.gain_interval), "TMF"])
    return Section(
        "Scores",
        [
            Chart(
                charts.intervals(rows, task.metric),
                f"The {task.metric} pooled over {board.rows:,} valid rows of {board.tracks} tracks. Every"
                " row was scored by a model, and a recipe, that had no part of its recording. Bars are 95 %"
                " intervals, by resampling recordings.",
            ),
            Table(
                ["what", "adds", "95 % interval", "to"],
                gains,
                "What each part adds, on the same resampled recordings: where the interval contains 0, the"
                " corpus cannot tell.",
            ),
            *_published(task, results),
        ],
        prefix=task.name,
    )


def _is_official(results: Results) -> bool:
    """Whether the annotations are as many as the official ones."""
    official = OFFICIAL[results.task.name]
    return len(results.truth) == official.train + official.validation


def _published(task: Task, results: Results) -> list[Block]:
    official = OFFICIAL[task.name]
    number = len(results.truth)
    ours = (
        f"This run has {number} annotated tracks; the official corpus has"
        f" {official.train + official.validation}. So these are not scores to be compared with: they show"
        " what the field has reached."
    )
    same = (
        "Out-of-fold scores of this run are not test scores: on the test set, most systems lose some points."
    )
    return [
        Table(
            ["on the official test set", task.metric],
            [[p.name, f"{p.test[task.name]:.3f}"] for p in ON_TEST if task.name in p.test],
            same if _is_official(results) else ours,
        ),
        Table(
            ["published elsewhere", "official validation", "official test"],
            [[name, f"{v:.3f}", f"{t:.3f}"] for t_name, name, v, t in ON_VALIDATION if t_name == task.name],
            "How much of a validation score was left on the test set.",
        ),
    ]


def official_section(run: TaskRun, results: Results) -> Section | None:
    """The score on the official validation set, which papers quote."""
    tracks = results.validation_tracks()
    if not tracks:
        return None
    systems: list[tuple[str, Scores, str]] = []
    for name, path in run.official.items():
        systems.append((name, read_member([path], run.task), "trained on the official training set"))
    systems.append(("TMF", results.raw, "out of fold"))
    if results.has_recipe:
        systems.append((RECIPE_NAME, results.processed, "out of fold"))
    points, rows = [], []
    for name, scores, how in systems:
        there = [t for t in tracks if t in scores]
        if not there:
            continue
        score = _scored(results, scores, there)
        label = f"{name}, {'official split' if how.startswith('trained') else 'folds'}"
        points.append(_point(label, score.total, score.intervals["total"], how))
        low, high = score.intervals["total"]
        rows.append([name, how, f"{score.total:.3f}", f"{low:.3f} … {high:.3f}", str(len(there))])
    note = (
        "The model of the official split was trained on the official training set alone."
        if run.official
        else "No model was trained on the official split; set `official = true` in [run] for that score."
    )
    return Section(
        "Official validation set",
        [
            Chart(
                charts.intervals(points, results.task.metric),
                f"The {len(tracks)} tracks of the official validation set, which is what papers quote."
                f" {note} Out of fold, the same tracks were scored by the models of the folds that held them"
                " out, which saw more data.",
            ),
            Table(
                ["system", "how", results.task.metric, "95 % interval", "tracks"],
                rows,
                "Intervals are over resampled recordings.",
            ),
        ],
        prefix=results.task.name,
    )


def outputs_section(board: Board) -> Section:
    """Every AU, expression, or valence and arousal."""
    rows: list[dict[str, Any]] = [
        {"output": output, "series": line.name, "value": value}
        for line in board.lines
        for output, value in line.score.per_output.items()
    ]
    head = ["", *board.task.columns, "mean"]
    cells = [
        [n.name, *(f"{v:.3f}" for v in n.score.per_output.values()), f"{n.score.total:.3f}"]
        for n in board.lines
    ]
    return Section(
        f"Per {board.task.kind.output_word}",
        [
            Chart(
                charts.dots(rows, board.task.kind.measure),
                "Every system of the board, a dot for each output. A click in the legend shows one alone.",
            ),
            Table(head, cells, f"The same as numbers: {board.task.kind.measure}, and their mean."),
        ],
        prefix=board.task.name,
    )


def folds_section(results: Results) -> Section:
    """The table of the paper: each fold's validation tracks, scored by the model that did not see them."""
    task = results.task
    rows = []
    for fold in sorted(set(results.fold_of.values())):
        tracks = [t for t in results.tracks if results.fold_of.get(t) == fold]
        if tracks:
            rows.append(
                [f"fold {fold}", *_cells(task, results.statistics(results.raw, tracks)), str(len(tracks))]
            )
    rows.append(["all, pooled", *_cells(task, results.statistics(results.raw)), str(len(results.tracks))])
    if results.has_recipe:
        stats = results.statistics(results.processed)
        rows.append(["all, with the recipe", *_cells(task, stats), str(len(results.tracks))])
    return Section(
        "Per fold",
        [
            Table(
                ["validation tracks of", *task.columns, "mean", "tracks"],
                rows,
                f"{task.kind.measure} of the TMF on each fold's held-out tracks. The pooled line is computed"
                " over all rows at once, so it is not the mean of the folds. A fold's score says little about"
                " its test score: average the folds, do not pick one.",
            )
        ],
        prefix=task.name,
    )


def ablation_section(board: Board, choice: dict[str, Any] | None) -> Section:
    """The paper's comparisons, as far as the run has them."""
    names = {line.name: line for line in board.lines}
    rows = []

    def add(what: str, name: str) -> None:
        if name in names:
            score = names[name].score
            rows.append([what, f"{score.total:.3f}", "{:.3f} … {:.3f}".format(*score.intervals["total"])])

    add("a constant", "constant")
    add("without TMF: the single-frame head", "single-frame head")
    add("TMF without sound", "TMF, picture only")
    add("TMF, no smoothing", "TMF")
    best = _best_filters(choice)
    rows += [[f"TMF, {k} ({f['width']} rows)", f"{f['score']:.3f}", _span(f)] for k, f in best.items()]
    add("TMF with the chosen recipe", RECIPE_NAME)
    caption = (
        "The comparisons of the method's paper. All are out of fold. The filters are the best of each kind,"
        " each cross-fitted, with the other steps the recipe kept around them."
    )
    return Section(
        "Ablations", [Table(["", board.task.metric, "95 % interval"], rows, caption)], prefix=board.task.name
    )


def _best_filters(choice: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Kind of filter -> the one that scores best among those with one filter only."""
    best: dict[str, dict[str, Any]] = {}
    for entry in choice["filters"] if choice else []:
        used = [f for f in (entry["before"], entry["after"]) if f != "none"]
        if len(used) != 1:
            continue
        kind, _, width = used[0].partition(":")
        if kind not in best or entry["cross_fitted"] > best[kind]["score"]:
            best[kind] = {"score": entry["cross_fitted"], "width": width, "interval": entry["interval"]}
    return best


def _scored(results: Results, scores: Scores, tracks: list[str]) -> metrics.Score:
    groups = [sibling_group(t) for t in tracks]
    stats = results.statistics(scores, tracks)
    return metrics.score_of_statistics(results.task, stats, resamples=metrics.RESAMPLES, groups=groups)


def _cells(task: Task, stats: F64) -> list[str]:
    pooled = stats.sum(axis=0)
    return [
        *(f"{v:.3f}" for v in metrics.per_output(task, pooled)),
        f"{float(metrics.total(task, pooled)):.3f}",
    ]


def _point(name: str, value: float, bounds: tuple[float, float], kind: str) -> dict[str, Any]:
    return {"name": name, "value": value, "low": bounds[0], "high": bounds[1], "kind": kind}


def _span(entry: dict[str, Any]) -> str:
    return "{:.3f} … {:.3f}".format(*entry["interval"])


def no_truth_section(run: TaskRun) -> Section:
    """What is said of a task that cannot be scored."""
    text = (
        "Nothing is scored here: there are no out-of-fold scores of this task, or no annotations were given."
    )
    return Section("Scores", [Text(text)], prefix=run.task.name)
