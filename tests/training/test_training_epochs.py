"""Where to stop: a fold's epoch, and the rule itself, come from the other folds."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import UserError
from abaw_submit.training.epochs import choose_epochs, read_curve


def test_a_folds_epoch_comes_from_the_others_alone() -> None:
    peak = [0.1, 0.3, 0.6, 0.4, 0.2]
    curves = {"0": peak, "1": peak, "2": peak, "3": [0.9, 0.1, 0.1, 0.1, 0.1]}
    chosen = {c.fold: c for c in choose_epochs(curves, window=1)}
    assert chosen["3"].epoch == 3  # its own best epoch is the first
    assert chosen["3"].rule == "smoothed"
    spoiled = {**curves, "3": [0.0, 0.0, 0.0, 0.0, 5.0]}
    assert {c.fold: c.epoch for c in choose_epochs(spoiled, window=1)}["3"] == 3


def test_a_single_lucky_epoch_is_smoothed_away() -> None:
    lucky = [0.1, 0.9, 0.1, 0.4, 0.7, 0.7, 0.7]
    assert {c.smoothed for c in choose_epochs(dict.fromkeys("012", lucky), window=3)} == {6}


def test_mistakes_in_choosing_an_epoch_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 3"):
        choose_epochs({"0": [1.0], "1": [1.0]})
    with pytest.raises(UserError, match="have 1 and 2 epochs"):
        choose_epochs({"0": [1.0], "1": [1.0, 2.0], "2": [1.0]})
    with pytest.raises(UserError, match="odd"):
        choose_epochs({"0": [1.0], "1": [1.0], "2": [1.0]}, window=2)
    with pytest.raises(UserError, match="has no history"):
        read_curve(tmp_path)
    with pytest.raises(UserError, match="1 folds with averaged weights; expected 3"):
        choose_epochs({fold: [1.0] for fold in "012"}, averages=[1.0])


def test_the_average_is_taken_where_it_won_on_the_other_folds() -> None:
    curves = {fold: [0.1, 0.5, 0.4] for fold in "012"}
    # fold 0 won, so folds 1 and 2 take it; on those two it lost, so fold 0 does not
    chosen = choose_epochs(curves, window=1, averages=[0.9, 0.45, 0.45])
    assert [c.rule for c in chosen] == ["smoothed", "average", "average"]
    assert [c.epoch for c in chosen] == [2, 3, 3]
    assert [c.score_average for c in chosen] == [0.9, 0.45, 0.45]
    assert {c.score_average for c in choose_epochs(curves)} == {None}


def test_the_command_shows_each_rule(tmp_path: Path) -> None:
    words = ["choose-epoch"]
    for k in range(3):
        for kind, scores in (("fold", (0.2, 0.6, 0.5)), ("swa", (0.2, 0.3, 0.7))):
            folder = tmp_path / f"{kind}_{k}"
            folder.mkdir()
            rows = [f"{epoch},{score}" for epoch, score in enumerate(scores, 1)]
            (folder / "history.csv").write_text("\n".join(["epoch,validation", *rows]) + "\n")
            words += [str(folder)] if kind == "fold" else ["--average", str(folder)]
    done = CliRunner().invoke(cli, [*words, "--window", "1"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[1].split() == ["fold_0", "3", "average", "0.500", "0.600", "(2)", "0.700"]
