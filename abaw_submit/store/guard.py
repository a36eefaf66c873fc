"""Keeping a stage away from what is not its own.

A stage may replace a folder that carries its own record or the mark of its own unfinished run, or an empty
one; and a file that has such a record or mark beside it, or that is empty. It may not write into its inputs.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

from abaw_submit.errors import UserError
from abaw_submit.store.hashing import fingerprint
from abaw_submit.store.record import RECORD_NAME, read_record, record_path
from abaw_submit.textfile import read_own_json

_LONGEST_NAME = 180
_MARKED_BYTES = 4096
_DEEP = 3  # folders above a path whose marks may speak of it


class Mark(TypedDict):
    """What a running stage notes beside its output."""

    stage: str
    files: list[str]


def state_path(out: Path, kind: str) -> Path:
    """Where a stage keeps its mark or lock while it runs: a hidden file beside its output."""
    name = out.absolute().name
    if len(name.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
        name = f"{name[:40]}-{fingerprint(name)}"
    beside = out.absolute().parent
    if out.is_dir() and not os.access(beside, os.W_OK):  # a mounted folder: its parent is not ours
        return out / f".{kind}"
    return beside / f".{name}.{kind}"


def read_mark(out: Path) -> dict[str, Any] | None:
    """The mark of an unfinished run of a stage: the stage's name, and the files it may replace."""
    mark: dict[str, Any] | None = read_own_json(state_path(out, "unfinished"), Mark)
    return mark


def write_mark(out: Path, mark: dict[str, Any]) -> None:
    """Write the mark, whole or not at all."""
    path = state_path(out, "unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(mark), encoding="utf-8")
    os.replace(temporary, path)


def claim(path: Path, names: Iterable[Path]) -> None:
    """Note in the mark of the running stage that these files, about to appear in `path`, are its own."""
    for out in (path, *list(path.absolute().parents)[:_DEEP]):
        mark = read_mark(out)
        if mark is not None:
            here = os.path.relpath(path, out.absolute().parent)
            mark["files"] = sorted({*mark["files"], *(os.path.join(here, name) for name in names)})
            write_mark(out, mark)
            return


def claimed(path: Path) -> set[Path]:
    """The files in a folder that a record or mark, its own or of a folder above, calls its own."""
    found: set[Path] = set()
    for out in (path.absolute(), *list(path.absolute().parents)[:_DEEP]):
        record, mark = read_record(out), read_mark(out)
        if record is not None:
            base = record_path(out).parent
            found |= {Path(os.path.normpath(base / entry["path"])) for entry in record["outputs"]}
        if mark is not None:
            found |= {Path(os.path.normpath(out.parent / str(name))) for name in mark["files"]}
    return found


def refuse_foreign_content(path: Path, own: Callable[[Path], bool] | None = None) -> None:
    """Refuse to replace a folder in which anything lies that no stage wrote there.

    Raises:
        UserError: naming the first such file.
    """
    known = claimed(path)
    for file in sorted(path.absolute().rglob("*")):
        mine = file in known or file == path.absolute() / RECORD_NAME or (own is not None and own(file))
        if not mine and not (file.is_dir() and not file.is_symlink()):
            name = file.relative_to(path.absolute())
            raise UserError(
                f"{path} holds {name}, which would be lost: no record says that it was made here."
                "\nGive another --out, or move it away."
            )


def refuse_overlap(out: Path, inputs: Sequence[Path], searched: Sequence[Path] = ()) -> None:
    """Refuse an output that is an input, lies inside one, or holds one.

    Args:
        out: the output.
        inputs: files and folders that are read whole.
        searched: folders in which only files of some kind are looked for, such as videos: an output may
            lie beside those (`crop . --out crops`); what was found there is among the inputs.

    Raises:
        UserError: naming both.
    """
    target = out.resolve()
    at, holders = _place(target), {_place(path) for path in target.parents}
    beside = {path.resolve() for path in searched} - {path.resolve() for path in inputs}
    for path in (*inputs, *searched):
        source = path.resolve()
        if target == source or (at is not None and at == _place(source)):
            raise UserError(f"--out {out} is what is read, {path}. Give another --out.")
        inside = source in target.parents or (path.is_dir() and _place(source) in holders)
        if inside and source not in beside and path.is_dir():
            raise UserError(f"--out {out} lies inside what is read, {path}. Give a place outside it.")
        if target in source.parents or (at is not None and at in map(_place, source.parents)):
            raise UserError(f"--out {out} holds what is read, {path}. Give another --out.")


def _place(path: Path) -> tuple[int, int] | None:
    """What a path stands for, whatever its name: by a hard link, a mount, other capitals on some disks."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refuse_foreign_output(
    stage: str, out: Path, recognises: Callable[[Path], bool] | None = None, words: str = ""
) -> None:
    """Refuse to write a stage's output over something that it did not make.

    Args:
        stage: the stage's name.
        out: its output.
        recognises: says of an entry of a folder without record or mark that the stage makes such.
        words: what to say the output is, in place of "--out".

    Raises:
        UserError: naming what lies there.
    """
    if not os.path.lexists(out):
        return
    name = words or f"--out {out}"
    maker = _maker(out)
    if maker == stage:
        return
    if maker is not None:
        raise UserError(f"{name} was made by `{maker}`; `{stage}` would overwrite it. Give another --out.")
    if out.is_dir():
        entries = sorted(e for e in os.listdir(out) if not e.startswith(".tmp-"))
        if not entries or (recognises is not None and all(recognises(out / e) for e in entries)):
            return
        raise UserError(
            f"{name} is a folder that holds {entries[0]}, and no record says that `{stage}` made it."
            "\nGive an empty or new folder."
        )
    refuse_foreign_file(out, stage, words)


def refuse_foreign_file(out: Path, stage: str, words: str = "") -> None:
    """Refuse to overwrite a file that this stage did not make; an empty one may go.

    Raises:
        UserError: there is such a file.
    """
    if not os.path.lexists(out) or _maker(out) == stage:
        return
    name = words or f"--out {out}"
    if out.is_dir():
        raise UserError(f"{name} is a folder; expected a file.")
    if not out.exists():
        raise UserError(f"{name} is a link to nothing. Give another name.")
    found = out.stat()
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{name} is not a regular file. Give another name.")
    if found.st_size:
        raise UserError(
            f"{name} is there already, and no record says that `{stage}` made it."
            "\nGive another name, or delete the file."
        )


def refuse_foreign_text(out: Path, stage: str, mark: bytes = b"", option: str = "--out") -> None:
    """Refuse to overwrite a file without a record, unless it is empty or carries the mark of its maker.

    Args:
        out: the file.
        stage: what would write it.
        mark: what stands in the first bytes of a text that it wrote; b"" if it leaves none.
        option: how the user named it.

    Raises:
        UserError: there is another file, or something that is no file.
    """
    if mark and out.is_file():
        with out.open("rb") as handle:
            if mark in handle.read(_MARKED_BYTES):
                return
    refuse_foreign_file(out, stage, f"{option} {out}")


def _maker(out: Path) -> str | None:
    """The stage whose record or mark an output carries, or that lists it as one of its files."""
    for found in (read_record(out), read_mark(out)):
        if found is not None:
            return str(found["stage"])
    here = Path(os.path.normpath(out.absolute()))
    for above in list(here.parents)[:_DEEP]:
        record = read_record(above)
        if record is not None and any(
            here == Path(os.path.normpath(above / e["path"])) for e in record["outputs"]
        ):
            return str(record["stage"])
    return None
