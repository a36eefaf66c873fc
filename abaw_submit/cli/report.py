"""`report`: the table of scores and the HTML page of a run."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import CONFIG_USED, IN_DIR, OUT_PATH, Command

TABLE_HEAD = "# Scores by abaw-submit report"  # the first line of the text file: whose it is


@click.command(cls=Command)
@click.option("--run", "run_name", required=True, help="The run: its name, or its folder work/NAME.")
@click.option(
    "--annotations", type=IN_DIR, help="Root of the annotations; default: those its recipes were chosen by."
)
@click.option("--out", type=OUT_PATH, help="HTML file to write.")
@click.option("--table", is_flag=True, help="Print the scores.")
@click.option("--text", type=OUT_PATH, help="Text file to write the table of scores to.")
@click.option("--faces", is_flag=True, help="Show faces in the players; such a page may not be passed on.")
@click.pass_context
def report(
    ctx: click.Context,
    run_name: str,
    annotations: Path | None,
    out: Path | None,
    table: bool,
    text: Path | None,
    faces: bool,
) -> None:
    """One HTML page of a run, or its table of scores.

    Every score is out of fold: its models, and its recipe, had no part of the recording. The page shows
    the configuration that -c names.

    \b
    Example: abaw-submit report --run demo --out report.html
    """
    from abaw_submit.report.find import annotations_of, find_run
    from abaw_submit.report.page import page
    from abaw_submit.report.scoreboard import board, board_text, crossfitted
    from abaw_submit.store import refuse_foreign_text, write_text

    if out is None and text is None and not table:
        raise click.UsageError("Give --out FILE.html, --text FILE, or --table.")
    if out is not None:
        refuse_foreign_text(out, "report", b'content="abaw-submit report"')
    if text is not None:
        refuse_foreign_text(text, "report", TABLE_HEAD.encode(), "--text")
    run = find_run(run_name)
    annotations = annotations or annotations_of(run)
    if annotations is None:
        click.echo("No annotations are known (--annotations), so nothing is scored.", err=True)
    boards = {}
    if annotations is not None:
        found = [(t.task.name, board(t, annotations, crossfitted(t))) for t in run.tasks]
        boards = {name: value for name, value in found if value is not None}
    lines = "\n".join(board_text(b) for b in boards.values())
    if table:
        click.echo(lines)
    if text is not None:
        write_text(text, f"{TABLE_HEAD}: run {run.name}\n{lines}\n")
    if out is not None:
        write_text(out, page(run, boards, annotations, config=ctx.meta.get(CONFIG_USED), faces=faces))
        click.echo(f"{out}: {len(run.tasks)} tasks, {out.stat().st_size / 1e6:.1f} MB")
