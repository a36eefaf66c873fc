"""`choose-epoch`: where to stop, by the other folds' curves."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import IN_DIR, Command, json_option


@click.command("choose-epoch", cls=Command)
@click.argument("checkpoints", type=IN_DIR, nargs=-1, required=True)
@click.option("--window", type=int, default=3, help="Epochs of the running mean over a curve, odd.")
@click.option(
    "--average",
    "averaged",
    type=IN_DIR,
    multiple=True,
    help="The same folds trained with --keep average, in the same order: compare that too.",
)
@json_option
def choose_epoch(
    checkpoints: tuple[Path, ...], window: int, averaged: tuple[Path, ...], as_json: bool
) -> None:
    """Where to stop each fold's training, chosen on the other folds' validation curves.

    CHECKPOINTS are the folds of one training. The rule is fixed beforehand: the last epoch, the peak of the
    smoothed mean curve of the other folds, or (with --average) the average of the last epochs' weights,
    whichever did best on the other folds, by epochs chosen elsewhere. A fold's own curve never has a say.
    Train again with --stop-after, or take the folds of --average.

    \b
    Example: abaw-submit choose-epoch checkpoints/run/va/fold_0 checkpoints/run/va/fold_1 \\
               checkpoints/run/va/fold_2
    """
    import dataclasses
    import json

    from abaw_submit.training.epochs import choose_epochs, read_curve

    averages = [read_curve(path)[-1] for path in averaged]
    chosen = choose_epochs({path.name: read_curve(path) for path in checkpoints}, window, averages)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(choice) for choice in chosen], indent=2))
        return
    more = "   average" if averaged else ""
    click.echo(f"fold            stop after  rule      last epoch   epoch of the others{more}")
    for c in chosen:
        others = f"{c.score_smoothed:.3f} ({c.smoothed})"
        average = "" if c.score_average is None else f"   {c.score_average:.3f}"
        click.echo(
            f"{c.fold:15} {c.epoch:>10}  {c.rule:8}  {c.score_last:10.3f}   {others:19}{average}".rstrip()
        )
