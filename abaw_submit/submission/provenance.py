"""Where a file came from: its stage record, and those of what that stage read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.store import changed_outputs, identify, read_record, record_path, sha256_file

_DEEPEST = 12


def provenance(path: Path | str, depth: int = 0) -> dict[str, Any]:
    """The record of a file or folder as plain values: stage, version, settings, and its inputs likewise.

    Times and machines are left out, so that the same work gives the same text.
    """
    path = Path(path)
    record = _record_of(path)
    if record is None:
        return {"path": str(path), "identity": _identity(path)} if path.exists() else {"path": str(path)}
    inputs = []
    for entry in record["inputs"]:
        source = Path(entry["path"])
        known = source.exists() and depth < _DEEPEST and _identity(source) == entry["identity"]
        more = provenance(source, depth + 1) if known else {}
        inputs.append({**more, "path": entry["path"], "identity": entry["identity"]})
    return {
        "path": str(path),
        "identity": _identity(path),
        "stage": record["stage"],
        "version": record["version"],
        "fingerprint": record["fingerprint"],
        "settings": record["settings"],
        "inputs": inputs,
    }


def _identity(path: Path) -> str:
    """As `identify`; "changed" for a folder that is not what its record says: then nothing is known of it."""
    try:
        return identify(path)
    except UserError:
        return "changed"


def refuse_edited(path: Path | str) -> None:
    """Refuse a file or folder that carries a record and is not what its stage wrote.

    Raises:
        ProblemsFound: naming it.
    """
    edited = edited_since(path)
    if edited:
        raise ProblemsFound(
            f"{edited}.\nMake it again, or, if the change is wanted, delete {record_path(path)} and check it."
        )


def edited_since(path: Path | str) -> str:
    """What is missing or changed in an output that a record lists, in words; "" if nothing is."""
    path = Path(path)
    record = read_record(path)
    changed = changed_outputs(path, record) if record is not None and path.exists() else []
    if record is None and path.is_file() and (record := read_record(path.parent)) is not None:
        changed = [(file, what) for file, what in changed_outputs(path.parent, record) if file == path]
    if record is None or not changed:
        return ""
    first, what = changed[0]
    more = f" ({len(changed)} files in all)" if len(changed) > 1 else ""
    return f"{first} is {what} since `{record['stage']}` wrote it{more}"


def _record_of(path: Path) -> dict[str, Any] | None:
    """The record beside a file or in a folder, or in a file's folder; None if the file has changed since."""
    for owner in (path, path.parent):
        record = read_record(owner)
        if record is None:
            continue
        if path.is_dir():
            return record
        written = {entry["sha256"] for entry in record["outputs"] if Path(entry["path"]).name == path.name}
        if sha256_file(path) in written:
            return record
    return None


def rows_source(path: Path | str) -> tuple[str, str, Path] | None:
    """What `format` was asked for when it wrote a file: the task, "template" or "tracks", and that file.

    None if there is no such record or the template is not there unchanged.
    """
    record = _record_of(Path(path))
    if record is None or record["stage"] != "format" or not record["inputs"]:
        return None
    entry = record["inputs"][-1]
    source = Path(entry["path"])
    if not source.is_file() or identify(source) != entry["identity"]:
        return None
    return str(record["settings"]["task"]), str(record["settings"]["rows"]), source
