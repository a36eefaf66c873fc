"""From scores to labels: the one place where the default decision of each task is made."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from abaw_submit.tasks import Task, any_task


def decide(task: Task | str, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels of scores, in the grammar of the annotations.

    `apply` writes scores for which this decision is the right one, so nothing else needs to know
    which thresholds a recipe chose.

    Args:
        task: the task.
        scores: (rows, outputs); AU and EXPR probabilities, VA values.

    Returns:
        AU (rows, 12) int8 of 0 and 1; EXPR (rows, 1) int8 of 0..7; VA (rows, 2) float32 in [-1, 1].
        NaN stays NaN in VA, is 0 in AU, and must be refused before by callers that write files.

    >>> import numpy as np
    >>> decide("AU", np.array([[0.5, 0.49] + [0.0] * 10]))[0, :2].tolist()
    [1, 0]
    >>> decide("VA", np.array([[1.5, -0.2]])).round(3).tolist()
    [[1.0, -0.20000000298023224]]
    """
    return any_task(task).kind.decide(scores)
