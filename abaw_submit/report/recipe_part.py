"""The part of the page about the recipe: how `select` chose it, from selection.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from abaw_submit.postprocess import charts
from abaw_submit.report.blocks import Block, Chart, Section, Table, Text
from abaw_submit.tasks import Task


def recipe_section(task: Task, choice: dict[str, Any]) -> Section:
    """Steps, windows, reliability, members."""
    kept = ", ".join(choice["steps_kept"]) or "none"
    intro = (
        f"Of the steps {', '.join(choice['steps_tried'])}, kept: {kept}. A step is kept if, on recordings"
        " that it was not fitted on, it gains at least what the table below calls wanted."
    )
    windows = charts.windows(choice)
    parts: list[tuple[str, Sequence[Block]]] = [
        ("Smoothing windows", [Chart(*windows)] if windows is not None else []),
        ("Reliability", [Chart(*drawn) for drawn in charts.reliability(choice).values()]),
        ("Members", _members(task, choice)),
    ]
    return Section(
        "How the recipe was chosen",
        [Text(intro), *_steps(choice)],
        [Section(title, blocks, prefix=task.name) for title, blocks in parts if blocks],
        prefix=task.name,
    )


def _steps(choice: dict[str, Any]) -> list[Block]:
    verdicts = {test["step"]: test for test in choice["tests"]}  # the last time a step was tried decides
    cells = [
        [
            step,
            choice.get("verdicts", {}).get(step, ""),
            f"{test['gain']:+.4f}",
            f"{test['wanted']:.4f}",
            f"{test['low']:+.4f} … {test['high']:+.4f}",
        ]
        for step, test in verdicts.items()
    ]
    return [
        Chart(*charts.steps(choice)),
        Table(
            ["step", "", "gain", "wanted", "95 % interval"], cells, "What each step gains, given the others."
        ),
    ]


def _members(task: Task, choice: dict[str, Any]) -> list[Block]:
    members = choice["members"]
    if len(members) < 2:
        return []
    rows = [
        [
            m["name"],
            f"{m['score']:.4f}",
            *(f"{m['weights'][c]:.2f}" for c in task.columns if c in m["weights"]),
        ]
        for m in members
    ]
    caption = "Each member alone, and its weight for every output."
    return [Table(["member", "alone", *task.columns], rows, caption), Chart(*charts.agreement(choice))]
