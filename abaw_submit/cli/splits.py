"""`split` and `split-check`: leak-proof folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from abaw_submit.cli.common import (
    ANNOTATIONS_HELP,
    IN_FILE,
    IN_PATH,
    OUT_PATH,
    Command,
    any_task_option,
    json_option,
)
from abaw_submit.tasks import Task


@click.command(cls=Command)
@any_task_option
@click.option("--annotations", type=IN_PATH, required=True, help=ANNOTATIONS_HELP)
@click.option("--folds", type=click.IntRange(min=2), default=5, help="Number of folds.")
@click.option("--seed", type=int, default=0, help="Another seed gives another, equally balanced division.")
@click.option("--with-official/--no-official", default=True, help='Also the fold "official".')
@click.option(
    "--drop-leaks/--keep-leaks",
    default=True,
    help='Fold "official": leave out training tracks with a sibling in validation, or only name them.',
)
@click.option(
    "--factors",
    help="Folds by two factors: a regular expression with two groups, such as '(P[0-9]+)-(film[0-9]+)'.",
)
@click.option(
    "--test",
    type=IN_FILE,
    multiple=True,
    help="Test list or template: leave out annotated siblings of its tracks. May be given again.",
)
@click.option("--out", type=OUT_PATH, required=True, help="The splits file (.json) to write.")
def split(
    task: Task,
    annotations: Path,
    test: tuple[Path, ...],
    out: Path,
    **options: Any,
) -> None:
    """Divide all annotated tracks (training and validation) into leak-proof folds.

    Tracks of one recording (left, right, parts) stay in one fold; rows and labels are balanced. The
    fold "official" trains on Train_Set without the siblings of Validation_Set, and validates on that.
    With --factors (people and films, say) validation has new ones of both: --folds K gives K * K folds, each
    of which leaves out the tracks that share one factor with its validation part.

    MTL: tracks that any of the three tasks labels; give the test lists of all tasks, since a track of one
    may be a test track of another. AH: lists of videos with their labels.

    Beside OUT, OUT.balance.csv has the tracks, rows and label counts of each fold.

    \b
    Example: abaw-submit split --task VA --annotations annotations/ --folds 5 --out splits/va.json
    """
    from abaw_submit.training.split import run_split

    official, factors = options.pop("with_official"), options["factors"]
    splits = run_split(task, annotations, out, official=official, test=test, **options)
    if splits is None:
        click.echo(f"{out} is up to date.")
        return
    for leak in splits.leaks:
        what = "KEPT in training" if leak.kept else "left out of training"
        click.echo(
            f"{leak.where} split: {', '.join(leak.train)} {what}, sibling of {', '.join(leak.held_out)}"
        )
    click.echo("fold      tracks     rows   valid")
    for name, b in splits.balance.items():
        click.echo(f"{name:8}  {b['tracks']:6}  {b['rows']:7} {b['valid_rows']:7}")
    if official and factors is None and not any(fold.name == "official" for fold in splits.folds):
        click.echo('No fold "official": the annotations have no Train_Set and Validation_Set.')


@click.command(name="split-check", cls=Command)
@click.argument("file", type=IN_FILE)
@click.option(
    "--annotations", type=IN_PATH, help="The annotations: also find missing tracks, changed labels."
)
@click.option("--test", type=IN_FILE, help="Test list or template: also find its siblings in training.")
@json_option
def split_check(file: Path, annotations: Path | None, test: Path | None, as_json: bool) -> None:
    """Check a splits file for leaks; exit 1 with a listing if there are any.

    Found are tracks on both sides of a fold, siblings on both sides, tracks missing or twice, folds made
    from other labels, and test tracks that are in training or have a sibling there.

    \b
    Example: abaw-submit split-check splits/va.json --annotations annotations/ --test va_template.txt
    """
    import json

    from abaw_submit.errors import ProblemsFound
    from abaw_submit.training.split import check_splits

    splits, problems = check_splits(file, annotations, test)
    if as_json:
        click.echo(json.dumps({"ok": not problems, "problems": problems}, indent=2))
    for problem in [] if as_json else problems:
        click.echo(problem)
    if problems:
        more = f" --test {test}" if test is not None else ""
        raise ProblemsFound(f"{file}: {len(problems)} found. Make it again with `abaw-submit split{more}`.")
    if not as_json:
        click.echo(f"{file}: {len(splits.folds)} folds of {len(splits.tracks)} tracks, no leak.")
