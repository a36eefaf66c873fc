"""Atomic writes, fingerprints and stage records: what makes a killed run safe to run again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import resource
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from abaw_submit import __version__

RECORD_NAME = "record.json"
_SHA_CACHE: dict[tuple[str, int, int, int], str] = {}


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary file (or folder) beside `path`, renamed to it when the block ends well.

    The temporary name keeps the suffix, so writers that look at it still work. On an error
    nothing is left behind. A folder replaces an old folder of that name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    _remove(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            _remove(path)
        else:
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file whole or not at all, with the line endings in `text`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON with two-space indent and a final newline, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"not JSON: {type(value).__name__}")


def sha256_file(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as hex. Remembered in this process by path, size, date and inode."""
    path = Path(path)
    stat = path.stat()
    key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if key not in _SHA_CACHE:
        with path.open("rb") as handle:
            _SHA_CACHE[key] = hashlib.file_digest(handle, "sha256").hexdigest()
    return _SHA_CACHE[key]


def fingerprint(*parts: Any) -> str:
    """16 hex digits that identify plain values (dict order does not matter).

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def identify(path: Path | str) -> str:
    """The identity of an input: a file's sha256, or for a folder that a stage wrote its record's
    digest of outputs, or for any other folder a hash over the names and bytes of its files."""
    path = Path(path)
    if path.is_dir():
        record = read_record(path)
        if record is not None:
            return str(record["digest"])
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        return fingerprint([(p.relative_to(path).as_posix(), sha256_file(p)) for p in files])
    return sha256_file(path)


def record_path(out: Path | str) -> Path:
    """Where the record of a stage lies: in its folder, or beside its file."""
    out = Path(out)
    if out.suffix and not out.is_dir():
        return out.with_name(f"{out.name}.{RECORD_NAME}")
    return out / RECORD_NAME


def read_record(out: Path | str) -> dict[str, Any] | None:
    """The record of a stage's output, or None if there is none that can be read."""
    try:
        record = json.loads(record_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "digest" in record else None


class Stage:
    """One run of a stage: knows whether it is done already, and writes the record last.

    Usage::

        stage = Stage("crop", out, settings={...}, inputs=[videos])
        if stage.done():
            return
        with stage:
            ...
            stage.output(path); stage.count("rows", n); stage.fail("video7", "cannot be decoded")

    Args:
        name: the stage's name.
        out: the folder or file the stage makes.
        settings: everything that can change the bytes of the result (plain values, no worker counts).
        inputs: files and folders read; a folder with a record is identified by that record.
    """

    def __init__(
        self, name: str, out: Path | str, *, settings: Mapping[str, Any], inputs: Sequence[Path | str]
    ) -> None:
        self.name, self.out = name, Path(out)
        self.settings = json.loads(json.dumps(dict(settings), default=_plain))
        self.inputs = [Path(p) for p in inputs]
        self._identities = {str(p): identify(p) for p in self.inputs}
        # paths are left out: the same bytes elsewhere are the same input
        self.fingerprint = fingerprint(name, self.settings, list(self._identities.values()))
        self.outputs: list[Path] = []
        self.counts: dict[str, float] = {}
        self.failures: list[dict[str, str]] = []
        self._start = 0.0

    def done(self) -> bool:
        """True if the output's record matches and every output is there with its recorded size.

        The record's date is then brought up to now, so that Make, which knows only dates, sees
        the same thing.
        """
        record = read_record(self.out)
        if record is None or record.get("fingerprint") != self.fingerprint or record["failures"]:
            return False
        base = self._base()
        done = all(
            (base / o["path"]).is_file() and (base / o["path"]).stat().st_size == o["bytes"]
            for o in record["outputs"]
        )
        if done:
            os.utime(record_path(self.out))
        return done

    def _base(self) -> Path:
        return record_path(self.out).parent

    def output(self, path: Path | str) -> None:
        """Note a file that was written; its hash goes into the record."""
        self.outputs.append(Path(path))

    def count(self, what: str, number: float) -> None:
        """Add to a count in the record."""
        self.counts[what] = self.counts.get(what, 0) + number

    def fail(self, item: str, why: str) -> None:
        """Note an item that failed; the rest goes on, and the stage is not done next time."""
        self.failures.append({"item": item, "why": why})

    def __enter__(self) -> Stage:
        self._start = time.perf_counter()
        record_path(self.out).unlink(missing_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        base = self._base()
        outputs = [
            {
                "path": Path(os.path.relpath(p, base)).as_posix(),
                "bytes": p.stat().st_size,
                "sha256": sha256_file(p),
            }
            for p in sorted(set(self.outputs))
        ]
        write_json(
            record_path(self.out),
            {
                "stage": self.name,
                "version": __version__,
                "fingerprint": self.fingerprint,
                "digest": fingerprint([(o["path"], o["sha256"]) for o in outputs]),
                "settings": self.settings,
                "inputs": [{"path": str(p), "identity": self._identities[str(p)]} for p in self.inputs],
                "outputs": outputs,
                "counts": self.counts,
                "failures": self.failures,
                "seconds": round(time.perf_counter() - self._start, 3),
                "peak_memory_mib": peak_memory_mib(),
                "machine": machine(),
            },
        )


def peak_memory_mib() -> float:
    """Peak resident memory of this process and its finished children, in MiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(max(own, children) / 1024, 1)


def machine() -> dict[str, Any]:
    """What the work ran on: system, processors, Python."""
    return {
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }
