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
    from abaw_submit.cli.tracklists import read_track_names
    from abaw_submit.corpus.mtl import write_mtl
    from abaw_submit.corpus.multitask import list_lines, read_multitask
    from abaw_submit.errors import UserError
    from abaw_submit.store import Stage

    inputs = [annotations, *([tracks] if tracks is not None else [])]
    stage = Stage("mtl-list", out, settings={"step": step, "blank": blank}, inputs=inputs)
    if stage.done():
        click.echo(f"{out} is up to date.")
        return
    with stage:
        read = read_multitask(annotations)
        if tracks is not None:
            names = set(read_track_names(tracks))
            read = {track: annotation for track, annotation in read.items() if track in names}
        if not read:
            raise UserError(f"No track of {tracks} has a label in {annotations}.")
        rows = write_mtl(out, list_lines(read, step, not blank))
        stage.output(out)
        stage.count("rows", rows)
    click.echo(f"Wrote {out}: {rows:,} rows of {len(read)} tracks.")
