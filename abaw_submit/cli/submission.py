"""The commands that make, check and pack submissions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from abaw_submit.cli.common import (
    IN_DIR,
    IN_FILE,
    IN_PATH,
    OUT_PATH,
    Command,
    collect,
    json_option,
    settings_options,
    task_option,
)
from abaw_submit.cli.progress import progress
from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.planning.settings import PlanSettings
from abaw_submit.tasks import EDITIONS, Task

if TYPE_CHECKING:
    from abaw_submit.submission.expected import ExpectedRows

_KINDS = click.Choice(["AU", "EXPR", "VA", "MTL", "CE", "AH"], case_sensitive=False)
_WRITABLE = click.Choice(["AU", "EXPR", "VA", "MTL", "AH"], case_sensitive=False)
_EDITION = click.IntRange(EDITIONS[0], EDITIONS[-1])
_TEMPLATE_HELP = "The organisers' template, blank or with dummy values (editions 5 on)."
_TRACKS_HELP = "The organisers' list of test tracks (editions 1 to 3)."


@click.command(cls=Command)
@click.option(
    "--task", type=_WRITABLE, required=True, help="The task; MTL needs scores of all three; AH: ambivalence."
)
@click.option("--scores", type=IN_PATH, multiple=True, required=True, help="Scores: a .h5 file or a folder.")
@click.option("--template", type=IN_FILE, help=_TEMPLATE_HELP)
@click.option("--tracks", type=IN_FILE, help=_TRACKS_HELP)
@click.option("--edition", type=_EDITION, help="Whose headers. Default: the template's; 3 for --tracks.")
@click.option("--probabilities", is_flag=True, help="AH: write id,p0,p1,label in place of id,label.")
@click.option(
    "--other-labels",
    is_flag=True,
    help="AU, EXPR, VA: take scores of a multi-task model, where rules allow it.",
)
@click.option("--out", type=OUT_PATH, required=True, help="The file; for --tracks the folder.")
def format(
    task: str,
    scores: tuple[Path, ...],
    template: Path | None,
    tracks: Path | None,
    edition: int | None,
    probabilities: bool,
    other_labels: bool,
    out: Path,
) -> None:
    """Scores to the official prediction file or files.

    A row whose score is missing or not finite stops the writing. Numbers have six decimals and are
    clipped to [-1, 1]; EXPR is the highest of the eight, an AU is 1 from 0.5 on. Several --scores of one
    task are averaged per track.

    \b
    Example: abaw-submit format --task VA --scores applied/va.h5 --template va_sample.txt --out va.txt
    """
    from abaw_submit.submission.format import format_files

    written = format_files(task, scores, out, template, tracks, edition, probabilities, other_labels)
    if written is None:
        click.echo(f"{out} is up to date.")
        return
    click.echo(f"Wrote {out}: {written.rows:,} rows of {written.tracks} tracks.")
    if written.unused:
        click.echo(f"Not asked for: {len(written.unused)} tracks with scores, {written.unused[0]} first.")


@click.command(cls=Command)
@click.argument("target", type=IN_PATH)
@click.option(
    "--task",
    type=_KINDS,
    help="The task. Default: the template's, or the one `format` wrote it for. CE: compound expressions.",
)
@click.option("--template", type=IN_FILE, help=f"{_TEMPLATE_HELP} Default: the one `format` was given.")
@click.option("--tracks", type=IN_FILE, help=f"{_TRACKS_HELP} Default: the one `format` was given.")
@click.option("--rows-from", type=IN_PATH, help="With --tracks: row counts of annotations or a template.")
@click.option("--edition", type=_EDITION, help="Whose headers. Default: the template's, else the files'.")
@click.option("--tracks-table", is_flag=True, help="List every track, not only those with problems.")
@json_option
def check(
    target: Path,
    task: str | None,
    template: Path | None,
    tracks: Path | None,
    rows_from: Path | None,
    edition: int | None,
    tracks_table: bool,
    as_json: bool,
) -> None:
    """Check a submission file, folder or zip, made by this tool or any other.

    Says which dialect it is (one file, or one file per track), all problems grouped by kind with their
    counts and first five places, and warnings. Exit 0: valid; 1: problems; 2: wrong usage.

    \b
    Example: abaw-submit check va.zip --task VA --template CVPR_6th_ABAW_VA_test_set_sample.txt
    """
    from abaw_submit.submission.check import check as check_target
    from abaw_submit.submission.findings import report_lines

    task, asked, _ = _asked(target, task, template, tracks, rows_from)
    if asked is None:
        raise UserError("Nothing to check against: give --template FILE, or --tracks FILE (editions 1 to 3).")
    report = check_target(target, task, asked, edition)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(report_lines(report, tracks_table)))
    if not report.ok:
        from abaw_submit.scores.sniff.hints import scores_hint

        if (hint := scores_hint(target, task)) is not None:
            click.echo(hint, err=True)
        raise click.exceptions.Exit(ProblemsFound.exit_code)


@click.command(cls=Command)
@click.argument("files", type=IN_PATH, nargs=-1, required=True)
@click.option(
    "--out",
    type=OUT_PATH,
    help="The zip. Default: va.zip for va.txt. <zip>.json beside it says what is in it.",
)
@click.option("--task", type=_KINDS, help="The task. Default: the one `format` wrote the files for.")
@click.option("--template", type=IN_FILE, help=f"{_TEMPLATE_HELP} Default: the one `format` was given.")
@click.option("--tracks", type=IN_FILE, help=f"{_TRACKS_HELP} Default: the one `format` was given.")
@click.option("--rows-from", type=IN_PATH, help="With --tracks: row counts of annotations or a template.")
@click.option("--edition", type=_EDITION, help="Whose headers. Default: as in check.")
def pack(
    files: tuple[Path, ...],
    out: Path | None,
    task: str | None,
    template: Path | None,
    tracks: Path | None,
    rows_from: Path | None,
    edition: int | None,
) -> None:
    """Zip checked files, byte for byte the same every time.

    FILES are prediction files or folders of <track>.txt. They lie at the root of the zip. It is checked
    after it is written, and kept only if it is valid.

    \b
    Example: abaw-submit pack va.txt
    """
    from abaw_submit.submission.findings import report_lines
    from abaw_submit.submission.pack import pack as pack_files
    from abaw_submit.submission.pack import sidecar_path

    if out is None:
        if len(files) > 1:
            raise UserError(f"{len(files)} files and no name for the zip: give --out FILE.zip.")
        out = files[0].with_suffix(".zip")
    task, asked, source = _asked(files[0], task, template, tracks, rows_from)
    report = pack_files(files, out, task, asked, edition, source)
    click.echo(f"{out} is what to upload; {sidecar_path(out).name} says where it came from.")
    click.echo("\n".join(report_lines(report)))
    if asked is None:
        click.echo("Completeness was not checked: give --template or --tracks.", err=True)


def _asked(
    first: Path,
    task: str | None,
    template: Path | None,
    tracks: Path | None,
    rows_from: Path | None,
) -> tuple[str, ExpectedRows | None, Path | None]:
    """What the files have to hold: as given, else what `format` noted when it wrote them."""
    from abaw_submit.submission.expected import expected_rows, task_of_template
    from abaw_submit.submission.provenance import rows_source

    if template is None and tracks is None and (noted := rows_source(first)) is not None:
        if task is not None and task != noted[0]:
            raise UserError(f"{first} was written for {noted[0]}; --task says {task}.")
        task = noted[0]
        template, tracks = (noted[2], None) if noted[1] == "template" else (None, noted[2])
    if task is None and template is not None:
        task = task_of_template(template)
    if task is None:
        raise UserError(f"Nothing says which task {first} is for. Give --task and --template.")
    if template is None and tracks is None:
        return task, None, None
    return task, expected_rows(task, template, tracks, rows_from), template or tracks


@click.command(cls=Command)
@task_option
@click.option(
    "--fold-scores",
    multiple=True,
    required=True,
    metavar="[NAME=]DIR",
    help="A member's checkpoints of the task: fold_0, fold_1, …, fold_official; again for more members.",
)
@click.option("--truth", type=IN_DIR, required=True, help="Official annotations of the validation tracks.")
@click.option("--template", type=IN_FILE, help=_TEMPLATE_HELP)
@click.option("--tracks", type=IN_FILE, help=_TRACKS_HELP)
@click.option("--edition", type=_EDITION, help="Whose headers. Default: as in format.")
@click.option("--out", type=OUT_PATH, required=True, help="Folder for the five zips and the plan.")
@settings_options(PlanSettings)
@json_option
def plan(
    task: Task,
    fold_scores: tuple[str, ...],
    truth: Path,
    template: Path | None,
    tracks: Path | None,
    edition: int | None,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Build the five submissions a task allows.

    From the folds' cached scores of every member, five good tries: the recipe that `select` chooses, weights
    and filters alone, every step, wider filters, and the plain mean (with --diagnose: the official
    split's model alone). Shows cross-fitted scores, how much the five agree, and what the test score of
    each would teach. Writes and checks a zip of each.

    \b
    Example: abaw-submit plan --task VA --fold-scores checkpoints/run/va --truth annotations \\
               --template CVPR_6th_ABAW_VA_test_set_sample.txt --out submissions/run/va_plan
    """
    from abaw_submit.cli.postprocess import parse_members
    from abaw_submit.planning.build import PLAN_JSON, PLAN_TEXT, make_plan

    settings = collect(PlanSettings, options)
    folders = {name: paths[0] for name, paths in parse_members(fold_scores).items()}
    if len(folders) < len(fold_scores):
        raise UserError("Two --fold-scores have the same name. Name them: --fold-scores NAME=DIR.")
    lines = make_plan(
        task,
        folders,
        truth,
        out,
        template=template,
        tracks=tracks,
        edition=edition,
        settings=settings,
        progress=progress,
    )
    if as_json:
        click.echo((out / PLAN_JSON).read_text(encoding="utf-8"))
        return
    click.echo("\n".join(lines))
    click.echo(f"\nThe zips and this text ({PLAN_TEXT}) are in {out}.")
