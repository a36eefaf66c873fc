"""What every command shares: the config file, the task option, settings from dataclasses."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from abaw_submit.config import Section, read_section
from abaw_submit.errors import UserError
from abaw_submit.extras import require
from abaw_submit.tasks import MORE_TASKS, TASKS, Task, any_task, get_task

F = typing.TypeVar("F", bound=Callable[..., Any])
CONFIG_USED = "abaw_submit.config"  # in a context's meta: the file of `-c`
_VARIANT_OPTIONS = ("task", "extractor", "model")


class Existing(click.Path):
    """An existing file or folder; a pipe would wait for ever, and a device never end."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = super().convert(value, param, ctx)
        place = Path(str(value))
        if place.exists() and not place.is_file() and not place.is_dir():
            self.fail(f"{value} is not a regular file.", param, ctx)
        return path


IN_DIR = Existing(exists=True, file_okay=False, path_type=Path)
IN_FILE = Existing(exists=True, dir_okay=False, path_type=Path)
IN_PATH = Existing(exists=True, path_type=Path)
OUT_PATH = click.Path(path_type=Path)
ANNOTATIONS_HELP = "Official annotations, any edition; MTL: also its lists; AH: lists of videos with labels."


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
        config = click.Option(
            ["-c", "--config"],
            type=IN_FILE,
            envvar="ABAW_CONFIG",
            is_eager=True,
            expose_value=False,
            callback=_fill_in,
            help="TOML file that fills in what was not given.",
        )
        # Click handles eager options in this order: the file, then what chooses a part of its section
        self.params.insert(0, config)
        for param in self.params:
            param.is_eager = param.is_eager or param.name in _VARIANT_OPTIONS

    def invoke(self, ctx: click.Context) -> Any:
        require(f"`{ctx.info_name}`", self.extras)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [p for p in self.get_params(ctx) if isinstance(p, click.Option)]
        options.sort(
            key=lambda p: (not p.required, p.name in ("config", "help"))
        )  # what must be given, first
        with formatter.section("Options"):
            formatter.write_dl([record for p in options if (record := p.get_help_record(ctx)) is not None])


def _fill_in(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """The callback of `-c`: its section becomes the command's defaults."""
    if path is None:
        return
    from abaw_submit.cli import COMMANDS

    ctx.meta[CONFIG_USED] = path
    options = {p.name: p for p in ctx.command.params if p.name and p is not param}
    variants = {v.lower() for name in _VARIANT_OPTIONS if name in options for v in _names(options[name])}
    section = read_section(path, str(ctx.info_name), known=options, variants=variants, sections=COMMANDS)
    for where, key, value in section.labelled():
        problem = _misfit(options[key], value, ctx)
        if problem:
            raise UserError(f"{path}: [{where}] {key} = {_toml(value)}: {problem}.")
    ctx.default_map = _Defaults(section, ctx, ctx.default_map or {})


class _Defaults(dict[str, Any]):
    """What Click asks for the value of an option that was not given. By then the task or extractor is known,
    as eager options come first."""

    def __init__(self, section: Section, ctx: click.Context, above: Mapping[str, Any]) -> None:
        super().__init__({k: v for part in section.parts.values() for k, v in part.items()})
        self.update(section.values)
        self.update(above)
        self._section, self._ctx, self._above = section, ctx, above

    def _layers(self) -> list[Mapping[str, Any]]:
        chosen = [self._ctx.params.get(name) for name in _VARIANT_OPTIONS]
        names = [v.key if isinstance(v, Task) else str(v).lower() for v in chosen if v is not None]
        parts = [self._section.parts[name] for name in names if name in self._section.parts]
        return [self._above, *reversed(parts), self._section.values]

    def __contains__(self, key: object) -> bool:
        return any(key in layer for layer in self._layers())

    def __getitem__(self, key: str) -> Any:
        return next(layer[key] for layer in self._layers() if key in layer)

    def get(self, key: str, default: Any = None) -> Any:
        return next((layer[key] for layer in self._layers() if key in layer), default)


def _names(param: click.Parameter) -> Iterable[str]:
    """The values of an option that chooses a part of a section."""
    if param.name == "extractor":
        from abaw_submit.features.registry import EXTRACTORS

        return EXTRACTORS
    if param.name == "model" and not isinstance(param.type, click.Path):
        from abaw_submit.models.sequence.registry import MODELS

        return MODELS
    if isinstance(param.type, click.Choice):
        return [str(choice) for choice in param.type.choices]
    return TASKS if param.name == "task" else ()


def _misfit(param: click.Parameter, value: Any, ctx: click.Context) -> str:
    """What is wrong with a config's value for an option, or ""; Click alone would take 2.7 for 2."""
    if param.nargs == -1 or param.multiple:
        if not isinstance(value, list):
            return f"expected a list, found {_kind(value)}"
        return next((problem for item in value if (problem := _one_misfit(param, item, ctx))), "")
    return _one_misfit(param, value, ctx)


def _one_misfit(param: click.Parameter, value: Any, ctx: click.Context) -> str:
    if isinstance(param, click.Option) and param.is_flag:
        wanted, right = "true or false", isinstance(value, bool)
    elif isinstance(param.type, click.types.IntParamType):
        wanted, right = "a whole number", type(value) is int
    elif isinstance(param.type, click.types.FloatParamType):
        wanted, right = "a number", type(value) in (int, float)
    else:
        wanted, right = "text in quotes", isinstance(value, str)
    if not right:
        return f"expected {wanted}, found {_kind(value)}"
    if isinstance(param.type, click.Path):  # one from the command line may take its place
        return ""
    try:
        param.type.convert(value, param, ctx)
    except click.BadParameter as error:
        return error.message.rstrip(".")
    return ""


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a fraction", str: "text", list: "a list"}
    return kinds.get(type(value), type(value).__name__)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


class TaskType(click.ParamType[Task]):
    """AU, EXPR or VA in any case, and where asked for MTL and AH; becomes a `Task`."""

    name = "task"

    def __init__(self, more: bool = False) -> None:
        self.more = more

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[" + "|".join([*TASKS, *(MORE_TASKS if self.more else ())]) + "]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Task:
        return any_task(value) if self.more else get_task(value)


def task_option(function: F) -> F:
    """`--task AU|EXPR|VA`, required; the function gets `task: Task`."""
    return click.option("--task", type=TaskType(), required=True, help="The challenge task.")(function)


def any_task_option(function: F) -> F:
    """`--task AU|EXPR|VA|MTL|AH`, required; the function gets `task: Task`."""
    help = "The challenge task; MTL: all three at once; AH: ambivalence."
    return click.option("--task", type=TaskType(more=True), required=True, help=help)(function)


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
            several = typing.get_origin(hint) is tuple
            if several:
                hint = typing.get_args(hint)[0]
            if hint is bool:
                option = f"{option}/--no-{field.name.replace('_', '-')}"
            function = click.option(
                option,
                type=None if hint is bool else _option_type(hint, field.metadata),
                default=field.default,
                multiple=several,
                help=field.metadata["help"],
            )(function)
        return function

    return decorate


def _option_type(hint: Any, rule: Mapping[str, Any]) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
    if hint is Path:
        return click.Path(path_type=Path)
    if rule["choices"]:
        return click.Choice(rule["choices"])
    low = rule["gt"] if rule["ge"] is None else rule["ge"]
    high = rule["lt"] if rule["le"] is None else rule["le"]
    if low is None and high is None:
        return hint
    kind = click.IntRange if hint is int else click.FloatRange
    return kind(low, high, min_open=rule["gt"] is not None, max_open=rule["lt"] is not None)


def collect(cls: type[Any], values: dict[str, Any]) -> Any:
    """Take the fields of `cls` out of keyword arguments and build it."""
    return cls(**{f.name: values.pop(f.name) for f in dataclasses.fields(cls)})
