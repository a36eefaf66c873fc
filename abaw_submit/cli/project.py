"""`doctor`: is this machine fit, and is all there that a run needs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from abaw_submit.cli.common import IN_FILE, Command, json_option
from abaw_submit.errors import ProblemsFound, UserError


@click.command(context_settings={"show_default": True})
@click.option(
    "-c", "--config", type=IN_FILE, envvar="ABAW_CONFIG", help="Also check the run of this TOML file."
)
@click.option("--disk", type=click.Path(path_type=Path), default=Path("."), help="Folder the work goes to.")
@json_option
def doctor(config: Path | None, disk: Path, as_json: bool) -> None:
    """Check this machine, and with -c everything a run needs, before anything runs.

    The machine: packages, ffmpeg, GPU, detector model, disk. The run: every path of its [run] section,
    tracks and rows against the official numbers, a video for every track, weights, leaks of the official
    split, and the disk and hours it takes. Exit 1 if something a stage needs is missing.

    \b
    Example: abaw-submit doctor -c configs/affwild2.toml
    """
    from abaw_submit.workflow.doctor import Finding, examine, shortly

    findings = examine(disk)
    if config is not None:
        from abaw_submit.cli.resolve import resolve_settings
        from abaw_submit.workflow.layout import RunLayout
        from abaw_submit.workflow.run_checks import examine_run
        from abaw_submit.workflow.settings import load_run
        from abaw_submit.workflow.sizes import needs
        from abaw_submit.workflow.weight_checks import look_into_weights

        findings += look_into_weights(examine_run(config))
        try:
            resolve_settings(RunLayout(load_run(config)), config)
        except UserError as error:
            findings.append(Finding("settings", "missing", str(error), "Correct the config."))
        size = needs(config)
        findings += size.findings(disk) if size else []
    if as_json:
        click.echo(json.dumps([f.__dict__ for f in findings], indent=2))
    else:
        for f in shortly(findings):
            click.echo(f.line())
    missing = [f.what for f in (findings if as_json else shortly(findings)) if f.state == "missing"]
    if missing:
        raise ProblemsFound(f"{len(missing)} missing: {', '.join(missing)}. What to do stands beside each.")


@click.command(cls=Command)
@click.argument("run")
@json_option
def verify(run: str, as_json: bool) -> None:
    """Check every recorded sha256 of RUN: the name of a run, or any folder or file that stages made.

    Every file is read, the pictures of crops too. Exit 0: all is as it was written; 1: something is
    missing or changed, listed.

    \b
    Example: abaw-submit verify demo
    """
    from abaw_submit.cli.progress import progress
    from abaw_submit.workflow.verify import places_of
    from abaw_submit.workflow.verify import verify as verify_places

    found = verify_places(places_of(run), progress)
    if as_json:
        click.echo(json.dumps({"ok": not found.problems, **found.__dict__}, indent=2))
    else:
        for problem in found.problems:
            click.echo(problem)
        failed = f"; {found.failures} items had failed when they were made" if found.failures else ""
        click.echo(f"{run}: {found.records:,} records, {found.files:,} files read{failed}.")
    if found.problems:
        raise ProblemsFound(f"{len(found.problems)} missing or changed. Run their stages again.")
