"""The data of the players: truth, raw and processed scores of single tracks, small enough to lie in the page.

A value is one byte: 0 to 250 for a score from its lowest to its highest, 255 for none. Tracks longer than
`MAX_POINTS` rows are drawn by means over neighbouring rows. Where not all tracks fit, the worst, the best and
some between are taken.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import U8
from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.decisions import Decision
from abaw_submit.report.results import Results
from abaw_submit.tasks import Task

MAX_POINTS = 600
BUDGET_BYTES = 700_000  # of one task, so that a page at the official size stays under 5 MB
STEPS, NONE = 250, 255
RATE_HZ = 30.0  # where there is no ledger to say


@dataclass(frozen=True)
class Times:
    """When the rows of a track are shown, and whether they show the face: (rows,) each."""

    time_s: npt.NDArray[np.float64]
    found: npt.NDArray[np.bool_]


def player_data(results: Results, crops: Path, order: Sequence[str]) -> dict[str, Any]:
    """Everything page.js needs to draw the timelines of a task.

    Args:
        results: the task's scores and truth.
        crops: folder of the ledgers.
        order: tracks, worst first.
    """
    task = results.task
    chosen = _choose(task, results, order)
    return {
        "task": task.name,
        "columns": list(task.columns),
        "recipe": results.has_recipe,
        "low": task.kind.low,
        "kind": task.decision.value,
        "tracks": [
            _track(results, track, track_times(crops, track, len(results.raw[track]))) for track in chosen
        ],
        "of": len(results.tracks),
    }


def track_times(crops: Path, track: str, rows: int) -> Times:
    """A track's times and faces from its ledger, or by the clock where there is none."""
    path = crops / track / LEDGER_NAME
    if path.is_file():
        ledger = read_ledger(path)
        if len(ledger) == rows:
            return Times(ledger.time_s, ledger.found)
    return Times(np.arange(rows) / RATE_HZ, np.ones(rows, bool))


def _choose(task: Task, results: Results, order: Sequence[str]) -> list[str]:
    """Tracks that fit into the budget, in the order given: from both ends, then between."""
    series = task.outputs * (2 if results.has_recipe else 1)
    point = (series + task.label_columns + 1) * 4 / 3 + 7
    cost = {t: point * min(len(results.raw[t]), MAX_POINTS) for t in order}
    if sum(cost.values()) <= BUDGET_BYTES:
        return list(order)
    third = len(order) // 3
    ends = [t for pair in zip(order[:third], reversed(order), strict=False) for t in pair]
    middle = list(order[third : len(order) - third])
    spread = sorted(range(len(middle)), key=lambda k: (k * 0.618) % 1)  # evenly, whatever number is taken
    both = [t for k, t in enumerate(ends)]
    queue = [*both[: len(both) * 2 // 3], *(middle[k] for k in spread)]
    taken: set[str] = set()
    left = float(BUDGET_BYTES)
    for track in dict.fromkeys(queue):
        if cost[track] <= left:
            taken.add(track)
            left -= cost[track]
    return [t for t in order if t in taken]


def _track(results: Results, track: str, times: Times) -> dict[str, Any]:
    task, truth = results.task, results.truth[track]
    rows = min(len(truth.values), len(results.raw[track]), len(times.time_s))
    step = -(-rows // MAX_POINTS)
    starts = np.arange(0, rows, step)
    middle = np.minimum(starts + step // 2, rows - 1)
    state = truth.valid[middle].astype(np.uint8) + 2 * times.found[middle].astype(np.uint8)
    low = task.kind.low
    out = {
        "name": track,
        "rows": rows,
        "step": step,
        "time": np.round(times.time_s[middle], 2).tolist(),
        "state": _pack(state),
        "truth": _pack(_truth(task, truth.values[middle], truth.valid[middle])),
        "raw": _pack(_bytes(_means(results.raw[track][:rows], starts), low)),
    }
    if results.has_recipe:
        out["processed"] = _pack(_bytes(_means(results.processed[track][:rows], starts), low))
    return out


def _means(values: npt.NDArray[Any], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Means over neighbouring rows, (points, outputs)."""
    sums = np.add.reduceat(values.astype(np.float64), starts, axis=0)
    return np.asarray(sums / np.diff(np.append(starts, len(values)))[:, None])


def _bytes(values: npt.NDArray[np.float64], low: float) -> U8:
    scaled = np.rint((np.clip(values, low, 1.0) - low) / (1.0 - low) * STEPS)
    return np.where(np.isfinite(values), scaled, NONE).astype(np.uint8)


def _truth(task: Task, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> U8:
    """VA as scores; AU and EXPR as they are; NONE where there is no label."""
    values = values.astype(np.float64)
    known = _bytes(values, task.kind.low) if task.decision is Decision.CLIP else values.astype(np.uint8)
    return np.where(valid[:, None], known, NONE).astype(np.uint8)


def _pack(values: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
