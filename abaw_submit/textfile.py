"""Small texts from outside: UTF-8, of a size that is meant to be read whole, JSON not nested without end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from abaw_submit.errors import UserError

LARGEST_BYTES = 1 << 28
_LARGEST_JSON_BYTES = 640 << 20  # of memory, its text included: a command then stays below 1 GiB
# bytes of memory at most for what begins with such a sign: a list; a dictionary; a value; a key of its own
_COSTS = {"[": 64, "{": 184, ",": 40, ":": 64}


def read_utf8(path: Path | str) -> str:
    """A text file whole; a byte order mark is left out.

    Raises:
        UserError: it is not a regular file, too large, or not UTF-8 (with the line).
        FileNotFoundError: there is none.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file.")
    if path.stat().st_size > LARGEST_BYTES:
        raise UserError(f"{path}: a text of more than {LARGEST_BYTES:,} bytes is not read.")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from None


def read_json(path: Path | str, shape: Any = Any) -> Any:
    """A JSON file, of the types that are expected.

    Args:
        path: the file.
        shape: a dataclass, a TypedDict or any other type; every value is checked against it.

    Returns:
        An instance of `shape`; keys it does not have are left out.

    Raises:
        UserError: it is not UTF-8, not JSON, nested too deeply, or a value is of another type (which one).
        FileNotFoundError: there is none.
    """
    text = read_utf8(path)
    refuse_large_json(text, str(path))
    try:
        value = json.loads(text)
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read.") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.") from None
    return convert(value, shape, str(path))


def refuse_large_json(text: str, where: str) -> None:
    """Refuse a JSON text whose values would fill the memory: of "[]," a megabyte becomes twenty.

    Raises:
        UserError: with what it would take.
    """
    needed = len(text) + sum(cost * text.count(sign) for sign, cost in _COSTS.items())
    if needed > _LARGEST_JSON_BYTES:
        raise UserError(
            f"{where}: JSON that would take {needed >> 20:,} MiB of memory; at most"
            f" {_LARGEST_JSON_BYTES >> 20} are allowed.\nWrite large arrays as .npz or HDF5."
        )


def convert(value: Any, shape: Any, where: str) -> Any:
    """A value read from JSON as another type.

    Raises:
        UserError: a part of it is of a type that does not fit (which part of `where`).
    """
    try:
        return msgspec.convert(value, shape, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {error}.".replace("`", "")) from None


def _path(shape: type, value: Any) -> Path:
    """A path is a text in JSON."""
    if shape is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"no {shape} in JSON")


def fits(value: Any, shape: Any) -> bool:
    """Whether a value read from JSON is of a type, to its last element."""
    try:
        msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError):
        return False
    return True


def read_own_json(path: Path | str, shape: Any) -> Any:
    """What this package wrote for itself, as it stands in the file, or None where that cannot be read.

    A mark, lock or record that is gone, cut short or damaged counts as none: its work is done again.

    Args:
        path: the file.
        shape: the type it has to fit; keys beyond it stay.
    """
    try:
        value = read_json(path)
    except (OSError, UserError):
        return None
    return value if fits(value, shape) else None
