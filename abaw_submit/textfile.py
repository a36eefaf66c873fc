"""Small texts from outside: UTF-8, of a size that is meant to be read whole, JSON not nested without end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError

LARGEST_BYTES = 1 << 28


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


def read_json(path: Path | str) -> Any:
    """A JSON file.

    Raises:
        UserError: it is not UTF-8, not JSON, or nested too deeply.
        FileNotFoundError: there is none.
    """
    try:
        return json.loads(read_utf8(path))
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read.") from None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.") from None
