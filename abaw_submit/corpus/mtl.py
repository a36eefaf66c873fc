"""Multi-task lists: one file for a whole set, some frames of each video, some of them twice.

Grammar `image,valence,arousal,expression,aus`: `<track>/00001.jpg`, two numbers, one class, 12 AUs
(docs/reference/formats.md, section 2). A list to predict has no values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.lines import read_lines
from abaw_submit.errors import UserError
from abaw_submit.store import atomic_path

MTL_HEADER = "image,valence,arousal,expression,aus"
MTL_VALUES = 15  # valence, arousal, expression, 12 AUs
_ROW = re.compile(r"\s*([^,]+?)/(\d{5,})\.jpg\s*(?:,(.*))?", re.ASCII)


@dataclass(frozen=True)
class MtlList:
    """The lines of a multi-task list, duplicates included.

    Attributes:
        tracks: the track of each line.
        rows: int64 (lines,), its row, 1-based.
        values: float32 (lines, 15): valence, arousal, expression, 12 AUs; NaN in a list without values.
        valid: bool (lines, 3): valence and arousal are annotated (not -5), the expression is (not -1), all
            AUs are (not -1).
        duplicates: lines that repeat an earlier line's picture.
    """

    tracks: list[str]
    rows: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    duplicates: int

    @property
    def locations(self) -> list[tuple[str, int]]:
        """Track and row of each line."""
        return list(zip(self.tracks, self.rows.tolist(), strict=True))


def read_mtl(path: Path | str) -> MtlList:
    """Read a multi-task list with or without values: BOM, CRLF, spaces, blank tail accepted.

    Raises:
        UserError: a malformed line, a value out of range, or a picture with two different labels.
    """
    lines = read_lines(path).without_blank_tail()
    first = 0 if len(lines) and "/" in lines.text(0) else 1
    tracks: list[str] = []
    rows: list[int] = []
    values = np.full((max(len(lines) - first, 0), MTL_VALUES), np.nan)
    seen: dict[tuple[str, int], int] = {}
    duplicates = 0
    for index in range(first, len(lines)):
        text, where = lines.text(index), f"{path}, line {index + 1}"
        match = _ROW.fullmatch(text)
        if match is None:
            raise UserError(f'{where}: "{text[:80]}"; expected <track>/<row, 5 digits>.jpg,…')
        place = match[1], int(match[2])
        at = index - first
        if (match[3] or "").strip(" ,"):
            values[at] = _values(match[3], where)
        if place in seen:
            duplicates += 1
            if not np.array_equal(values[seen[place]], values[at], equal_nan=True):
                raise UserError(
                    f"{where}: {place[0]} row {place[1]} again, with other labels than in line"
                    f" {seen[place] + first + 1}. Remove one."
                )
        seen.setdefault(place, at)
        tracks.append(place[0])
        rows.append(place[1])
    if not tracks:
        raise UserError(f"{path} has no rows; expected <track>/<row, 5 digits>.jpg,…")
    valid = np.stack(
        [
            (np.abs(values[:, :2]) <= 1).all(axis=1),
            values[:, 2] >= 0,
            (values[:, 3:] >= 0).all(axis=1),
        ],
        axis=1,
    )
    return MtlList(tracks, np.array(rows, np.int64), values.astype(np.float32), valid, duplicates)


def write_mtl(path: Path | str, lines: Iterable[tuple[str, int, Sequence[float]]]) -> int:
    """Write a multi-task list in the official grammar.

    Args:
        path: the file.
        lines: track, row (1-based) and its 15 values; no values make a list to predict.

    Returns:
        How many lines there are.
    """
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write(f"{MTL_HEADER}\n")
        for track, row, values in lines:
            labels = [f"{v:g}" for v in values[:2]] + [str(int(v)) for v in values[2:]]
            handle.write(f"{track}/{row:05d}.jpg,{','.join(labels)}\n")
            count += 1
    return count


def _values(text: str, where: str) -> list[float]:
    fields = text.split(",")
    if len(fields) != MTL_VALUES:
        raise UserError(f"{where}: {len(fields)} values; expected {MTL_VALUES} (or none).")
    try:
        row = [float(field) for field in fields]
    except ValueError:
        raise UserError(f'{where}: "{text[:60]}"; expected {MTL_VALUES} numbers.') from None
    va_fine = all(abs(v) <= 1 or v == -5 for v in row[:2])
    if not (va_fine and row[2] in range(-1, 8) and all(au in (-1, 0, 1) for au in row[3:])):
        raise UserError(
            f'{where}: "{text[:60]}"; expected valence and arousal in [-1, 1] or -5,'
            " expression -1..7, AUs -1..1."
        )
    return row
