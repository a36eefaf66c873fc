"""Lists of test tracks: one name a line, no header."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.corpus.lines import read_lines
from abaw_submit.errors import UserError


def read_track_list(path: Path | str) -> list[str]:
    """Track names in the file's order. BOM, CRLF, spaces around names and blank tails are accepted.

    Raises:
        UserError: no such file, not UTF-8, a blank line inside, a name twice, a comma or slash in a name.
    """
    lines = read_lines(path).without_blank_tail()
    names: dict[str, int] = {}
    for index in range(len(lines)):
        number = index + 1
        try:
            name = lines[index].decode("utf-8").strip()
        except UnicodeDecodeError:
            raise UserError(f"{path}, line {number}: not UTF-8: {lines.text(index)!r}.") from None
        if not name:
            raise UserError(f"{path}, line {number}: blank; expected a track name.")
        if any(mark in name for mark in ",/\\"):
            raise UserError(
                f'{path}, line {number}: found "{name[:60]}"; expected one track name, without , / or \\.'
            )
        if name in names:
            raise UserError(f"{path}, line {number}: {name} again (first in line {names[name]}).")
        names[name] = number
    if not names:
        raise UserError(f"{path} is empty; expected one track name a line.")
    return list(names)
