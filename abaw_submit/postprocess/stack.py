"""A stacked member: what all members say of all outputs of a track, learnt together by many small trees.

It predicts each output's level in a track from the levels (means over the track's rows) of every member's
every output, so that arousal may tell of valence. It knows nothing of single rows. The trees are grown by
scikit-learn and kept as plain numbers; using them needs nothing but the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from abaw_submit.arrays import F64, Index

TREES, LEAF_TRACKS = 40, 4
DECIMALS = 5


@dataclass(frozen=True)
class Stack:
    """Trees end to end; a tree's nodes point to each other by place in these arrays.

    Attributes:
        roots: place of each tree's first node.
        feature: (nodes,) which level a node asks about; below 0: a leaf.
        threshold: (nodes,) left if the level is at most this.
        left, right: (nodes,) the next node.
        value: (nodes, outputs) what a leaf says.
    """

    roots: tuple[int, ...]
    feature: tuple[int, ...]
    threshold: tuple[float, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    value: tuple[tuple[float, ...], ...]

    @cached_property
    def _arrays(self) -> tuple[Index, F64, Index, Index, F64]:
        feature, left, right = (np.asarray(x, np.int64) for x in (self.feature, self.left, self.right))
        return feature, np.asarray(self.threshold), left, right, np.asarray(self.value)

    def predict(self, levels: F64) -> F64:
        """Levels of the outputs, (tracks, outputs), from (tracks, members * outputs)."""
        feature, threshold, left, right, value = self._arrays
        node = np.tile(np.asarray(self.roots), (len(levels), 1))  # of every track in every tree
        while (feature[node] >= 0).any():
            asked = feature[node]
            goes_left = np.take_along_axis(levels, np.maximum(asked, 0), axis=1) <= threshold[node]
            node = np.where(asked < 0, node, np.where(goes_left, left[node], right[node]))
        return np.asarray(value[node].mean(axis=1))


def grow(levels: F64, truth: F64) -> Stack:
    """Extremely randomised trees (Geurts et al. 2006), the same each time.

    Args:
        levels: (tracks, members * outputs).
        truth: (tracks, outputs) mean truth of each track.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    leaf = min(LEAF_TRACKS, max(len(levels) // 3, 1))
    model = ExtraTreesRegressor(TREES, min_samples_leaf=leaf, max_features=0.5, random_state=0)
    model.fit(levels.astype(np.float32), truth)
    parts: list[tuple[F64, ...]] = []
    roots, start = [], 0
    for one in model.estimators_:
        tree = one.tree_
        number = tree.node_count
        values = tree.value.reshape(number, truth.shape[1])
        parts.append(
            (tree.feature, tree.threshold, tree.children_left + start, tree.children_right + start, values)
        )
        roots.append(start)
        start += number
    feature, threshold, left, right, value = (np.concatenate(x) for x in zip(*parts, strict=True))
    return Stack(
        tuple(roots),
        tuple(feature.tolist()),
        tuple(np.round(threshold, DECIMALS).tolist()),
        tuple(left.tolist()),
        tuple(right.tolist()),
        tuple(map(tuple, np.round(value, DECIMALS).tolist())),
    )


def track_levels(members: Sequence[F64]) -> F64:
    """The features of one track, (members * outputs,), from each member's (rows, outputs)."""
    return np.concatenate([m.mean(axis=0) for m in members])
