"""`import-scores` and `import-features`: what other tools made, in any layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abaw_submit.cli.common import IN_DIR, IN_PATH, OUT_PATH, Command, task_option
from abaw_submit.cli.progress import progress
from abaw_submit.errors import ProblemsFound
from abaw_submit.tasks import Task

if TYPE_CHECKING:
    from abaw_submit.scores.sniff.understand import Understood

SHOWN_FAILURES = 20


@click.command(name="import-scores", cls=Command)
@click.argument("source", type=IN_PATH)
@task_option
@click.option("--out", type=OUT_PATH, help="The .h5 file to write; needed without --dry-run.")
@click.option(
    "--rows-from",
    type=IN_PATH,
    help="Template or annotations: the official row counts to check against. Give it if you can.",
)
@click.option(
    "--columns",
    help="Score columns in the task's order, by name or position; also frame=NAME, track=NAME, image=NAME.",
)
@click.option("--first-frame", type=click.IntRange(0, 1), help="Number of a track's first frame.")
@click.option("--header/--no-header", default=None, help="Whether text begins with a header line.")
@click.option("--logits", is_flag=True, help="AU, EXPR: the scores are logits; makes them probabilities.")
@click.option("--percent", is_flag=True, help="AU, EXPR: the scores are percentages.")
@click.option("--intensity", is_flag=True, help="AU: the scores are intensities from 0 to 5.")
@click.option("--clip", is_flag=True, help="VA: clip values outside [-1, 1].")
@click.option(
    "--missing",
    type=click.Choice(["refuse", "nearest", "line", "nan"]),
    default="refuse",
    help="Rows without scores: take the nearest row's, a line between neighbours, or leave them open.",
)
@click.option("--slack", type=click.IntRange(min=0), default=0, help="Rows a track may differ by at its end.")
@click.option("--key", help="Where every entry has several arrays: the name or number of the one to read.")
@click.option("--only", help="Read only files whose path matches, such as '*/scores_validation.h5'.")
@click.option("--stacked", is_flag=True, help="One array holds all tracks, in the order of the template.")
@click.option("--dry-run", is_flag=True, help="Show what was understood and write nothing.")
def import_scores(
    source: Path, task: Task, out: Path | None, rows_from: Path | None, dry_run: bool, **options: Any
) -> None:
    """Bring scores of any tool and layout into one file that every other command reads.

    SOURCE is a file or a folder: text of any kind, npy, npz, HDF5, JSON, MATLAB, pickles (no code in them is
    run); a file a track, one for all, one a frame, or folders of folds. What was understood is shown before
    it is written. What could be read in two ways is refused with the option that settles it.

    \b
    Example: abaw-submit import-scores predictions/ --task VA --rows-from annotations/ --out scores/mine.h5
    """
    from abaw_submit.scores.imports import import_scores as work
    from abaw_submit.scores.sniff.table import Options

    if out is None and not dry_run:
        raise click.UsageError("Missing option '--out': the .h5 file to write (or --dry-run).")
    where = None if dry_run else out
    found = work(source, task, where, Options(**options), rows_from, show=_show, progress=progress)
    if found is None:
        click.echo(f"{out} is up to date.")
    elif dry_run:
        click.echo("Nothing was written (--dry-run).")
    else:
        rows = sum(len(values) for values in found.tracks.values())
        click.echo(f"Wrote {out}: {task.name} scores of {len(found.tracks):,} tracks, {rows:,} rows.")


def _show(found: Understood) -> None:
    from abaw_submit.scores.sniff.show import understood_lines

    click.echo("\n".join(understood_lines(found)))


@click.command(name="import-features", cls=Command)
@click.argument("source", type=IN_PATH)
@click.option("--name", required=True, help="What made them; goes into the files.")
@click.option("--crops", type=IN_DIR, help="Crops with ledgers: rows and times.")
@click.option(
    "--annotations", type=IN_PATH, help="Without crops: annotations or a template that give the rows."
)
@click.option("--out", type=OUT_PATH, required=True, help="Folder of the <track>.h5 files to write.")
@click.option("--columns", help="Only columns whose name matches this regular expression.")
@click.option("--slack", type=click.IntRange(min=0), default=3, help="Rows a file may differ by at its end.")
@click.option("--first-frame", type=click.IntRange(0, 1), help="Number of a track's first frame.")
@click.option("--header/--no-header", default=None, help="Whether text begins with a header line.")
@click.option("--key", help="Where a file has several arrays: the name of the one to read.")
@click.option("--only", help="Read only files whose path matches.")
@click.option(
    "--segments",
    type=click.Choice(["seconds", "milliseconds", "frames"]),
    help="Unit of `start` and `end`, where a vector holds for an interval. Default: as the names say.",
)
@click.option(
    "--segment-end",
    type=click.Choice(["inclusive", "exclusive"]),
    help="Intervals in frames: whether the last frame is in it.",
)
def import_features(
    source: Path, name: str, crops: Path | None, annotations: Path | None, out: Path, **options: Any
) -> None:
    """Bring features made elsewhere into the cache: text (OpenFace too), npy, npz, HDF5, pickles, JSON, MATLAB.

    SOURCE holds a file a track, a folder of a file a frame for each track, or one file for all. Row k is frame
    k, or what its frame number says. Vectors with `start` and `end` hold for an interval; overlaps are averaged
    by time. Row counts are checked against the crops or the annotations; a few rows more or fewer at the end
    (--slack) are cut or marked not valid.

    \b
    Example: abaw-submit import-features openface/ --name openface --columns '^AU.*_r$' --crops crops/ --out features/openface
    """  # noqa: E501 - a command to copy
    from abaw_submit.features.importers import FeatureOptions, import_folder

    report = import_folder(
        source,
        out,
        name=name,
        crops=crops,
        annotations=annotations,
        options=FeatureOptions(**options),
        progress=progress,
    )
    if not report.fresh:
        click.echo(f"{out} is up to date.")
        return
    done = [r for r in report.results if r.problem is None]
    rows, valid = sum(r.rows for r in done), sum(r.valid_rows for r in done)
    click.echo(f"{out}: {len(done)} tracks, {rows} rows, {valid} of them valid; {'; '.join(report.notes)}.")
    for track, why in report.failures[:SHOWN_FAILURES]:
        click.echo(f"{track}: {why}", err=True)
    if report.failures:
        raise ProblemsFound(f"{len(report.failures)} tracks could not be imported; the rest is done.")
