"""Files and folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.store.guard import claim, refuse_foreign_content
from abaw_submit.store.hashing import plain
from abaw_submit.store.process import is_dead, this_process

TEMPORARY = re.compile(r"\.tmp-([0-9a-f]{8}-\d+-\d+)-")
_LONGEST_STEM = 40  # characters of the name kept in a temporary one: a long name must not become too long
_NEARLY_NOTHING = 1 << 20  # bytes: of a full disk torch says only that its position is not what it should be
_TORCH_SAYS = ("inline_container", "iostream error")
_ABANDONED_S = 7 * 24 * 3600.0  # leftovers of other machines, whose processes cannot be asked


def RECORDED(file: Path) -> bool:  # noqa: N802 - a value for `own`, not called for what it does
    """For `atomic_path`: only what a record or mark lists may go."""
    return False


@contextlib.contextmanager
def atomic_path(path: Path | str, own: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A temporary file (or folder) beside `path`, renamed to it when the block ends well.

    The temporary name keeps the suffix, so writers that look at it still work. On an error nothing is
    left behind. A folder replaces an old folder of that name.

    Args:
        path: what to write.
        own: says of a file in a folder to be replaced that it may go; without it all may. `RECORDED` lets go
            what the record or mark of a stage lists, and lists what is written.

    Raises:
        UserError: the folder holds something else, or a file would replace a folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = path.suffix if len(path.suffix) <= _LONGEST_STEM else ""
    temporary = path.with_name(f".tmp-{this_process()}-{path.stem[:_LONGEST_STEM]}{suffix}")
    _remove(temporary)
    try:
        yield temporary
        if temporary.is_dir():
            _replace_folder(temporary, path, own)
        elif path.is_dir():
            raise UserError(f"{path} is a folder; a file was to be written. Give another name.")
        else:
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(temporary, path)
    except Exception as error:
        full = _full_disk(path, error)
        if full is not None:
            raise full from None
        raise
    finally:
        _remove(temporary)


def _full_disk(path: Path, error: Exception) -> OSError | None:
    """The plain error of a full disk behind what h5py, torch and safetensors make of it, or None."""
    number = error.errno if isinstance(error, OSError) else None
    if number not in (errno.ENOSPC, errno.EDQUOT):
        text = str(error)
        told = next((n for n in (errno.ENOSPC, errno.EDQUOT) if os.strerror(n) in text), None)
        torch_says = isinstance(error, RuntimeError) and any(word in text for word in _TORCH_SAYS)
        full = torch_says and shutil.disk_usage(path.parent).free < _NEARLY_NOTHING
        number = errno.ENOSPC if full else told
    return None if number is None else OSError(number, os.strerror(number), str(path))


def _replace_folder(temporary: Path, path: Path, own: Callable[[Path], bool] | None) -> None:
    if path.exists() and not path.is_dir():
        raise UserError(f"{path} is a file; a folder was to be written. Give another name.")
    if path.is_dir() and own is not None:
        refuse_foreign_content(path, own)
    if own is RECORDED:
        claim(path, [p.relative_to(temporary) for p in temporary.rglob("*")])
    aside = temporary.with_name(f"{temporary.name}-old")
    if path.exists():
        os.replace(path, aside)
    os.replace(temporary, path)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, depth: int = 3) -> None:
    """Remove what killed runs left in a folder: temporary names of this package whose process is gone.

    Of other machines' processes nobody can know: their leftovers go after a week. Folders of a single track's
    pictures, which are only ever written whole, are not looked into.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    if any(entry.name == "ledger.csv" for entry in entries):
        return
    for entry in entries:
        match = TEMPORARY.match(entry.name)
        with contextlib.suppress(OSError):
            if match and (is_dead(match[1]) or time.time() - entry.stat().st_mtime > _ABANDONED_S):
                _remove(Path(entry.path))
            elif depth > 1 and entry.is_dir(follow_symlinks=False) and not match:
                remove_leftovers(Path(entry.path), depth - 1)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text file whole or not at all, with the line endings in `text`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON with two-space indent and a final newline, whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=plain) + "\n"
    with atomic_path(path) as temporary:  # what is no UTF-8 in the name of a file becomes JSON's own escape
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
