"""HDF5 from outside, read with care: a file speaks only for itself, and for no more than its own size.

HDF5 can point into other files (external links, raw data stored outside, virtual datasets), and can declare a
terabyte in a file of a kilobyte. Both are refused before anything is read. Nothing in it is executed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from abaw_submit.errors import UserError

_MOST_TIMES = 2000  # deflate makes at most about 1,000 bytes of one
_LARGE_BYTES = 1 << 28  # from here on a file must be more honest: features do not shrink to an eighth
_LARGE_TIMES = 8
_KINDS = "biuf"


@contextmanager
def open_hdf5(path: Path | str, advice: str = "Make it again.") -> Iterator[h5py.File]:
    """An HDF5 file opened for reading; whatever goes wrong inside becomes one message.

    Raises:
        UserError: it cannot be read, or a part of it is damaged.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} is not a file.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        text = " ".join(str(error).split())[:120]
        raise UserError(f"{path} is not a readable HDF5 file ({text}). {advice}") from None


def read_dataset(file: h5py.File, name: str, kinds: str = _KINDS) -> np.ndarray[Any, Any]:
    """A dataset at the root, whole.

    Args:
        file: as `open_hdf5` gives it.
        name: the dataset.
        kinds: NumPy kinds of numbers it may hold.

    Raises:
        UserError: a link or data outside the file, no dataset of numbers, or a size the file cannot hold.
    """
    where = f"{file.filename}, {name}"
    link = file.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise UserError(f"{where}: a link into another file ({link.filename}); refused.")
    if isinstance(link, h5py.SoftLink):
        raise UserError(f"{where}: a link; expected the data itself.")
    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise UserError(f"{where}: no dataset. Expected numbers.")
    if data.external or data.is_virtual:
        raise UserError(f"{where}: its data lie in another file; refused.")
    if data.dtype.kind not in kinds or data.shape is None:
        raise UserError(f"{where}: holds {data.dtype}; expected numbers.")
    stored = data.id.get_storage_size()
    declared = int(np.prod(data.shape, dtype=object)) * data.dtype.itemsize
    size = Path(file.filename).stat().st_size
    times = _MOST_TIMES if declared < _LARGE_BYTES else _LARGE_TIMES
    if declared > times * stored or stored > size:
        raise UserError(
            f"{where}: declares {declared:,} bytes, and the file of {size:,} bytes holds {stored:,} of it."
            " Refused."
        )
    return np.asarray(data[()])


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, made in memory and written at the end: a full disk is then an ordinary `OSError`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        yield file
    with path.open("wb") as handle:
        handle.write(buffer.getbuffer())
