"""Where to stop training, by a rule that never looks at the fold it is used for.

A fold's own best epoch is chosen on the labels that then score it. Here a fold's epoch comes from the other
folds' validation curves: their mean, smoothed, its highest point. Whether that beats simply keeping the last
epoch is itself judged fold by fold on epochs chosen elsewhere; whether the average of the last epochs'
weights does, on the other folds' trainings with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError

LAST, SMOOTHED, AVERAGE = "last", "smoothed", "average"


@dataclass(frozen=True)
class EpochChoice:
    """The epoch of one fold.

    Attributes:
        fold: the fold's name.
        rule: "last", "smoothed" or "average", whichever did best on the other folds.
        epoch: the epoch to stop after, 1-based.
        smoothed: the epoch that the smoothed curve of the other folds says.
        score_last: the fold's own score after the last epoch.
        score_smoothed: its own score after the epoch that the others say.
        score_average: its own score with the average of the last epochs' weights; None if not trained.
    """

    fold: str
    rule: str
    epoch: int
    smoothed: int
    score_last: float
    score_smoothed: float
    score_average: float | None = None


def choose_epochs(
    curves: Mapping[str, Sequence[float]], window: int = 3, averages: Sequence[float] = ()
) -> list[EpochChoice]:
    """An epoch for each fold.

    Args:
        curves: fold -> validation score after each epoch, as many for each.
        window: epochs of the running mean, odd.
        averages: the score of each fold trained with `keep = average`, in the order of `curves`; or none.

    Raises:
        UserError: fewer than three folds (a rule is judged on at least two), curves of different lengths, an
            even window, or not an average for each fold.

    >>> rising = [0.1, 0.2, 0.3, 0.4]
    >>> [c.rule for c in choose_epochs({"0": rising, "1": rising, "2": rising})]
    ['last', 'last', 'last']
    """
    if len(curves) < 3:
        raise UserError(f"{len(curves)} folds: an epoch is chosen on the others, which needs at least 3.")
    if window < 1 or window % 2 == 0:
        raise UserError(f"--window {window}: expected an odd number.")
    lengths = {len(curve) for curve in curves.values()}
    if len(lengths) > 1 or not min(lengths):
        raise UserError(
            f"The folds have {' and '.join(map(str, sorted(lengths)))} epochs; expected as many each."
        )
    if averages and len(averages) != len(curves):
        raise UserError(f"{len(averages)} folds with averaged weights; expected {len(curves)}, one for each.")
    names = list(curves)
    table = np.array([curves[name] for name in names], np.float64)
    # the epoch that all folds but those in `out` say
    said = {out: _peak(np.delete(table, out, 0), window) for out in range(len(names))}
    found = []
    for at, name in enumerate(names):
        others = [k for k in range(len(names)) if k != at]
        # each of the others by an epoch that neither it nor this fold had a say in
        peaks = [table[k, _peak(np.delete(table, [at, k], 0), window)] for k in others]
        gains = {LAST: 0.0, SMOOTHED: float(np.mean(peaks - table[others, -1]))}
        if averages:
            gains[AVERAGE] = float(np.mean(np.array(averages)[others] - table[others, -1]))
        rule = max(gains, key=lambda name: gains[name])  # the first of equal ones
        epoch = said[at] if rule == SMOOTHED else table.shape[1] - 1
        own = float(table[at, -1]), float(table[at, said[at]])
        average = float(averages[at]) if averages else None
        found.append(EpochChoice(name, rule, epoch + 1, said[at] + 1, *own, average))
    return found


def _peak(table: F64, window: int) -> int:
    """The highest point of the smoothed mean curve; the earliest of equal ones."""
    mean = table.mean(0)
    half = window // 2
    padded = np.pad(mean, half, mode="edge")
    smooth = np.convolve(padded, np.full(window, 1 / window), mode="valid")
    return int(np.argmax(np.round(smooth, 12)))


def read_curve(checkpoint: Path) -> list[float]:
    """The validation score after each epoch of a trained fold.

    Raises:
        UserError: no history, or one without scores.
    """
    path = checkpoint / "history.csv"
    if not path.is_file():
        raise UserError(f"{checkpoint} has no history.csv. Train the fold first.")
    table = pd.read_csv(path)
    if "validation" not in table or table["validation"].isna().any():
        raise UserError(
            f"{path} has no validation score for each epoch: `train --curve-epochs 1` writes them,"
            " `finetune` does not."
        )
    return [float(v) for v in table["validation"]]
