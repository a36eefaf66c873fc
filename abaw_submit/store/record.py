"""The record of a stage: where it lies, and how to read it."""

from __future__ import annotations

import json
import os
import platform
import resource
from pathlib import Path
from typing import Any

RECORD_NAME = "record.json"


def record_path(out: Path | str) -> Path:
    """Where the record of a stage lies: in its folder, or beside its file."""
    out = Path(out)
    if out.is_file() or (out.suffix and not out.is_dir()):
        return out.with_name(f"{out.name}.{RECORD_NAME}")
    return out / RECORD_NAME


def read_record(out: Path | str) -> dict[str, Any] | None:
    """The record of a stage's output, or None if there is none that can be read."""
    try:
        record = json.loads(record_path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if is_record(record) else None


def is_record(value: Any) -> bool:
    """Whether a value has the shape of a stage record."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("digest", "stage", "fingerprint"))
        and all(isinstance(value.get(key), list) for key in ("inputs", "outputs", "failures"))
        and isinstance(value.get("counts"), dict)
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("path"), str)
            and isinstance(entry.get("sha256"), str)
            and isinstance(entry.get("bytes"), int)
            for entry in value["outputs"]
        )
        and all(
            isinstance(entry, dict)
            and isinstance(entry.get("path"), str)
            and isinstance(entry.get("identity"), str)
            for entry in value["inputs"]
        )
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
