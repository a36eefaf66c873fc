"""What a compressed file may become in memory: a kilobyte can claim, or truly unpack to, a gigabyte."""

from __future__ import annotations

import zipfile
from pathlib import Path

from abaw_submit.errors import UserError

FREE_BYTES = (
    1 << 28
)  # scores of 2.94 million rows in 12 columns of float32 are 141 MB, however well they shrink
TIMES = 8  # a larger one must be more honest: scores and features do not shrink to an eighth
MOST_TIMES = 1100  # deflate makes at most 1,032 bytes of one
_SMALL_BYTES = 1 << 20  # an array of fill values is stored as nothing


class Allowance:
    """How much a file may still unpack to: 256 MiB in all its parts, or eight times its own size.

    Args:
        path: the file.
    """

    def __init__(self, path: Path | str) -> None:
        self.left = max(FREE_BYTES, TIMES * Path(path).stat().st_size)

    def take(self, claimed: int, stored: int, where: str, compressed: bool = True) -> None:
        """Allow a part, before memory is taken for it.

        Args:
            claimed: bytes it unpacks to.
            stored: bytes it takes in the file.
            where: the file and the part, for the message.
            compressed: whether it is.

        Raises:
            UserError: the part claims more than can have been stored, or the file too much in all.
        """
        if claimed > max(_SMALL_BYTES, stored * (MOST_TIMES if compressed else 1)):
            raise UserError(
                f"{where}: claims {claimed:,} bytes and holds {stored:,}; the file is damaged or a trap."
            )
        if claimed > self.left:
            raise UserError(
                f"{where}: unpacks to {claimed:,} bytes, more than are allowed from a file of this size"
                f" ({self.left:,} are left).\nIf it is meant, store it without compression."
            )
        self.left -= claimed


def check_zip(path: Path) -> None:
    """Refuse a zip whose parts unpack to more than is allowed; what is no zip is left to its reader.

    Raises:
        UserError: names the part.
    """
    allowance = Allowance(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeError):
        return
    for member in members:
        allowance.take(member.file_size, member.compress_size, f"{path}, {member.filename}")
