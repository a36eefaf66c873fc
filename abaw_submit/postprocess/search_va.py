"""The search for valence and arousal: second moments per track stand for all rows.

For every filter, the products of (1, each filtered member, truth) are summed per track once. Means, spreads,
weights, calibration and CCC of any weighted mean on any set of tracks follow from these sums.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.metrics import ccc_of
from abaw_submit.postprocess import calibration, ensemble, products
from abaw_submit.postprocess.engine import (
    Columns,
    Folds,
    Option,
    Pair,
    held_out,
    memoize,
    mixed_rows,
    one_standard_error,
    own_filters_pay,
    rank_knots,
)
from abaw_submit.postprocess.recipe import Column
from abaw_submit.postprocess.score_table import ScoreTable
from abaw_submit.progress import Progress, quiet

Floats = tuple[float, ...]
Knots = tuple[tuple[float, ...], ...]
DEGREES = (1.0, 0.9, 0.8, 1.1)
RESTORE = (0.0, 0.5, 1.0)
_MONOTONE_STRIDE = 5  # rows skipped when fitting a monotone map: neighbours tell the same


class SearchVA:
    """See `engine.Engine`; a part is one of the two outputs.

    Args:
        table: scores and truth.
        pairs: filters (on members, on their mean); the first is none.
        progress: wraps the list of filters while the sums are made.
    """

    parts = 2

    def __init__(
        self,
        table: ScoreTable,
        pairs: Sequence[Pair],
        progress: Progress = quiet,
    ) -> None:
        self.table = table
        self.pairs: Sequence[Pair] = list(pairs)
        tracks, size = len(table.names), len(table.members) + 2
        self.grams = np.empty((2, len(self.pairs), tracks, size, size))
        for f, (before, after) in enumerate(progress(self.pairs, label="filters")):
            for o in range(2):
                rows = [table.filtered(table.member(k, o, before), after) for k in range(size - 2)]
                self.grams[o, f] = self._gram(o, rows)
        self._by_text = {(str(b), str(a)): k for k, (b, a) in enumerate(self.pairs)}
        one_hot = np.eye(table.folds)[table.fold]
        self.by_fold = np.einsum("tk,oftij->ofkij", one_hot, self.grams, optimize=True)

    def _gram(self, o: int, columns: Sequence[F64]) -> F64:
        """Products summed per track, (tracks, n + 2, n + 2), of (1, columns, truth) over valid rows."""
        m = self.table
        table = np.empty((len(columns) + 2, len(m.valid)))  # one long row a quantity: products run along it
        quantities: list[F64] = [np.ones(1), *columns, np.asarray(m.truth[:, o], np.float64)]
        for k, values in enumerate(quantities):
            np.multiply(values, m.valid, out=table[k])
        spans = zip(m.starts[:-1], m.starts[1:], strict=True)
        return np.stack([table[:, a:b] @ table[:, a:b].T for a, b in spans])

    def steps(self) -> tuple[str, ...]:
        several = ("ensemble",) if len(self.table.members) > 1 else ()
        return (*several, "smooth", "calibrate")

    def score(self, stats: F64) -> F64:
        return np.asarray(ccc_of(stats).mean(axis=-1))

    # ---- fitting ---------------------------------------------------------------------------------

    @memoize
    def fit(
        self, part: int, folds: Folds, steps: frozenset[str], pairs: tuple[int, ...] | None = None
    ) -> Columns:
        number = len(self.table.members)
        allowed = list(range(len(self.pairs))) if pairs is None else list(pairs)
        choices = allowed if "smooth" in steps else [0]
        weights = ensemble.equal_weights(number)
        aligned = "calibrate" in steps
        if len(choices) > 1 and not self._own_filters(folds, tuple(choices), "ensemble" in steps, aligned):
            choices = [self._shared(folds, tuple(choices), "ensemble" in steps, aligned)]
        sums = self.by_fold[part][:, list(folds)].sum(axis=1)  # (filters, n, n)
        ranked = False
        if "ensemble" in steps and number > 1:
            coarse = choices[:: max(len(choices) // 24, 1)]
            trial = [ensemble.fitted_weights(*products.moments(sums[f]), products.SHRINK[1]) for f in coarse]
            quality = [
                float(products.quality(sums[f], w, aligned)) for f, w in zip(coarse, trial, strict=True)
            ]
            f = coarse[int(np.argmax(quality))]
            weights = self._weights(part, folds, f, aligned)
            f = self._filter(sums, choices, weights, aligned)
            weights = self._weights(part, folds, f, aligned)
            ranked = self._rank_is_better(part, folds, f, weights, aligned)
        f = self._filter(sums, choices, weights, aligned)
        before, after = self.pairs[f]
        column = Column(tuple(weights.tolist()), str(before), str(after))
        if ranked:
            column = self._ranked(part, folds, f)
        if "ensemble" in steps and not aligned:
            column = self._restored(part, folds, f, column)
        if aligned:
            column = self._calibrated(part, folds, column)
        return (column,)

    @memoize
    def probe(self, part: int, folds: Folds, steps: frozenset[str], pair: int) -> Columns:
        weights = self.fit(part, folds, steps, None)[0].weights
        before, after = self.pairs[pair]
        column = Column(weights, str(before), str(after))
        if "calibrate" in steps:
            gram = self.by_fold[part][pair][list(folds)].sum(axis=0)
            offset, scale = products.affine(products.mix(gram, np.asarray(weights)), 1.0)
            fitted = {"kind": "affine", "scale": float(scale), "offset": float(offset)}
            column = dataclasses.replace(column, calibration=fitted)
        return (column,)

    def _quick_weights(self, gram: F64, weighted: bool) -> F64:
        number = len(self.table.members)
        if weighted and number > 1:
            return ensemble.fitted_weights(*products.moments(gram), products.SHRINK[1])
        return ensemble.equal_weights(number)

    @memoize
    def _all_quality(
        self, part: int, folds: Folds, choices: tuple[int, ...], weighted: bool, aligned: bool
    ) -> F64:
        """Quality of every filter, with weights fitted in the middle of the list."""
        sums = self.by_fold[part][list(choices)][:, list(folds)].sum(axis=1)
        weights = self._quick_weights(sums[len(choices) // 2], weighted)
        return products.quality(sums, weights, aligned)

    @memoize
    def _shared(self, folds: Folds, choices: tuple[int, ...], weighted: bool, aligned: bool) -> int:
        """The filter that is best on the mean of valence and arousal."""
        both = [self._all_quality(p, folds, choices, weighted, aligned) for p in range(self.parts)]
        return choices[int(np.argmax(np.mean(both, axis=0)))]

    @memoize
    def _own_filters(self, folds: Folds, choices: tuple[int, ...], weighted: bool, aligned: bool) -> bool:
        def own(part: int, inner: Folds) -> int:
            return choices[int(np.argmax(self._all_quality(part, inner, choices, weighted, aligned)))]

        def stats(part: int, inner: Folds, j: int, f: int) -> F64:
            train = self.by_fold[part][f][list(inner)].sum(axis=0)
            weights = self._quick_weights(train, weighted)
            return products.stats(self.by_fold[part][f][j], products.vector(train, weights, aligned))

        def shared(inner: Folds) -> int:
            return self._shared(inner, choices, weighted, aligned)

        return own_filters_pay(folds, self.parts, own, shared, stats, ccc_of)

    def _filter(self, sums: F64, choices: list[int], weights: F64, aligned: bool) -> int:
        return choices[int(np.argmax(products.quality(sums[choices], weights, aligned)))]

    @memoize
    def _weights(self, part: int, folds: Folds, f: int, aligned: bool) -> F64:
        """Weights for one filter: the way of weighting is chosen on held-out folds."""
        by_fold = self.by_fold[part][f]
        whole = by_fold[list(folds)].sum(axis=0)
        ways = products.ways(whole)
        options = []
        for way in ways:
            scores, pooled = [], np.zeros(6)
            for inner, j in held_out(folds):
                train = by_fold[list(inner)].sum(axis=0)
                weights = way(train)
                vector = products.vector(train, weights, aligned)
                stats = products.stats(by_fold[j], vector)
                pooled += stats
                scores.append(float(ccc_of(stats)))
            weights = way(whole)
            options.append(Option(weights, float((weights > 0).sum()), float(ccc_of(pooled)), tuple(scores)))
        return np.asarray(one_standard_error(options).value, np.float64)

    @memoize
    def _ranked(self, part: int, folds: Folds, f: int) -> Column:
        """The rank mean: quantiles of the members' scores on these folds; the truth is not used."""
        before, after = self.pairs[f]
        knots = rank_knots(self.table, part, folds, before)
        equal = tuple(ensemble.equal_weights(len(knots)).tolist())
        return Column(equal, str(before), str(after), knots)

    def _rank_is_better(self, part: int, folds: Folds, f: int, weights: F64, aligned: bool) -> bool:
        """Equal weights need no truth, so ranks are tried where all members have a weight."""
        if (weights == 0).any():
            return False
        gram = self._mixed(part, self._ranked(part, folds, f))[self._tracks(folds)].sum(axis=0)
        usual = self.by_fold[part][f][list(folds)].sum(axis=0)
        one = np.ones(1)
        return bool(products.quality(gram, one, aligned) > products.quality(usual, weights, aligned) + 1e-3)

    def _restored(self, part: int, folds: Folds, f: int, column: Column) -> Column:
        """Widen the mean back towards the members' spread, as far as held-out folds like it."""
        number = len(column.weights)
        options: list[Option] = []
        for degree in RESTORE:
            scores, pooled = [], np.zeros(6)
            for inner, j in held_out(folds):
                widened = self._widened(part, inner, f, column, degree)
                stats = self.stats(part, (widened,))[self._tracks((j,))].sum(axis=0)[0]
                pooled += stats
                scores.append(float(ccc_of(stats)))
            options.append(Option(degree, degree, float(ccc_of(pooled)), tuple(scores)))
        degree = float(str(one_standard_error(options).value)) if number > 1 else 0.0
        return self._widened(part, folds, f, column, degree)

    def _widened(self, part: int, folds: Folds, f: int, column: Column, degree: float) -> Column:
        members = self.by_fold[part][f][list(folds)].sum(axis=0)
        cov, _ = products.moments(members)
        mixed = self._mixed(part, column)[self._tracks(folds)].sum(axis=0)
        spread = float(np.sqrt(max(products.moments(mixed)[0][0, 0], 0.0)))
        wanted = float(np.asarray(column.weights) @ np.sqrt(np.maximum(np.diag(cov), 0)))
        gain = float(ensemble.spread_gain(wanted, spread, degree))
        return dataclasses.replace(column, centre=float(mixed[0, 1] / mixed[0, 0]), gain=gain)

    def _calibrated(self, part: int, folds: Folds, column: Column) -> Column:
        """Affine with the best degree of spreading, or a rising curve if clearly better."""
        grams = self._mixed(part, column)
        by_fold = [grams[self._tracks((k,))].sum(axis=0) for k in range(self.table.folds)]
        ways: list[tuple[float, float | None]] = [(1.0 + (d != 1), d) for d in DEGREES] + [(3.0, None)]
        curve = self._curve_data(part, column)
        options = []
        for cost, degree in ways:
            scores, pooled = [], np.zeros(6)
            for inner, j in held_out(folds):
                if degree is not None:
                    train = np.sum([by_fold[k] for k in inner], axis=0)
                    stats = products.stats(by_fold[j], products.affine(train, degree))
                else:
                    x, y = curve(inner)
                    knots = calibration.monotone_knots(y, x)
                    x, y = curve((j,))
                    stats = products.row_stats(y, np.interp(x, *knots))
                pooled = pooled + stats / max(stats[0], 1) * by_fold[j][0, 0]
                scores.append(float(ccc_of(stats)))
            options.append(Option(degree, cost, float(ccc_of(pooled)), tuple(scores)))
        chosen = one_standard_error(options).value
        if chosen is None:
            x, y = curve(folds)
            positions, values = calibration.monotone_knots(y, x)
            fitted = {"kind": "monotone", "positions": positions.tolist(), "values": values.tolist()}
        else:
            offset, scale = products.affine(np.sum([by_fold[k] for k in folds], axis=0), float(str(chosen)))
            fitted = {"kind": "affine", "scale": float(scale), "offset": float(offset)}
        return dataclasses.replace(column, calibration=fitted)

    @memoize
    def _sampled(self, part: int, before: str, after: str, weights: Floats, knots: Knots) -> F64:
        rows = mixed_rows(self.table, part, Column(weights, before, after, knots))
        return np.asarray(rows[self.table.valid][::_MONOTONE_STRIDE])

    def _curve_data(self, part: int, column: Column) -> Callable[[Folds], tuple[F64, F64]]:
        m, c = self.table, column
        values = self._sampled(part, c.before, c.after, c.weights, c.knots)
        truth = m.truth[m.valid, part][::_MONOTONE_STRIDE].astype(np.float64)
        fold = m.fold_of_valid[::_MONOTONE_STRIDE]

        def of(folds: Folds) -> tuple[F64, F64]:
            mine = np.isin(fold, folds)
            return values[mine], truth[mine]

        return of

    # ---- evaluating ------------------------------------------------------------------------------

    def stats(self, part: int, columns: Columns) -> F64:
        column = columns[0]
        kind = column.calibration["kind"]
        if kind == "monotone":
            c = column.calibration
            mixed = mixed_rows(self.table, part, column)
            rows = np.clip(np.interp(mixed, c["positions"], c["values"]), -1, 1)
            return products.track_moments(self._gram(part, [rows]))[:, None]
        scale = float(column.calibration.get("scale", 1.0))
        offset = float(column.calibration.get("offset", 0.0))
        vector = np.array([column.centre * (1 - column.gain) * scale + offset, column.gain * scale])
        return products.stats(self._mixed(part, dataclasses.replace(column, centre=0.0, gain=1.0)), vector)[
            :, None
        ]

    def _tracks(self, folds: Folds) -> npt.NDArray[np.bool_]:
        return np.isin(self.table.fold, folds)

    def _mixed(self, part: int, column: Column) -> F64:
        """Products of (1, weighted mean, truth) per track, (tracks, 3, 3)."""
        if not column.knots:
            return products.mix(self.grams[part, self._index(column)], np.asarray(column.weights))
        return self._rank_gram(part, (column.before, column.after, column.knots))

    @memoize
    def _rank_gram(self, part: int, key: tuple[str, str, tuple[tuple[float, ...], ...]]) -> F64:
        before, after, knots = key
        equal = tuple(ensemble.equal_weights(len(knots)).tolist())
        rows = mixed_rows(self.table, part, Column(equal, before, after, knots))
        return self._gram(part, [rows])

    def _index(self, column: Column) -> int:
        return self._by_text[(column.before, column.after)]


# ---- algebra on sums of products of (1, columns, truth) ------------------------------------------------
