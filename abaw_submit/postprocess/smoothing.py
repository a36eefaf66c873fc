"""Smoothing of scores along time, per track: SciPy's filters behind one function.

What is settled here, once:

* Filters run on contiguous 1-D float64 columns (on a column of a 2-D array SciPy's median is 20 to
  40 times slower), and long kernels by FFT.
* Beyond a track's ends the track is mirrored (d c b a | a b c d | d c b a), as often as needed, so a
  window may be longer than its track. Nothing ever crosses from one track to another.
* An even window would shift everything by half a row. Here a mean over W rows gives its two outermost
  of W + 1 rows half weight; a median or Savitzky-Golay window becomes W + 1.
* NaN marks a missing row: it is filled from its neighbours in time before filtering (see `fill_missing`),
  because a median ignores NaN silently and a Gaussian spreads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError, suggest

Index = npt.NDArray[np.int32]
KINDS = ("none", "median", "mean", "gaussian", "savgol")
DEFAULT_RATE_HZ = 30.0
_FFT_FROM_TAPS = 97  # below this a direct correlation is faster
_TRUNCATE = 4.0  # a Gaussian kernel ends at 4 sigma, as SciPy's does
_POLYNOMIAL = 2
_HELD_INDICES = 20_000_000

# the paper's settings by name; sigma for the Gaussian, window in rows for the others
PRESETS: dict[str, dict[str, str]] = {
    "paper": {"AU": "gaussian:5", "EXPR": "gaussian:25", "VA": "gaussian:25"},
    "paper-gaussian": {"AU": "gaussian:5", "EXPR": "gaussian:25", "VA": "gaussian:25"},
    "paper-mean": {"AU": "mean:10", "EXPR": "mean:25", "VA": "mean:50"},
    "paper-median": {"AU": "median:10", "EXPR": "median:25", "VA": "median:50"},
}


@dataclass(frozen=True)
class Filter:
    """One filter. Written `kind:size`, for example `median:51`, `gaussian:25` or `mean:1.5s`.

    Attributes:
        kind: "none", "median", "mean", "gaussian" or "savgol" (quadratic).
        size: window in rows, or sigma in rows for "gaussian"; in seconds if `seconds`.
        seconds: the size is in seconds.
    """

    kind: str
    size: float = 0.0
    seconds: bool = False

    def __str__(self) -> str:
        return "none" if self.kind == "none" else f"{self.kind}:{self.size:g}{'s' if self.seconds else ''}"

    def in_rows(self, rate_hz: float) -> Filter:
        """The same filter with its size in rows."""
        if not self.seconds:
            return self
        size = self.size * rate_hz
        return Filter(self.kind, size if self.kind == "gaussian" else float(max(round(size), 1)))


NONE = Filter("none")


@dataclass(frozen=True)
class FilterPair:
    """Two filters, one after the other; most pairs have only one that does something.

    Attributes:
        before: the first, a median against spikes.
        after: the second.
    """

    before: Filter = NONE
    after: Filter = NONE

    def close_to(self, other: FilterPair, reach: float = 1.6) -> bool:
        """Whether both filters are of the same kinds, and of up to `reach` times the other's size."""
        pairs = ((self.before, other.before), (self.after, other.after))
        return all(a.kind == b.kind and b.size / reach <= a.size <= b.size * reach for a, b in pairs)

    def width_rows(self, rate_hz: float) -> float:
        """The width in rows: the window, or four sigmas; both together.

        >>> FilterPair(Filter("median", 5), Filter("gaussian", 25)).width_rows(30)
        105.0
        """
        sizes = [f.in_rows(rate_hz) for f in (self.before, self.after)]
        return float(sum(4 * f.size if f.kind == "gaussian" else f.size for f in sizes))

    def run(self, column: F64, rate_hz: float) -> F64:
        """Both on one track's column."""
        return smooth(smooth(column, self.before, rate_hz=rate_hz), self.after, rate_hz=rate_hz)


UNFILTERED = FilterPair()


def parse_filter(text: str, task: str | None = None) -> Filter:
    """A filter from its text, or a preset's name where the task is known.

    >>> parse_filter("gaussian:2.5"), parse_filter("mean:1s").in_rows(30)
    (Filter(kind='gaussian', size=2.5, seconds=False), Filter(kind='mean', size=30.0, seconds=False))

    Raises:
        UserError: an unknown kind or preset, or no positive size.
    """
    if task is not None and text in PRESETS:
        text = PRESETS[text][task]
    kind, _, size = text.partition(":")
    if kind not in KINDS:
        raise UserError(f'Unknown filter "{kind}". {suggest(kind, [*KINDS, *(PRESETS if task else ())])}')
    if kind == "none":
        return NONE
    seconds = size.endswith("s")
    try:
        number = float(size.removesuffix("s"))
    except ValueError:
        number = 0.0
    if not (0 < number < 1e7) or (not seconds and kind != "gaussian" and number != int(number)):
        raise UserError(f'Filter "{text}": expected a size in rows or seconds, as in {kind}:25 or {kind}:1s.')
    return Filter(kind, number, seconds)


def smooth(
    values: npt.ArrayLike,
    filters: Filter | Sequence[Filter],
    *,
    rate_hz: float = DEFAULT_RATE_HZ,
    missing: str = "fill",
) -> F64:
    """Smooth one track.

    Args:
        values: (rows, outputs) or (rows,) scores; NaN marks missing values.
        filters: one filter for all outputs, or one per output.
        rate_hz: rows per second, for sizes in seconds.
        missing: "fill" gives missing rows the filtered value of their filled neighbourhood, "keep"
            leaves them NaN in the result, "refuse" raises.

    Returns:
        float64 of the same shape. A column that is missing altogether stays NaN.

    Raises:
        UserError: NaN with missing="refuse", or as many filters as outputs were not given.
    """
    array = np.asarray(values, np.float64)
    table = array[:, None] if array.ndim == 1 else array
    outputs = table.shape[1]
    each = [filters] * outputs if isinstance(filters, Filter) else list(filters)
    if len(each) != outputs:
        raise UserError(f"{len(each)} filters for {outputs} outputs; give one, or one per output.")
    gaps = np.isnan(table)
    if missing not in ("fill", "keep", "refuse"):
        raise UserError(f'missing="{missing}". {suggest(missing, ("fill", "keep", "refuse"))}')
    if missing == "refuse" and gaps.any():
        raise UserError(f"Row {int(np.argmax(gaps.any(axis=1))) + 1} is missing (NaN).")
    pack = Pack([len(table)])
    out = np.empty_like(table)
    for k in range(outputs):
        column = fill_missing(table[:, k]) if gaps[:, k].any() else np.ascontiguousarray(table[:, k])
        out[:, k] = column if np.isnan(column).any() else pack.run(column, each[k].in_rows(rate_hz))
    if missing == "keep":
        out[gaps] = np.nan
    return out.reshape(array.shape)


def fill_missing(column: npt.ArrayLike) -> F64:
    """Fill NaN on the straight line between the neighbours in time; at the ends take the nearest.

    >>> fill_missing([np.nan, 1.0, np.nan, np.nan, 4.0]).tolist()
    [1.0, 1.0, 2.0, 3.0, 4.0]
    """
    values = np.array(column, np.float64)
    known = ~np.isnan(values)
    if known.any() and not known.all():
        rows = np.arange(len(values))
        values[~known] = np.interp(rows[~known], rows[known], values[known])
    return values


class Pack:
    """Many tracks laid end to end, each mirrored far enough that a filter run over the whole never
    mixes two of them. What makes trying hundreds of filters on hundreds of tracks cheap.

    Args:
        lengths: rows of each track, in order; columns given to `run` have their sum of rows.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = np.asarray(lengths, np.int64)
        self._padding: dict[int, tuple[Index, Index]] = {}  # by half width
        self._held = 0

    def run(self, column: F64, filter: Filter) -> F64:
        """Filter a column of all tracks, (rows,) without NaN, sizes in rows."""
        if filter.kind == "none" or filter.size == 0 or not len(column):
            return np.array(column, np.float64)
        half, act = _plan(filter)
        source, take = self._indices(half)
        return np.ascontiguousarray(act(np.asarray(column, np.float64)[source])[take])

    def _indices(self, half: int) -> tuple[Index, Index]:
        """Where each padded position comes from, and where the tracks' own rows lie in it."""
        if half in self._padding:
            return self._padding[half]
        source, take, start, place = [], [], 0, 0
        for n in self.lengths.tolist():
            k = np.arange(-half, n + half) % (2 * n)
            source.append(start + np.where(k < n, k, 2 * n - 1 - k))
            take.append(np.arange(place + half, place + half + n))
            start, place = start + n, place + n + 2 * half
        found = np.concatenate(source).astype(np.int32), np.concatenate(take).astype(np.int32)
        self._held += len(found[0]) + len(found[1])
        if self._held > _HELD_INDICES:  # a large corpus: keep the last one, filters come by width
            self._padding, self._held = {}, len(found[0]) + len(found[1])
        self._padding[half] = found
        return found


def _plan(filter: Filter) -> tuple[int, Any]:
    """Half width in rows, and the function of a padded column; borders there do not matter."""
    if filter.kind == "median":
        window = _odd(filter.size)
        return window // 2, lambda x: ndimage.median_filter(x, size=window, mode="nearest")
    if filter.kind == "mean":
        window = round(filter.size)
        return window // 2 + 1, lambda x: _mean(x, window)
    kernel = _kernel(filter.kind, filter.size)
    if len(kernel) < _FFT_FROM_TAPS:
        return len(kernel) // 2, lambda x: ndimage.correlate1d(x, kernel, mode="nearest")
    return len(kernel) // 2, lambda x: signal.oaconvolve(x, kernel, mode="same")


def _mean(x: F64, window: int) -> F64:
    if window % 2:
        return np.asarray(ndimage.uniform_filter1d(x, window, mode="nearest"))
    left = ndimage.uniform_filter1d(x, window, mode="nearest", origin=0)
    right = ndimage.uniform_filter1d(x, window, mode="nearest", origin=-1)
    return np.asarray((left + right) / 2)


def _odd(size: float) -> int:
    return int(size) + 1 - int(size) % 2


@lru_cache(maxsize=512)
def _kernel(kind: str, size: float) -> F64:
    """Symmetric weights that sum to one."""
    if kind == "savgol":
        window = max(_odd(size), _POLYNOMIAL + 1)
        return np.asarray(signal.savgol_coeffs(window, _POLYNOMIAL), np.float64)
    radius = int(_TRUNCATE * size + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / size) ** 2)
    return np.asarray(weights / weights.sum(), np.float64)


def candidates(number: int = 60, longest_rows: int = 601) -> list[FilterPair]:
    """The filters a search tries, "none" first.

    Windows are spaced evenly in their logarithm from 3 to `longest_rows`, the same for the four kinds (a
    Gaussian's sigma is a quarter of the window). A few pairs are a short median against spikes, then a wide
    filter.
    """
    steps = max(number // 4, 2)
    windows = sorted({_odd(w) for w in np.geomspace(3, longest_rows, steps).round()})
    while len(windows) < steps and len(windows) < (longest_rows - 1) // 2:  # short windows fell together
        windows = sorted({*windows, next(w for w in range(3, longest_rows + 1, 2) if w not in windows)})
    out = [FilterPair()]
    for w in windows:
        out.append(FilterPair(before=Filter("median", w)))
        out += [FilterPair(after=Filter("mean", w)), FilterPair(after=Filter("gaussian", w / 4))]
        if w > _POLYNOMIAL + 1:
            out.append(FilterPair(after=Filter("savgol", w)))
    wide = [w for w in windows if w >= 25][:: max(len(windows) // 8, 1)]
    for m in (5, 15, 45):
        out += [FilterPair(Filter("median", m), Filter("gaussian", w / 4)) for w in wide if w > m]
    return out
