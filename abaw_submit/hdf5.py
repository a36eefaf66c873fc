"""HDF5 from outside, read with care: a file speaks only for itself, and for no more than its own size.

HDF5 can point into other files (external links, raw data stored outside, virtual datasets), and can declare a
terabyte in a file of a kilobyte. Both are refused before anything is read. Nothing in it is executed.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from abaw_submit.allowance import FREE_BYTES, Allowance
from abaw_submit.errors import UserError

_NUMBERS = "biuf"
_DEEPEST = 8
_MOST_NAMES = 100_000  # a corpus has 594 tracks; groups that hold each other could have names without end
_FEWEST_TEXTS = 256  # read at a time
_HEAP, _SMALLEST_HEAP = b"GCOL\x01\0\0\0", 4096  # how a heap of texts begins, and its bytes at least
_HEAP_PART = 16  # bytes of its head, and of that of each object
_PLAIN = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
_BROKEN = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError)


@contextmanager
def open_hdf5(path: Path | str, advice: str = "Make it again.") -> Iterator[Hdf5]:
    """An HDF5 file opened for reading; whatever goes wrong inside becomes one message.

    Raises:
        UserError: it cannot be read, or a part of it is damaged.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} is not a file.")
    try:
        with h5py.File(path, "r") as file:
            _refuse_endless_heaps(Path(path), file)
            yield Hdf5(file, Path(path))
    except UserError:
        raise
    except _BROKEN as error:
        text = " ".join(str(error).split())[:120]
        raise UserError(f"{path} is not a readable HDF5 file ({text}). {advice}") from None


def _refuse_endless_heaps(path: Path, file: h5py.File) -> None:
    """Refuse a file that HDF5 would read without end, deaf to every signal (version 2.0 too): it walks a heap
    of texts by the sizes that stand in it, and one of them is nothing.

    Source: HDF5 File Format Specification, III.E, "Global Heap".
    """
    width = min(_HEAP_PART, file.id.get_create_plist().get_sizes()[1])
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_HEAP)
        while start >= 0:
            size = int.from_bytes(data[start + 8 : start + 8 + width], "little")
            end = start + size if _SMALLEST_HEAP <= size <= len(data) - start else start
            at = start + _HEAP_PART
            while end - at >= _HEAP_PART:
                length = int.from_bytes(data[at + 8 : at + 8 + width], "little")
                used = any(data[at : at + 2])  # object 0 is what is free, its head included
                step = _HEAP_PART + -(-length // 8) * 8 if used else length
                if not 0 < step <= end - at:
                    raise UserError(f"{path} is a damaged HDF5 file: its texts, at byte {at}, have no end.")
                at += step
            start = data.find(_HEAP, start + 1)


class Attributes(Mapping[str, Any]):
    """Numbers and texts that describe a file or an array; of other kinds HDF5 can die where they are damaged.

    Raises:
        UserError: where such a one is asked for.
    """

    def __init__(self, found: h5py.AttributeManager, where: str) -> None:
        self._found, self._where = found, where

    def __getitem__(self, name: str) -> Any:
        if name in self._found and self._found.get_id(name).get_type().get_class() not in _PLAIN:
            raise UserError(f"{self._where}: {name} is neither a number nor text; the file is damaged.")
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found.keys())

    def __len__(self) -> int:
        return len(self._found)


class Hdf5:
    """An open file: its attributes, and those of its arrays that are its own.

    Attributes:
        attrs: attributes of the file.
    """

    def __init__(self, file: h5py.File, path: Path) -> None:
        self.attrs = Attributes(file.attrs, str(path))
        self._file, self._path = file, path
        self._allowance = Allowance(path)
        self._names = 0

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def marked(self, attribute: str) -> bool:
        """Whether a group or dataset at the root carries an attribute."""
        links = {name: self._file.get(name, getlink=True) for name in self._file}
        return any(
            attribute in self._file[name].attrs
            for name, link in links.items()
            if isinstance(link, h5py.HardLink)
        )

    def read(self, name: str, kinds: str = _NUMBERS) -> np.ndarray[Any, Any]:
        """A dataset at the root, whole.

        Args:
            name: the dataset.
            kinds: NumPy kinds of numbers it may hold.

        Raises:
            UserError: a link or data outside the file, no dataset of numbers, or a size that cannot be.
        """
        where = f"{self._path}, {name}"
        found = self._own(self._file, name, where)
        if not isinstance(found, h5py.Dataset):
            raise UserError(f"{where}: no dataset. Expected numbers.")
        if found.dtype.kind not in kinds or found.shape is None:
            raise UserError(f"{where}: holds {found.dtype}; expected numbers.")
        return self._values(found, where)

    def arrays(self) -> Iterator[tuple[tuple[str, ...], Attributes, np.ndarray[Any, Any]]]:
        """All datasets in name order: the names of the groups above and its own, its attributes, its values.

        Text becomes objects that are str.

        Raises:
            UserError: as `read`; or groups that are nested too deeply, or names that are not UTF-8.
        """
        yield from self._walk(self._file, ())

    def _walk(
        self, group: h5py.Group, above: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Attributes, np.ndarray[Any, Any]]]:
        if len(above) > _DEEPEST:  # a group that holds itself comes here too
            raise UserError(f"{self._path}: groups nested more than {_DEEPEST} deep; expected tracks.")
        try:
            names = sorted(group)
        except (*_BROKEN, UnicodeError):
            raise UserError(f"{self._path}: the names in {'/'.join(above) or 'it'} cannot be read.") from None
        self._names += len(names)
        if self._names > _MOST_NAMES:
            raise UserError(f"{self._path}: more than {_MOST_NAMES:,} names; expected tracks.")
        for name in names:
            path = (*above, name)
            where = f"{self._path}, {'/'.join(path)}"
            found = self._own(group, name, where)
            if isinstance(found, h5py.Group):
                yield from self._walk(found, path)
            elif isinstance(found, h5py.Dataset):
                yield path, Attributes(found.attrs, where), self._values(found, where)

    def _own(self, group: h5py.Group, name: str, where: str) -> Any:
        """What a name of a group stands for, if it is no link to somewhere else."""
        try:
            link, found = group.get(name, getlink=True), None
            if isinstance(link, h5py.HardLink):
                found = group[name]
        except (*_BROKEN, UnicodeError):
            raise UserError(f"{where} cannot be read; the file is damaged.") from None
        if found is None:
            raise UserError(
                f"{where} is a link, not data. Links are not followed: another file's bytes could come in."
                " Copy the data into the file."
            )
        return found

    def _values(self, dataset: h5py.Dataset, where: str) -> np.ndarray[Any, Any]:
        try:
            if dataset.external or dataset.is_virtual:
                raise UserError(f"{where}: its data lie in another file; refused. Copy them into this one.")
            claimed = int(np.prod(dataset.shape or (0,), dtype=object)) * dataset.dtype.itemsize
            compressed = dataset.chunks is not None
            self._allowance.take(claimed, dataset.id.get_storage_size(), where, compressed)
            if h5py.check_string_dtype(dataset.dtype) is not None:
                return self._texts(dataset, where)
            if dataset.dtype.hasobject:
                raise UserError(f"{where}: {dataset.dtype} values; expected numbers.")
            return np.asarray(dataset[()])
        except (*_BROKEN, UnicodeError) as error:
            raise UserError(f"{where} cannot be read: {str(error).splitlines()[0][:120]}.") from None

    def _texts(self, dataset: h5py.Dataset, where: str) -> np.ndarray[Any, Any]:
        """Text, some at a time: many entries may share one long text in the file."""
        if dataset.ndim != 1:
            return np.asarray(dataset.asstr()[()], object)
        size = self._path.stat().st_size
        step = max(_FEWEST_TEXTS, min(FREE_BYTES // max(size, 1), 1 << 16))
        parts = []
        for first in range(0, len(dataset), step):
            part = np.asarray(dataset.asstr()[first : first + step], object)
            length = sum(map(len, part))
            self._allowance.take(length, length, where)
            parts.append(part)
        return np.concatenate(parts) if parts else np.zeros(0, object)


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, made in memory and written at the end: a full disk is then an ordinary `OSError`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        yield file
    with path.open("wb") as handle:
        handle.write(buffer.getbuffer())
