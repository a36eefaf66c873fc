"""Where to stop training, by a rule that never looks at the fold it is used for.

A fold's own best epoch is chosen on the labels that then score it. Here a fold's epoch comes from the other
folds' validation curves: their mean, smoothed, its highest point. Whether that beats simply keeping the last
epoch is itself judged fold by fold on epochs chosen elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError

LAST, SMOOTHED = "last", "smoothed"


@dataclass(frozen=True)
class EpochChoice:
    """The epoch of one fold.

    Attributes:
        fold: the fold's name.
        rule: "last" or "smoothed", whichever did better on the other folds.
        epoch: the epoch to stop after, 1-based.
        smoothed: the epoch that the smoothed curve of the other folds says.
        score_last: the fold's own score after the last epoch.
        score_smoothed: its own score after the epoch that the others say.
    """

    fold: str
    rule: str
    epoch: int
    smoothed: int
    score_last: float
    score_smoothed: float


def choose_epochs(curves: Mapping[str, Sequence[float]], window: int = 3) -> list[EpochChoice]:
    """An epoch for each fold.

    Args:
        curves: fold -> validation score after each epoch, as many for each.
        window: epochs of the running mean, odd.

    Raises:
        UserError: fewer than three folds (a rule is judged on at least two), curves of different lengths, or
            an even window.

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
    names = list(curves)
    table = np.array([curves[name] for name in names], np.float64)
    # the epoch that all folds but those in `out` say
    said = {out: _peak(np.delete(table, out, 0), window) for out in range(len(names))}
    found = []
    for at, name in enumerate(names):
        others = [k for k in range(len(names)) if k != at]
        # each of the others by an epoch that neither it nor this fold had a say in
        gains = [table[k, _peak(np.delete(table, [at, k], 0), window)] - table[k, -1] for k in others]
        rule = SMOOTHED if np.mean(gains) > 0 else LAST
        epoch = said[at] if rule == SMOOTHED else table.shape[1] - 1
        own = table[at]
        found.append(EpochChoice(name, rule, epoch + 1, said[at] + 1, float(own[-1]), float(own[said[at]])))
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
