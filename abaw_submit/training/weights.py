"""Class weights beside the paper's: a check on any set of annotations.

The rule is the paper's (largest class count over own count), so on the official training sets the numbers are
nearly the published ones. A weight that is far off says that the annotations are not what they seem: another
edition, another order of columns, part of the tracks.
"""

from __future__ import annotations

from pathlib import Path

from abaw_submit.arrays import F32
from abaw_submit.store import write_text
from abaw_submit.tasks import Task

WEIGHTS_CSV = "class_weights.csv"
FACTOR = 2.0  # more than this away from the paper's is told
# arXiv 2303.10849, for the official training sets of the 5th edition (docs/reference/recipe.md, section 1)
PUBLISHED = {
    "AU": (5.278, 12.427, 3.918, 2.371, 1.574, 1.820, 2.587, 22.660, 20.121, 22.105, 1.0, 8.265),
    "EXPR": (1.0, 10.400, 16.232, 19.608, 1.856, 2.225, 5.611, 1.059),
}


def write_weights_table(folder: Path, task: Task, weights: F32) -> Path | None:
    """`class_weights.csv` of a checkpoint: each output, its weight here, the paper's, and their ratio.

    Args:
        folder: the checkpoint.
        task: the task; VA has no classes and no file.
        weights: (outputs,) the weights that were used.
    """
    published = PUBLISHED.get(task.name)
    if published is None:
        return None
    lines = ["class,weight,paper,ratio"]
    for name, own, paper in zip(task.columns, weights.tolist(), published, strict=True):
        lines.append(f"{name},{own:.3f},{paper:.3f},{own / paper:.3f}")
    write_text(folder / WEIGHTS_CSV, "\n".join(lines) + "\n")
    return folder / WEIGHTS_CSV


def weights_lines(folder: Path) -> list[str]:
    """The table as text for the reader, with a warning below it where a weight is far from the paper's.

    Args:
        folder: a checkpoint folder; without `class_weights.csv` there is nothing to say.

    Returns:
        Lines: three of numbers, and a warning where any ratio is above 2 or below 1/2.
    """
    if not (folder / WEIGHTS_CSV).is_file():
        return []
    rows = [line.split(",") for line in (folder / WEIGHTS_CSV).read_text(encoding="utf-8").splitlines()[1:]]
    names, own, paper, ratio = zip(*rows, strict=True)
    width = max(map(len, (*names, *own, *paper))) + 1
    lines = [
        f"{title:14}" + "".join(f"{word:>{width}}" for word in words)
        for title, words in (("class weights", names), ("  here", own), ("  the paper", paper))
    ]
    far = [f"{name} {float(r):.1f}x" for name, r in zip(names, ratio, strict=True) if is_far(float(r))]
    if far:
        lines.append(
            f"Warning: class weights more than {FACTOR:g} times off the paper's ({', '.join(far)}): these are"
            " not the labels of the official training set."
        )
    return lines


def is_far(ratio: float) -> bool:
    """Whether a ratio to the paper's weight is above 2 or below 1/2."""
    return ratio > FACTOR or ratio < 1 / FACTOR
