"""Which rows an epoch sees: fresh random ones of every track, or draws balanced by class and by video.

A video of 47,000 rows and one of 73 are one recording each; neighbouring rows are nearly the same; and one
expression fills half of all rows. What an epoch draws depends on (seed, epoch) only.
"""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import F32, F64, Index
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.tasks import Task

VA_CELLS = 5  # valence and arousal are balanced over a grid of so many by so many cells


def fresh_rows(track: Index, frame_step: int, seed: int, epoch: int) -> Index:
    """One random row of every `frame_step` neighbouring rows of each track, other ones in each epoch.

    Args:
        track: (rows,) the track of each row; rows of a track stand together.
        frame_step: rows to take one of; 1 takes all.
        seed: of the draws.
        epoch: which epoch.

    Returns:
        Places of the chosen rows, ascending.

    >>> fresh_rows(np.array([0, 0, 0, 0, 1]), 1, 0, 0).tolist()
    [0, 1, 2, 3, 4]
    >>> len(fresh_rows(np.array([0, 0, 0, 0, 1]), 3, 0, 0))
    3
    """
    if frame_step == 1:
        return np.arange(len(track), dtype=np.int64)
    first = np.flatnonzero(np.r_[True, track[1:] != track[:-1]])
    counts = np.diff(np.r_[first, len(track)])
    inside = np.arange(len(track)) - np.repeat(first, counts)
    starts = np.flatnonzero(inside % frame_step == 0)
    ends = np.r_[starts[1:], len(track)]
    draws = np.random.default_rng((seed, epoch, 1)).random(len(starts))
    return np.asarray(starts + np.floor(draws * (ends - starts)), np.int64)


def row_weights(task: Task, labels: F32, track: Index, balance: str) -> F64:
    """How often each row is to be drawn, relative to the mean row.

    Args:
        task: the task.
        labels: (rows, label columns), all valid.
        track: (rows,) the track of each row.
        balance: "none"; "video": every track the same share; "class": every class the same share (EXPR;
            AU: every AU's positives, rows without any AU as one more class; VA: every cell of a 5 x 5 grid);
            "both": within each class every video the same share.

    Returns:
        (rows,) with mean 1.

    Raises:
        UserError: classes of MTL, whose rows may lack labels, cannot be balanced.

    >>> from abaw_submit.tasks import EXPR
    >>> row_weights(EXPR, np.array([[0.0], [0.0], [0.0], [4.0]]), np.zeros(4, int), "class").round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    if balance == "none":
        return np.ones(len(labels))
    if task.decision is Decision.PARTS and balance != "video":
        raise UserError(f"--balance {balance} is for one task; expected none or video for MTL.")
    members = np.ones((len(labels), 1)) if balance == "video" else _classes(task, labels)
    if balance == "class":
        weights = (members / np.maximum(members.sum(0), 1)).sum(1)
    else:
        _, which = np.unique(track, return_inverse=True)
        per_track = np.zeros((which.max() + 1, members.shape[1]))
        np.add.at(per_track, which, members)
        videos = np.maximum((per_track > 0).sum(0), 1)
        weights = (members / np.maximum(per_track[which], 1) / videos).sum(1)
    return np.asarray(weights / weights.mean(), np.float64)


def _classes(task: Task, labels: F32) -> F64:
    """(rows, classes) membership, 0 or 1; an AU row may be in several."""
    if task.decision is Decision.THRESHOLD:
        on = labels > 0.5
        return np.concatenate([on, ~on.any(1, keepdims=True)], 1).astype(np.float64)
    if task.decision is Decision.ARGMAX:
        return np.asarray(np.eye(task.outputs)[labels[:, 0].astype(np.int64)])
    cells = np.clip(((labels + 1) / 2 * VA_CELLS).astype(np.int64), 0, VA_CELLS - 1)
    return np.asarray(np.eye(VA_CELLS**2)[cells[:, 0] * VA_CELLS + cells[:, 1]])


def draw(weights: F64, seed: int, epoch: int) -> Index:
    """As many draws as there are rows, in random order, each row about as often as its weight says.

    Systematic sampling: a row of weight 2.3 is drawn two or three times, never none or ten times.

    Args:
        weights: (rows,) not negative, some positive.
        seed: of the draws.
        epoch: which epoch.
    """
    generator = np.random.default_rng((seed, epoch, 2))
    order = generator.permutation(len(weights))
    ends = np.cumsum(weights[order])
    ticks = (np.arange(len(weights)) + generator.random()) * (ends[-1] / len(weights))
    drawn = order[np.minimum(np.searchsorted(ends, ticks, side="right"), len(weights) - 1)]
    return generator.permutation(drawn).astype(np.int64)
