"""Stamps: what a job made and from what. A stamp is true while all it names is still there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from abaw_submit.store import changed_outputs, read_record, record_path, sha256_file, write_json
from abaw_submit.workflow.plan import Plan
from abaw_submit.workflow.units import Unit, unit_results


def write_stamp(plan: Plan, unit: Unit, files: dict[str, str]) -> None:
    """Say that a job is done.

    Args:
        plan: the run.
        unit: the job.
        files: the identities of the files from outside, as they were before the job began.
    """
    made = {path.as_posix(): result_digest(path) for path in unit_results(plan.layout, unit)}
    write_json(plan.stamp(unit), {"made": made, "settings": plan.unit_settings(unit), "files": files})


def read_stamp(plan: Plan, unit: Unit) -> dict[str, Any] | None:
    """A job's stamp, or None."""
    try:
        value = json.loads(plan.stamp(unit).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and "made" in value else None


def untrue(plan: Plan, unit: Unit) -> str:
    """What of a job's work is gone or was changed since, or "" if the stamp is true or there is none."""
    stamp = read_stamp(plan, unit)
    if stamp is None:
        return ""
    for name, digest in stamp["made"].items():
        if problem := _problem(Path(name), digest):
            return problem
    return ""


def result_digest(path: Path) -> str | None:
    """The identity of a result: its record's digest, or a plain file's hash; None if it is not there."""
    record = read_record(path)
    if record is not None:
        return f"record {record['digest']}"
    return f"file {sha256_file(path)}" if path.is_file() else None


def failures(plan: Plan, unit: Unit) -> list[tuple[str, str]]:
    """The items a job could not do, and why: the rest of it is done."""
    found = []
    for path in unit_results(plan.layout, unit):
        record = read_record(path) or {"failures": []}
        found += [(str(f["item"]), str(f["why"])) for f in record["failures"]]
    return found


def _problem(path: Path, digest: str | None) -> str:
    record = read_record(path)
    if record is None and (digest or "record").startswith("record"):
        return f"{record_path(path)} is gone"
    if not path.exists():
        return f"{path} is gone"
    if result_digest(path) != digest:
        return f"{path} was made again or changed"
    for place, what in changed_outputs(path, record) if record else []:
        return f"{place} is {what}"
    return ""
