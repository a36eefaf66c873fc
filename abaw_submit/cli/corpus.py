"""Commands on the corpus itself."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import IN_DIR, IN_FILE, IN_PATH, OUT_PATH, Command, task_option
from abaw_submit.tasks import Task


@click.command(cls=Command)
@task_option
@click.option("--crops", type=IN_DIR, required=True, help="Crops with their ledgers, made by crop.")
@click.option("--out", type=OUT_PATH, required=True, help="The template to write.")
@click.option("--dummy", is_flag=True, help="Write dummy values in place of the bare comma.")
def template(task: Task, crops: Path, out: Path, dummy: bool) -> None:
    """Make a template for any videos from their crops.

    One file in the official grammar: tracks in name order, one row for each row of the ledger, face or
    no face.

    \b
    Example: abaw-submit template --task VA --crops work/clips/crops --out work/clips/va.txt
    """
    from abaw_submit.corpus.rows import make_template

    rows = make_template(task, crops, out, dummy)
    if rows is None:
        click.echo(f"{out} is up to date.")
        return
    click.echo(f"Wrote {out}: {sum(rows.values()):,} rows of {len(rows)} tracks.")


@click.command("mtl-list", cls=Command)
@click.option("--annotations", type=IN_PATH, required=True, help="Annotations of the three tasks, or a list.")
@click.option("--tracks", type=IN_FILE, help="Only these: a list of tracks, or a template.")
@click.option(
    "--step", type=click.IntRange(min=1), default=1, help="Only every n-th labelled row of a track."
)
@click.option("--blank", is_flag=True, help="Without labels: a list to predict, as the organisers hand out.")
@click.option("--out", type=OUT_PATH, required=True, help="The list to write.")
def mtl_list(annotations: Path, tracks: Path | None, step: int, blank: bool, out: Path) -> None:
    """Make a multi-task list from the annotations of the three tasks.

    One line for each row that at least one task labels, what the others do not know marked -5 or -1.

    \b
    Example: abaw-submit mtl-list --annotations annotations/ --step 10 --out mtl.txt
    """
    from abaw_submit.corpus.multitask import make_mtl_list

    counts = make_mtl_list(annotations, out, tracks=tracks, step=step, blank=blank)
    if counts is None:
        click.echo(f"{out} is up to date.")
        return
    click.echo(f"Wrote {out}: {counts[0]:,} rows of {counts[1]} tracks.")
