"""The part of the page about mistakes: what is taken for what, for each kind of labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from abaw_submit import charts
from abaw_submit.decisions import Decision
from abaw_submit.report.blocks import Block, Chart, Section, Table
from abaw_submit.report.results import Results


def confusion_section(results: Results) -> Section:
    """What is taken for what."""
    title, draw = _BY_KIND[results.task.decision]
    return Section(title, draw(results), prefix=results.task.name)


def _matrix(results: Results) -> list[Block]:
    task, stats = results.task, results.statistics(results.processed).sum(axis=0)
    rows = stats / np.maximum(stats.sum(axis=1, keepdims=True), 1)
    cells = [
        {
            "y": truth,
            "x": said,
            "share": float(rows[i, j]),
            "text": f"{rows[i, j]:.0%}",
            "count": int(stats[i, j]),
        }
        for i, truth in enumerate(task.columns)
        for j, said in enumerate(task.columns)
    ]
    worst = max((c for c in cells if c["x"] != c["y"]), key=lambda c: float(str(c["count"])))
    caption = (
        "Each line is one true expression; its cells say what it was taken for, and add up to 100 %. The"
        f" commonest mistake: {worst['y']} taken for {worst['x']}, {worst['count']:,} rows."
    )
    return [Chart(charts.heat(cells, "predicted", "true"), caption)]


def _hits(results: Results) -> list[Block]:
    task, stats = results.task, results.statistics(results.processed).sum(axis=0)
    rows = []
    for name, (tp, fp, fn, tn) in zip(task.columns, stats, strict=True):
        precision, recall = tp / max(tp + fp, 1), tp / max(tp + fn, 1)
        f1 = 2 * tp / max(2 * tp + fp + fn, 1)
        shares = [
            f"{(tp + fn) / max(tp + fp + fn + tn, 1):.1%}",
            f"{(tp + fp) / max(tp + fp + fn + tn, 1):.1%}",
        ]
        counts = [f"{int(v):,}" for v in (tp, fp, fn, tn)]
        rows.append([name, f"{f1:.3f}", f"{precision:.3f}", f"{recall:.3f}", *shares, *counts])
    head = ["", "F1", "precision", "recall", "truly there", "said to be there"]
    return [
        Table(
            [*head, "hits", "false alarms", "misses", "rightly absent"],
            rows,
            "Out of fold, with the recipe. An action unit said to be there much more often than it is has a"
            " threshold that is too low.",
        )
    ]


def _densities(results: Results) -> list[Block]:
    truth, values = results.pooled(results.processed)
    blocks: list[Block] = []
    edges = np.linspace(-1, 1, 21)
    for k, name in enumerate(results.task.columns):
        counts, _, _ = np.histogram2d(truth[:, k], np.clip(values[:, k], -1, 1), bins=[edges, edges])
        top = max(counts.max(), 1)
        rows = [
            {
                "x0": float(edges[i].round(2)),
                "x1": float(edges[i + 1].round(2)),
                "y0": float(edges[j].round(2)),
                "y1": float(edges[j + 1].round(2)),
                "share": float((counts[i, j] / top).round(4)),
                "count": int(counts[i, j]),
            }
            for i, j in np.argwhere(counts > 0)
        ]
        slope = np.polyfit(truth[:, k], values[:, k], 1)[0] if truth[:, k].std() else 0.0
        caption = (
            f"{name.capitalize()}: how many rows have which truth and which prediction. The dashed line is a"
            f" perfect prediction. Predictions rise {slope:.2f} for each 1.00 of truth; well below 1 means"
            " that they are too cautious."
        )
        blocks.append(Chart(charts.binned(rows, f"true {name}", f"predicted {name}"), caption))
    return blocks


_BY_KIND: dict[Decision, tuple[str, Callable[[Results], list[Block]]]] = {
    Decision.THRESHOLD: ("Right and wrong, per action unit", _hits),
    Decision.ARGMAX: ("Confusion matrix", _matrix),
    Decision.CLIP: ("Truth against prediction", _densities),
}
