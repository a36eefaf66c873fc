"""A submission as it lies on disk: a file, a folder, or a zip."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from abaw_submit.corpus.lines import Lines, lines_of, read_lines
from abaw_submit.errors import UserError
from abaw_submit.store import RECORD_NAME
from abaw_submit.submission.findings import Place, Report


@dataclass(frozen=True)
class Member:
    """One submission file: its name at the root and how to read it."""

    name: str
    read: Callable[[], Lines] = field(repr=False)

    @property
    def stem(self) -> str:
        """The name without `.txt`: the track, in the per-track dialect."""
        return self.name.removesuffix(".txt")


def open_members(target: Path | str, report: Report) -> list[Member]:
    """The submission files of a file, folder or zip, in name order; the rest goes into the report.

    Raises:
        UserError: there is no such path.
    """
    target = Path(target)
    if target.is_dir():
        report.container = "folder"
        return _folder_members(target, report)
    if not target.is_file():
        raise UserError(f"Nothing at {target}. Give a prediction file, a folder or a zip.")
    if target.suffix.lower() == ".zip" or zipfile.is_zipfile(target):
        report.container = "zip"
        return _zip_members(target, report)
    report.container = "file"
    return [Member(target.name, lambda: read_lines(target))]


def _folder_members(folder: Path, report: Report) -> list[Member]:
    members = []
    for path in sorted(folder.iterdir()):
        if path.name.endswith(RECORD_NAME):  # what `format` did; not packed
            continue
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            report.extend("not at root", (Place(p.relative_to(folder).as_posix()) for p in inside))
            if not inside:
                report.add("stray file", Place(f"{path.name}/", found="an empty folder"))
        elif path.suffix != ".txt" or path.name.startswith("."):
            report.add("stray file", Place(path.name))
        else:
            members.append(Member(path.name, _reader(path)))
    return members


def _reader(path: Path) -> Callable[[], Lines]:
    return lambda: read_lines(path)


def _zip_members(path: Path, report: Report) -> list[Member]:
    members: dict[str, Member] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        report.add("zip", Place(path.name, found=f"cannot be opened: {error}"))
        return []
    for entry in sorted(entries, key=lambda e: e.filename):
        name = entry.filename
        base = name.replace("\\", "/").rsplit("/", 1)[-1]
        if entry.is_dir():
            report.add("stray file", Place(name, found="a folder"))
        elif name.startswith("__MACOSX") or base.startswith(".") or not base.endswith(".txt"):
            report.add("stray file", Place(name))
        elif base != name:
            report.add("not at root", Place(name))
        elif name in members:
            report.add("double file", Place(name))
        elif entry.flag_bits & 1:
            report.add("zip", Place(name, found="encrypted"))
        else:
            members[name] = Member(name, _zip_reader(path, name))
    return [members[name] for name in sorted(members)]


def _zip_reader(path: Path, name: str) -> Callable[[], Lines]:
    def read() -> Lines:
        try:
            with zipfile.ZipFile(path) as archive:
                data = archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DamagedZip(f"cannot be read: {error}") from None
        return lines_of(data, name)

    return read


class DamagedZip(UserError):
    """A member of a zip cannot be read."""
