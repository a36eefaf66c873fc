"""How large the official corpus is, to tell a whole copy from one with something missing.

Source: the organisers' releases of editions 5 to 10, as gathered in docs/reference/formats.md, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OfficialCounts:
    """Tracks and rows of one task.

    Attributes:
        train, validation: annotated tracks of the two sets.
        test: tracks of the template.
        test_rows: rows of the template.
    """

    train: int
    validation: int
    test: int
    test_rows: int


OFFICIAL = {
    "AU": OfficialCounts(295, 105, 141, 729_736),
    "EXPR": OfficialCounts(248, 70, 228, 1_022_655),
    "VA": OfficialCounts(356, 76, 162, 927_210),
}
