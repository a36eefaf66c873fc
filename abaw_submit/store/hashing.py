"""Knowing files by their bytes, and reading the bytes of an unchanged file only once.

A hash is remembered under (path, size, date, inode, date of the inode): in this process, and for larger
files in `~/.cache/abaw_submit/sha256` (or XDG_CACHE_HOME), so that a stage with nothing to do need not read
every video again. The last of the five is set by the system alone: an old date put back hides no change.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError

_KEPT_BYTES = 1 << 18  # smaller files are read as fast as their hash is looked up
_YOUNG_S = 0.05  # a file changed so shortly ago may change again within one tick of the file system's clock
_LARGEST_CACHE = 1 << 25
_LARGE_BYTES = 1 << 30
_HOLLOW_TIMES = (
    64  # a file that claims so many times what it holds: a terabyte of zeros takes an hour to read
)
_LINE = 32 + 1 + 64 + 1
_memory: dict[str, str] = {}
_loaded: list[Path] = []


def sha256_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as hex; unchanged files are not read twice.

    Raises:
        UserError: it is not a regular file (a pipe would wait for ever, a device never end), or is nearly
            nothing but a hole.
        OSError: it cannot be read.
    """
    path = Path(path)
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is not a regular file.")
    keep = found.st_size >= _KEPT_BYTES
    key = _key([str(path.resolve()), *_signature(found)])
    known = _known(key, keep)
    if known is None:
        known = _digest(path)
        if time.time() - found.st_mtime > _YOUNG_S:
            _remember(key, known, keep)
    return known


def read_sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes as they are now, whatever is remembered: a failing disk changes no date.

    Raises:
        UserError: it is not a regular file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not a regular file.")
    return _digest(path)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        if size > _LARGE_BYTES and _holds(handle.fileno(), size) < size // _HOLLOW_TIMES:
            raise UserError(
                f"{path} claims {size:,} bytes and holds next to nothing; it is damaged or a trap."
            )
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _holds(handle: int, size: int) -> int:
    """Bytes of a file that are not holes, as far as its file system can tell."""
    at = held = 0
    try:
        while at < size:
            start = os.lseek(handle, at, os.SEEK_DATA)
            at = os.lseek(handle, start, os.SEEK_HOLE)
            held += at - start
    except OSError as error:
        held = held if error.errno == errno.ENXIO else size  # nothing but a hole is left, or it cannot tell
    os.lseek(handle, 0, os.SEEK_SET)
    return held


def sha256_folder(folder: Path, files: Sequence[Path]) -> str:
    """One hash over the names and bytes of a folder's files; an unchanged folder is not read twice."""
    stats = [p.stat() for p in files]
    names = [p.relative_to(folder).as_posix() for p in files]
    key = _key([str(folder.resolve()), [(n, *_signature(s)) for n, s in zip(names, stats, strict=True)]])
    keep = sum(s.st_size for s in stats) >= _KEPT_BYTES
    known = _known(key, keep)
    if known is None:
        known = fingerprint([(n, sha256_file(p)) for n, p in zip(names, files, strict=True)])
        if time.time() - max((s.st_mtime for s in stats), default=0.0) > _YOUNG_S:
            _remember(key, known, keep)
    return known


def fingerprint(*parts: Any) -> str:
    """16 hex digits that identify plain values (dict order does not matter).

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, default=plain)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return found.st_size, found.st_mtime_ns, found.st_dev, found.st_ino, found.st_ctime_ns


def _key(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _known(key: str, kept: bool) -> str | None:
    if kept and cache_file() not in _loaded:
        _load(cache_file())
    return _memory.get(key)


def _remember(key: str, value: str, keep: bool) -> None:
    _memory[key] = value
    if not keep:
        return
    try:  # a line is shorter than what a file system appends at once, so writers do not mix
        path = cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as handle:
            handle.write(f"{key} {value:<64}\n".encode())
    except OSError:
        pass  # a full or read-only home: the file is read again next time


def cache_file() -> Path:
    """Where hashes are remembered between processes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "abaw_submit" / "sha256"


def _load(path: Path) -> None:
    _loaded.append(path)
    try:
        if path.stat().st_size > _LARGEST_CACHE:
            path.unlink()
        data = path.read_bytes()
    except OSError:
        return
    for line in data.split(b"\n"):
        if len(line) == _LINE - 1 and line[32:33] == b" ":  # a torn line has another length
            _memory.setdefault(line[:32].decode("latin-1"), line[33:].decode("latin-1").strip())


def plain(value: Any) -> Any:
    """For json: paths as text, numpy values as Python's."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"not JSON: {type(value).__name__}")
