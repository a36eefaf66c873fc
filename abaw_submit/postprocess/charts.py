"""Pictures of a selection: steps, windows, reliability, weights, before and after. The report shows them too.

Each function gives a chart and its caption, from what `select` wrote into selection.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit import charts
from abaw_submit.charts import Spec
from abaw_submit.draw import draw
from abaw_submit.postprocess.score_table import ScoreTable
from abaw_submit.postprocess.smoothing import parse_filter
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import Task

GAUSSIAN_WIDTH = 4  # sigmas that a Gaussian is as wide as
_POINTS = 600  # of a timeline; longer tracks are drawn by every so many rows
Summary = Mapping[str, Any]
Drawn = tuple[Spec, str]


def draw_all(out: Path, summary: Summary, table: ScoreTable, crossfit: Scores) -> list[Path]:
    """Draw every picture into a folder as SVG; gives the files."""
    paths = []
    for name, one in (
        ("steps", steps(summary)),
        ("windows", windows(summary)),
        ("weights", weights(summary)),
    ):
        if one is not None:
            paths.append(draw(out / f"{name}.svg", [("", one[0])], one[1]))
    curves = reliability(summary)
    if curves:
        titles = {"before": "as the models say", "after": "after the recipe"}
        both = [(titles[when], spec) for when, (spec, _) in curves.items()]
        paths.append(draw(out / "reliability.svg", both, next(iter(curves.values()))[1]))
    paths.append(draw(out / "timelines.svg", *timelines(summary, table, crossfit)))
    return paths


def steps(summary: Summary) -> Drawn:
    """Every set of steps: cross-fitted with its interval, and what would have been reported."""
    rows = []
    for entry in summary["step_sets"]:
        name, told = " + ".join(entry["steps"]) or "nothing", entry["optimistic"]
        low, high = entry["interval"]
        rows.append(
            {"name": name, "value": entry["cross_fitted"], "low": low, "high": high, "kind": "cross-fitted"}
        )
        rows.append({"name": name, "value": told, "low": told, "high": told, "kind": "optimistic"})
    return charts.intervals(rows, summary["metric"]), (
        "Every set of steps: cross-fitted with its 95 % interval, and the optimistic score that comes"
        " out when a recipe is scored on the tracks it was fitted on. Only the first can be believed."
    )


def windows(summary: Summary) -> Drawn | None:
    """Cross-fitted score against window for each filter; None where none was tried."""
    found = summary["filters"]
    base = found[0]["cross_fitted"] if found else 0.0
    # a filter may be tried in both places; the better one is drawn
    best: dict[tuple[str, float], dict[str, Any]] = {}
    for entry in sorted(found, key=lambda entry: entry["cross_fitted"]):
        used = [f for f in map(parse_filter, (entry["before"], entry["after"])) if f.kind != "none"]
        if len(used) != 1:
            continue
        width = float(used[0].size * (GAUSSIAN_WIDTH if used[0].kind == "gaussian" else 1))
        low, high = entry["gain_interval"]
        best[used[0].kind, width] = {
            "x": width, "y": entry["cross_fitted"], "low": base + low, "high": base + high,
            "series": used[0].kind,
        }  # fmt: skip
    if not best:
        return None
    ordered = [best[key] for key in sorted(best)]
    top = max(ordered, key=lambda point: point["y"])
    spec = charts.lines(ordered, "width, rows", summary["metric"], log=True, level=base)
    return spec, (
        f"The cross-fitted {summary['metric']} against the width of the filter in rows (a Gaussian counts as"
        f" four sigmas). Dashed: no filter, {base:.3f}. Best: {top['series']}, {top['x']:g} rows,"
        f" {top['y']:.3f}. Bands are 95 % intervals of the difference to no filter."
    )


def reliability(summary: Summary) -> dict[str, Drawn]:
    """Mean truth against mean score in bins of the score, "before" and "after" the recipe."""
    low = min(-1.0 if _signed(both) else 0.0 for both in summary["reliability"].values())
    found = {}
    for when, title in (("before", "as the models say"), ("after", "after the recipe")):
        rows = [
            {"x": x, "y": y, "series": output}
            for output, both in summary["reliability"].items()
            for x, y in zip(both[when]["score"], both[when]["truth"], strict=True)
            if x is not None and y is not None
        ]
        if rows:
            found[when] = (
                charts.lines(rows, "mean score", "mean truth", diagonal=(low, 1.0)),
                f"Scores {title}: the mean truth of rows with about the same score. On the dashed line, a"
                " score is worth what it says.",
            )
    return found


def _signed(both: Mapping[str, Any]) -> bool:
    return any(value is not None and value < 0 for when in both.values() for value in when["truth"])


def weights(summary: Summary) -> Drawn | None:
    """Weights of the members per output; None with one member."""
    members = summary["members"]
    if len(members) < 2:
        return None
    rows = [
        {"output": output, "series": f"{member['name']} (alone {member['score']:.3f})", "value": weight}
        for member in members
        for output, weight in member["weights"].items()
    ]
    return charts.dots(rows, "weight"), "The weight of each member for each output, and its score alone."


def agreement(summary: Summary) -> Drawn:
    """How alike the members' scores are."""
    names = [member["name"] for member in summary["members"]]
    outputs = summary["agreement"]
    cells = []
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            value = sum(matrix[i][j] for matrix in outputs.values()) / len(outputs)
            shown = {"share": max(value, 0.0), "text": f"{value:.2f}", "count": summary["rows"]}
            cells.append({"y": one, "x": other, **shown})
    return charts.heat(cells, "", ""), (
        "Correlation of the members' scores, mean over outputs. Members help each other when they are"
        " nearly as good and not alike."
    )


def timelines(summary: Summary, table: ScoreTable, crossfit: Scores) -> tuple[list[tuple[str, Spec]], str]:
    """Truth, plain mean and cross-fitted result of the tracks that gain and lose most."""
    gains = summary["track_gains"]
    names = list(dict.fromkeys(row["track"] for row in (*gains[:2], *gains[-2:])))
    worth = {row["track"]: row["gain"] for row in gains}
    task = table.task
    outputs = list(range(task.outputs)) if task.outputs == 2 else [_liveliest(table, names)]
    drawn = []
    for name in names:
        k = table.names.index(name)
        rows = slice(int(table.starts[k]), int(table.starts[k + 1]))
        step = -(-(rows.stop - rows.start) // _POINTS)
        for o in outputs:
            truth = np.where(table.valid[rows], _truth(task, table.truth[rows], o), np.nan)
            series = {
                "truth": truth,
                "before": table.scores[:, o, rows].mean(axis=0),
                "after": crossfit[name][:, o],
            }
            points = [
                {
                    "x": row + 1,
                    "y": round(float(values[row]), 4) if np.isfinite(values[row]) else None,
                    "series": s,
                }
                for s, values in series.items()
                for row in range(0, len(values), step)
            ]
            spec = {**charts.lines(points, "row", task.columns[o], points=False), "height": 110}
            drawn.append((f"{name}, {task.columns[o]}: {worth[name]:+.4f} of the score", spec))
    return drawn, (
        "The tracks that gain most from the recipe, then those that lose most: the truth, the mean of the"
        " members as they are, and the result of a recipe that was chosen without the track."
    )


def _truth(task: Task, truth: npt.NDArray[Any], output: int) -> npt.NDArray[np.float32]:
    if task.label_columns < task.outputs:  # one class number for several outputs
        return np.asarray(truth[:, 0] == output, np.float32)
    return np.asarray(truth[:, output], np.float32)


def _liveliest(table: ScoreTable, names: list[str]) -> int:
    """The output whose truth changes most often in the tracks shown."""
    changes = np.zeros(table.task.outputs)
    for name in names:
        k = table.names.index(name)
        rows = slice(int(table.starts[k]), int(table.starts[k + 1]))
        for o in range(len(changes)):
            truth = _truth(table.task, table.truth[rows], o)
            changes[o] += np.abs(np.diff(truth[table.valid[rows]])).sum()
    return int(changes.argmax())
