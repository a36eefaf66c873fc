"""HDF5 files from anywhere: nothing outside the file is followed, no size is believed unchecked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError
from abaw_submit.hdf5 import open_hdf5

__all__ = ["datasets", "open_hdf5", "read_dataset"]

_SMALL_BYTES = 1 << 20
_BEST_RATIO = 1100  # deflate cannot do better than 1032 to 1


def datasets(group: h5py.Group, where: str) -> Iterator[tuple[tuple[str, ...], h5py.Dataset]]:
    """All datasets below a group, in name order, with the names of the groups above them.

    Raises:
        UserError: a link that leads out of the file, a name that is not UTF-8, groups nested too deeply.
    """
    yield from _walk(group, where, (), set())


def _walk(
    group: h5py.Group, where: str, above: tuple[str, ...], seen: set[int]
) -> Iterator[tuple[tuple[str, ...], h5py.Dataset]]:
    if len(above) > 8:
        raise UserError(f"{where}: groups nested more than 8 deep; expected tracks.")
    try:
        names = sorted(group)
        links = {name: group.get(name, getlink=True) for name in names}
    except (UnicodeError, RuntimeError, OSError, KeyError, ValueError):
        raise UserError(f"{where}: the names in {'/'.join(above) or 'it'} cannot be read.") from None
    for name in names:
        if not isinstance(links[name], h5py.HardLink):
            raise UserError(
                f"{where}: {'/'.join((*above, name))} is a link, not data. Links are not followed:"
                " another file's bytes could come in. Copy the data into the file."
            )
        try:
            found = group[name]
        except (KeyError, RuntimeError, OSError, ValueError):
            raise UserError(
                f"{where}: {'/'.join((*above, name))} cannot be read; the file is damaged."
            ) from None
        if isinstance(found, h5py.Dataset):
            yield (*above, name), found
        elif isinstance(found, h5py.Group):
            mark = hash(found.id)
            if mark in seen:
                raise UserError(f"{where}: {'/'.join((*above, name))} holds itself.")
            yield from _walk(found, where, (*above, name), seen | {mark})


def read_dataset(dataset: h5py.Dataset, where: str) -> npt.NDArray[Any]:
    """The array of a dataset; text becomes objects that are str.

    Raises:
        UserError: it lies in another file, is damaged, or claims more than the file can hold.
    """
    try:
        if dataset.external or dataset.is_virtual:
            raise UserError(f"{where}: its numbers lie in another file. Copy them into this one.")
        claimed, stored = dataset.size or 0, dataset.id.get_storage_size()
        nbytes = int(claimed) * dataset.dtype.itemsize
        ratio = _BEST_RATIO if dataset.chunks is not None else 1
        if nbytes > max(_SMALL_BYTES, stored * ratio):
            raise UserError(
                f"{where}: claims {nbytes:,} bytes and holds {stored:,}; the file is damaged or a trap."
            )
        if h5py.check_string_dtype(dataset.dtype) is not None:
            text: npt.NDArray[Any] = np.asarray(dataset.asstr()[()], object)
            return text
        if dataset.dtype.hasobject:
            raise UserError(f"{where}: {dataset.dtype} values; expected numbers.")
        return np.asarray(dataset[()])
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, UnicodeError, MemoryError) as error:
        raise UserError(f"{where} cannot be read: {str(error).splitlines()[0][:120]}.") from None
