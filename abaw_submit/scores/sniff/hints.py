"""A word for who gives scores where something else was asked for."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.arrays import format_of
from abaw_submit.scores.sniff.columns import read_columns
from abaw_submit.scores.sniff.sources import list_files
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.text import read_text
from abaw_submit.tasks import TASKS

_HEAD_BYTES = 1 << 16


def scores_hint(path: Path, kind: str) -> str | None:
    """What to do with a would-be submission that holds scores: probabilities, or arrays. None if it does not.

    Args:
        path: what was given to `check`.
        kind: AU, EXPR, VA; other kinds have no scores.
    """
    task = TASKS.get(kind)
    try:
        first = path if path.is_file() else next(iter(list_files(path, Options())[0]))
        with first.open("rb") as handle:
            head = handle.read(_HEAD_BYTES)
    except (UserError, OSError, StopIteration):
        return None
    made = f"abaw-submit format --task {kind} --scores {path} --template TEMPLATE --out FILE"
    found = format_of(first, head[:16])
    if found in ("npy", "npz", "HDF5", "pickle", "MATLAB", "JSON"):
        return f"{path} is a file of arrays ({found}), not a submission. If it holds scores:\n{made}"
    if task is None or found != "text":
        return None
    try:
        table = read_text(first, (first.stem,), Options(), task, data=head[: head.rfind(b"\n") + 1])
        reading = read_columns(table, task, Options())
    except UserError:
        return None
    labels = reading.classes or ((reading.values == 0) | (reading.values == 1)).all()
    if labels or task.decision is Decision.CLIP:
        return None
    return f"{path} holds {task.name} scores (probabilities), not a submission. Next:\n{made}"
