"""Settings as frozen dataclasses that check themselves, and the TOML file that fills them in.

The `[run]` section belongs to `workflow.settings`.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError, suggest


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Collection[str] = (),
) -> Any:
    """A field of a `Settings` dataclass.

    Args:
        default: its default.
        help: becomes the option's help.
        ge: lowest value of a number.
        gt: bound it has to be above.
        le: highest value of a number.
        lt: bound it has to be below.
        choices: the words a text may be.
    """
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    return dataclasses.field(default=default, metadata={"help": help, "choices": tuple(choices), **bounds})


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of all settings: nothing that is out of range can be made.

    A subclass with rules between fields overrides `__post_init__` and calls this one first.

    Raises:
        UserError: a field made with `setting` is out of its range or not one of its choices.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            problem = out_of_range(getattr(self, field.name), field.metadata)
            if problem:
                raise UserError(f"--{field.name.replace('_', '-')} {getattr(self, field.name)}: {problem}.")


_BOUNDS = (
    ("ge", "at least", operator.ge),
    ("gt", "above", operator.gt),
    ("le", "at most", operator.le),
    ("lt", "below", operator.lt),
)


def out_of_range(value: Any, rule: Any) -> str:
    """What is expected of a value that breaks the rule of its `setting`, or "".

    >>> out_of_range(0, {"ge": 1}), out_of_range(1.0, {"ge": 0, "lt": 1}), out_of_range(3, {"ge": 1})
    ('expected at least 1', 'expected at least 0 and below 1', '')
    >>> out_of_range("half", {"choices": ("no", "fp16")})
    'expected no or fp16'
    """
    choices = rule.get("choices") or ()
    if choices:
        return "" if value in choices else f"expected {', '.join(choices[:-1])} or {choices[-1]}"
    bounds = [(word, holds, rule[key]) for key, word, holds in _BOUNDS if rule.get(key) is not None]
    if not bounds or (all(holds(value, bound) for _, holds, bound in bounds) and math.isfinite(value)):
        return ""
    return "expected " + " and ".join(f"{word} {bound}" for word, _, bound in bounds)


def read_toml(path: Path | str) -> dict[str, Any]:
    """The whole config file.

    Raises:
        UserError: it cannot be read as TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}).") from None
    except ValueError as error:  # not TOML; or a number of thousands of digits
        raise UserError(f"{path} is not valid TOML: {error}.") from None


@dataclasses.dataclass(frozen=True)
class Section:
    """One command's section of a config file.

    Attributes:
        name: as it is called in the file, for messages: "train".
        values: option (with `_`) -> value.
        parts: variant in lower case -> its own values, from `[train.va]`.
    """

    name: str
    values: dict[str, Any]
    parts: dict[str, dict[str, Any]]

    def labelled(self) -> Iterable[tuple[str, str, Any]]:
        """Every value with the section it stands in: ("train.va", "epochs", 3)."""
        for key, value in self.values.items():
            yield self.name, key, value
        for part, values in self.parts.items():
            for key, value in values.items():
                yield f"{self.name}.{part}", key, value


def read_section(
    path: Path, command: str, *, known: Iterable[str], variants: Collection[str], sections: Iterable[str]
) -> Section:
    """One command's section: `[command]`, and `[command.<variant>]` for its variants.

    Args:
        path: the TOML file.
        command: the command's name; its section may use `-` or `_`.
        known: the command's option names, with `_`.
        variants: what a part may be called (tasks, extractors, models), in lower case.
        sections: every name a section of the file may have.

    Raises:
        UserError: a key is not an option of the command, a part is not one of its variants, or a
            section of the file is unknown; each with the nearest name that would be right.
    """
    known, sections = sorted(set(known)), list(sections)
    found: dict[str, tuple[str, Any]] = {}
    for name, value in read_toml(path).items():
        if name.replace("_", "-") not in sections or not isinstance(value, dict):
            raise UserError(f'{path}: unknown section "[{name}]". {suggest(name, sections)}')
        found[name.replace("_", "-")] = (name, value)
    name, content = found.get(command, (command, {}))
    section = Section(name, {}, {})
    for key, value in content.items():
        if isinstance(value, dict):
            if key.lower() not in variants and ":" not in key:
                hint = suggest(key.lower(), variants) if variants else f"{command} has no parts."
                raise UserError(f'{path}: unknown part "[{name}.{key}]". {hint}')
            section.parts[key.lower()] = {k.replace("-", "_"): v for k, v in value.items()}
        else:
            section.values[key.replace("-", "_")] = value
    for where, key, _ in section.labelled():
        if key not in known:
            raise UserError(f'{path}: unknown key "{key}" in [{where}]. {suggest(key, known)}')
    return section
