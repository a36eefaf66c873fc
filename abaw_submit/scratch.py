"""Large arrays in a temporary file under TMPDIR, whose room is taken before anything is written.

Writing into a mapped file on a full disk ends a process with SIGBUS and without a word; so the room is
asked for first, and what is not there is an ordinary error.
"""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

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
    size = math.prod(shape) * np.dtype(dtype).itemsize
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(prefix="abaw-", dir=folder) as file:
            if size:
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise UserError(
            f"The {what} need {size / 2**30:.1f} GiB in {folder} ({error.strerror or error}).\n"
            "Set TMPDIR to a disk with more room, or give another --cache-gib."
        ) from None
