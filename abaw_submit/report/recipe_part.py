"""The part of the page about the recipe: how `select` chose it, from selection.json."""

from __future__ import annotations

from typing import Any

from abaw_submit.report import charts
from abaw_submit.report.blocks import Block, Chart, Section, Table, Text
from abaw_submit.tasks import Task

GAUSSIAN_WIDTH = 4  # sigmas that a Gaussian is as wide as


def recipe_section(task: Task, choice: dict[str, Any]) -> Section:
    """Steps, windows, reliability, members."""
    kept = ", ".join(choice["steps_kept"]) or "none"
    intro = (
        f"Of the steps {', '.join(choice['steps_tried'])}, kept: {kept}. A step is kept only if it gains"
        " more than its uncertainty on recordings that it was not fitted on."
    )
    parts = [_windows(choice), _reliability(task, choice), _members(task, choice)]
    return Section(
        "How the recipe was chosen",
        [Text(intro), *_steps(choice)],
        [Section(title, blocks, prefix=task.name) for title, blocks in parts if blocks],
        prefix=task.name,
    )


def _steps(choice: dict[str, Any]) -> list[Block]:
    rows = []
    for entry in choice["step_sets"]:
        name = " + ".join(entry["steps"]) or "nothing"
        low, high = entry["interval"]
        fair = {
            "name": name,
            "value": entry["cross_fitted"],
            "low": low,
            "high": high,
            "kind": "cross-fitted",
        }
        optimistic = entry["optimistic"]
        told = {
            "name": name,
            "value": optimistic,
            "low": optimistic,
            "high": optimistic,
            "kind": "optimistic",
        }
        rows += [fair, told]
    verdicts = {test["step"]: test for test in choice["tests"]}  # the last time a step was tried decides
    cells = [
        [
            step,
            "kept" if step in choice["steps_kept"] else "dropped",
            f"{test['gain']:+.4f}",
            f"{test['wanted']:.4f}",
            f"{test['low']:+.4f} … {test['high']:+.4f}",
        ]
        for step, test in verdicts.items()
    ]
    return [
        Chart(
            charts.intervals(rows, choice["metric"]),
            "Every set of steps: cross-fitted with its 95 % interval, and the optimistic score that comes"
            " out when a recipe is scored on the tracks it was fitted on. Only the first can be believed.",
        ),
        Table(["step", "", "gain", "wanted", "95 % interval"], cells, "Each step, given the others."),
    ]


def _windows(choice: dict[str, Any]) -> tuple[str, list[Block]]:
    points = []
    for entry in choice["filters"]:
        used = [f for f in (entry["before"], entry["after"]) if f != "none"]
        if len(used) != 1:
            continue
        kind, _, size = used[0].partition(":")
        try:
            width = float(size) * (GAUSSIAN_WIDTH if kind == "gaussian" else 1)
        except ValueError:
            continue
        base = choice["filters"][0]["cross_fitted"]
        low, high = entry["gain_interval"]
        points.append(
            {"x": width, "y": entry["cross_fitted"], "low": base + low, "high": base + high, "series": kind}
        )
    if not points:
        return "", []
    # a filter may be tried in both places; the better one is drawn
    best: dict[tuple[str, float], dict[str, Any]] = {}
    for point in sorted(points, key=lambda p: p["y"]):
        best[point["series"], point["x"]] = point
    ordered = [best[key] for key in sorted(best)]
    base = choice["filters"][0]["cross_fitted"]
    top = max(ordered, key=lambda p: p["y"])
    caption = (
        f"The cross-fitted {choice['metric']} against the width of the filter in rows (a Gaussian counts as"
        f" four sigmas). Dashed: no filter, {base:.3f}. Best: {top['series']}, {top['x']:g} rows,"
        f" {top['y']:.3f}. Bands are 95 % intervals of the difference to no filter."
    )
    spec = charts.lines(ordered, "width, rows", choice["metric"], log=True, level=base)
    return "Smoothing windows", [Chart(spec, caption)]


def _reliability(task: Task, choice: dict[str, Any]) -> tuple[str, list[Block]]:
    blocks: list[Block] = []
    for when, title in (("before", "as the models say"), ("after", "after the recipe")):
        rows = [
            {"x": x, "y": y, "series": output}
            for output, both in choice["reliability"].items()
            for x, y in zip(both[when]["score"], both[when]["truth"], strict=True)
            if x is not None and y is not None
        ]
        if not rows:
            continue
        ends = (-1.0, 1.0) if task.name == "VA" else (0.0, 1.0)
        spec = charts.lines(rows, "mean score", "mean truth", diagonal=ends)
        caption = f"Scores {title}: the mean truth of rows with about the same score."
        blocks.append(Chart(spec, f"{caption} On the dashed line, a score is worth what it says."))
    return "Reliability", blocks


def _members(task: Task, choice: dict[str, Any]) -> tuple[str, list[Block]]:
    members = choice["members"]
    if len(members) < 2:
        return "", []
    names = [m["name"] for m in members]
    rows = [
        [
            m["name"],
            f"{m['score']:.4f}",
            *(f"{m['weights'][c]:.2f}" for c in task.columns if c in m["weights"]),
        ]
        for m in members
    ]
    outputs = choice["agreement"]
    cells = []
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            value = sum(matrix[i][j] for matrix in outputs.values()) / len(outputs)
            cells.append(
                {
                    "y": one,
                    "x": other,
                    "share": max(value, 0.0),
                    "text": f"{value:.2f}",
                    "count": choice["rows"],
                }
            )
    return "Members", [
        Table(
            ["member", "alone", *task.columns], rows, "Each member alone, and its weight for every output."
        ),
        Chart(
            charts.heat(cells, "", ""),
            "Correlation of the members' scores, mean over outputs. Members help each other when they are"
            " nearly as good and not alike.",
        ),
    ]
