"""Binary files of arrays as plain Python: npy, npz, HDF5, MATLAB, pickles, JSON; what pandas can read too.

A file is recognised by its first bytes. What comes back is a tree: dictionaries and lists down to arrays.
No size that a file claims is believed before it is checked, and no code in a file is run.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.allowance import Allowance, check_zip
from abaw_submit.errors import UserError
from abaw_submit.hdf5 import open_hdf5
from abaw_submit.scores.sniff.borrowed import read_frame, read_torch
from abaw_submit.scores.sniff.names import stem_of
from abaw_submit.scores.sniff.pickles import read_pickle
from abaw_submit.scores.sniff.table import matrix_table
from abaw_submit.textfile import read_utf8, refuse_large_json

_MAGIC = (
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "torch"),  # before torch 1.6
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\x93NUMPY", "npy"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Feather"),
    (b"MATLAB 5.0", "MATLAB"),
    (b"MATLAB 7.3", "HDF5"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"SQLite format 3", "SQLite"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"Rar!", "RAR"),
    (b"\xd0\xcf\x11\xe0", "Excel"),
)
COMPRESSED: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_HOW = {
    "zip": "unpack or convert it first (python -m zipfile -e FILE FOLDER), and give the folder",
    "YAML": "save it as JSON, or as CSV",
    "SQLite": "save its table as CSV: pandas.read_sql(…).to_csv('scores.csv', index=False)",
}
_BY_SUFFIX = {
    ".npy": "npy", ".npz": "npz", ".h5": "HDF5", ".hdf5": "HDF5", ".parquet": "Parquet", ".mat": "MATLAB",
    ".yaml": "YAML", ".yml": "YAML",
}  # fmt: skip
_MAT_HEAD, _MAT_COMPRESSED, _MAT_STEP = 128, 15, 1 << 20  # of MATLAB's level 5 files
PICTURE_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"%PDF")


def format_of(path: Path, head: bytes) -> str:
    """The format of a file by its first bytes; "text" if it is none of the binary ones.

    >>> format_of(Path("x"), b"PAR1....")
    'Parquet'
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"PK\x03\x04"):
        return _zip_format(path)
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    if path.suffix.lower() in (".pkl", ".pickle", ".p") and head[:1] in b"(}]cl":
        return "pickle"
    if path.suffix.lower() in _BY_SUFFIX:  # a damaged head: its reader says so
        return _BY_SUFFIX[path.suffix.lower()]
    if head.startswith(PICTURE_MAGIC):
        return "picture"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[") and path.suffix.lower() not in (
        ".txt",
        ".csv",
    ):
        return "JSON"
    return "text"


def _zip_format(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # the last: a version of tomorrow
        return "npz" if path.suffix == ".npz" else "zip"
    if any(name.endswith("data.pkl") for name in names):
        return "torch"
    if any(name.startswith("xl/") for name in names):
        return "Excel"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def read_tree(path: Path, kind: str) -> Any:
    """The content of a binary file as dictionaries, lists and arrays.

    Args:
        path: the file.
        kind: its format, as `format_of` says.

    Raises:
        UserError: damaged, not readable here, or not plain data: what to do instead.
    """
    where = str(path)
    if kind == "HDF5":
        return _hdf5(path)
    if kind == "npy":
        return _npy(path.read_bytes(), where)
    if kind == "npz":
        return _npz(path)
    if kind == "pickle":
        return read_pickle(path.read_bytes(), where)
    if kind == "JSON":
        return _json(path)
    if kind == "MATLAB":
        return _matlab(path)
    if kind in ("Parquet", "Feather", "Excel"):
        return read_frame(path, kind)
    if kind == "torch":
        return read_torch(path)
    raise UserError(f"{where} is {kind} data: {_HOW.get(kind, 'unpack or convert it first')}.")


def uncompressed(path: Path, kind: str) -> bytes:
    """The text in a gzip, bzip2 or xz file, no more of it than is allowed.

    Raises:
        UserError: damaged, too much, or not text: an archive or another format inside.
    """
    most = Allowance(path).left
    try:
        with COMPRESSED[kind](path) as handle:
            data: bytes = handle.read(most + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{path} is a damaged {kind} file: {str(error)[:80]}.") from None
    if len(data) > most:
        raise UserError(f"{path} unpacks to more than {most:,} bytes. If it is meant, unpack it first.")
    if data[257:262] == b"ustar":
        raise UserError(f"{path} is an archive. Unpack it first: tar -xf {path.name}")
    inside = format_of(path.with_suffix(""), data[:16])
    if inside != "text" or not data:
        raise UserError(f"{path} holds {inside if data else 'no'} data: unpack it first.")
    return data


def _npy(data: bytes, where: str) -> npt.NDArray[Any] | Any:
    """An npy file in memory; one of objects holds a pickle, which is read as plain data only."""
    import io

    handle = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(handle)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(handle)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(handle)
        else:
            raise ValueError(f"version {version}")
    except (
        ValueError,
        EOFError,
        SyntaxError,
        tokenize.TokenError,
        TypeError,
        RecursionError,
        MemoryError,
    ) as error:
        why = " ".join(str(error).split())[:80]
        raise UserError(f"{where} is a damaged .npy file: {why}. Save it again.") from None
    begin = handle.tell()
    if dtype.hasobject:
        found = read_pickle(data[begin:], where)
        return found.item() if isinstance(found, np.ndarray) and found.ndim == 0 else found
    count = 1
    for side in shape:
        count *= int(side)
    if count * dtype.itemsize != len(data) - begin or min(shape, default=0) < 0:
        raise UserError(
            f"{where}: claims {count:,} numbers of {dtype}, holds {len(data) - begin:,} bytes: damaged."
        )
    values = np.frombuffer(data, dtype, count, begin)
    return values.reshape(shape, order="F" if fortran else "C")


def _npz(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    check_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in found:
                    raise UserError(f"{path} holds {name} twice.")
                found[name] = _npy(archive.read(member), f"{path}, {name}")
    except UserError:
        raise
    except Exception as error:  # zip, zlib, encryption: whatever a damaged archive makes them say
        raise UserError(
            f"{path} is a damaged .npz file: {str(error)[:80] or type(error).__name__}."
        ) from None
    if not found:
        raise UserError(f"{path} holds no array. Expected one, or one a track.")
    return found


def _hdf5(path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    with open_hdf5(path) as file:
        if file.marked("pandas_type"):
            raise UserError(f"{path} is an HDFStore of pandas. Write it as CSV: frame.to_csv('scores.csv').")
        columns = file.attrs.get("columns") if "task" in file.attrs else None
        for names, attributes, values in file.arrays():
            inside = "/".join(names)
            node = tree
            for name in names[:-1]:
                node = node.setdefault(name, {})
            given = next((attributes[key] for key in ("columns", "names") if key in attributes), columns)
            if given is not None and values.ndim == 2 and np.shape(given) == values.shape[1:]:
                node[names[-1]] = matrix_table(
                    values, f"{path}, {inside}", (stem_of(path), *names), "HDF5", [str(n) for n in given]
                )
            else:
                node[names[-1]] = values
    if not tree:
        raise UserError(f"{path} is an HDF5 file without data.")
    return tree


def _json(path: Path) -> Any:
    text = read_utf8(path)
    refuse_large_json(text, str(path))
    try:
        return json.loads(text)
    except RecursionError:
        raise UserError(f"{path}: nested too deeply for a file of scores.") from None
    except ValueError as error:
        if "Extra data" in str(error):
            return _json_lines(path, text)
        raise UserError(f"{path} is not JSON: {str(error)[:80]}.") from None


def _json_lines(path: Path, text: str) -> list[Any]:
    """One dictionary a line, blank lines only at the end."""
    found = []
    for number, line in enumerate(text.rstrip().split("\n"), 1):
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON: {str(error)[:80]}.") from None
        if not isinstance(found[-1], dict):
            raise UserError(f"{path}, line {number}: {line[:40]}; expected a dictionary a line.")
    return found


def _matlab(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    _refuse_bomb(path)
    try:
        found = loadmat(path, simplify_cells=True)
    except Exception as error:  # scipy fails in many ways on damaged files
        raise UserError(f"{path} is not a readable MATLAB file: {str(error)[:80]}.") from None
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _refuse_bomb(path: Path) -> None:
    """Unpack the compressed elements of a MATLAB 5 file bit by bit, only to see how large they become."""
    allowance = Allowance(path)
    with path.open("rb") as handle:
        order: Any = "big" if handle.read(_MAT_HEAD)[-2:] == b"MI" else "little"
        while len(tag := handle.read(8)) == 8:
            kind, size = (int.from_bytes(part, order) for part in (tag[:4], tag[4:]))
            if kind != _MAT_COMPRESSED:
                handle.seek(size, 1)
                continue
            unpack, rest = zlib.decompressobj(), handle.read(min(size, path.stat().st_size))
            try:
                while rest and not unpack.eof:
                    part = unpack.decompress(rest, _MAT_STEP)
                    allowance.take(len(part), len(part), str(path))
                    rest = unpack.unconsumed_tail
            except zlib.error:  # its reader says so
                return
