"""Tables that other commands left as CSV: the ablations of a task, and the balance of its folds."""

from __future__ import annotations

import csv
from pathlib import Path

from abaw_submit.report.blocks import Section, Table
from abaw_submit.report.find import Run
from abaw_submit.tasks import Task

ABLATIONS = {
    "folds": "Each fold by itself (its own interval), then all folds' rows pooled.",
    "parts": "The full model with one part taken away.",
    "features": "The full model against each feature alone.",
    "filters": "One filter with the paper's window for the task, in place of the recipe.",
    "models": "Other sequence models on the same features and folds.",
}
_SHOWN = {"low": "95 % from", "high": "to", "difference_low": "from", "difference_high": "to"}


def ablation_tables(work: Path, task: Task) -> Section | None:
    """What `ablate` wrote under `<work>/ablations`; None where there is nothing."""
    found = []
    for name, caption in ABLATIONS.items():
        path = work / "ablations" / f"{task.key}_{name}.csv"
        if path.is_file():
            more = "" if name == "folds" else " Differences are to the first row, paired over recordings."
            found.append(_table(path, caption + more))
    return Section("The paper's tables", found, prefix=task.name) if found else None


def balance_table_of(run: Run, task: Task) -> Section | None:
    """What `split` wrote beside the folds: how often each label occurs in each validation part."""
    path = run.work.parent.parent / "splits" / f"{run.name}_{task.key}.balance.csv"
    if not path.is_file():
        return None
    caption = "Tracks, rows and labels of each fold's validation part."
    return Section("Balance of the folds", [_table(path, caption)], prefix=task.name)


def _table(path: Path, caption: str) -> Table:
    with path.open(encoding="utf-8", newline="") as handle:
        head, *rows = csv.reader(handle)
    return Table([_SHOWN.get(name, name.replace("_", " ")) for name in head], rows, caption)
