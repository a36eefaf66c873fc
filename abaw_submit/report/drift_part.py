"""Does the test set look like what the recipe was chosen on? Predictions of both, side by side."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit import charts
from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.report.blocks import Block, Chart, Section, Table
from abaw_submit.report.find import TaskRun
from abaw_submit.report.results import Results
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_scores
from abaw_submit.tasks import Task

OUTLYING = 3.5  # robust standard deviations (Iglewicz and Hoaglin, 1993)
SHOWN = 12


def drift_section(run: TaskRun, results: Results) -> Section | None:
    """Class rates or moments of validation and test, and the tracks that stand out; None without test"
    " scores."""
    if run.test is None:
        return None
    test = read_scores(run.test, run.task)
    blocks = [*_rates(results, test), *outlying(results, test), *_folds(run)]
    return Section("From validation to test", blocks, prefix=run.task.name)


def _rates(results: Results, test: Scores) -> list[Block]:
    task = results.task
    truth, _ = results.pooled(results.processed)
    said = np.concatenate([results.processed[t] for t in results.tracks])
    unseen = np.concatenate(list(test.values()))
    if task.decision is Decision.CLIP:
        rows = [
            [name, *_moments(truth[:, k]), *_moments(said[:, k]), *_moments(unseen[:, k])]
            for k, name in enumerate(task.columns)
        ]
        head = ["", "truth: mean", "deviation", "validation: mean", "deviation", "test: mean", "deviation"]
        return [
            Table(
                head,
                rows,
                "Moments of the labels, of the out-of-fold predictions, and of the predictions that are"
                " submitted. A smaller deviation than the truth's costs CCC.",
            )
        ]
    rates = [
        ("truth", _shares(task, truth)),
        ("validation", _shares(task, decide(task, said))),
        ("test", _shares(task, decide(task, unseen))),
    ]
    points = [
        {"output": name, "series": series, "value": float(values[k])}
        for series, values in rates
        for k, name in enumerate(task.columns)
    ]
    caption = (
        "How often each label is true, is predicted out of fold, and is predicted on the test rows. The"
        " labels of the test set are unknown; rates that differ much from validation deserve a look."
    )
    return [Chart(charts.dots(points, "share of rows"), caption)]


def outlying(results: Results, test: Scores) -> list[Block]:
    """Test tracks whose mean scores lie far from those of the validation tracks."""
    known = np.stack([results.processed[t].mean(axis=0) for t in results.tracks])
    centre = np.median(known, axis=0)
    spread = 1.4826 * np.median(np.abs(known - centre), axis=0)
    spread = np.maximum(spread, 1e-3)
    found: list[tuple[float, list[str]]] = []
    for track, values in test.items():
        z = (values.mean(axis=0) - centre) / spread
        k = int(np.abs(z).argmax())
        if abs(z[k]) > OUTLYING:
            name = results.task.columns[k]
            mean = f"{values[:, k].mean():.3f}"
            found.append(
                (
                    float(abs(z[k])),
                    [track, name, mean, f"{centre[k]:.3f}", f"{z[k]:+.1f}", f"{len(values):,}"],
                )
            )
    if not found:
        text = f"No test track's mean score lies more than {OUTLYING} robust deviations from the middle."
        return [Table(["outlying test tracks"], [["none"]], text)]
    rows = [cells for _, cells in sorted(found, key=lambda f: -f[0])]
    caption = (
        f"{len(rows)} of {len(test)} test tracks lie more than {OUTLYING} robust deviations from the middle"
        " of the validation tracks: unusual people, or something wrong with their crops."
    )
    head = ["test track", "output", "mean", "validation's middle", "deviations", "rows"]
    return [Table(head, rows, caption, open_rows=SHOWN)]


def _folds(run: TaskRun) -> list[Block]:
    """How alike the folds' models are on the test rows."""
    if len(run.tests) < 2:
        return []
    scores = {name: read_scores(path, run.task) for name, path in run.tests.items()}
    shared = sorted(set.intersection(*(set(s) for s in scores.values())))
    if not shared:
        return []
    pooled = {name: np.concatenate([s[t] for t in shared]) for name, s in scores.items()}
    rows = len(next(iter(pooled.values())))
    cells: list[dict[str, Any]] = [_cell(name, name, 1.0, rows) for name in pooled]
    for one, other in combinations(pooled, 2):
        value = _correlation(pooled[one], pooled[other])
        cells += [_cell(one, other, value, rows), _cell(other, one, value, rows)]
    order = {name: k for k, name in enumerate(pooled)}
    cells.sort(key=lambda c: (order[c["y"]], order[c["x"]]))
    caption = (
        "Correlation of the folds' scores on the test rows, mean over outputs. Averaging them gains the"
        " more, the less alike they are, and shrinks the spread of valence and arousal."
    )
    return [Chart(charts.heat(cells, "fold", "fold"), caption)]


def _cell(y: str, x: str, value: float, rows: int) -> dict[str, Any]:
    return {"y": y, "x": x, "share": max(value, 0.0), "text": f"{value:.2f}", "count": rows}


def _correlation(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    return float(np.mean((a * b).sum(axis=0) / np.maximum(scale, 1e-12)))


def _shares(task: Task, labels: npt.NDArray[Any]) -> F64:
    return np.asarray(task.kind.occurrences(labels, task.outputs) / max(len(labels), 1))


def _moments(values: npt.NDArray[Any]) -> list[str]:
    return [f"{values.mean():+.3f}", f"{values.std():.3f}"]
