"""`show`: what a trained run says about any video."""

from __future__ import annotations

from pathlib import Path

import click

from abaw_submit.cli.common import IN_FILE, OUT_PATH, Command
from abaw_submit.cli.progress import progress
from abaw_submit.errors import UserError
from abaw_submit.faces.settings import DETECTORS


@click.command(cls=Command, extras=["faces", "train", "report"])
@click.argument("video", type=IN_FILE)
@click.option("--run", "run_name", required=True, help="A trained run: its name, or its folder work/NAME.")
@click.option(
    "--out", type=OUT_PATH, help="Overlay video to write: box, expression, AUs, valence and arousal."
)
@click.option("--csv", "table", type=OUT_PATH, help="Table to write: one line per frame.")
@click.option("--fold", help="Use only this fold's models, which is quicker; else the mean of all.")
@click.option(
    "--detector",
    type=click.Choice(["auto", *DETECTORS]),
    default="auto",
    help="auto: yunet where its model is found, else haar.",
)
@click.option("--model", type=IN_FILE, help="YuNet's model file; else ABAW_YUNET, else the cache.")
@click.option(
    "--weights",
    multiple=True,
    metavar="NAME=PATH",
    help="Weights of an extractor that moved; may be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
@click.option("--device", default="auto", help="auto, cpu or cuda.")
def show(
    video: Path,
    run_name: str,
    out: Path | None,
    table: Path | None,
    fold: str | None,
    detector: str,
    model: Path | None,
    weights: tuple[str, ...],
    overwrite: bool,
    device: str,
) -> None:
    """Predictions of a trained run on any video: a line per frame as CSV, and drawn over the video.

    The video's main person is looked at. Nothing but the files asked for is left on the disk.

    \b
    Example: abaw-submit show holiday.mp4 --run demo --out overlay.mp4 --csv holiday.csv
    """
    from abaw_submit.faces.choice import find_detector
    from abaw_submit.report.find import find_run
    from abaw_submit.report.frame_table import frame_csv
    from abaw_submit.report.overlay import write_overlay
    from abaw_submit.report.watch import Choice, watch
    from abaw_submit.store import write_text

    if out is None and table is None:
        raise click.UsageError("Give --out OVERLAY.mp4, --csv FILE.csv, or both.")
    for option, path in (("--out", out), ("--csv", table)):
        if path is not None and path.resolve() == video.resolve():
            raise click.UsageError(f"{path} is the video itself.")
        if path is not None and path.exists() and not overwrite:
            raise UserError(f"{option} {path} is there already. Give another name, or add --overwrite.")
    run = find_run(run_name)
    spec, remark = find_detector(detector, model)
    if remark:
        click.echo(remark, err=True)
    choice = Choice(fold, dict(_pair(value) for value in weights), device)
    watched = watch(video, run, spec, choice, progress)
    for note in watched.notes:
        click.echo(note, err=True)
    if table is not None:
        write_text(table, frame_csv(watched))
        click.echo(f"{table}: {len(watched.ledger)} frames, {int(watched.ledger.found.sum())} with a face.")
    if out is not None:
        frames, sound = write_overlay(watched, out, progress)
        click.echo(f"{out}: {frames} frames{', with its sound' if sound else ', no sound in the original'}.")


def _pair(value: str) -> tuple[str, str]:
    name, sign, path = value.partition("=")
    if not (name and sign and path):
        raise UserError(f'--weights "{value}": expected NAME=PATH, such as vggish=vggish.pth.')
    return name, path
