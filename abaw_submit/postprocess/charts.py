"""Pictures of a selection: score against window, reliability, weights, before and after."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt

from abaw_submit.postprocess.score_table import ScoreTable
from abaw_submit.postprocess.smoothing import parse_filter
from abaw_submit.scores.files import Scores
from abaw_submit.store import atomic_path

matplotlib.use("Agg")
import matplotlib.pyplot as plt

matplotlib.rcParams["text.parse_math"] = False  # a member or track may be named "$x$"

_COLOURS = {"median": "#4c78a8", "mean": "#f58518", "gaussian": "#54a24b", "savgol": "#b279a2"}
_BEFORE, _AFTER, _TRUTH = "#b0b0b0", "#d62728", "#222222"


def draw_all(out: Path, summary: Mapping[str, Any], table: ScoreTable, crossfit: Scores) -> list[Path]:
    """Draw every picture into a folder; gives the files."""
    figures = {
        "windows": _windows(summary),
        "reliability": _reliability(summary),
        "weights": _weights(summary),
        "timelines": _timelines(summary, table, crossfit),
        "steps": _steps(summary),
    }
    paths = []
    for name, figure in figures.items():
        if figure is None:
            continue
        path = out / f"{name}.png"
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        plt.close(figure)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
        paths.append(path)
    return paths


def _windows(summary: Mapping[str, Any]) -> Any:
    """Cross-fitted score against window for each filter. The bands are the intervals of the paired difference
    to no filter, which is what matters; dotted: optimistic."""
    rows = summary["filters"]
    if not rows:
        return None
    base = rows[0]["cross_fitted"]
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for kind, colour in _COLOURS.items():
        points = []
        for row in rows:
            single = [f for f in map(parse_filter, (row["before"], row["after"])) if f.kind != "none"]
            if len(single) == 1 and single[0].kind == kind:
                width = single[0].size * (4 if kind == "gaussian" else 1)
                points.append((width, row["cross_fitted"], *row["gain_interval"], row["optimistic"]))
        if points:
            x, y, low, high, optimistic = np.array(sorted(points)).T
            axis.plot(x, y, color=colour, label=kind)
            axis.plot(x, optimistic, color=colour, linestyle=":", linewidth=1)
            axis.fill_between(x, base + low, base + high, color=colour, alpha=0.12, linewidth=0)
    axis.axhline(base, color=_TRUTH, linewidth=0.8, label="none")
    axis.set_xscale("log")
    axis.set_xlabel("window in rows (Gaussian: 4 sigma)")
    axis.set_ylabel(f"{summary['metric']}, cross-fitted (dotted: optimistic)")
    axis.set_title(f"{summary['task']}: smoothing; bands: 95 % of the difference to none", fontsize=10)
    axis.legend(frameon=False)
    return figure


def _steps(summary: Mapping[str, Any]) -> Any:
    """Every set of steps: cross-fitted with interval, and what would have been reported."""
    rows = summary["step_sets"]
    figure, axis = plt.subplots(figsize=(8, 1.2 + 0.32 * len(rows)), layout="constrained")
    place = np.arange(len(rows))[::-1]
    fair = np.array([r["cross_fitted"] for r in rows])
    low, high = np.array([r["interval"] for r in rows]).T
    axis.hlines(place, low, high, color=_BEFORE)
    axis.plot(fair, place, "o", color=_TRUTH, label="cross-fitted, 95 % interval")
    axis.plot([r["optimistic"] for r in rows], place, "x", color=_AFTER, label="optimistic")
    axis.set_yticks(place, [" + ".join(r["steps"]) or "nothing" for r in rows])
    axis.set_xlabel(summary["metric"])
    axis.legend(frameon=False)
    return figure


def _grid(number: int, width: float = 2.6) -> tuple[Any, list[Any]]:
    columns = min(number, 4)
    rows = -(-number // columns)
    size = (max(width * columns, 5), width * rows + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    flat = list(axes.ravel())
    for axis in flat[number:]:
        axis.axis("off")
    return figure, flat[:number]


def _reliability(summary: Mapping[str, Any]) -> Any:
    """Mean truth against mean score in bins of the score, before and after (cross-fitted)."""
    figure, axes = _grid(len(summary["reliability"]))
    for axis, (name, curves) in zip(axes, summary["reliability"].items(), strict=True):
        for when, colour in (("before", _BEFORE), ("after", _AFTER)):
            axis.plot(curves[when]["score"], curves[when]["truth"], "o-", ms=3, color=colour, label=when)
        low = -1 if summary["task"] == "VA" else 0
        axis.plot([low, 1], [low, 1], color=_TRUTH, linewidth=0.6)
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
    axes[0].legend(frameon=False, fontsize=7)
    figure.supxlabel("mean score", fontsize=9)
    figure.supylabel("mean truth", fontsize=9)
    return figure


def _weights(summary: Mapping[str, Any]) -> Any:
    """Weights of the members per output; with one member there is nothing to see."""
    members = summary["members"]
    if len(members) < 2:
        return None
    outputs = list(members[0]["weights"])
    figure, axis = plt.subplots(figsize=(max(5, 0.8 * len(outputs) + 2), 3.4), layout="constrained")
    base = np.zeros(len(outputs))
    for member in members:
        height = np.array([member["weights"][o] for o in outputs])
        axis.bar(outputs, height, bottom=base, label=f"{member['name']} (alone {member['score']:.3f})")
        base += height
    axis.set_ylabel("weight")
    axis.tick_params(axis="x", labelrotation=30 if len(outputs) > 4 else 0)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _timelines(summary: Mapping[str, Any], table: ScoreTable, crossfit: Scores) -> Any:
    """Truth, plain mean and cross-fitted result of the tracks that gain and lose most."""
    gains = summary["track_gains"]
    names = list(dict.fromkeys(r["track"] for r in (*gains[:2], *gains[-2:])))
    worth = {r["track"]: r["gain"] for r in gains}
    task = table.task
    outputs = list(range(task.outputs)) if task.name == "VA" else [_liveliest(table, names)]
    figure, axes = plt.subplots(
        len(names),
        len(outputs),
        figsize=(6 * len(outputs), 1.8 * len(names)),
        layout="constrained",
        squeeze=False,
    )
    for line, name in zip(axes, names, strict=True):
        k = table.names.index(name)
        rows = slice(int(table.starts[k]), int(table.starts[k + 1]))
        valid = table.valid[rows]
        for axis, o in zip(line, outputs, strict=True):
            truth = _truth(table, rows, o)
            axis.plot(np.where(valid, truth, np.nan), color=_TRUTH, linewidth=1.2, label="truth")
            axis.plot(table.scores[:, o, rows].mean(axis=0), color=_BEFORE, linewidth=0.7, label="before")
            axis.plot(crossfit[name][:, o], color=_AFTER, linewidth=1, label="after, cross-fitted")
            axis.set_title(f"{name}, {task.columns[o]}: {worth[name]:+.4f} of the score", fontsize=8)
            axis.tick_params(labelsize=7)
    axes[0, 0].legend(frameon=False, fontsize=7)
    axes[-1, 0].set_xlabel("row", fontsize=8)
    return figure


def _truth(table: ScoreTable, rows: slice, output: int) -> npt.NDArray[np.float32]:
    if table.task.name == "EXPR":
        return np.asarray(table.truth[rows, 0] == output, np.float32)
    return np.asarray(table.truth[rows, output])


def _liveliest(table: ScoreTable, names: list[str]) -> int:
    """The output whose truth changes most often in the tracks shown."""
    changes = np.zeros(table.task.outputs)
    for name in names:
        k = table.names.index(name)
        rows = slice(int(table.starts[k]), int(table.starts[k + 1]))
        for o in range(len(changes)):
            changes[o] += np.abs(np.diff(_truth(table, rows, o)[table.valid[rows]])).sum()
    return int(changes.argmax())
