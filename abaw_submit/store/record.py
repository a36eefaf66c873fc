"""The record of a stage: where it lies, and how to read it."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Any, TypedDict

from abaw_submit.textfile import read_own_json

RECORD_NAME = "record.json"


def record_path(out: Path | str) -> Path:
    """Where the record of a stage lies: in its folder, or beside its file."""
    out = Path(out)
    if out.is_file() or (out.suffix and not out.is_dir()):
        return out.with_name(f"{out.name}.{RECORD_NAME}")
    return out / RECORD_NAME


class InputEntry(TypedDict):
    """A file that a stage read."""

    path: str
    identity: str


class OutputEntry(TypedDict):
    """A file that a stage wrote."""

    path: str
    sha256: str
    bytes: int


class Record(TypedDict):
    """What every record holds; a stage's own entries stand beside it."""

    digest: str
    stage: str
    fingerprint: str
    inputs: list[InputEntry]
    outputs: list[OutputEntry]
    failures: list[Any]
    counts: dict[str, Any]


def read_record(out: Path | str) -> dict[str, Any] | None:
    """The record of a stage's output, or None if there is none that can be read."""
    record: dict[str, Any] | None = read_own_json(record_path(out), Record)
    return record


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
