"""What an input is, by its bytes; and whether outputs still are what their record says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.store.hashing import sha256_file, sha256_folder
from abaw_submit.store.record import read_record, record_path


def identify(path: Path | str) -> str:
    """The identity of an input: a file's sha256, or for a folder that a stage wrote its record's
    digest of outputs, or for any other folder a hash over the names and bytes of its files.

    Raises:
        UserError: a folder is no longer what its record says, or there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        record = read_record(path)
        if record is not None:
            refuse_changed(path, record)
            return str(record["digest"])
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        return sha256_folder(path, files)
    if not path.exists():
        raise UserError(f"No file {path}.")
    return sha256_file(path)


def changed_outputs(out: Path | str, record: dict[str, Any]) -> list[tuple[Path, str]]:
    """The recorded outputs that are missing or have other bytes, each with a word for it."""
    base = record_path(out).parent
    found = []
    for entry in record["outputs"]:
        path = base / entry["path"]
        if not path.is_file():
            found.append((path, "missing"))
        elif path.stat().st_size != entry["bytes"] or sha256_file(path) != entry["sha256"]:
            found.append((path, "changed"))
    return found


def refuse_changed(out: Path | str, record: dict[str, Any]) -> None:
    """Refuse an input whose files are not those its stage wrote.

    Raises:
        UserError: naming the first file.
    """
    changed = changed_outputs(out, record)
    if changed:
        path, what = changed[0]
        more = f" ({len(changed)} files in all)" if len(changed) > 1 else ""
        raise UserError(
            f"{path} is {what} since `{record['stage']}` made {out}{more}.\n"
            f"Run `{record['stage']}` again: it makes what is {what}."
            f" Or delete {record_path(out)} if the change is yours."
        )
