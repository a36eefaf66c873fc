"""Templates: the organisers' list of rows, values blank or dummy.

A template has a row for every frame 00001..n of every test track, tracks in release order
(docs/reference/formats.md, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.lines import PAD, Lines, read_lines
from abaw_submit.corpus.tracks import odd_name
from abaw_submit.errors import UserError
from abaw_submit.store import atomic_path
from abaw_submit.tasks import EDITIONS, LATEST_EDITION, TASKS, Task

_SUFFIX = b".jpg,"
_FIVE_DIGITS = 99_999
_DUMMY = {"VA": "0.0,0.0", "EXPR": "0", "AU": ",".join("0" * 12)}


@dataclass(frozen=True)
class Template:
    """The rows to predict.

    Attributes:
        tracks: row count by track, in the official order.
        task: the task its header names; None if it names none of the three (MTL, compound, no header).
        edition: an edition whose header it has; None if it is not a known header.
        header: its first line without spaces ("" if it has none).
        dummies: dummy values in its first row; 0 if it is blank.
        path: where it was read.
    """

    tracks: dict[str, int]
    task: Task | None = None
    edition: int | None = None
    header: str = ""
    dummies: int = 0
    path: Path | None = None

    @property
    def rows(self) -> int:
        """Rows of all tracks."""
        return sum(self.tracks.values())


def read_template(path: Path | str) -> Template:
    """Read a template of any edition: BOM, CRLF, spaces, blank tail, blank or dummy values accepted.

    Raises:
        UserError: a row is malformed or out of order, or a track comes twice: file, line, expected, found.
    """
    lines = read_lines(path).without_blank_tail()
    if not len(lines):
        raise UserError(f"{path} is empty; expected a template: a header, then <track>/00001.jpg, …")
    header = "".join(lines.text(0).split())
    has_header = "/" not in header
    task, edition = header_task(header) if has_header else (None, None)
    tracks: dict[str, int] = {}
    at = 1 if has_header else 0
    while at < len(lines):
        track = _track_at(lines, at, tracks)
        count = _block(lines, at, track)
        tracks[track] = count
        at += count
    if not tracks:
        raise UserError(f'{path} has only a header ("{header[:60]}"); expected rows <track>/00001.jpg, …')
    values = lines.text(int(has_header)).partition(",")[2]
    dummies = len(values.split(",")) if values.strip() else 0
    return Template(tracks, task, edition, header if has_header else "", dummies, Path(path))


def write_template(path: Path | str, tracks: Mapping[str, int], task: Task, dummy: bool = False) -> None:
    """Write a template in the official grammar, tracks in the order given.

    Args:
        path: the file.
        tracks: row count by track.
        task: AU, EXPR or VA.
        dummy: dummy values (an "example" file) in place of the bare comma of a "sample" file.

    Raises:
        UserError: a track's name cannot stand in such a file.
    """
    for track in tracks:
        if why := odd_name(track):
            raise UserError(f"Track {track}: {why}.")
    value = _DUMMY[task.name] if dummy else ""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write(location_header(task) + "\n")
        for track, rows in tracks.items():
            handle.writelines(f"{track}/{row:05d}.jpg,{value}\n" for row in range(1, rows + 1))


def location_header(task: Task, edition: int = LATEST_EDITION) -> str:
    """The header of a single-file submission.

    >>> location_header(TASKS["VA"])
    'image_location,valence,arousal'
    """
    return "image_location," + task.header(edition)


def header_task(header: str) -> tuple[Task | None, int | None]:
    """The task and the latest edition that a single-file header belongs to, or (None, None).

    >>> header_task("image_location,valence,arousal")[1]
    10
    """
    for edition in (LATEST_EDITION, *reversed(EDITIONS)):
        for task in TASKS.values():
            if header == location_header(task, edition):
                return task, edition
    return None, None


def location_blocks(track: str, rows: int) -> list[npt.NDArray[np.uint8]]:
    """The locations `<track>/00001.jpg,` … of a track as byte matrices, one for each width of number.

    >>> location_blocks("v", 2)[0].tobytes()
    b'v/00001.jpg,v/00002.jpg,'
    """
    name = np.frombuffer(f"{track}/".encode(), np.uint8)
    blocks = []
    first = 1
    while first <= rows:
        last = min(rows, 10 ** max(5, len(str(first))) - 1)
        pictures = (
            _five_digits()[first : last + 1]
            if last <= _FIVE_DIGITS
            else _pictures(first, last, len(str(last)))
        )
        block = np.empty((len(pictures), len(name) + pictures.shape[1]), np.uint8)
        block[:, : len(name)] = name
        block[:, len(name) :] = pictures
        blocks.append(block)
        first = last + 1
    return blocks


@lru_cache(maxsize=1)
def _five_digits() -> npt.NDArray[np.uint8]:
    return _pictures(0, _FIVE_DIGITS, 5)


def _pictures(first: int, last: int, digits: int) -> npt.NDArray[np.uint8]:
    """`00001.jpg,` for each row number first..last, as bytes: (rows, digits + 5)."""
    pictures = np.empty((last - first + 1, digits + len(_SUFFIX)), np.uint8)
    pictures[:, digits:] = np.frombuffer(_SUFFIX, np.uint8)
    rest = np.arange(first, last + 1, dtype=np.int32)
    for column in range(digits - 1, -1, -1):
        tens = rest // 10
        pictures[:, column] = rest - tens * 10 + ord("0")
        rest = tens
    return pictures


def has_locations(lines: Lines, at: int, track: str, rows: int) -> bool:
    """Whether the lines from `at` on begin exactly with the locations 1..rows of a track."""
    if at + rows > len(lines):
        return False
    for block in location_blocks(track, rows):
        part = slice(at, at + len(block))
        width = block.shape[1]
        if width > PAD or (lines.ends[part] - lines.starts[part] < width).any():
            return False
        if not np.array_equal(lines.records(lines.starts[part], width), block):
            return False
        at += len(block)
    return True


def _track_at(lines: Lines, at: int, known: Mapping[str, int]) -> str:
    """The track whose first row is line `at`."""
    track, row = _location(lines, at)
    if track in known:
        raise UserError(
            f"{lines.name}, line {at + 1}: {track} row {row} after row {known[track]} and another track;"
            " expected each track's rows once, together."
        )
    if row != 1:
        raise UserError(f"{lines.name}, line {at + 1}: {track} begins with row {row}; expected 00001.")
    return track


def _block(lines: Lines, at: int, track: str) -> int:
    """Rows of the track that begins at line `at`: found by doubling steps, then compared as a whole."""
    prefix = f"{track}/".encode()

    def same(index: int) -> bool:
        return index < len(lines) and lines[index].startswith(prefix)

    step = 1
    while same(at + step):
        step *= 2
    low, high = step // 2, step  # line at+low is the track's, line at+high is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if same(at + middle) else (low, middle)
    if has_locations(lines, at, track, high):
        return high
    count = 0  # something is unusual: read line by line and say what
    while at + count < len(lines):
        name, row = _location(lines, at + count)
        if name != track:
            break
        if row != count + 1:
            raise UserError(
                f"{lines.name}, line {at + count + 1}: {track} row {row}; expected row {count + 1}."
            )
        count += 1
    return count


def _location(lines: Lines, at: int) -> tuple[str, int]:
    """The track and row that a line names."""
    text = lines.text(at)
    place, comma, _ = text.partition(",")
    name, slash, picture = place.strip().rpartition("/")
    digits = picture.removesuffix(".jpg")
    if not (comma and slash and name and "/" not in name and digits != picture and digits.isdecimal()):
        hint = "" if comma or slash else "\nA list of test tracks is given as --tracks."
        raise UserError(
            f'{lines.name}, line {at + 1}: found "{text[:60]}"; expected <track>/<row, 5 digits>.jpg,{hint}'
        )
    return name, int(digits)
