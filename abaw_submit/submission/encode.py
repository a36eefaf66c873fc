"""Labels to bytes, a whole track at a time.

Each track becomes one matrix of bytes: location, values, newline. Numbers have six decimals (half a
millionth off at most, far below any effect on CCC) and are written from tables of digits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.templates import location_blocks
from abaw_submit.submission.grammar import Grammar, Labels

DECIMALS = 6
_ONE = 10**DECIMALS
_THREE_DIGITS = np.array([list(f"{k:03d}".encode()) for k in range(1000)], np.uint8)
_FLOAT_WIDTH = 3 + DECIMALS  # sign, digit, point, decimals
_MINUS, _POINT, _COMMA, _NEWLINE, _ZERO = 45, 46, 44, 10, 48
Bytes = npt.NDArray[np.uint8]


def encode_values(labels: Labels, grammar: Grammar) -> Bytes:
    """Rows of values with commas and newline; a zero byte where a number has no minus sign.

    Args:
        labels: (rows, columns of the grammar), floats first; finite. Floats are clipped to [-1, 1].
        grammar: what to write.

    Returns:
        (rows, width) uint8.

    >>> from abaw_submit.submission.grammar import grammar_of
    >>> encode_values(np.array([[0.5, -2.0]]), grammar_of("VA")).tobytes().replace(bytes(1), b"")
    b'0.500000,-1.000000\\n'
    """
    floats, integers = len(grammar.floats), len(grammar.integers)
    out = np.empty((len(labels), floats * (_FLOAT_WIDTH + 1) + integers * 2), np.uint8)
    for column in range(floats):
        at = column * (_FLOAT_WIDTH + 1)
        _float_digits(labels[:, column], out[:, at : at + _FLOAT_WIDTH])
        out[:, at + _FLOAT_WIDTH] = _COMMA
    at = floats * (_FLOAT_WIDTH + 1)
    out[:, at::2] = labels[:, floats:].astype(np.uint8) + np.uint8(_ZERO)
    out[:, at + 1 :: 2] = _COMMA
    out[:, -1] = _NEWLINE
    return out


def _float_digits(values: Labels, out: Bytes) -> None:
    scaled = np.rint(np.clip(values.astype(np.float64), -1.0, 1.0) * _ONE).astype(np.int32)
    size = np.abs(scaled)
    thousands = size // 1000  # by a constant: much faster than divmod
    whole = thousands // 1000
    out[:, 0] = (scaled < 0) * np.uint8(_MINUS)
    out[:, 1] = whole + _ZERO
    out[:, 2] = _POINT
    out[:, 3:6] = _THREE_DIGITS[thousands - whole * 1000]
    out[:, 6:9] = _THREE_DIGITS[size - thousands * 1000]


def track_text(labels: Labels, grammar: Grammar) -> bytes:
    """The rows of a per-track file, without the header."""
    return _without_gaps(encode_values(labels, grammar), grammar)


def located_text(track: str, labels: Labels, grammar: Grammar) -> bytes:
    """The rows of one track in a single-file submission: `<track>/00001.jpg,<values>`.

    >>> from abaw_submit.submission.grammar import grammar_of
    >>> located_text("video7", np.array([[3], [0]]), grammar_of("EXPR"))
    b'video7/00001.jpg,3\\nvideo7/00002.jpg,0\\n'
    """
    values = encode_values(labels, grammar)
    parts = []
    first = 0
    for block in location_blocks(track, len(labels)):
        part = values[first : first + len(block)]
        parts.append(_without_gaps(np.concatenate([block, part], axis=1), grammar))
        first += len(block)
    return b"".join(parts)


def _without_gaps(matrix: Bytes, grammar: Grammar) -> bytes:
    text = matrix.tobytes()
    return text.translate(None, b"\0") if grammar.floats else text
