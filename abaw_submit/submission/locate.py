"""Which row of the template each line is: at once where the file is right, line by line where not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Index
from abaw_submit.corpus.lines import Lines
from abaw_submit.corpus.mtl import MtlList
from abaw_submit.corpus.templates import has_locations
from abaw_submit.submission.findings import Place, Report

_EXACT = re.compile(rb"([^\s/,\"](?:[^/,\"]*[^\s/,\"])?)/(\d{5}|[1-9]\d{5,})\.jpg,")
_PICTURE = re.compile(rb"\s*(\d{1,9})(?:\.\w+)?")
_LONGEST = 2000  # bytes of a line that are looked at: no location is longer


@dataclass(frozen=True)
class Located:
    """Lines that name a row of the template.

    Attributes:
        lines: int64, index of each line.
        rows: int64, its row in the template, 0-based over all tracks.
        values: int64, first byte of its values.
    """

    lines: Index
    rows: Index
    values: Index


def locate(lines: Lines, tracks: Mapping[str, int], report: Report, file: str, first: int = 1) -> Located:
    """Find each data line's row; everything wrong with the locations goes into the report.

    Args:
        lines: the file.
        tracks: row count by track, in the official order.
        report: gets the findings.
        file: the name to give in findings.
        first: the first data line, after the header.
    """
    exact = _locate_exactly(lines, tracks, first)
    if exact is not None:
        return exact
    found = _locate_each(lines, tracks, report, file, first)
    _report_rows(found, tracks, report, file)
    return found


def is_row(lines: Lines, index: int) -> bool:
    """Whether a line begins as a row of a single-file submission does."""
    return _EXACT.match(lines[index]) is not None


def rows_in_file(lines: Lines, first: int = 1) -> dict[str, int]:
    """The highest row of each track that a file names, for when nothing else says it."""
    rows: dict[str, int] = {}
    for index in range(first, len(lines)):
        match = _EXACT.match(lines[index])
        if match is not None:
            track = match[1].decode("utf-8", "backslashreplace")
            rows[track] = max(rows.get(track, 0), int(match[2]))
    return rows


def _locate_exactly(lines: Lines, tracks: Mapping[str, int], first: int) -> Located | None:
    """The usual case, the template's rows in the template's order; None if anything differs."""
    total = sum(tracks.values())
    if len(lines) - first != total:
        return None
    values = np.empty(total, np.int64)
    at = first
    for track, rows in tracks.items():
        if not has_locations(lines, at, track, rows):
            return None
        width = len(track.encode()) + 1 + len(".jpg,")
        digits = np.full(rows, 5)
        for more in range(6, len(str(rows)) + 1):
            digits[10 ** (more - 1) - 1 :] = more
        values[at - first : at - first + rows] = lines.starts[at : at + rows] + width + digits
        at += rows
    return Located(np.arange(first, total + first), np.arange(total), values)


def _locate_each(lines: Lines, tracks: Mapping[str, int], report: Report, file: str, first: int) -> Located:
    offsets = dict(zip(tracks, np.cumsum([0, *tracks.values()]).tolist(), strict=False))
    numbers, rows, values = [], [], []
    for index, track, row, value in _each_row(lines, report, file, first):
        if track not in tracks:
            report.add("unknown track", Place(file, index + 1, track, row))
        elif not 1 <= row <= tracks[track]:
            place = Place(file, index + 1, track, row, f"the template has rows 1 to {tracks[track]}")
            report.add("extra row", place)
        else:
            numbers.append(index)
            rows.append(offsets[track] + row - 1)
            values.append(value)
    return Located(*(np.array(column, np.int64) for column in (numbers, rows, values)))


def _each_row(lines: Lines, report: Report, file: str, first: int) -> Iterator[tuple[int, str, int, int]]:
    """The lines that name a row: index, track, row, first byte of the values."""
    for index in range(first, len(lines)):
        line = lines.head(index, _LONGEST)
        match = _EXACT.match(line)
        if match is not None:
            name, row, end = match[1], int(match[2]), match.end()
        else:
            if not line.strip():
                report.add("blank line", Place(file, index + 1))
                continue
            shown = line[:60].decode("utf-8", "backslashreplace")
            report.add("location", Place(file, index + 1, found=f'"{shown}"'))
            meant = _meant(line)
            if meant is None:
                continue
            name, row, end = meant
        yield index, name.decode("utf-8", "backslashreplace"), row, int(lines.starts[index]) + end


def _meant(line: bytes) -> tuple[bytes, int, int] | None:
    """Track, row and end of a location that is not written as it should be; None if it is none.

    >>> _meant(b' ./a\\\\7.png , 1'), _meant(b'"a/7.jpg",1'), _meant(b"a,1")
    ((b'a', 7, 12), (b'a', 7, 10), None)
    """
    place, comma, _ = line.partition(b",")
    text = place.strip().removeprefix(b'"').removesuffix(b'"').removeprefix(b"./")
    cut = max(text.rfind(b"/"), text.rfind(b"\\"))
    name, picture = text[: max(cut, 0)].strip(), _PICTURE.fullmatch(text[cut + 1 :].strip())
    if not name or picture is None or b'"' in name:
        return None
    return name, int(picture[1]), len(place) + len(comma)


def locate_listed(
    lines: Lines, wanted: MtlList, report: Report, file: str, first: int = 1
) -> tuple[Located, dict[str, int]]:
    """The same for a multi-task list, where a picture may come twice.

    Returns:
        The lines, their rows counted over the list sorted by track; and lines of the list by track.
    """
    tracks = dict(Counter(wanted.tracks))
    rank = {track: number for number, track in enumerate(tracks)}
    by_track = sorted(range(len(wanted.tracks)), key=lambda listed: rank[wanted.tracks[listed]])
    position = {listed: at for at, listed in enumerate(by_track)}
    open_places: dict[tuple[str, int], list[int]] = {}
    for listed, place in enumerate(wanted.locations):
        open_places.setdefault(place, []).append(listed)
    numbers, rows, values = [], [], []
    latest = -1
    for index, track, row, value in _each_row(lines, report, file, first):
        left = open_places.get((track, row))
        if left is None:
            kind = "extra row" if track in tracks else "unknown track"
            report.add(kind, Place(file, index + 1, track, row, "not in the list"))
        elif not left:
            report.add("double row", Place(file, index + 1, track, row))
        else:
            listed = left.pop(0)
            if listed < latest:
                report.add("order", Place(file, index + 1, track, row))
            latest = max(latest, listed)
            numbers.append(index)
            rows.append(position[listed])
            values.append(value)
    for (track, row), left in open_places.items():
        for _ in left:
            report.add("missing row", Place(file, None, track, row))
    return Located(*(np.array(column, np.int64) for column in (numbers, rows, values))), tracks


def _report_rows(found: Located, tracks: Mapping[str, int], report: Report, file: str) -> None:
    """Rows that are missing, doubled or out of order."""
    names = list(tracks)
    firsts = np.cumsum([0, *tracks.values()])

    def name(row: int) -> tuple[str, int]:
        which = int(np.searchsorted(firsts, row, side="right")) - 1
        return names[which], row - int(firsts[which]) + 1

    counts = np.bincount(found.rows, minlength=int(firsts[-1]))
    for first, last in _ranges(np.flatnonzero(counts == 0), firsts):
        track, row = name(first)
        what = (
            "the whole track"
            if (row, last - first + 1) == (1, tracks[track])
            else f"to row {row + last - first}"
        )
        place = Place(file, None, track, row, what if last > first else "")
        report.add("missing row", place, last - first + 1)
    _, first_seen = np.unique(found.rows, return_index=True)
    again = np.ones(len(found.rows), bool)
    again[first_seen] = False
    for index in np.flatnonzero(again):
        report.add("double row", Place(file, int(found.lines[index]) + 1, *name(int(found.rows[index]))))
    once = np.flatnonzero(~again)
    for index in once[1:][np.diff(found.rows[once]) < 0]:
        report.add("order", Place(file, int(found.lines[index]) + 1, *name(int(found.rows[index]))))


def _ranges(rows: npt.NDArray[np.intp], firsts: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Consecutive rows of one track as (first, last) pairs."""
    if not len(rows):
        return []
    breaks = (np.diff(rows) > 1) | np.isin(rows[1:], firsts)
    starts = rows[np.concatenate([[True], breaks])]
    ends = rows[np.concatenate([breaks, [True]])]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))
