"""Labels to bytes, a whole track at a time.

Each track becomes one matrix of bytes: location, values, newline. Numbers have six decimals (half a
millionth off at most, far below any effect on CCC) and are put together from two tables of digits.
"""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import U8
from abaw_submit.corpus.templates import location_blocks
from abaw_submit.submission.grammar import Grammar, Labels

DECIMALS = 6
_ONE = 10**DECIMALS
_COMMA, _MINUS, _NEWLINE, _ZERO = 44, 45, 10, 48
# "0.00" … "1.00" and "0000" … "9999", four bytes as one number
_HEADS = np.frombuffer("".join(f"{k / 100:.2f}" for k in range(101)).encode(), "<u4")
_TAILS = np.frombuffer("".join(f"{k:04d}" for k in range(10_000)).encode(), "<u4")
_FLOAT = np.dtype([("sign", "u1"), ("head", "<u4"), ("tail", "<u4"), ("end", "u1")])


def values_width(grammar: Grammar) -> int:
    """Bytes of the values of a row, with commas and newline, all minus signs counted."""
    return len(grammar.floats) * _FLOAT.itemsize + len(grammar.integers) * 2


def encode_values(labels: Labels, grammar: Grammar, out: U8) -> None:
    """Fill in rows of values with commas and newline; a zero byte where a number has no minus sign.

    Args:
        labels: (rows, columns of the grammar), floats first; finite. Floats are clipped to [-1, 1].
        grammar: what to write.
        out: (rows, `values_width`) uint8 to fill.

    >>> from abaw_submit.submission.grammar import grammar_of
    >>> out = np.empty((1, 20), np.uint8)
    >>> encode_values(np.array([[0.5, -2.0]]), grammar_of("VA"), out)
    >>> out.tobytes().replace(bytes(1), b"")
    b'0.500000,-1.000000\\n'
    """
    floats = len(grammar.floats)
    at = floats * _FLOAT.itemsize
    if floats:
        scaled = np.rint(np.clip(labels[:, :floats].astype(np.float64), -1.0, 1.0) * _ONE).astype(np.int32)
        size = np.abs(scaled)
        high = size // 10_000
        fields = out[:, :at].view(_FLOAT)
        fields["sign"] = (scaled < 0) * np.uint8(_MINUS)
        fields["head"] = _HEADS[high]
        fields["tail"] = _TAILS[size - high * 10_000]
        fields["end"] = _COMMA
    out[:, at::2] = labels[:, floats:].astype(np.uint8) + np.uint8(_ZERO)
    out[:, at + 1 :: 2] = _COMMA
    out[:, -1] = _NEWLINE


def track_text(labels: Labels, grammar: Grammar) -> bytearray:
    """The rows of a per-track file, without the header."""
    width = values_width(grammar)
    text = bytearray(len(labels) * width)
    encode_values(labels, grammar, np.frombuffer(text, np.uint8).reshape(-1, width))
    return _without_gaps(text, grammar)


def located_text(track: str, labels: Labels, grammar: Grammar) -> bytearray:
    """The rows of one track in a single-file submission: `<track>/00001.jpg,<values>`.

    >>> from abaw_submit.submission.grammar import grammar_of
    >>> bytes(located_text("video7", np.array([[3], [0]]), grammar_of("EXPR")))
    b'video7/00001.jpg,3\\nvideo7/00002.jpg,0\\n'
    """
    parts = []
    first = 0
    for block in location_blocks(track, len(labels)):
        rows, place = block.shape
        text = bytearray(rows * (place + values_width(grammar)))
        matrix = np.frombuffer(text, np.uint8).reshape(rows, -1)
        matrix[:, :place] = block
        encode_values(labels[first : first + rows], grammar, matrix[:, place:])
        parts.append(_without_gaps(text, grammar))
        first += rows
    return parts[0] if len(parts) == 1 else bytearray().join(parts)


def _without_gaps(text: bytearray, grammar: Grammar) -> bytearray:
    return text.translate(None, b"\0") if grammar.floats else text
