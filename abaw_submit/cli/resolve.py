"""The settings a command would work with: what its options say after config, environment and defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from abaw_submit.cli import cli
from abaw_submit.errors import UserError
from abaw_submit.workflow.commands import unit_commands
from abaw_submit.workflow.identity import media_identity
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.units import STAGES, stage_units

# options that cannot change the bytes of a result: how many hands, which memory, what is shown
_NO_EFFECT = ("jobs", "shard", "sheet", "batch@extract", "device", "cache_gib")
# what the run itself says, and not by a path
_OF_THE_RUN = ("folds", "steps")
_SHOWN_ONLY = ("pictures", "as_json", "config")
_OWN_JOBS = ("corpus", "crop", "sound")  # stages that share out their work themselves


def resolve_settings(layout: RunLayout, config: Path) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
    """The settings of every job of a run that can change its bytes, and the worker processes it may have.

    Paths of the run are left out: they are the graph's.

    Args:
        layout: the run's paths.
        config: its config.

    Raises:
        UserError: a key or a value of the config is wrong.
    """
    settings: dict[str, dict[str, Any]] = {}
    jobs: dict[str, int] = {}
    for stage in STAGES:
        for unit in stage_units(layout, stage):
            variant = unit.task or (unit.part if stage == "sound" else "")
            name = f"{stage}_{variant}" if variant else stage
            if name in settings:
                continue
            found: dict[str, Any] = {}
            commands = unit_commands(layout, unit, config)
            names = [command[0] for command in commands]
            for command in commands:
                values, workers = _options(command, config)
                prefix = f"{command[0]}." if len(set(names)) > 1 else ""
                if "--model" in command:  # each has its own part of the section
                    prefix = f"{command[command.index('--model') + 1]}."
                found.update({prefix + key: value for key, value in values.items()})
                if workers is not None and stage in _OWN_JOBS:
                    jobs[stage] = workers or os.cpu_count() or 1
            if stage == "train" and any(found.get(key, 1) != 1 for key in found if key.endswith("seeds")):
                raise UserError(f"{config}, [train] seeds: a run has the members of [run] seeds. Set that.")
            settings[name] = found
    return settings, jobs


def _options(arguments: list[str], config: Path) -> tuple[dict[str, Any], int | None]:
    """A command's options that were not given in `arguments`, and its --jobs, from everywhere else."""
    name, *rest = arguments
    parent = click.Context(cli, info_name="abaw-submit", **cli.context_settings)
    command = cli.get_command(parent, name)
    assert command is not None
    given = {option for word in rest if (option := _option(command, word)) is not None}
    words = _without_jobs(_with_any_paths(command, rest, config))
    try:
        context = command.make_context(name, words, parent=parent)
    except click.UsageError as error:
        raise UserError(f"{config}, [{name}]: {error.format_message()}") from None
    values = {
        key: _plain(value)
        for key, value in sorted(context.params.items())
        if (key in _OF_THE_RUN or key not in given)
        and key not in (*_NO_EFFECT, *_SHOWN_ONLY)
        and f"{key}@{name}" not in _NO_EFFECT
    }
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.name:
            values.pop(parameter.name, None)
    return values, context.params.get("jobs")


def _option(command: click.Command, word: str) -> str | None:
    return next((p.name for p in command.params if word in (*p.opts, *p.secondary_opts)), None)


def _with_any_paths(command: click.Command, words: list[str], config: Path) -> list[str]:
    """Paths that a stage before makes are not there yet: something that is there stands in for each."""
    out: list[str] = []
    wants: click.Parameter | None = next((p for p in command.params if isinstance(p, click.Argument)), None)
    argument = wants
    for word in words:
        option = next((p for p in command.params if word in p.opts), None)
        if option is not None:
            out.append(word)
            wants = option
            continue
        kind = wants.type if wants is not None else None
        if isinstance(kind, click.Path) and kind.exists and word != str(config):
            out.append("." if kind.dir_okay else str(config))
        else:
            out.append(word)
        wants = argument
    return out


def _without_jobs(words: list[str]) -> list[str]:
    at = words.index("--jobs") if "--jobs" in words else None
    return words if at is None else [*words[:at], *words[at + 2 :]]


def _plain(value: Any) -> Any:
    """As JSON; a file is known by its name, size and date too."""
    if isinstance(value, Path | str) and str(value) and Path(value).is_file():
        return f"{value} ({media_identity(str(value))})"
    if isinstance(value, Path):
        return str(value)
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
