"""Class weights beside the paper's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from abaw_submit.tasks import AU, EXPR, VA
from abaw_submit.training.weights import PUBLISHED, weights_lines, write_weights_table


def test_the_papers_own_weights_are_shown_and_not_warned_of(tmp_path: Path) -> None:
    write_weights_table(tmp_path, AU, np.array(PUBLISHED["AU"], np.float32))
    lines = weights_lines(tmp_path)
    assert len(lines) == 3
    assert lines[0].split() == ["class", "weights", *AU.columns]
    assert lines[1].split()[1:] == lines[2].split()[2:]


def test_a_factor_of_two_is_the_limit_in_both_directions(tmp_path: Path) -> None:
    weights = np.array(PUBLISHED["EXPR"], np.float32)
    weights[1] *= 2.1  # Anger
    weights[3] /= 2.1  # Fear
    weights[6] *= 1.9
    write_weights_table(tmp_path, EXPR, weights)
    assert "(Anger 2.1x, Fear 0.5x)" in weights_lines(tmp_path)[3]


def test_va_has_no_classes(tmp_path: Path) -> None:
    assert write_weights_table(tmp_path, VA, np.ones(2, np.float32)) is None
    assert weights_lines(tmp_path) == []
