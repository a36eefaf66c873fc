"""Large arrays in a temporary file under TMPDIR, whose room is taken before anything is written.

Writing into a mapped file on a full disk ends a process with SIGBUS and without a word; so the room is
asked for first, and what is not there is an ordinary error.
"""

from __future__ import annotations

import math
import os
import tempfile
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError


def scratch_array(shape: tuple[int, ...], dtype: npt.DTypeLike, what: str) -> Any:
    """A mapped array of zeros; its file is unlinked at once, so nothing is to be cleaned up.

    Args:
        shape: of the array.
        dtype: of its items.
        what: what it holds, for the message.

    Raises:
        UserError: TMPDIR has no room for it.
    """
    with scratch_file(math.prod(shape) * np.dtype(dtype).itemsize, what) as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def scratch_file(size: int, what: str) -> IO[bytes]:
    """A temporary file without a name that has its room already.

    Args:
        size: bytes.
        what: what it will hold, for the message.

    Raises:
        UserError: TMPDIR has no room for it.
    """
    folder = tempfile.gettempdir()
    try:
        file = tempfile.TemporaryFile(prefix="abaw-", dir=folder, buffering=0)  # noqa: SIM115 - the caller's
        if size:
            os.posix_fallocate(file.fileno(), 0, size)
        return file
    except OSError as error:
        raise UserError(
            f"The {what} need {size / 2**30:.1f} GiB in {folder} ({error.strerror or error}).\n"
            "Set TMPDIR to a disk with more room, or give another --cache-gib."
        ) from None


class RowStore:
    """Rows of numbers, written and read in stretches: in memory, or in a temporary file.

    The file is read at its place and never mapped: memory holds only what was asked for, while what was read
    before stays in the system's own cache as long as there is room.

    Args:
        rows: how many.
        dim: numbers in each.
        dtype: of the numbers.
        in_memory: whether they are kept there.
        what: what they are, for the message.

    Raises:
        UserError: TMPDIR has no room for them.
    """

    def __init__(self, rows: int, dim: int, dtype: npt.DTypeLike, in_memory: bool, what: str) -> None:
        self.rows, self.dim, self.dtype = rows, dim, np.dtype(dtype)
        self.row_bytes = dim * self.dtype.itemsize
        self.array: Any = np.zeros((rows, dim), dtype) if in_memory else None
        self._file = None if in_memory else scratch_file(rows * self.row_bytes, what)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return self.rows * self.row_bytes

    def write(self, first: int, values: Any) -> None:
        """Put rows (n, dim) at the `first` row and those after it."""
        if self._file is None:
            self.array[first : first + len(values)] = values
            return
        whole: Any = np.ascontiguousarray(values, self.dtype)
        data = memoryview(whole).cast("B")
        at = first * self.row_bytes
        while data:
            done = os.pwrite(self._file.fileno(), data, at)
            data, at = data[done:], at + done

    def read_into(self, target: Any, first: int) -> None:
        """Fill `target` (n, dim), contiguous, with the rows from `first` on."""
        if self._file is None:
            target[:] = self.array[first : first + len(target)]
            return
        data = memoryview(target).cast("B")
        at = first * self.row_bytes
        while data:
            done = os.preadv(self._file.fileno(), [data], at)
            if not done:
                raise OSError(f"row {first} of the temporary file cannot be read")
            data, at = data[done:], at + done

    def read(self, first: int, last: int) -> Any:
        """Rows first .. last - 1, (last - first, dim); in memory they are the store's own."""
        if self._file is None:
            return self.array[first:last]
        values = np.empty((last - first, self.dim), self.dtype)
        self.read_into(values, first)
        return values
