"""`run`, `status` and `clean`: a run as a whole."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from abaw_submit.cli.common import IN_FILE, OUT_PATH, json_option
from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.workflow.units import TARGETS, last_target

if TYPE_CHECKING:
    from abaw_submit.workflow.graph import Graph
    from abaw_submit.workflow.units import Unit

F = TypeVar("F", bound=Callable[..., Any])
_SHOWN = 5
_SETTINGS = {"show_default": True}


def run_options(function: F) -> F:
    """The run's config, and what of its `[run]` section may be replaced on the command line."""
    for option in reversed(
        (
            click.option(
                "-c",
                "--config",
                type=IN_FILE,
                required=True,
                envvar="ABAW_CONFIG",
                help="The run's TOML file.",
            ),
            click.option("--task", "tasks", help='Only these tasks, as "AU VA". Default: [run] tasks.'),
            click.option("--run", "name", help="Another name for the run. Default: [run] name."),
            click.option("--folds", type=int, help="Number of folds. Default: [run] folds."),
            click.option("--videos", help="Folder of the videos. Default: [run] videos."),
        )
    ):
        function = option(function)
    return function


@click.command(context_settings=_SETTINGS)
@click.argument("target", type=click.Choice([*TARGETS, "check"]), metavar="TARGET")
@run_options
@click.option("--jobs", type=click.IntRange(min=1), help="Jobs side by side. Default: [run] jobs.")
@click.option("--profile", help="Where the jobs run: slurm, or a folder with a Snakemake config.yaml.")
@click.option(
    "--gpus", type=click.IntRange(min=0), help="GPUs to use, one for a job. Default: all there are."
)
@click.option("-n", "--dry-run", is_flag=True, help="Only show what would be made, and why.")
@click.option(
    "--cost", is_flag=True, help="With --dry-run: hours and disk, by a short trial of this machine."
)
@click.option("--retry-failed", is_flag=True, help="Make again the jobs of which some items failed.")
@click.option("-v", "--verbose", is_flag=True, help="Show the commands of each job.")
@click.option("--draw", type=OUT_PATH, help="Make nothing; draw the graph of the target as an SVG file.")
@click.option("--table", is_flag=True, help="Print the table of scores at the end.")
def run(
    target: str,
    config: Path,
    jobs: int | None,
    profile: str | None,
    gpus: int | None,
    dry_run: bool,
    cost: bool,
    retry_failed: bool,
    verbose: bool,
    draw: Path | None,
    table: bool,
    **replaced: Any,
) -> None:
    """Make a target of a run and all that leads to it; what is up to date is left alone.

    Targets: crop, pretrain, folds, finetune, features, train, ensemble, smooth, submission, check, ablate,
    report. A changed setting, annotation, template or number of folds makes again what hangs on it. A run
    that was stopped goes on where it was. Exit 1 if something failed; the rest is made all the same.

    \b
    Example: abaw-submit run submission -c configs/demo.toml --jobs 2
    """
    from abaw_submit.workflow.engine import Options, carry_out
    from abaw_submit.workflow.preflight import check_run
    from abaw_submit.workflow.units import target_units

    began = time.monotonic()
    graph = make_graph(config, replaced, gpus=gpus, cluster=bool(profile))
    units = target_units(graph.layout, "submission" if target == "check" else target)
    if draw is not None:
        _draw(graph, units, draw)
        return
    if cost and not dry_run:
        raise click.UsageError("--cost goes with --dry-run.")
    if dry_run:
        _show_plan(graph, units, target)
        if cost:
            from abaw_submit.cli.cost import show_cost

            show_cost(graph)
        return
    options = Options(jobs or graph.run.side_by_side, profile or "", retry_failed, verbose)
    outcome = carry_out(graph, units, options, say=_say, check=lambda due: check_run(graph, due, _say))
    if table and not outcome.failed and not outcome.trouble:
        _table(graph, made=target == "report")
    if target == "check" and not outcome.failed and not outcome.trouble:
        _check(graph)
    for unit, lost in outcome.lost.items():
        names = ", ".join(item for item, _ in lost[:_SHOWN]) + (", …" if len(lost) > _SHOWN else "")
        click.echo(f"{unit.label}: {len(lost)} items failed ({names}): {lost[0][1]}", err=True)
    if outcome.trouble:
        raise ProblemsFound(f"Snakemake stopped:\n{outcome.trouble}")
    if outcome.failed:
        names = ", ".join(unit.label for unit in outcome.failed)
        raise ProblemsFound(
            f"{len(outcome.failed)} jobs failed: {names}. Their logs: {graph.log(outcome.failed[0]).parent}"
        )
    if not outcome.made:
        whole = "has all but what failed" if outcome.lost else "is complete"
        click.echo(f"Nothing to do: {target} of run {graph.run.name} {whole}{_where(graph, target)}.")
    else:
        click.echo(f"Done in {time.monotonic() - began:.0f} s{_where(graph, target)}.")
    if outcome.lost:
        raise ProblemsFound("Some items failed; the rest is done. Correct them and add --retry-failed.")


@click.command(context_settings=_SETTINGS)
@run_options
@json_option
def status(config: Path, as_json: bool, **replaced: Any) -> None:
    """Show every job of a run: done, stale and why, running, failed or missing; and what to type next.

    \b
    Example: abaw-submit status -c configs/demo.toml
    """
    from abaw_submit.workflow.status import DONE, MISSING, RUNNING, run_status
    from abaw_submit.workflow.units import target_units

    graph = make_graph(config, replaced)
    rows = run_status(graph, _look(graph, target_units(graph.layout, last_target(graph.layout))))
    open_ = [r for r in rows if r.state not in (DONE, RUNNING)]
    command = (
        f"abaw-submit {_shown(['run', last_target(graph.layout), '-c', str(config)])}{_replaced(replaced)}"
    )
    if any(r.state == RUNNING for r in rows):
        following = "Wait: jobs are running."
    elif open_:
        following = command
    elif any(r.failures for r in rows):
        following = f"{command} --retry-failed"
    else:
        following = "Nothing to do."
    if as_json:
        value = {"run": graph.run.name, "jobs": [r.as_dict() for r in rows], "next": following}
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        return
    width = max(len(r.label) for r in rows)
    for r in rows:
        spent = f"{r.seconds:8.1f} s" if r.seconds and r.state != MISSING else " " * 10
        click.echo(f"{r.state:<8} {r.label:<{width}} {spent}  {r.why or r.result}".rstrip())
    counts = {s: sum(r.state == s for r in rows) for s in dict.fromkeys(r.state for r in rows)}
    click.echo(f"Run {graph.run.name}: {', '.join(f'{n} {s}' for s, n in counts.items())}. Next: {following}")


@click.command(context_settings=_SETTINGS)
@click.option("-c", "--config", type=IN_FILE, envvar="ABAW_CONFIG", help="The run's TOML file.")
@click.option("--run", "name", help="The run's name. Default: [run] name of the config.")
@click.option("-n", "--dry-run", is_flag=True, help="Only count.")
def clean(config: Path | None, name: str | None, dry_run: bool) -> None:
    """Remove what a run made: its work, checkpoints, folds and submissions. Other files stay.

    \b
    Example: abaw-submit clean -c configs/demo.toml
    """
    from abaw_submit.workflow.clean import clean as work
    from abaw_submit.workflow.layout import RunLayout
    from abaw_submit.workflow.settings import RunSettings, load_run, name_problem

    if config is None and name is None:
        raise click.UsageError("Say which run: -c CONFIG or --run NAME.")
    if name is not None and (problem := name_problem("--run", name)):
        raise UserError(problem)
    given = load_run(config, name=name, check_environment=False) if config else RunSettings(name=str(name))
    done = work(RunLayout(given), dry_run=dry_run)
    verb = "would remove" if dry_run else "removed"
    click.echo(f"Run {given.name}: {verb} {done.files:,} files, {done.bytes / 1e6:,.1f} MB.")
    for path in done.kept[:_SHOWN]:
        click.echo(f"  kept, no stage made it: {path}")
    if len(done.kept) > _SHOWN:
        click.echo(f"  and {len(done.kept) - _SHOWN} more")


def make_graph(
    config: Path, replaced: dict[str, Any], *, gpus: int | None = None, cluster: bool = False
) -> Graph:
    """The graph of a config, with the settings of every stage resolved.

    Raises:
        UserError: something in the config is wrong.
    """
    from abaw_submit.cli.resolve import resolve_settings
    from abaw_submit.workflow.devices import find_devices
    from abaw_submit.workflow.graph import Graph
    from abaw_submit.workflow.layout import RunLayout
    from abaw_submit.workflow.settings import load_run

    config = Path(os.path.abspath(config))
    settings_of_run = load_run(config, **replaced)
    settings, jobs = resolve_settings(RunLayout(settings_of_run), config)
    devices = () if cluster else find_devices()
    return Graph(
        settings_of_run,
        config,
        settings,
        jobs,
        devices if gpus is None else devices[:gpus],
        cluster,
        owner=("", 0) if cluster else (socket.gethostname(), os.getpid()),
    )


def _look(graph: Graph, units: Sequence[Unit]) -> Any:
    from abaw_submit.workflow.engine import look

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.json"
        graph.write(path)
        return look(graph, units, path=path)


def _draw(graph: Graph, units: Sequence[Unit], out: Path) -> None:
    from abaw_submit.store import refuse_foreign_text, write_text
    from abaw_submit.workflow.draw import MARK, draw

    refuse_foreign_text(out, "run --draw", MARK.encode(), "--draw")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.json"
        graph.write(path)
        write_text(out, draw(graph, str(path), units))
    click.echo(f"Wrote {out}: {len(units)} jobs.")


def _show_plan(graph: Graph, units: Sequence[Unit], target: str) -> None:
    from abaw_submit.workflow.commands import unit_commands
    from abaw_submit.workflow.status import reason

    due = [p for p in _look(graph, units) if p.due]
    for pending in due:
        click.echo(f"# {pending.unit.label}: {reason(graph, pending)}")
        for command in unit_commands(graph.layout, pending.unit, graph.config):
            click.echo(f"abaw-submit {_shown(command)}")
    click.echo(
        f"# {len(due)} of {len(units)} jobs of {target} would run."
        if due
        else f"# Nothing to do for {target}."
    )


def _shown(command: list[str]) -> str:
    import shlex

    return shlex.join(command)


def _table(graph: Graph, *, made: bool) -> None:
    """Print the table of scores: the report's own, if the report was made, else calculated now."""
    from abaw_submit.cli import cli

    if made and graph.layout.score_table.is_file():
        click.echo(graph.layout.score_table.read_text(encoding="utf-8").partition("\n")[2], nl=False)
        return
    truth = ["--annotations", graph.run.annotations] if graph.run.annotations else []
    cli.main(["report", "--run", str(graph.layout.work), *truth, "--table"], standalone_mode=False)


def _check(graph: Graph) -> None:
    """Check the zips again, as anyone can."""
    from abaw_submit.cli import cli

    wrong = []
    for key in graph.run.task_keys:
        place, rows = str(graph.layout.zip(key)), str(graph.layout.template(key))
        if cli.main(["check", place, "--task", key.upper(), "--template", rows], standalone_mode=False):
            wrong.append(place)
    if wrong:
        raise ProblemsFound(f"Not valid: {', '.join(wrong)}.")


def _where(graph: Graph, target: str) -> str:
    if target not in ("submission", "report"):
        return ""
    zips = ", ".join(f"{key.upper()}.zip" for key in graph.run.task_keys)
    return f". {graph.layout.submissions}/ holds {zips}{' and report.html' if target == 'report' else ''}"


def _replaced(replaced: dict[str, Any]) -> str:
    names = {"tasks": "--task", "name": "--run", "folds": "--folds", "videos": "--videos"}
    import shlex

    words = [w for key, value in replaced.items() if value is not None for w in (names[key], str(value))]
    return f" {shlex.join(words)}" if words else ""


def _say(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
