"""A text file as bytes with its line borders: the base of every fast reader of official files.

A million rows are handled as NumPy arrays over one buffer; a line becomes a Python object only when
something is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError

LARGEST_BYTES = 1 << 28  # the largest official file has 80 MB and 1,022,655 lines
MOST_LINES = 4_000_000
LONGEST_LINE = 10_000  # bytes of a line that are read as text: no official line has more than some hundred
PAD = 128  # zero bytes after the text, so that records may be gathered up to the last line
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Lines:
    """Line borders of a text.

    Attributes:
        name: the file's name for messages.
        buffer: uint8, the text and `PAD` zero bytes.
        starts: int64 (lines,), first byte of each line.
        ends: int64 (lines,), one past the last byte, without CR and LF.
        size: bytes of the text.
        bom: the text began with a UTF-8 byte order mark (not part of line 0).
        carriage_returns: lines that ended in CR LF, or CR alone at the end of the text.
        final_newline: the text ended with a newline.
    """

    name: str
    buffer: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    size: int
    bom: bool
    carriage_returns: int
    final_newline: bool

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> bytes:
        return self.buffer[self.starts[index] : self.ends[index]].tobytes()

    def head(self, index: int, longest: int) -> bytes:
        """The first bytes of a line, at most so many."""
        start = int(self.starts[index])
        return self.buffer[start : min(int(self.ends[index]), start + longest)].tobytes()

    def text(self, index: int) -> str:
        """A line as text; bytes that are not UTF-8 are shown as escapes."""
        return self.head(index, LONGEST_LINE).decode("utf-8", "backslashreplace")

    def records(self, first: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
        """The `width` bytes (at most `PAD`) from each position: (positions, width) uint8, contiguous."""
        view: npt.NDArray[np.void] = np.ndarray(
            (len(self.buffer) - width + 1,), dtype=f"V{width}", buffer=self.buffer, strides=(1,)
        )
        return view[first].view(np.uint8).reshape(len(first), width)

    def without_blank_tail(self) -> Lines:
        """The same lines without blank ones at the end."""
        last = len(self)
        empty = np.flatnonzero(self.ends > self.starts)  # a tail of empty lines at once, then those of spaces
        last = int(empty[-1]) + 1 if len(empty) else 0
        while last and not self[last - 1].strip():
            last -= 1
        return self if last == len(self) else self.part(last)

    def part(self, last: int) -> Lines:
        """The first `last` lines."""
        return Lines(
            self.name,
            self.buffer,
            self.starts[:last],
            self.ends[:last],
            self.size,
            self.bom,
            self.carriage_returns,
            self.final_newline,
        )


def read_lines(path: Path | str) -> Lines:
    """Read a file as lines, whatever its line endings.

    Raises:
        UserError: there is no such file, it is no regular one, too large, or UTF-16 or binary.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a regular file." if path.exists() else f"No file {path}.")
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise UserError(f"{path}: {size:,} bytes; a text of more than {LARGEST_BYTES:,} is not read.")
    buffer: npt.NDArray[np.uint8] = np.zeros(size + PAD, np.uint8)
    with path.open("rb", buffering=0) as handle:
        view = memoryview(buffer.data).cast("B")[:size]
        done = 0
        while done < size and (count := handle.readinto(view[done:])):
            done += count
    return _borders(str(path), buffer, done)


def lines_of(data: bytes, name: str) -> Lines:
    """The lines of bytes in memory, such as a member of a zip.

    Raises:
        UserError: the bytes are UTF-16 or binary.
    """
    buffer: npt.NDArray[np.uint8] = np.zeros(len(data) + PAD, np.uint8)
    buffer[: len(data)] = np.frombuffer(data, np.uint8)
    return _borders(name, buffer, len(data))


def _borders(name: str, buffer: npt.NDArray[np.uint8], size: int) -> Lines:
    head = buffer[:3].tobytes()
    if head[:2] in _UTF16_BOMS:
        raise UserError(f"{name} is UTF-16 text; expected UTF-8. Save it again as UTF-8.")
    text = buffer[:size]
    if size and not text.min():
        zero = int(np.argmin(text))
        raise UserError(f"{name}: a zero byte at byte {zero}: UTF-16 or binary; expected UTF-8 text.")
    bom = head == _UTF8_BOM
    first = 3 if bom else 0
    count = int(np.count_nonzero(text == 10))
    if count > MOST_LINES:  # a gigabyte of newlines would take 16 bytes for each
        raise UserError(f"{name}: {count:,} lines; more than {MOST_LINES:,} are not read.")
    breaks = np.flatnonzero(text == 10)
    final_newline = bool(size) and bool(text[-1] == 10)
    starts = np.concatenate([[first], breaks + 1]).astype(np.int64)
    ends = np.concatenate([breaks, [size]]).astype(np.int64)
    if final_newline or size <= first:
        starts, ends = starts[:-1], ends[:-1]
    carriage = (ends > starts) & (buffer[np.maximum(ends - 1, 0)] == 13)
    count = int(carriage.sum())
    if count:
        ends = ends - carriage
    return Lines(name, buffer, starts, ends, size, bom, count, final_newline)
