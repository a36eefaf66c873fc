"""The search for action units: histograms per track stand for all rows.

For one AU, one weighting and one filter, the counts of rows with and without the AU in 256 bins of the score
are kept per track. F1 at every threshold on any set of tracks follows from their sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.metrics import f1_of_counts
from abaw_submit.postprocess import calibration, ensemble, thresholds
from abaw_submit.postprocess.engine import (
    Columns,
    Folds,
    Option,
    Pair,
    held_out,
    memoize,
    memoize_arrays,
    mixed_rows,
    nearby,
    one_standard_error,
    own_filters_pay,
    rank_knots,
)
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import ScoreTable

Floats = tuple[float, ...]
Knots = tuple[Floats, ...]
BINS = 256
PICKS = 6
_FINE = 4096  # scores are first cut to this many steps
STRENGTHS = (1.0, 0.5)


def _bin_table() -> npt.NDArray[np.int64]:
    """Bin of each fine step: narrow near 0 and 1, with an edge at exactly 0.5."""
    middle = (np.arange(_FINE) + 0.5) / _FINE
    return np.asarray(BINS * 2 / np.pi * np.arcsin(np.sqrt(middle)), np.int64)


_BIN = _bin_table()
# lower edge of each bin, as a score; one more for "above everything"
EDGES = np.append(np.searchsorted(_BIN, np.arange(BINS)), _FINE) / _FINE
CENTRES = (EDGES[:-1] + EDGES[1:]) / 2


class SearchAU:
    """See `engine.Engine`; a part is one AU."""

    def __init__(self, table: ScoreTable, pairs: Sequence[Pair]) -> None:
        self.table = table
        self.pairs: Sequence[Pair] = list(pairs)
        self.parts = table.task.outputs

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        return (*several, "smooth", "calibrate", "threshold")

    def score(self, stats: F64) -> F64:
        return np.asarray(f1_of_counts(stats).mean(axis=-1))

    # ---- counting ------------------------------------------------------------------------------------

    @memoize_arrays(200)
    def histogram(
        self, part: int, weights: Floats, before: str, after: str, knots: Knots
    ) -> npt.NDArray[np.int32]:
        """Rows per track, bin and truth, (tracks, bins, 2)."""
        m = self.table
        rows = mixed_rows(m, part, Column(weights, before, after, knots))[m.valid]
        fine = np.clip(rows * _FINE, 0, _FINE - 1).astype(np.int64)
        place = (m.track_of_valid * BINS + _BIN[fine]) * 2 + (m.truth[m.valid, part] > 0.5)
        counts = np.bincount(place, minlength=len(m.names) * BINS * 2)
        return counts.reshape(len(m.names), BINS, 2).astype(np.int32)

    @memoize
    def by_fold(self, part: int, weights: Floats, before: str, after: str, knots: Knots) -> F64:
        """The same per fold, (folds, bins, 2)."""
        counts = self.histogram(part, weights, before, after, knots).reshape(len(self.table.names), -1)
        one_hot = np.eye(self.table.folds)[self.table.fold]
        return (one_hot.T @ counts).reshape(-1, BINS, 2)

    def _of(self, part: int, column: Column) -> F64:
        return self.by_fold(part, column.weights, column.before, column.after, column.knots)

    def _sum(self, part: int, column: Column, folds: Folds) -> F64:
        return np.asarray(self._of(part, column)[list(folds)].sum(axis=0))

    # ---- fitting -------------------------------------------------------------------------------------

    @memoize
    def fit(
        self, part: int, folds: Folds, steps: frozenset[str], pairs: tuple[int, ...] | None = None
    ) -> Columns:
        number = len(self.table.members)
        allowed = list(range(len(self.pairs))) if pairs is None else list(pairs)
        choices = allowed if "smooth" in steps else [0]
        decision = frozenset(steps & {"calibrate", "threshold"})
        if len(choices) > 1 and not self._own_filters(folds, tuple(choices), decision):
            choices = [self._shared(folds, tuple(choices), decision)]
        column = Column(tuple(ensemble.equal_weights(number).tolist()))
        column = self._best_filter(part, folds, column, choices, decision)
        if "ensemble" in steps and number > 1:
            column = self._weighted(part, folds, column, decision)
            close = nearby(self.pairs, choices, self._index(column))
            column = self._best_filter(part, folds, column, close, decision)
        return (self._decided(part, folds, column, decision),)

    def _decided(self, part: int, folds: Folds, column: Column, decision: frozenset[str]) -> Column:
        if "calibrate" in decision:
            counts = self._sum(part, column, folds)
            slope, bias = calibration.platt(CENTRES, counts[:, 0], counts[:, 1])
            column = dataclasses.replace(column, calibration={"kind": "platt", "slope": slope, "bias": bias})
        return self._thresholded(part, folds, column) if "threshold" in decision else column

    @memoize
    def probe(self, part: int, folds: Folds, steps: frozenset[str], pair: int) -> Columns:
        fitted = self.fit(part, folds, steps, None)[0]
        before, after = self.pairs[pair]
        column = Column(fitted.weights, str(before), str(after))
        return (self._decided(part, folds, column, steps & {"calibrate", "threshold"}),)

    def _plain(self, f: int) -> Column:
        """The equal mean of the members under a filter."""
        equal = tuple(ensemble.equal_weights(len(self.table.members)).tolist())
        return Column(equal, str(self.pairs[f][0]), str(self.pairs[f][1]))

    @memoize
    def _all_f1(self, part: int, folds: Folds, choices: tuple[int, ...], decision: frozenset[str]) -> F64:
        return np.array([_f1(self._sum(part, self._plain(f), folds), decision) for f in choices])

    @memoize
    def _shared(self, folds: Folds, choices: tuple[int, ...], decision: frozenset[str]) -> int:
        """The filter that is best on the mean over AUs."""
        scores = [self._all_f1(p, folds, choices, decision) for p in range(self.parts)]
        return choices[int(np.argmax(np.mean(scores, axis=0)))]

    @memoize
    def _own_filters(self, folds: Folds, choices: tuple[int, ...], decision: frozenset[str]) -> bool:
        def own(part: int, inner: Folds) -> int:
            return choices[int(np.argmax(self._all_f1(part, inner, choices, decision)))]

        def stats(part: int, inner: Folds, j: int, f: int) -> F64:
            at = _decision_bin(self._sum(part, self._plain(f), inner), decision)
            return _counts_at(self._of(part, self._plain(f))[j], at)

        def shared(inner: Folds) -> int:
            return self._shared(inner, choices, decision)

        return own_filters_pay(folds, self.parts, own, shared, stats, f1_of_counts)

    def _best_filter(
        self, part: int, folds: Folds, column: Column, choices: list[int], decision: frozenset[str]
    ) -> Column:
        columns = [
            dataclasses.replace(column, before=str(self.pairs[f][0]), after=str(self.pairs[f][1]))
            for f in choices
        ]
        quality = [_f1(self._sum(part, c, folds), decision) for c in columns]
        return columns[int(np.argmax(quality))]

    def _weighted(self, part: int, folds: Folds, column: Column, decision: frozenset[str]) -> Column:
        """Weights for one filter: the way of weighting is chosen on held-out folds."""
        number = len(self.table.members)
        useful = self._solo(part, folds, column, decision)

        def equal(inner: Folds) -> Column:
            return column

        def alone(member: int) -> Callable[[Folds], Column]:
            return lambda inner: dataclasses.replace(column, weights=tuple(np.eye(number)[member].tolist()))

        def fitted(inner: Folds) -> Column:
            cov, cross = self._second_moments(part, column.before, inner)
            weights = np.round(ensemble.fitted_weights(cov, cross, 0.1) * 20) / 20
            weights = weights / weights.sum() if weights.any() else ensemble.equal_weights(number)
            return dataclasses.replace(column, weights=tuple(weights.tolist()))

        def greedy(picks: int) -> Callable[[Folds], Column]:
            def way(inner: Folds) -> Column:
                path = self._greedy(part, inner, column.before, column.after, decision)
                return dataclasses.replace(column, weights=path[picks - 1])

            return way

        def ranked(inner: Folds) -> Column:
            before = self.pairs[self._index(column)][0]
            return dataclasses.replace(column, knots=rank_knots(self.table, part, inner, before))

        ways = [equal, alone(useful), fitted, greedy(2), greedy(4), greedy(PICKS), ranked]
        options = [self._tried(part, folds, way, decision) for way in ways]
        chosen = one_standard_error(options).value
        assert isinstance(chosen, Column)  # made by _tried
        return chosen

    def _tried(
        self, part: int, folds: Folds, way: Callable[[Folds], Column], decision: frozenset[str]
    ) -> Option:
        scores, pooled = [], np.zeros(4)
        for inner, j in held_out(folds):
            column = way(inner)
            at = _decision_bin(self._sum(part, column, inner), decision)
            counts = _counts_at(self._of(part, column)[j], at)
            pooled += counts
            scores.append(float(f1_of_counts(counts)))
        column = way(folds)
        cost = float(np.count_nonzero(column.weights)) + (0.5 if column.knots else 0.0)
        return Option(column, cost, float(f1_of_counts(pooled)), tuple(scores))

    def _solo(self, part: int, folds: Folds, column: Column, decision: frozenset[str]) -> int:
        """The member that does best alone on these folds."""
        one = np.eye(len(self.table.members))
        alone = [dataclasses.replace(column, weights=tuple(w.tolist())) for w in one]
        return int(np.argmax([_f1(self._sum(part, c, folds), decision) for c in alone]))

    @memoize
    def _greedy(
        self, part: int, folds: Folds, before: str, after: str, decision: frozenset[str]
    ) -> list[Floats]:
        def gain(weights: F64) -> float:
            column = Column(tuple(weights.tolist()), before, after)
            return _f1(self._sum(part, column, folds), decision)

        path = ensemble.greedy_path(gain, len(self.table.members), PICKS)
        return [tuple(w.tolist()) for w in path]

    @memoize
    def _second_moments(self, part: int, before: str, folds: Folds) -> tuple[F64, F64]:
        grams = self._member_grams(part, before)[list(folds)].sum(axis=0)
        mean = grams[0] / max(grams[0, 0], 1)
        cov = grams / max(grams[0, 0], 1) - np.outer(mean, mean)
        return cov[1:-1, 1:-1], cov[1:-1, -1]

    @memoize
    def _member_grams(self, part: int, before: str) -> F64:
        m = self.table
        filter = next(b for b, _ in self.pairs if str(b) == before)
        columns = [m.member(k, part, filter)[m.valid] for k in range(len(m.members))]
        table = np.column_stack([np.ones(int(m.valid.sum())), *columns, m.truth[m.valid, part] > 0.5])
        return np.stack([table[m.fold_of_valid == k].T @ table[m.fold_of_valid == k] for k in range(m.folds)])

    def _index(self, column: Column) -> int:
        texts = [(str(b), str(a)) for b, a in self.pairs]
        return texts.index((column.before, column.after))

    def _thresholded(self, part: int, folds: Folds, column: Column) -> Column:
        """The threshold with the best F1, or half way to it from where the default lies."""
        options = []
        start = _default_threshold(column)
        for strength in STRENGTHS:
            pooled, scores = np.zeros(4), []
            for inner, j in held_out(folds):
                raw = _partly(self._sum(part, column, inner), start, strength)
                counts = _counts_at(self._of(part, column)[j], int(np.searchsorted(EDGES, raw - 1e-9)))
                pooled += counts
                scores.append(float(f1_of_counts(counts)))
            options.append(Option(strength, 0, float(f1_of_counts(pooled)), tuple(scores)))
        strength = float(str(max(options, key=lambda o: o.pooled).value))
        raw = _partly(self._sum(part, column, folds), start, strength)
        return dataclasses.replace(column, threshold=_calibrated(column, raw))

    # ---- evaluating ----------------------------------------------------------------------------------

    def stats(self, part: int, columns: Columns) -> F64:
        column = columns[0]
        counts = self.histogram(part, column.weights, column.before, column.after, column.knots)
        at = int(np.searchsorted(EDGES, _raw(column) - 1e-9))
        return _counts_at(counts.astype(np.float64), at)[:, None]


# ---- decisions on histograms ---------------------------------------------------------------------------


def _counts_at(counts: F64, at: int) -> F64:
    """True positives, false positives, false negatives, true negatives with the threshold at a bin's lower
    edge; from (..., bins, 2)."""
    above, below = counts[..., at:, :].sum(axis=-2), counts[..., :at, :].sum(axis=-2)
    return np.stack([above[..., 1], above[..., 0], below[..., 1], below[..., 0]], axis=-1).astype(np.float64)


def _decision_bin(counts: F64, decision: frozenset[str]) -> int:
    """Where the decision lies under some steps fitted on these counts, (bins, 2)."""
    if "threshold" in decision:
        return thresholds.best_threshold(counts[:, 0], counts[:, 1])[0]
    if "calibrate" in decision:
        slope, bias = calibration.platt(CENTRES, counts[:, 0], counts[:, 1])
        column = Column((1.0,), calibration={"kind": "platt", "slope": slope, "bias": bias})
        return int(np.searchsorted(EDGES, _raw(column) - 1e-9))
    return BINS // 2


def _f1(counts: F64, decision: frozenset[str]) -> float:
    if "threshold" in decision:
        return float(thresholds.f1_at(counts[:, 0], counts[:, 1]).max())
    return float(f1_of_counts(_counts_at(counts, _decision_bin(counts, decision))))


def _partly(counts: F64, start: float, strength: float) -> float:
    """The fitted threshold on the raw score, or a part of the way to it in log odds."""
    best = EDGES[thresholds.best_threshold(counts[:, 0], counts[:, 1])[0]]
    if strength == 1:
        return float(best)
    here, there = calibration.logit(start), calibration.logit(best)
    return float(calibration.sigmoid(here + strength * (there - here)))


def _default_threshold(column: Column) -> float:
    return _raw(dataclasses.replace(column, threshold=0.5))


def _raw(column: Column) -> float:
    """A column's threshold as a score before calibration."""
    c = column.calibration
    if c["kind"] != "platt":
        return column.threshold
    if c["slope"] <= 0:
        return 0.0 if calibration.sigmoid(c["bias"]) >= column.threshold else 1.0
    return float(calibration.sigmoid((calibration.logit(column.threshold) - c["bias"]) / c["slope"]))


def _calibrated(column: Column, raw: float) -> float:
    """A raw threshold as a score after calibration."""
    c = column.calibration
    if c["kind"] != "platt":
        return raw
    return float(calibration.sigmoid(c["slope"] * calibration.logit(raw) + c["bias"]))
