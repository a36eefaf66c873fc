"""Commands on the corpus itself."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import IN_DIR, OUT_PATH, Command, task_option
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
    from abaw_submit.corpus.rows import crop_rows
    from abaw_submit.corpus.templates import write_template
    from abaw_submit.store import Stage

    stage = Stage("template", out, settings={"task": task.name, "dummy": dummy}, inputs=[crops])
    if stage.done():
        click.echo(f"{out} is up to date.")
        return
    with stage:
        rows = crop_rows(crops)
        write_template(out, rows, task, dummy)
        stage.output(out)
        stage.count("rows", sum(rows.values()))
    click.echo(f"Wrote {out}: {sum(rows.values()):,} rows of {len(rows)} tracks.")
