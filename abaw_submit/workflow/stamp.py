"""Stamps: what a job made and from what. A stamp is true while all it names is still there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict

from abaw_submit.errors import UserError
from abaw_submit.store import changed_outputs, read_record, record_path, sha256_file, write_json
from abaw_submit.textfile import read_json
from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.identity import unit_files
from abaw_submit.workflow.units import Unit, unit_results


class Stamp(TypedDict):
    """What a job was done with: results and their digests, its settings, the files from outside."""

    made: dict[str, str | None]
    settings: dict[str, Any]
    files: dict[str, str]


def write_stamp(graph: Graph, unit: Unit, files: dict[str, str]) -> None:
    """Say that a job is done.

    Args:
        graph: the run.
        unit: the job.
        files: the identities of the files from outside, as they were before the job began.
    """
    made = {path.as_posix(): result_digest(path) for path in unit_results(graph.layout, unit)}
    write_json(graph.stamp(unit), Stamp(made=made, settings=graph.unit_settings(unit), files=files))


def read_stamp(graph: Graph, unit: Unit) -> Stamp | None:
    """A job's stamp, or None if there is none, or a damaged one."""
    try:
        stamp: Stamp = read_json(graph.stamp(unit), Stamp)
    except (OSError, UserError):
        return None
    return stamp


def changed(graph: Graph, unit: Unit) -> str:
    """What has changed since a job was done: a result, a setting, a file from outside; "" if nothing has.

    Snakemake knows of settings and files too, by notes of its own; those do not travel with the run.
    """
    stamp = read_stamp(graph, unit)
    if stamp is None:
        return ""
    for name, digest in stamp["made"].items():
        if problem := _problem(Path(name), digest):
            return problem
    before, now = stamp["settings"], json.loads(json.dumps(graph.unit_settings(unit)))
    changes = [
        f"{key} {_short(before.get(key))} -> {_short(now.get(key))}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    old, new = stamp["files"], unit_files(graph.layout, unit)
    changes += [f"{what} changed" for what in sorted({*old, *new}) if old.get(what) != new.get(what)]
    return "; ".join(changes)


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) < 60 else f"{text[:57]}…"


def result_digest(path: Path) -> str | None:
    """The identity of a result: its record's digest, or a plain file's hash; None if it is not there."""
    record = read_record(path)
    if record is not None:
        return f"record {record['digest']}"
    return f"file {sha256_file(path)}" if path.is_file() else None


def failures(graph: Graph, unit: Unit) -> list[tuple[str, str]]:
    """The items a job could not do, and why: the rest of it is done."""
    found = []
    for path in unit_results(graph.layout, unit):
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
