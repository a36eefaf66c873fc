"""The command line: one file per command group; nothing heavy is imported before a command runs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click

from abaw_submit import __version__
from abaw_submit.errors import Unread, suggest

# name -> (module of abaw_submit.cli, function, one-line help), in the order of the work
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo-data": ("demo", "demo_data", "Write the synthetic corpus in the official layout."),
    "doctor": ("project", "doctor", "Check this machine: packages, ffmpeg, GPU, models, disk."),
    "run": ("run", "run", "Make a target of a run and all that leads to it."),
    "status": ("run", "status", "Show every job of a run: done, stale and why, running, failed or missing."),
    "clean": ("run", "clean", "Remove what a run made, and nothing else."),
    "verify": ("project", "verify", "Check every recorded sha256 of a run."),
    "crop": ("faces", "crop", "Videos to aligned face crops, one ledger line per row."),
    "template": ("corpus", "template", "Make a template for any videos from their crops."),
    "mtl-list": ("corpus", "mtl_list", "Make a multi-task list from the three tasks' annotations."),
    "pretrain": ("training", "pretrain", "Pre-train a masked autoencoder on face crops."),
    "finetune": ("training", "finetune", "Fine-tune the encoder on single frames of one task."),
    "extractors": ("features", "extractors", "List the feature extractors."),
    "weights": ("weights", "weights", "Say what a weights file is, and the command to extract with it."),
    "extract": ("features", "extract", "One feature vector per row, cached in HDF5."),
    "import-features": ("imports", "import_features", "Bring features made elsewhere into the cache."),
    "import-scores": ("imports", "import_scores", "Bring scores of any tool and layout into one file."),
    "split": ("splits", "split", "Divide the tracks into leak-proof folds."),
    "split-check": ("splits", "split_check", "Check a splits file for leaks."),
    "train": ("training", "train", "Train the TMF of one fold; write its out-of-fold and test scores."),
    "predict": ("training", "predict", "Scores of a trained fold for any tracks."),
    "choose-epoch": ("epochs", "choose_epoch", "Where to stop training, by the other folds' curves."),
    "ablate": ("ablate", "ablate", "The paper's tables: folds, parts, features, filters, models."),
    "metrics": ("postprocess", "metrics", "Official scores of predictions, with intervals over videos."),
    "select": ("postprocess", "select", "Choose ensemble, smoothing, calibration and thresholds honestly."),
    "apply": ("postprocess", "apply", "Apply a chosen recipe to scores."),
    "format": ("submission", "format", "Scores to the official prediction file or files."),
    "check": ("submission", "check", "Check a submission file, folder or zip against its template."),
    "pack": ("submission", "pack", "Zip checked files, byte for byte the same every time."),
    "plan": ("submission", "plan", "Build the five submissions a task allows."),
    "report": ("report", "report", "One HTML page of a run."),
    "show": ("show", "show", "A trained run's predictions on any video, as a table and drawn over it."),
}
# how the help shows them; a command that no group names comes last
GROUPS = {
    "Start here": ("doctor", "demo-data", "run", "status", "verify", "clean"),
    "From videos to features": ("crop", "template", "mtl-list", "extractors", "extract", "import-features"),
    "Networks": (
        "weights",
        "pretrain",
        "finetune",
        "split",
        "split-check",
        "train",
        "choose-epoch",
        "ablate",
        "predict",
    ),
    "Scores": ("import-scores", "metrics", "select", "apply"),
    "Submission": ("plan", "format", "check", "pack"),
    "Look at it": ("report", "show"),
}


_HELP = ["-h", "--help"]


@contextlib.contextmanager
def _unread() -> Iterator[None]:
    """A closed pipe under a name of its own: Click would end with 1, which says that problems were found."""
    try:
        yield
    except BrokenPipeError:
        raise Unread from None


class LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"abaw_submit.cli.{module}"), function)
        # its own, not the group's: Click keeps the help option of the first context a command is given
        command.context_settings.setdefault("help_option_names", _HELP)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f'No command "{args[0]}". {suggest(args[0], COMMANDS)}', ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _unread():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _unread():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = {name for names in GROUPS.values() for name in names}
        rest = tuple(name for name in COMMANDS if name not in named)
        width = max(map(len, COMMANDS))  # one column for all groups
        for title, names in (*GROUPS.items(), ("Other", rest)):
            lines = [(f"{name:<{width}}", COMMANDS[name][2]) for name in names if name in COMMANDS]
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": _HELP, "auto_envvar_prefix": "ABAW"},
)
@click.version_option(__version__, prog_name="abaw-submit")
def cli() -> None:
    """From the organisers' videos to a checked submission zip for the ABAW challenges.

    Every stage takes explicit paths; -c CONFIG fills in what was not given
    (command line > ABAW_* > config > default). Exit 0 done, 1 problems found, 2 wrong usage.

    Example: abaw-submit crop videos/ --out crops/
    """


def main() -> None:
    """Entry point: user mistakes become one to three lines and exit 1 or 2."""
    from abaw_submit.cli.entry import run

    sys.exit(run(cli))
