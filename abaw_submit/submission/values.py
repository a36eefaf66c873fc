"""The values of rows: all at once where they are as they should be, one by one where not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Index, Mask
from abaw_submit.corpus.lines import PAD, Lines
from abaw_submit.corpus.numbers import CHUNK_LINES, parse_table
from abaw_submit.submission.grammar import Grammar

_COMMA, _ZERO = 44, 48
_LONGEST = 4000  # bytes of a row that are looked at where it is not plain
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = {"nan", "inf", "infinity", "-inf", "-infinity", "+inf", "na", "null", "none"}

Kinds = tuple[tuple[str, str], ...]  # kind of problem and what was found


@dataclass(frozen=True)
class Values:
    """The values of rows.

    Attributes:
        floats: (rows, floats of the grammar) float64, NaN where the row is bad.
        integers: (rows, integers of the grammar) uint8, 0 where the row is bad.
        good: (rows,) bool: the row is exactly as the grammar says.
    """

    floats: npt.NDArray[np.float64]
    integers: npt.NDArray[np.uint8]
    good: Mask


def read_values(
    lines: Lines, starts: Index, ends: Index, grammar: Grammar, note: Callable[[int, Kinds], None]
) -> Values:
    """Read the values between `starts` and `ends`, one row each (ascending).

    Args:
        lines: the text.
        starts: int64 (rows,) first byte of the values of each row.
        ends: int64 (rows,) one past their last byte.
        grammar: what they have to be.
        note: called with the index of each bad row and what is wrong with it.
    """
    rows, digits = len(starts), len(grammar.integers)
    floats = np.full((rows, len(grammar.floats)), np.nan)
    integers = np.zeros((rows, digits), np.uint8)
    good = np.zeros(rows, bool)
    width = 2 * digits - 1 if digits else 0
    for first in range(0, rows, CHUNK_LINES):
        part = slice(first, min(first + CHUNK_LINES, rows))
        s, e = starts[part], ends[part]
        fine = e - s > width if grammar.floats else e - s == width
        if digits:
            fine &= _integers(lines, e, fine, grammar, integers[part])
            e = e - width - (1 if grammar.floats else 0)
        if grammar.floats:
            which = np.flatnonzero(fine)
            numbers, plain = parse_table(lines, s[which], e[which], len(grammar.floats))
            plain &= (np.abs(numbers) <= 1).all(axis=1)
            floats[part][which[plain]] = numbers[plain]
            fine[which[~plain]] = False
        good[part] = fine
    for row in np.flatnonzero(~good):
        tail = lines.buffer[starts[row] : min(max(starts[row], ends[row]), starts[row] + _LONGEST)].tobytes()
        kinds, row_floats, row_integers = diagnose(tail, grammar)
        if kinds:
            note(int(row), kinds)
        else:  # right, only not in the plainest form (1e-3)
            floats[row], integers[row], good[row] = row_floats, row_integers, True
    integers[~good] = 0
    floats[~good] = np.nan
    return Values(floats, integers, good)


def _integers(lines: Lines, ends: Index, fine: Mask, grammar: Grammar, out: npt.NDArray[np.uint8]) -> Mask:
    """Read the one-digit integers at the end of each fine row; which rows have them right."""
    width = 2 * len(grammar.integers) - 1
    assert width <= PAD
    letters = lines.records(np.where(fine, ends - width, 0), width)
    digits = letters[:, 0::2] - np.uint8(_ZERO)
    out[:] = digits
    commas, in_range = letters[:, 1::2] == _COMMA, digits <= grammar.highest
    if commas.all() and in_range.all():
        return fine
    result: Mask = fine & commas.all(axis=1) & in_range.all(axis=1)
    return result


@lru_cache(maxsize=65_536)
def diagnose(tail: bytes, grammar: Grammar) -> tuple[Kinds, list[float], list[int]]:
    """What is wrong with the values of one row: (kind, what was found) pairs; none if it is right.

    >>> from abaw_submit.submission.grammar import grammar_of
    >>> diagnose(b"0.5,nan", grammar_of("VA"))[0]
    (('NaN', 'arousal is "nan"'),)
    """
    text = tail.decode("utf-8", "backslashreplace")
    fields = text.split(",")
    columns = grammar.columns
    if len(fields) != len(columns):
        if not text.strip():
            return (("empty value", "no values"),), [], []
        found = f'{len(fields)} values, expected {len(columns)} in "{text[:60]}"'
        return (("column count", found),), [], []
    kinds: dict[str, str] = {}
    floats, integers = [], []
    for position, (name, field) in enumerate(zip(columns, fields, strict=True)):
        is_float = position < len(grammar.floats)
        top = 1 if is_float else grammar.integers[position - len(grammar.floats)][1]
        kind, problem = _field(field, is_float, top)
        if kind:
            kinds.setdefault(kind, f"{name} is {problem}")
        elif is_float:
            floats.append(float(field))
        else:
            integers.append(int(field))
    return tuple(kinds.items()), floats, integers


def _field(field: str, is_float: bool, top: int) -> tuple[str, str]:
    """Kind of problem of one value and what it is; ("", "") if it is right."""
    shown = f'"{field[:30]}"'
    if not field.strip():
        return "empty value", "empty"
    if field.strip().lower() in _NOT_FINITE:
        return "NaN", shown
    if not _NUMBER.fullmatch(field):
        return "number syntax", shown
    if not is_float and not re.fullmatch(r"-?\d+", field, re.ASCII):
        return "not an integer", f"{shown}, expected one digit 0..{top}"
    value = float(field)
    low = -1 if is_float else 0
    if not low <= value <= top:
        hint = ", the marker of invalid annotations" if value in (-5, -1) else ""
        return "range", f"{shown}{hint}; expected {low}..{top}"
    if not is_float and len(field) > 1:
        return "not an integer", f"{shown}, expected one digit 0..{top}"
    return "", ""
