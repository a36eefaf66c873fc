"""The kinds of labels, and all that follows from the kind alone: sums, score, decision, grammar, prior.

A task names its kind and adds its columns and words (tasks.py). The rest of the package asks the kind instead
of the task's name, so that a new task of a known kind is a few lines there, and a new kind one class here.

Official scores rest on *statistics*: small arrays of sums that add over tracks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError

Array = npt.NDArray[Any]
THRESHOLD = 0.5  # a probability from here on is a 1
BINS = 5  # of valence and of arousal over [-1, 1], where they are counted
CHANGE = 0.05  # a value in [-1, 1] counts as changed from this difference on
_TINY = 1e-12  # variances below this are rounding, not movement


class Kind(ABC):
    """One kind of labels.

    Attributes:
        low: the lowest score; the highest is 1.
        measure: the score of one output.
        output_word: what one output is called.
        agreement_name: what `agreement` is, in words.
    """

    low: ClassVar[float] = 0.0
    measure: ClassVar[str] = "F1"
    output_word: ClassVar[str] = "output"
    agreement_name: ClassVar[str] = "share of equal labels"

    def width(self, columns: Sequence[str]) -> int:
        """Values per row of an annotation file."""
        return len(columns)

    @abstractmethod
    def expected(self, columns: Sequence[str], invalid: float) -> str:
        """What a row of an annotation file has to be, in words."""

    @abstractmethod
    def fits(self, values: F64, columns: Sequence[str], invalid: float) -> npt.NDArray[np.bool_]:
        """Which annotated values (rows, width) can be."""

    @abstractmethod
    def grammar(
        self, columns: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]:
        """A submission's row: the floats in [-1, 1], the integers with their highest value, the classes."""

    @abstractmethod
    def decide(self, scores: Array) -> Array:
        """Labels of scores (rows, outputs)."""

    @abstractmethod
    def statistics(self, truth: Array, labels: Array, classes: int) -> F64:
        """The sums of some rows, truth and labels (rows, width)."""

    @abstractmethod
    def per_output(self, stats: F64) -> F64:
        """The score of each output from the sums; leading axes are kept."""

    @abstractmethod
    def rows(self, stats: F64) -> int:
        """How many rows the sums are of."""

    def right(self, stats: F64) -> F64:
        """How many labels are right, of the sum of all statistics; leading axes are kept."""
        raise NotImplementedError(type(self).__name__)

    @abstractmethod
    def occurrences(self, labels: Array, outputs: int) -> Array:
        """How often each class occurs in labels (rows, width), or how often a value lies in each bin."""

    def occurrence_names(self, columns: Sequence[str]) -> list[str]:
        """What `occurrences` counts."""
        return list(columns)

    def prior(self, labels: Array, outputs: int) -> Array:
        """The mean score of labelled rows: (outputs,)."""
        return np.asarray(labels.mean(0), np.float32)

    def constant(self, labels: Array) -> F64:
        """The label that scores best of those that never change: (width,), of labels (rows, width)."""
        return np.asarray(labels.mean(axis=0), np.float64)

    def agreement(self, one: Array, other: Array) -> float:
        """How much two submissions' labels (rows, width) agree, 1 for equal ones."""
        return float(np.mean(one == other))

    def changed(self, one: Array, other: Array) -> npt.NDArray[np.bool_]:
        """Rows whose labels differ."""
        return np.asarray((one != other).any(axis=1))


class Binary(Kind):
    """AU: 0 or 1 per column; statistics (outputs, 4): true and false positives, false and true negatives."""

    output_word = "action unit"

    def constant(self, labels: Array) -> F64:
        """Always there: recall is 1."""
        return np.ones(labels.shape[1])

    def expected(self, columns: Sequence[str], invalid: float) -> str:
        return f"{len(columns)} times 0 or 1, or {invalid:g} for invalid"

    def fits(self, values: F64, columns: Sequence[str], invalid: float) -> npt.NDArray[np.bool_]:
        return _whole(values, invalid, 1)

    def grammar(
        self, columns: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]:
        return (), tuple((column, 1) for column in columns), ()

    def decide(self, scores: Array) -> Array:
        return np.asarray((scores >= THRESHOLD).astype(np.int8))

    def statistics(self, truth: Array, labels: Array, classes: int) -> F64:
        return counts(truth, labels)

    def per_output(self, stats: F64) -> F64:
        return f1_of_counts(stats)

    def rows(self, stats: F64) -> int:
        return int(stats[0].sum())

    def right(self, stats: F64) -> F64:
        return np.asarray((stats[..., 0] + stats[..., 3]).sum(axis=-1))

    def occurrences(self, labels: Array, outputs: int) -> Array:
        return np.asarray((labels > THRESHOLD).sum(axis=0))


class Categorical(Kind):
    """EXPR: one class index; statistics (classes, classes): the confusion matrix, truth down."""

    output_word = "expression"

    def constant(self, labels: Array) -> F64:
        """The most frequent class."""
        return np.array([np.bincount(labels[:, 0].astype(np.int64)).argmax()], np.float64)

    def width(self, columns: Sequence[str]) -> int:
        return 1

    def expected(self, columns: Sequence[str], invalid: float) -> str:
        return f"one integer 0..{len(columns) - 1}, or {invalid:g} for invalid"

    def fits(self, values: F64, columns: Sequence[str], invalid: float) -> npt.NDArray[np.bool_]:
        return _whole(values, invalid, len(columns) - 1)

    def grammar(
        self, columns: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]:
        return (), (("expression", len(columns) - 1),), columns

    def decide(self, scores: Array) -> Array:
        return np.asarray(np.argmax(scores, axis=1).astype(np.int8)[:, None])

    def statistics(self, truth: Array, labels: Array, classes: int) -> F64:
        return confusion(truth[:, 0], labels[:, 0], classes)

    def per_output(self, stats: F64) -> F64:
        return f1_of_confusion(stats)

    def rows(self, stats: F64) -> int:
        return int(stats.sum())

    def right(self, stats: F64) -> F64:
        return np.asarray(np.trace(stats, axis1=-2, axis2=-1))

    def occurrences(self, labels: Array, outputs: int) -> Array:
        return np.bincount(labels[:, 0].astype(np.int64), minlength=outputs)[:outputs]

    def prior(self, labels: Array, outputs: int) -> Array:
        found = self.occurrences(labels, outputs)
        return np.asarray(found / found.sum(), np.float32)


class Continuous(Kind):
    """VA: values in [-1, 1]; statistics (outputs, 6): n, sum x, y, xx, yy, xy, x the truth."""

    low = -1.0
    measure = "CCC"
    output_word = "dimension"
    agreement_name = "mean CCC"

    def expected(self, columns: Sequence[str], invalid: float) -> str:
        return f"two numbers in [-1, 1], or {invalid:g} for invalid"

    def fits(self, values: F64, columns: Sequence[str], invalid: float) -> npt.NDArray[np.bool_]:
        return np.asarray((np.abs(values) <= 1) | (values == invalid))

    def grammar(
        self, columns: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...], tuple[str, ...]]:
        return columns, (), ()

    def decide(self, scores: Array) -> Array:
        return np.asarray(np.clip(scores, -1.0, 1.0), np.float32)

    def statistics(self, truth: Array, labels: Array, classes: int) -> F64:
        return moments(truth.astype(np.float64), labels.astype(np.float64))

    def per_output(self, stats: F64) -> F64:
        return ccc_of(stats)

    def rows(self, stats: F64) -> int:
        return int(stats[0, 0])

    def occurrences(self, labels: Array, outputs: int) -> Array:
        bins = [np.histogram(column, bins=BINS, range=(-1, 1))[0] for column in labels.T]
        return np.concatenate(bins)

    def occurrence_names(self, columns: Sequence[str]) -> list[str]:
        edges = np.linspace(-1, 1, BINS + 1).tolist()
        return [f"{column} {low:.2g}..{high:.2g}" for column in columns for low, high in pairwise(edges)]

    def agreement(self, one: Array, other: Array) -> float:
        """Mean CCC of the columns."""
        if np.array_equal(one, other):  # constants, too
            return 1.0
        pairs = zip(one.T[:, :, None].astype(np.float64), other.T[:, :, None].astype(np.float64), strict=True)
        return float(np.mean([ccc_of(moments(x, y)) for x, y in pairs]))

    def changed(self, one: Array, other: Array) -> npt.NDArray[np.bool_]:
        """By 0.05 or more."""
        return np.asarray((np.abs(one - other) >= CHANGE).any(axis=1))


KINDS: dict[Decision, Kind] = {
    Decision.THRESHOLD: Binary(),
    Decision.ARGMAX: Categorical(),
    Decision.CLIP: Continuous(),
}


# ---- the sums and the scores of them ---------------------------------------------------------------


def moments(x: F64, y: F64) -> F64:
    """(rows, outputs) twice -> (outputs, 6)."""
    n = np.full(x.shape[1], float(len(x)))
    dot = np.einsum
    return np.stack(
        [n, x.sum(0), y.sum(0), dot("ij,ij->j", x, x), dot("ij,ij->j", y, y), dot("ij,ij->j", x, y)], axis=1
    )


def counts(truth: Array, labels: Array) -> F64:
    """0/1 (rows, outputs) twice -> (outputs, 4)."""
    t, p = truth > 0.5, labels > 0.5
    parts = [(t & p), (~t & p), (t & ~p), (~t & ~p)]
    return np.stack([part.sum(axis=0) for part in parts], axis=1).astype(np.float64)


def confusion(truth: Array, labels: Array, classes: int) -> F64:
    """Class indices (rows,) twice -> (classes, classes)."""
    t, p = truth.astype(np.int64), labels.astype(np.int64)
    for name, values in (("truth", t), ("labels", p)):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise UserError(f"EXPR: {name} hold a class outside 0..{classes - 1}.")
    flat = np.bincount(t * classes + p, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.float64)


def ccc_of(stats: F64) -> F64:
    """CCC from moments (..., 6); 0 where there are no rows or nothing moves."""
    n, sx, sy, sxx, syy, sxy = np.moveaxis(stats, -1, 0)
    n = np.maximum(n, 1)
    mx, my = sx / n, sy / n
    vx, vy = np.maximum(sxx / n - mx * mx, 0), np.maximum(syy / n - my * my, 0)
    denominator = vx + vy + (mx - my) ** 2
    covariance = np.where((vx > _TINY) & (vy > _TINY), sxy / n - mx * my, 0.0)
    return np.asarray(2 * covariance / np.maximum(denominator, _TINY))


def f1_of_counts(stats: F64) -> F64:
    """F1 of the positive class from (..., 4) counts; 0 where there is nothing to find and nothing found."""
    tp, fp, fn = stats[..., 0], stats[..., 1], stats[..., 2]
    return np.asarray(2 * tp / np.maximum(2 * tp + fp + fn, 1))


def f1_of_confusion(stats: F64) -> F64:
    """F1 per class from confusion matrices (..., classes, classes), truth down."""
    tp = np.diagonal(stats, axis1=-2, axis2=-1)
    return np.asarray(2 * tp / np.maximum(stats.sum(axis=-1) + stats.sum(axis=-2), 1))


def _whole(values: F64, invalid: float, top: int) -> npt.NDArray[np.bool_]:
    return np.asarray((values == np.rint(values)) & (values >= invalid) & (values <= top))
