"""`crop`: from videos to aligned face crops with a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from abaw_submit.cli.common import IN_FILE, IN_PATH, OUT_PATH, Command, collect, jobs_option, settings_options
from abaw_submit.cli.progress import progress
from abaw_submit.errors import ProblemsFound
from abaw_submit.faces.settings import DETECTOR_CHOICES, CropSettings

SHOWN_FAILURES = 20


@click.command(cls=Command, extras=["faces"])
@click.argument("videos", nargs=-1, required=True, type=IN_PATH)
@click.option("--out", required=True, type=OUT_PATH, help="Folder of the crops: one folder per track.")
@click.option(
    "--detector",
    type=click.Choice(DETECTOR_CHOICES),
    default="auto",
    help="auto: yunet where its model is found, else haar.",
)
@click.option("--model", type=IN_PATH, help="YuNet's model file; else ABAW_YUNET, else the cache.")
@click.option(
    "--rows-from",
    multiple=True,
    type=IN_PATH,
    help="Annotations, template or list of test tracks: which tracks, and their official rows. Repeatable.",
)
@click.option("--overrides", type=IN_FILE, help="A person's decisions: TRACK ROWS none | at X Y, one a line.")
@jobs_option
@click.option("--shard", help="Only part i of n of the videos, as 3/8; a last run without it collects.")
@click.option("--sheet", is_flag=True, help="Write a contact sheet per track to OUT/sheets.")
@settings_options(CropSettings)
def crop(
    videos: tuple[Path, ...],
    out: Path,
    detector: str,
    model: Path | None,
    rows_from: tuple[Path, ...],
    overrides: Path | None,
    jobs: int,
    shard: str | None,
    sheet: bool,
    **values: Any,
) -> None:
    """Cut each person's face out of VIDEOS (files or folders), one jpg and one ledger line per row.

    With --detector official or openface, VIDEOS also names the folders of crops or OpenFace output.

    Only rows that show the person get a jpg; every official row gets a ledger line. Rows without a
    face take the nearest one that has, downstream. Killed runs go on where they stopped.

    \b
    Example: abaw-submit crop videos/ --out crops/ --rows-from annotations/ --rows-from VA_sample.txt
    """
    from abaw_submit.faces.choice import find_detector
    from abaw_submit.faces.overrides import read_overrides
    from abaw_submit.faces.stage import Workers, crop_corpus

    settings: CropSettings = collect(CropSettings, values)
    spec, remark = find_detector(detector, model)
    if remark:
        click.echo(remark, err=True)
    report = crop_corpus(
        videos,
        out,
        spec,
        settings,
        rows_from=rows_from,
        overrides=read_overrides(overrides) if overrides else (),
        workers=Workers(jobs),
        shard=shard,
        progress=progress,
    )
    if not report.fresh:
        click.echo(f"{out}: nothing to do, all crops are there.")
    else:
        rows = sum(r["rows"] for r in report.tracks.values())
        found = sum(r["found"] for r in report.tracks.values())
        click.echo(f"{out}: {len(report.tracks)} tracks, {rows} rows, {found} of them with a face.")
        nominal = sum(r["decoded"] is None for r in report.tracks.values())
        if nominal:
            click.echo(
                f"{nominal} tracks have no video here: their times are counted at 30 per second, and sound"
                " will not line up. Name the videos too.",
                err=True,
            )
    if report.faceless:
        shown = ", ".join(report.faceless[:SHOWN_FAILURES])
        more = f" and {len(report.faceless) - SHOWN_FAILURES} more" * (len(report.faceless) > SHOWN_FAILURES)
        click.echo(f"No face in any row of {shown}{more}: nothing but sound will speak for them.", err=True)
    for line in report.damaged[:SHOWN_FAILURES]:
        click.echo(f"Damaged: {line}", err=True)
    if len(report.damaged) > SHOWN_FAILURES:
        click.echo(f"Damaged: {len(report.damaged)} tracks in all; see {out / 'summary.csv'}.", err=True)
    if sheet:
        from abaw_submit.faces.sheet import write_sheets

        click.echo(f"{write_sheets(out)} contact sheets in {out / 'sheets'}.")
    if report.failures:
        for item, why in report.failures[:SHOWN_FAILURES]:
            click.echo(f"  {item}: {why}", err=True)
        raise ProblemsFound(f"{len(report.failures)} items could not be cropped; the rest is done.")
