"""Comma-separated numbers of many lines at once, as `float` reads them.

The result is exact while the digits make a number below 2**53 (15 digits always do), and within one
unit in the last place up to 18 digits. Plain decimals (`0.602`, `-5`, `1`) are read by NumPy over all
lines; a line with anything else (exponents, spaces, words, a wrong number of values) is marked and left
to the caller.
"""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import F64, Index, Mask
from abaw_submit.corpus.lines import Lines

CHUNK_LINES = 32_768  # keeps the arrays of one step inside the processor's cache
_WIDEST = 24  # bytes of a plain number; longer ones are left to the caller
_MOST_DIGITS = 18  # the digits fit an int64
_POWERS = 10.0 ** np.arange(_MOST_DIGITS + 1)
_COMMA, _MINUS, _POINT, _ZERO = 44, 45, 46, 48


def parse_table(lines: Lines, starts: Index, ends: Index, columns: int) -> tuple[F64, Mask]:
    """The numbers between `starts` and `ends`, one line each.

    Args:
        lines: the text.
        starts: int64 (rows,) first byte of the numbers of each line, ascending.
        ends: int64 (rows,) one past their last byte.
        columns: numbers expected in each line.

    Returns:
        values (rows, columns) float64, and plain (rows,) bool: False where the line is something else
        (its values are NaN).
    """
    values = np.empty((len(starts), columns))
    plain = np.zeros(len(starts), bool)
    for first in range(0, len(starts), CHUNK_LINES):
        part = slice(first, first + CHUNK_LINES)
        values[part], plain[part] = _chunk(lines, starts[part], ends[part], columns)
    return values, plain


def _chunk(lines: Lines, starts: Index, ends: Index, columns: int) -> tuple[F64, Mask]:
    rows = len(starts)
    base = int(starts[0])
    commas = np.flatnonzero(lines.buffer[base : int(ends[-1])] == _COMMA) + base
    values = np.full((rows, columns), np.nan)
    low, high = np.searchsorted(commas, starts), np.searchsorted(commas, ends)
    plain = (high - low == columns - 1) & (ends >= starts)
    good = np.flatnonzero(plain)
    if not len(good):
        return values, plain
    inner = commas[low[good, None] + np.arange(columns - 1)] if columns > 1 else np.empty((len(good), 0), int)
    firsts = np.concatenate([starts[good, None], inner + 1], axis=1)
    lengths = np.concatenate([inner, ends[good, None]], axis=1) - firsts
    numbers, fine_tokens = _tokens(lines, firsts.ravel(), lengths.ravel())
    fine: Mask = np.logical_and.reduce(fine_tokens.reshape(-1, columns), axis=1)
    values[good[fine]] = numbers.reshape(-1, columns)[fine]
    plain[good[~fine]] = False
    return values, plain


def _tokens(lines: Lines, firsts: Index, lengths: Index) -> tuple[F64, Mask]:
    """Plain decimals: an optional minus, digits, at most one point between or around them."""
    width = int(lengths.max(initial=0))
    if width == 1:
        digits = lines.buffer[firsts] - np.uint8(_ZERO)
        return digits.astype(np.float64), (digits < 10) & (lengths == 1)
    width = min(width, _WIDEST)
    letters = np.ascontiguousarray(lines.records(firsts, width).T) if width else np.empty((0, len(firsts)))
    length = np.minimum(lengths, 255).astype(np.uint8)
    mantissa = np.zeros(len(firsts), np.int64)
    digits_seen = np.zeros(len(firsts), np.uint8)
    decimals = np.zeros(len(firsts), np.uint8)
    points = np.zeros(len(firsts), np.uint8)
    minus: Mask = np.zeros(len(firsts), bool)
    if width:
        minus |= letters[0] == _MINUS
    for place in range(width):
        digit = letters[place] - np.uint8(_ZERO)
        inside = length > place
        is_digit = (digit < 10) & inside
        mantissa = np.where(is_digit, mantissa * 10 + digit, mantissa)
        digits_seen += is_digit
        decimals += is_digit & (points > 0)
        points += (letters[place] == _POINT) & inside
    whole = digits_seen + points + minus == length
    fine = whole & (points <= 1) & (digits_seen > 0) & (digits_seen <= _MOST_DIGITS)
    numbers = mantissa / _POWERS[np.minimum(decimals, _MOST_DIGITS)]
    return np.where(minus, -numbers, numbers), fine
