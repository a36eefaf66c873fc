"""`--profile FILE`: where the time of a stage goes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from abaw_submit.cli.common import OUT_PATH

F = TypeVar("F", bound=Callable[..., Any])


def profile_option(function: F) -> F:
    """The option, and the profile around the command: a trace in FILE, a table on standard error."""

    @click.option(
        "--profile",
        type=OUT_PATH,
        help="Write a torch.profiler trace of the first minute, and print where the time went.",
    )
    @functools.wraps(function)
    def profiled(*args: Any, profile: Path | None, **options: Any) -> Any:
        if profile is None:
            return function(*args, **options)
        from abaw_submit.models.profiling import profile as running

        with running(profile) as table:
            result = function(*args, **options)
        for line in [*table, f"Trace: {profile} (chrome://tracing or ui.perfetto.dev)"]:
            click.echo(line, err=True)
        return result

    return profiled  # type: ignore[return-value]
