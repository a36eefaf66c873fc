"""A video's predictions as a CSV: one line per frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from abaw_submit.decisions import Decision
from abaw_submit.report.watch import Watched
from abaw_submit.scores.decide import decide
from abaw_submit.tasks import TASKS

LEDGER_COLUMNS = ("frame", "time_s", "face", "x", "y", "w", "h")


def frame_csv(watched: Watched) -> str:
    """The table as text.

    Columns: `frame` (1-based), `time_s`, `face` (1: this frame shows it), the box in px, then for each task
    its scores. Of AU also `AU1_present` and so on, of EXPR also `expression`, the decided labels.
    """
    return "\n".join(_lines(watched)) + "\n"


def _lines(watched: Watched) -> Iterator[str]:
    columns = list(LEDGER_COLUMNS)
    cells: list[list[str]] = []
    ledger = watched.ledger
    for name, scores in watched.scores.items():
        task = TASKS[name]
        columns += task.columns
        cells += [[f"{v:.4f}" for v in column] for column in scores.T]
        labels = decide(task, scores)
        if task.decision is Decision.THRESHOLD:
            columns += [f"{column}_present" for column in task.columns]
            cells += [[str(int(v)) for v in column] for column in labels.T]
        if task.decision is Decision.ARGMAX:
            columns.append("expression")
            cells.append([task.columns[int(k)] for k in labels[:, 0]])
    yield ",".join(columns)
    box = np.stack([ledger.x, ledger.y, ledger.w, ledger.h], axis=1)
    for k in range(len(ledger)):
        where = ",".join(f"{v:.1f}" for v in box[k]) if ledger.found[k] else ",,,"
        start = f"{ledger.row[k]},{ledger.time_s[k]:.4f},{int(ledger.found[k])},{where}"
        yield ",".join([start, *(column[k] for column in cells)])
