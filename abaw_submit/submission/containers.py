"""A submission as it lies on disk: a file, a folder, or a zip."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from abaw_submit.corpus.lines import LARGEST_BYTES, Lines, lines_of, read_lines
from abaw_submit.errors import UserError
from abaw_submit.store import RECORD_NAME
from abaw_submit.submission.findings import Place, Report

LARGEST_WHOLE = 2 * LARGEST_BYTES  # all files of a submission together
_LARGEST_DIRECTORY = 4 << 20  # some 40,000 names
# what a damaged zip makes Python's decoders raise
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    struct.error,
    UnicodeError,
)


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
    if target.exists() and not target.is_file():
        raise UserError(f"{target} is not a regular file. Give a prediction file, a folder or a zip.")
    if not target.is_file():
        raise UserError(f"Nothing at {target}. Give a prediction file, a folder or a zip.")
    if target.suffix.lower() == ".zip" or zipfile.is_zipfile(target):
        report.container = "zip"
        return _zip_members(target, report)
    report.container = "file"
    return [Member(target.name, lambda: read_lines(target))]


def _folder_members(folder: Path, report: Report) -> list[Member]:
    members = []
    left = LARGEST_WHOLE
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
        elif (left := left - (path.stat().st_size if path.is_file() else 0)) < 0:
            report.add("limit", Place(path.name, found=f"more than {LARGEST_WHOLE:,} bytes in all"))
        else:
            members.append(Member(path.name, _reader(path)))
    return members


def _reader(path: Path) -> Callable[[], Lines]:
    return lambda: read_lines(path)


def _zip_members(path: Path, report: Report) -> list[Member]:
    members: dict[str, Member] = {}
    try:
        directory = _directory_bytes(path)
        if directory > _LARGEST_DIRECTORY:
            found = f"a list of contents of {directory:,} bytes; a submission has at most some hundred files"
            report.add("limit", Place(path.name, found=found))
            return []
        archive = zipfile.ZipFile(path)  # stays open while its members are read
        entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        report.add("zip", Place(path.name, found=f"cannot be opened: {error}"))
        return []
    budget = Budget()
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
            members[name] = Member(name, _zip_reader(archive, entry, budget))
    return [members[name] for name in sorted(members)]


def _directory_bytes(path: Path) -> int:
    """The size of a zip's list of contents, which is read whole before anything else."""
    with path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - 65_536 - 22 - 20))
        tail = handle.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 16 > len(tail):
        return 0  # no zip: opening it says so
    found = int.from_bytes(tail[end + 12 : end + 16], "little")
    if found == 0xFFFFFFFF:  # the larger form says it in another place
        more = tail.rfind(b"PK\x06\x06", 0, end)
        found = int.from_bytes(tail[more + 40 : more + 48], "little") if more >= 0 else size
    return found


class Budget:
    """How much may still be unpacked: what a zip says of its sizes may be a lie."""

    def __init__(self, left: int = LARGEST_WHOLE) -> None:
        self.left = left

    def read(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
        """A member's bytes.

        Raises:
            TooMuch: it is larger than a submission's file can be, or all together are.
        """
        most = min(LARGEST_BYTES, self.left)
        with archive.open(entry) as handle:
            data = handle.read(most + 1) if entry.file_size <= most else b""
        if entry.file_size > most or len(data) > most:
            raise TooMuch(f"unpacks to more than {most:,} bytes")
        self.left -= len(data)
        return data


def _zip_reader(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget) -> Callable[[], Lines]:
    def read() -> Lines:
        try:
            data = budget.read(archive, entry)
        except UserError:
            raise
        except _BROKEN as error:
            raise DamagedZip(f"cannot be read: {error}") from None
        return lines_of(data, entry.filename)

    return read


class DamagedZip(UserError):
    """A member of a zip cannot be read."""


class TooMuch(UserError):
    """A file is larger than a submission's can be."""
