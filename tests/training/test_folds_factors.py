"""Folds by two factors, leaks of the official split, and the balance a reader sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.tasks import EXPR, VA
from abaw_submit.training.factors import make_factor_splits
from abaw_submit.training.folds import (
    Fold,
    balance_table,
    make_splits,
    read_splits,
    write_splits,
)
from abaw_submit.training.splitcheck import find_problems

PATTERN = r"(P\d+)-(film\d+)"


def annotation(track: str, rows: int = 40, subset: str | None = None) -> Annotation:
    values = np.random.default_rng(len(track) + rows).integers(0, 8, (rows, 1)).astype(np.float32)
    return Annotation(track, EXPR, values, np.ones(rows, bool), subset, Path(track), EXPR.columns)


def everybody_saw_every_film(people: int = 7, films: int = 4) -> dict[str, Annotation]:
    names = [f"P{p:02d}-film{f}" for p in range(people) for f in range(films)]
    return {name: annotation(name, 20 + 3 * k) for k, name in enumerate(names)}


@pytest.mark.parametrize("folds", [2, 3])
def test_validation_has_new_people_and_new_films_and_every_track_is_validated_once(
    folds: int, tmp_path: Path
) -> None:
    made = make_factor_splits(everybody_saw_every_film(), EXPR, PATTERN, folds=folds)
    assert [f.name for f in made.folds] == [str(k) for k in range(folds**2)]
    for fold in made.folds:
        for which in (0, 1):
            sides = [{t.split("-")[which] for t in part} for part in (fold.train, fold.validation)]
            assert not sides[0] & sides[1]
    assert sorted(t for f in made.folds for t in f.validation) == sorted(everybody_saw_every_film())
    write_splits(tmp_path / "s.json", made)
    again = read_splits(tmp_path / "s.json")
    assert again == made
    assert find_problems(again, everybody_saw_every_film()) == []
    spoiled = [*again.folds[1:], Fold("0", [*again.folds[0].train, "P00-film0"], again.folds[0].validation)]
    again.folds[:] = spoiled
    assert any("in training and in validation" in line for line in find_problems(again))


def test_order_of_tracks_does_not_matter() -> None:
    tracks = everybody_saw_every_film()
    turned = dict(reversed(tracks.items()))
    assert make_factor_splits(tracks, EXPR, PATTERN) == make_factor_splits(turned, EXPR, PATTERN)


@pytest.mark.parametrize(
    ("pattern", "folds", "message"),
    [
        (r"(P\d+)", 2, "has 1 groups; expected 2"),
        ("(P", 2, "is not a regular expression"),
        (r"(Q\d+)-(film\d+)", 2, "Track P00-film0 does not match"),
        (PATTERN, 5, "5 parts of 4 values"),
    ],
)
def test_what_cannot_be_divided_is_named(pattern: str, folds: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_factor_splits(everybody_saw_every_film(), EXPR, pattern, folds=folds)


def test_leaks_of_the_official_split_are_dropped_or_kept_and_named_either_way() -> None:
    tracks = {
        "6-30-1920x1080_left": annotation("6-30-1920x1080_left", subset="train"),
        "6-30-1920x1080_right": annotation("6-30-1920x1080_right", subset="validation"),
        "201": annotation("201", subset="train"),
        "202": annotation("202", subset="train"),
    }
    dropped, kept = (make_splits(tracks, EXPR, folds=2, drop_leaks=drop) for drop in (True, False))
    assert dropped.fold("official").train == ["201", "202"]
    assert kept.fold("official").train == ["201", "202", "6-30-1920x1080_left"]
    assert [(leak.group, leak.kept) for leak in (*dropped.leaks, *kept.leaks)] == [
        ("6-30-1920x1080", False),
        ("6-30-1920x1080", True),
    ]
    assert find_problems(dropped, tracks) == []
    assert find_problems(kept, tracks) == [
        "fold official: siblings: 6-30-1920x1080_left in training, 6-30-1920x1080_right in validation"
    ]


def test_the_balance_counts_every_label(tmp_path: Path) -> None:
    tracks = everybody_saw_every_film(4, 2)
    lines = balance_table(make_splits(tracks, EXPR, folds=2)).splitlines()
    assert lines[0] == "fold,tracks,rows,valid_rows," + ",".join(EXPR.columns)
    sums = np.sum([[int(v) for v in line.split(",")[1:]] for line in lines[1:]], 0)
    labels = np.concatenate([a.values[:, 0] for a in tracks.values()])
    rows = len(labels)
    assert sums.tolist() == [8, rows, rows, *np.bincount(labels.astype(int), minlength=8).tolist()]
    va = {t: Annotation(t, VA, np.zeros((5, 2)), np.ones(5, bool), None, Path(t)) for t in tracks}  # type: ignore[arg-type]
    assert "valence -0.2..0.2" in balance_table(make_splits(va, VA, folds=2))


def test_the_command_writes_folds_and_their_balance(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "EXPR_Recognition_Challenge" / "Train_Set"
    folder.mkdir(parents=True)
    for name in everybody_saw_every_film(4, 2):
        (folder / f"{name}.txt").write_text(EXPR.header() + "\n0\n4\n-1\n")
    out = tmp_path / "expr.json"
    words = ["split", "--task", "EXPR", "--annotations", tmp_path / "a", "--out", out, "--folds", 2,
             "--factors", PATTERN]  # fmt: skip
    result = CliRunner().invoke(cli, [str(w) for w in words])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "expr.balance.csv").read_text().count("\n") == 5
    checked = CliRunner().invoke(cli, ["split-check", str(out), "--annotations", str(tmp_path / "a")])
    assert checked.exit_code == 0, checked.output
