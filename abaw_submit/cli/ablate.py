"""`ablate`: the paper's tables for a trained run."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import IN_DIR, IN_FILE, OUT_PATH, Command, task_option
from abaw_submit.cli.progress import progress
from abaw_submit.tasks import Task


@click.command(cls=Command, extras=["train"])
@task_option
@click.option("--trained", required=True, help="Checkpoints of the full model, {fold} for the fold's name.")
@click.option(
    "--features", multiple=True, required=True, help="NAME=FOLDER as the full model has them, {fold} in it."
)
@click.option("--annotations", type=IN_DIR, required=True, help="Official annotations, any edition.")
@click.option("--splits", type=IN_FILE, required=True, help="Folds made by `split`.")
@click.option("--plain", help="Features of the encoder before fine-tuning, in place of the first.")
@click.option("--frames", help="Validation scores of the single-frame heads, {fold} in it: without TMF.")
@click.option("--model", "models", multiple=True, help="Another sequence model to train; may be given again.")
@click.option(
    "--out", type=OUT_PATH, required=True, help="Folder for the tables, such as work/RUN/ablations."
)
def ablate(
    task: Task,
    trained: str,
    features: tuple[str, ...],
    annotations: Path,
    splits: Path,
    plain: str | None,
    frames: str | None,
    models: tuple[str, ...],
    out: Path,
) -> None:
    """Make the paper's tables for a trained run: folds, parts, features, filters, models.

    Each variant is the full model with one thing changed, trained with its settings on the same folds and
    features; what is trained already is used. Every row has a 95 % interval over recordings and its paired
    difference to the first. Written as <out>/<task>_<table>.csv.

    \b
    Example: abaw-submit ablate --task VA --trained 'checkpoints/run/va/fold_{fold}' \\
               --features 'mae=work/run/features/mae_va_{fold}' --features logmel=work/run/features/logmel \\
               --frames 'checkpoints/run/va/encoder_{fold}/scores_validation.h5' --model gru \\
               --annotations annotations/ --splits splits/run_va.json --out work/run/ablations
    """
    from abaw_submit.errors import UserError
    from abaw_submit.postprocess.comparison import table_lines
    from abaw_submit.training.ablations import Ablation
    from abaw_submit.training.ablations import ablate as work

    named: dict[str, str] = {}
    for item in features:
        name, equals, path = item.partition("=")
        if not (name and equals and path) or name in named:
            raise UserError(f'--features "{item}": expected NAME=FOLDER, each name once.')
        named[name] = path
    made = work(
        Ablation(task, annotations, splits, trained, named, plain, frames, models), out, progress=progress
    )
    for table, rows in made.items():
        click.echo(f"{task.name} {table}, {task.metric}: {out / f'{task.key}_{table}.csv'}")
        for line in table_lines(rows):
            click.echo(line)
