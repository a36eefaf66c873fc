"""The command that writes the synthetic corpus."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import OUT_PATH, Command, jobs_option


@click.command(cls=Command, extras=["faces"])
@click.argument("out", type=OUT_PATH)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed gives the same labels.")
@click.option(
    "--size",
    type=click.Choice(["tiny", "small"]),
    default="small",
    help="tiny for tests, small for the demo.",
)
@jobs_option
def demo_data(out: Path, seed: int, size: str, jobs: int) -> None:
    """Write a small synthetic Aff-Wild2 into OUT, in the official layout of edition 6.

    Videos with rendered faces and voices, annotations, test lists, templates, unlabelled face
    pictures for pre-training, and the hidden truth. It has the awkward cases of the real data.

    \b
    Example: abaw-submit demo-data data/demo --size small
    """
    from abaw_submit.cli.progress import progress
    from abaw_submit.demo.corpus import write_corpus
    from abaw_submit.store import read_record

    made = write_corpus(out, seed, size, jobs, progress)
    record = read_record(out) or {"counts": {}}
    counts = ", ".join(f"{number:,.0f} {what}" for what, number in record["counts"].items())
    click.echo(f"{out}: {counts}" + ("" if made else " (already there, nothing to do)"))
