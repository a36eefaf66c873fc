"""The stages `split` and `split-check`, as functions of explicit paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from abaw_submit.corpus.labels import read_labels
from abaw_submit.corpus.tracklists import known_tests, read_tracks
from abaw_submit.store import Stage, write_text
from abaw_submit.tasks import MTL, Task, any_task
from abaw_submit.training.factors import make_factor_splits
from abaw_submit.training.folds import Splits, balance_table, make_splits, read_splits, write_splits
from abaw_submit.training.splitcheck import find_problems


def run_split(
    task: Task,
    annotations: Path,
    out: Path,
    *,
    folds: int = 5,
    seed: int = 0,
    official: bool = True,
    drop_leaks: bool = True,
    factors: str | None = None,
    test: Sequence[Path] = (),
) -> Splits | None:
    """Divide all annotated tracks into folds; write them and a table of their balance beside them.

    Args:
        task: whose annotations are divided.
        annotations: the official annotations, any edition.
        out: the splits file (.json) to write.
        folds: how many; with `factors` of each factor.
        seed: another seed gives another, equally balanced division.
        official: also the fold "official"; not with `factors`.
        drop_leaks: leave training tracks with a sibling in validation out of the fold "official".
        factors: regular expression with two groups, for folds by two factors.
        test: test lists and templates: annotated siblings of their tracks are left out.

    Returns:
        The folds, or None if they were made before.

    Raises:
        UserError: malformed annotations, or fewer recordings than folds.
    """
    official = official and factors is None
    settings: dict[str, Any] = {"task": task.name, "folds": folds, "seed": seed, "official": official}
    if not drop_leaks:
        settings["drop_leaks"] = False
    if factors is not None:
        settings["factors"] = factors
    stage = Stage("split", out, settings=settings, inputs=[annotations, *test])
    if stage.done():
        return None
    with stage:
        annotated = read_labels(annotations, task)
        tracks = [track for path in test for track in read_tracks(path, task)]
        if factors is not None:
            splits = make_factor_splits(annotated, task, factors, folds=folds, seed=seed, test=tracks)
        else:
            splits = make_splits(
                annotated,
                task,
                folds=folds,
                seed=seed,
                official=official,
                test=tracks,
                drop_leaks=drop_leaks,
            )
        splits = replace(splits, tests=known_tests(test) if task is MTL else 0)
        write_splits(out, splits)
        stage.output(out)
        balance = out.with_name(f"{out.stem}.balance.csv")
        write_text(balance, balance_table(splits))
        stage.output(balance)
        stage.count("tracks", len(splits.tracks))
        stage.count("leaks", len(splits.leaks))
    return splits


def check_splits(
    file: Path, annotations: Path | None = None, test: Path | None = None
) -> tuple[Splits, list[str]]:
    """The folds of a file and all their problems, one line each (see `find_problems`).

    Raises:
        UserError: the file is not a splits file, or the annotations or the list are malformed.
    """
    splits = read_splits(file)
    task = any_task(splits.task)
    annotated = read_labels(annotations, task) if annotations is not None else None
    return splits, find_problems(splits, annotated, read_tracks(test, task) if test is not None else ())
