"""What the raters write down: the truth with a lag, shaky borders, mistakes and gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.demo.dynamics import RATE_HZ, Behaviour, at_times, drift, follow
from abaw_submit.tasks import AU, EXPR, VA, Task

RATER_LAG_S = 0.20
AU_VISIBLE = 0.36  # the intensity from which a rater calls an AU present
_MISTAKEN = {0: 7, 1: 2, 2: 1, 3: 6, 4: 7, 5: 0, 6: 3, 7: 0}  # what an expression is taken for


@dataclass(frozen=True)
class Labels:
    """One track's annotations, one row a frame, valid everywhere.

    Attributes:
        va: (rows, 2) in -1..1, thousandths.
        expr: (rows,) int64, 0..7.
        au: (rows, 12) int64, 0 or 1.
    """

    va: F64
    expr: npt.NDArray[np.int64]
    au: npt.NDArray[np.int64]


def rate(rng: np.random.Generator, behaviour: Behaviour, times_s: F64) -> Labels:
    """Annotate a track.

    Args:
        rng: the raters' chance.
        behaviour: the truth.
        times_s: (rows,) when each frame is shown.
    """
    n = len(behaviour.valence)
    truth = np.stack([behaviour.valence, behaviour.arousal], axis=1)
    noise = 0.05 * np.c_[drift(rng, n, 0.8), drift(rng, n, 0.8)]
    va = np.clip(follow(truth, RATER_LAG_S) + noise, -1, 1)

    shaky = (0.08 * drift(rng, n, 0.5))[:, None] + 0.06 * np.stack([drift(rng, n, 0.4) for _ in range(12)], 1)
    seen = behaviour.action + shaky > AU_VISIBLE
    seen ^= _runs(rng, n, 12, share=0.02)

    borders = np.flatnonzero(np.diff(behaviour.expression)) + 1
    expression = behaviour.expression.copy()
    starts = np.r_[0, borders]
    for start, end in zip(starts, np.r_[borders, n], strict=True):
        early = start + round(rng.normal(0.08, 0.12) * RATE_HZ) if start else 0
        kind = behaviour.expression[start]
        if rng.random() < 0.07:
            kind = _MISTAKEN[int(kind)]
        expression[max(early, 0) : end] = kind
    return Labels(
        va=np.round(at_times(va, times_s), 3) + 0.0,  # no negative zero
        expr=_nearest(expression, times_s).astype(np.int64),
        au=_nearest(seen, times_s).astype(np.int64),
    )


def _runs(rng: np.random.Generator, n: int, columns: int, share: float) -> npt.NDArray[np.bool_]:
    """Short runs of mistakes that cover about `share` of the samples."""
    wrong = np.zeros((n, columns), bool)
    length = 0.25 * RATE_HZ
    for column in range(columns):
        for start in rng.integers(0, n, rng.poisson(share * n / length)):
            wrong[start : start + round(length * rng.uniform(0.5, 1.5)), column] = True
    return wrong


def _nearest(series: npt.NDArray[np.generic], times_s: F64) -> npt.NDArray[np.generic]:
    index = np.clip(np.round(times_s * RATE_HZ).astype(int), 0, len(series) - 1)
    picked: npt.NDArray[np.generic] = series[index]
    return picked


def gaps(
    rng: np.random.Generator, task: Task, rows: int, seen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """(rows,) which rows get no annotation, as the official files have them.

    Half of the expression rows of the real data are unannotated; here, some stretches. AU and
    expression raters skip frames without the person; valence and arousal are mostly rated on.
    """
    missing = np.zeros(rows, bool)
    if task is not VA or not seen.any() or seen.mean() < 0.6:
        missing |= ~seen
    chance = {EXPR.name: 0.5, AU.name: 0.25, VA.name: 0.25}[task.name]
    if rng.random() < chance:
        length = round(rows * rng.uniform(0.05, 0.15))
        start = rng.integers(0, rows - length)
        missing[start : start + length] = True
    return missing


def annotation_text(task: Task, labels: Labels, missing: npt.NDArray[np.bool_], edition: int) -> str:
    """The official annotation file: header, then one line a row.

    An unannotated AU row has -1 in some columns only, as in the real files; any -1 makes it invalid.
    """
    lines = [task.header(edition)]
    for row, gone in enumerate(missing):
        if task is VA:
            v, a = labels.va[row]
            lines.append("-5,-5" if gone else f"{v:.3f},{a:.3f}")
        elif task is EXPR:
            lines.append("-1" if gone else str(labels.expr[row]))
        else:
            values = [str(k) for k in labels.au[row]]
            if gone:
                values = ["-1" if (k + row) % 3 or row % 2 else x for k, x in enumerate(values)]
            lines.append(",".join(values))
    return "\n".join(lines) + "\n"
