"""What every command shares: the config file, the task option, settings from dataclasses."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from abaw_submit.config import command_defaults
from abaw_submit.extras import require
from abaw_submit.tasks import TASKS, Task, get_task

F = typing.TypeVar("F", bound=Callable[..., Any])
_VARIANT_OPTIONS = ("task", "extractor", "model")

IN_DIR = click.Path(exists=True, file_okay=False, path_type=Path)
IN_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
IN_PATH = click.Path(exists=True, path_type=Path)
OUT_PATH = click.Path(path_type=Path)


class Command(click.Command):
    """A command whose options are filled from `-c CONFIG`: its section, then its section's
    part for the given task, extractor or model (`[train]`, then `[train.va]`, `[train.gru]`).

    Args:
        extras: extras of the package it needs; without them it refuses to start and says so.
    """

    def __init__(self, *args: Any, extras: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.extras = tuple(extras)
        self.context_settings.setdefault("show_default", True)
        self.params.append(
            click.Option(
                ["-c", "--config"],
                type=IN_FILE,
                expose_value=False,
                help="TOML file that fills in what was not given.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        require(f"`{ctx.info_name}`", self.extras)
        return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        config = _peek(args, "-c", "--config") or os.environ.get("ABAW_CONFIG")
        if config is not None and Path(config).is_file():
            variants = [v for name in _VARIANT_OPTIONS if (v := _peek(args, f"--{name}"))]
            known = [p.name for p in self.params if p.name and p.name != "config"]
            from abaw_submit.cli import COMMANDS

            sections = [*COMMANDS, "run"]
            values = command_defaults(Path(config), str(ctx.info_name), known, variants, sections=sections)
            ctx.default_map = {**values, **(ctx.default_map or {})}
        return super().parse_args(ctx, args)


def _peek(args: list[str], *names: str) -> str | None:
    """The value of an option in raw arguments, before they are parsed."""
    for place, here in enumerate(args):
        if here in names:
            return args[place + 1] if place + 1 < len(args) else None
        for name in names:
            if here.startswith(f"{name}="):
                return here[len(name) + 1 :]
    return None


class TaskType(click.ParamType[Task]):
    """AU, EXPR or VA in any case; becomes a `Task`."""

    name = "task"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[" + "|".join(TASKS) + "]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Task:
        return get_task(value)


def task_option(function: F) -> F:
    """`--task AU|EXPR|VA`, required; the function gets `task: Task`."""
    return click.option("--task", type=TaskType(), required=True, help="The challenge task.")(function)


def json_option(function: F) -> F:
    """`--json`: the answer on standard output as JSON, nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")(function)


def jobs_option(function: F) -> F:
    """`--jobs N`: worker processes; 0 means one per core. Never changes the result."""
    return click.option(
        "--jobs", type=click.IntRange(min=0), default=0, help="Worker processes; 0: one per core."
    )(function)


def settings_options(cls: type) -> Callable[[F], F]:
    """One option for each field of a frozen settings dataclass.

    The decorated function gets them as keyword arguments; `collect(cls, kwargs)` makes the dataclass.
    Fields made with `abaw_submit.config.setting` carry their help text.
    """

    def decorate(function: F) -> F:
        hints = typing.get_type_hints(cls)
        for field in reversed(dataclasses.fields(cls)):
            hint = hints[field.name]
            option = "--" + field.name.replace("_", "-")
            if hint is bool:
                option = f"{option}/--no-{field.name.replace('_', '-')}"
                kind: Any = None
            else:
                kind = _plain_type(hint)
            function = click.option(
                option,
                type=field.metadata.get("type", kind),
                default=field.default,
                help=field.metadata.get("help", ""),
            )(function)
        return function

    return decorate


def _plain_type(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if hint is Path:
        return click.Path(path_type=Path)
    return hint


def collect(cls: type[Any], values: dict[str, Any]) -> Any:
    """Take the fields of `cls` out of keyword arguments and build it."""
    return cls(**{f.name: values.pop(f.name) for f in dataclasses.fields(cls)})
