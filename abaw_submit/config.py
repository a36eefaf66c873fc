"""One TOML file -> frozen dataclasses and option defaults; unknown keys are refused with a suggestion.

Needs only the standard library, so that the Makefile can ask it before anything is installed:
`python3 -m abaw_submit.config configs/demo.toml` prints the `[run]` section as Make variables.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError, suggest


def setting(default: Any, help: str, **more: Any) -> Any:
    """A field of a settings dataclass with its help text, which becomes the option's help."""
    return dataclasses.field(default=default, metadata={"help": help, **more})


def read_toml(path: Path | str) -> dict[str, Any]:
    """The whole config file.

    Raises:
        UserError: it cannot be read as TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}).") from None


def command_defaults(
    path: Path, command: str, known: Iterable[str], variants: Iterable[str] = (), *, sections: Iterable[str]
) -> dict[str, Any]:
    """Defaults for one command: `[command]`, then `[command.<variant>]` over it.

    Args:
        path: the TOML file.
        command: the command's name; its section may use `-` or `_`.
        known: the command's option names, with `_`.
        variants: values of --task, --extractor or --model, in any case.
        sections: every name a section may have.

    Raises:
        UserError: a key is not an option of the command, or a section is no command.
    """
    known = sorted(set(known))
    data = read_toml(path)
    found = {name.replace("_", "-"): value for name, value in data.items()}
    sections = list(sections)
    for name in found:
        if name not in sections:
            raise UserError(f'{path}: unknown section "[{name}]". {suggest(name, sections)}')
    section = found.get(command, {})
    values = {k: v for k, v in section.items() if not isinstance(v, dict)}
    parts = {k.lower(): v for k, v in section.items() if isinstance(v, dict)}
    for variant in variants:
        values.update(parts.get(variant.lower(), {}))
    for part in [section, *parts.values()]:
        for key, value in part.items():
            if not isinstance(value, dict) and key.replace("-", "_") not in known:
                raise UserError(f'{path}: unknown key "{key}" in [{command}]. {suggest(key, known)}')
    return {k.replace("-", "_"): v for k, v in values.items()}


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """The `[run]` section: where a run's files are. Only the Makefile and `status` read it."""

    name: str = setting("demo", "name of the run: checkpoints/<name>, submissions/<name>, work/<name>")
    tasks: str = setting("AU EXPR VA", "tasks, separated by spaces")
    folds: int = setting(5, "cross-validation folds")
    official: bool = setting(False, "train the official split as well, as one more member")
    jobs: int = setting(1, "stages run side by side by `make demo`; one thread each when more than 1")
    corpus: str = setting("", "folder for the synthetic corpus, if the run makes one")
    videos: str = setting("", "folder of the videos")
    annotations: str = setting("", "root folder of the official annotations")
    faces: str = setting("", "folder of face pictures that are not Aff-Wild2, for pre-training")
    encoder: str = setting("", "weights to start fine-tuning from; empty: pre-train on `faces`")
    template_au: str = setting("", "official AU template, or list of test tracks")
    template_expr: str = setting("", "official EXPR template, or list of test tracks")
    template_va: str = setting("", "official VA template, or list of test tracks")
    audio_au: str = setting("", "audio extractors for AU, separated by spaces")
    audio_expr: str = setting("", "audio extractors for EXPR, separated by spaces")
    audio_va: str = setting("", "audio extractors for VA, separated by spaces")
    trained: str = setting("", "name of a run whose trained folds and recipes are used; nothing is trained")


def load_run(path: Path | str) -> RunSettings:
    """The `[run]` section of a config.

    Raises:
        UserError: an unknown key or a value of the wrong type.
    """
    section = read_toml(path).get("run", {})
    fields = {f.name: f for f in dataclasses.fields(RunSettings)}
    for key, value in section.items():
        if key not in fields:
            raise UserError(f'{path}: unknown key "{key}" in [run]. {suggest(key, fields)}')
        expected = type(fields[key].default)
        if type(value) is not expected:
            raise UserError(
                f"{path}: [run] {key} = {value!r}: expected {expected.__name__},"
                f" found {type(value).__name__}."
            )
    return RunSettings(**section)


def make_variables(path: Path | str) -> str:
    """The run as `CFG_<KEY>:=value` words for the Makefile; spaces inside a value become `|`.

    A value may use `$NAME` for an environment variable; a value whose variable is not set is empty.
    """
    run = dataclasses.asdict(load_run(path))
    return " ".join(f"CFG_{k}:={_expand(str(v)).replace(' ', '|')}" for k, v in run.items())


def _expand(value: str) -> str:
    expanded = os.path.expandvars(value)
    return "" if "$" in expanded else expanded


if __name__ == "__main__":
    try:
        print(make_variables(sys.argv[1]))
    except (UserError, OSError) as error:
        print(f"CFG_error:={str(error).replace(' ', '|')}")
