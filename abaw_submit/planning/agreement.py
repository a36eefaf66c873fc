"""How much two submissions agree, on the labels that would be submitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.submission.grammar import Labels
from abaw_submit.tasks import Task


def test_labels(scores: Scores, rows: Mapping[str, int]) -> Labels:
    """The labels of the rows asked for, end to end."""
    return np.concatenate([decide(scores.task, scores[track][:count]) for track, count in rows.items()])


def agreement(task: Task, one: Labels, other: Labels) -> float:
    """Mean CCC of valence and arousal for VA; share of equal labels for EXPR and AU.

    >>> from abaw_submit.tasks import EXPR
    >>> agreement(EXPR, np.array([[0], [1], [2], [3]]), np.array([[0], [1], [2], [7]]))
    0.75
    """
    return task.kind.agreement(one, other)


def rows_changed(task: Task, one: Labels, other: Labels) -> int:
    """Rows whose labels differ: any of them; for VA by 0.05 or more.

    >>> from abaw_submit.tasks import VA
    >>> rows_changed(VA, np.array([[0.1, 0.2], [0.1, 0.2]]), np.array([[0.1, 0.24], [0.1, 0.3]]))
    1
    """
    return int(task.kind.changed(one, other).sum())


def agreement_table(task: Task, labels: Sequence[Labels]) -> npt.NDArray[np.float64]:
    """Agreement of each pair, (submissions, submissions)."""
    table = np.eye(len(labels))
    for i, one in enumerate(labels):
        for j in range(i):
            table[i, j] = table[j, i] = agreement(task, one, labels[j])
    return table
