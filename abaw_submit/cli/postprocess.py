"""`select`, `apply` and `metrics`: what is done with scores of any model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from abaw_submit.cli.common import (
    IN_PATH,
    OUT_PATH,
    Command,
    collect,
    json_option,
    settings_options,
    task_option,
)
from abaw_submit.errors import UserError
from abaw_submit.extras import installed
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.tasks import Task

F = TypeVar("F", bound=Callable[..., Any])
# names that say nothing about the model; the folder above is asked
_PLAIN_NAME = re.compile(
    r"((scores|predictions?|oof|out_of_fold|test|validation|train|official|fold|\d+)_?)*",
    re.IGNORECASE,
)


def scores_option(function: F) -> F:
    """`--scores [NAME=]PATH`, again for more."""
    return click.option(
        "--scores",
        multiple=True,
        required=True,
        metavar="[NAME=]PATH",
        help="Scores of a member; again for more. Files of one NAME are put together, and averaged where"
        " they hold the same tracks.",
    )(function)


def truth_option(function: F) -> F:
    """`--truth DIR`: annotations in any layout."""
    return click.option(
        "--truth",
        type=IN_PATH,
        required=True,
        help="Annotations: their root, a challenge folder, or a folder of <track>.txt.",
    )(function)


@click.command(cls=Command)
@task_option
@scores_option
@truth_option
@click.option(
    "--out",
    type=OUT_PATH,
    required=True,
    help="Folder for recipe.json, selection.json, crossfit/ and pictures.",
)
@settings_options(SelectSettings)
@click.option("--pictures/--no-pictures", default=True, help="Draw the pictures.")
@json_option
def select(
    task: Task,
    scores: tuple[str, ...],
    truth: Path,
    out: Path,
    pictures: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Choose ensemble, smoothing, calibration and thresholds for tracks not seen yet.

    Every step must gain on tracks that it was not fitted on. The recipe is the average of those fitted on all
    tracks and without each fold. The scores that are reported, and those in crossfit/, come from tracks
    that had no say in their recipe; beside them stand the optimistic ones.

    \b
    Example:
      abaw-submit select --task VA --scores a=a/oof.h5 --scores b=b/oof.h5 --truth annotations/ --out recipe/
    """
    import json

    from abaw_submit.cli.progress import progress
    from abaw_submit.postprocess.stages import run_select

    settings: SelectSettings = collect(SelectSettings, options)
    if pictures and not installed("vl_convert"):
        click.echo('No pictures: vl-convert-python is not installed; the extra "report" brings it.', err=True)
        pictures = False
    result = run_select(
        task, parse_members(scores), truth, out, settings, pictures=pictures, progress=progress
    )
    for note in result.notes:
        click.echo(note, err=True)
    click.echo(json.dumps(result.summary, indent=2) if as_json else select_text(result.summary, out))


@click.command(cls=Command)
@click.option("--recipe", type=IN_PATH, required=True, help="recipe.json, or the folder of `select`.")
@scores_option
@click.option(
    "--out", type=OUT_PATH, required=True, help="Where to write: a .h5 file, or a folder of text files."
)
@click.option(
    "--restore",
    type=click.FloatRange(0, 1),
    default=None,
    help="VA and AU: how far the spread lost by averaging folds is restored; by default as the recipe says.",
)
@json_option
def apply(recipe: Path, scores: tuple[str, ...], out: Path, restore: float | None, as_json: bool) -> None:
    """Apply a chosen recipe to scores.

    The result is scores on which the default decision (AU 0.5, EXPR the largest, VA clipped) is the chosen
    one, so `format` needs to know nothing more.

    \b
    Example:
      abaw-submit apply --recipe recipe/ --scores a=a/test.h5 --scores b=b/test.h5 --out final.h5
    """
    import json

    from abaw_submit.cli.progress import progress
    from abaw_submit.postprocess.stages import run_apply

    record = run_apply(recipe, parse_members(scores), out, restore, progress=progress)
    if as_json:
        click.echo(json.dumps(record, indent=2))
    else:
        click.echo(f"{record['task']}: {record['tracks']} tracks, {record['rows']} rows written to {out}.")


@click.command(cls=Command)
@task_option
@scores_option
@truth_option
@click.option(
    "--edition", type=click.IntRange(1, 11), default=10, help="Whose formula: 1 and 2 mix in accuracy."
)
@click.option("--group", multiple=True, metavar="REGEX", help="What tracks share, for the bootstrap.")
@click.option("--resamples", type=click.IntRange(min=0), default=2000, help="Bootstrap resamples; 0: none.")
@click.option("--seed", type=int, default=0, help="Seed of the bootstrap.")
@json_option
def metrics(
    task: Task,
    scores: tuple[str, ...],
    truth: Path,
    edition: int,
    group: tuple[str, ...],
    resamples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Official scores of predictions, with intervals over videos.

    Several --scores are one model's files. Intervals are 95 %, by bootstrap over groups of tracks.

    \b
    Example:
      abaw-submit metrics --task AU --scores a/oof.h5 --truth annotations/
    """
    import dataclasses
    import json

    from abaw_submit.postprocess.stages import run_metrics

    paths = [path for part in parse_members(scores).values() for path in part]
    score, notes = run_metrics(task, paths, truth, edition, group, resamples, seed)
    for note in notes:
        click.echo(note, err=True)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(score), indent=2))
        return
    rows = {**{n: (v, n) for n, v in score.per_output.items()}, task.metric: (score.total, "total")}
    width = max(len(name) for name in rows)
    for name, (value, key) in rows.items():
        low_high = score.intervals.get(key)
        tail = f"  [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""
        click.echo(f"{name:<{width}}  {value:.4f}{tail}")
    click.echo(f"{score.tracks} tracks, {score.rows} rows")


def parse_members(values: tuple[str, ...]) -> dict[str, list[Path]]:
    """NAME=PATH, or PATH alone, which is named after its file, or the first folder above with a telling name.

    >>> {k: len(v) for k, v in parse_members(("a=x/0.h5", "a=x/1.h5", "runs/big/fold_0/test.h5")).items()}
    {'a': 2, 'big': 1}

    Raises:
        UserError: an empty name or path.
    """
    out: dict[str, list[Path]] = {}
    for value in values:
        name, sign, path = value.partition("=")
        if not sign or "/" in name:
            name, path = "", value
            parts = [Path(path).stem, *(p.name for p in Path(path).absolute().parents)]
            name = next((p for p in parts if p and not _PLAIN_NAME.fullmatch(p)), "scores")
        if not name or not path:
            raise UserError(f'--scores "{value}": expected NAME=PATH or PATH.')
        out.setdefault(name, []).append(Path(path))
    return out


def select_text(summary: dict[str, Any], out: Path) -> str:
    """The outcome for people: the two scores of everything side by side."""
    lines = [
        f"{summary['task']} {summary['metric']}: {summary['tracks']} tracks in {summary['groups']} groups,"
        f" {summary['rows']} rows, {summary['folds']} folds",
        "",
        f"{'steps':<40} {'cross-fitted':>12} {'95 % interval':>20} {'gain':>9}"
        f" {'optimistic':>11} {'difference':>11}",
    ]
    for row in summary["step_sets"]:
        name = ", ".join(row["steps"]) or "nothing (plain mean, default decision)"
        lines.append(_line(name, row))
        if not row["steps"] and len(summary["members"]) > 1:
            best = max(summary["members"], key=lambda member: member["score"])
            lines.append(f"{'best member alone: ' + best['name']:<40} {best['score']:>12.4f}")
    lines += [_line("the choice itself, nested", summary["chosen"]), ""]
    final: dict[str, dict[str, Any]] = {}
    for test in summary["tests"]:
        final[test["step"]] = test  # the last time a step was tried decides
    for step, test in final.items():
        verdict = summary.get("verdicts", {}).get(step, "")
        lines.append(
            f"{step:<10} {verdict:<16} gain {test['gain']:+.4f} given the other steps;"
            f" wanted {test['wanted']:.4f}"
        )
    lines.append("")
    lines += [*_member_lines(summary), ""]
    per_output = summary["per_output"]
    lines += [f"{'output':<12} {'nothing':>9} {'cross-fitted':>13} {'95 % interval':>20}"]
    for name, row in per_output.items():
        low, high = row["interval"]
        lines.append(
            f"{name:<12} {row['nothing']:>9.4f} {row['cross_fitted']:>13.4f}   [{low:.4f}, {high:.4f}]"
        )
    chosen = summary["chosen"]
    lines += [
        "",
        f"Cross-fitted {summary['metric']} {chosen['cross_fitted']:.4f},"
        f" the plain mean {summary['nothing']['score']:.4f},"
        f" the best member alone {summary['best_member']['cross_fitted']:.4f};"
        f" steps kept: {', '.join(summary['steps_kept']) or 'none'}.",
        f"Next: abaw-submit apply --recipe {out} --scores NAME=PATH ... --out PATH",
    ]
    return "\n".join(lines)


def _member_lines(summary: dict[str, Any]) -> list[str]:
    """Strength against likeness, the strongest member first."""
    members = sorted(summary["members"], key=lambda m: -m["score"])
    if len(members) < 2:
        return [f"member {m['name']}: {m['score']:.4f}" for m in members]
    lines = [f"{'member':<20} {'alone':>8} {'correlation':>12} {'adds':>9}  weights"]
    for m in members:
        weights = " ".join(f"{c} {w:.2f}" for c, w in m["weights"].items())
        numbers = f"{m['score']:>8.4f} {m['correlation']:>12.3f} {m['adds']:>+9.4f}"
        lines.append(f"{m['name']:<20} {numbers}  {weights}")
    return lines


def _line(name: str, row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return (
        f"{name:<40} {row['cross_fitted']:>12.4f}   [{low:+.4f}, {high:+.4f}] {row['gain']:>+9.4f}"
        f" {row['optimistic']:>11.4f} {row['difference']:>+11.4f}"
    )
