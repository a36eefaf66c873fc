"""The program's entry point: every way a command may end becomes one to three lines and an exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
import traceback
from pathlib import Path

import click

from abaw_submit import signals
from abaw_submit.errors import Unread, UserError
from abaw_submit.extras import bringing, missing_error
from abaw_submit.notices import say
from abaw_submit.workers import stop_workers

_NO_ROOM = "failed to map segment"  # what the system says of a library for which there is no memory
GO_ON = "Run the same command again to go on."
_ADVICE = {
    errno.ENOSPC: "The disk is full: make room, then run the same command again.",
    errno.EDQUOT: "Your quota is used up: make room, then run the same command again.",
    errno.EROFS: "The disk is read-only: give another --out.",
    errno.EACCES: "Permission denied: give a place you may write to, or a file you may read.",
    errno.EPERM: "Permission denied: give a place you may write to, or a file you may read.",
    errno.ENAMETOOLONG: "The name is too long for this disk (255 bytes is usual).",
    errno.ENOTDIR: "A part of this path is a file, not a folder.",
    errno.EISDIR: "This is a folder; expected a file.",
    errno.EMFILE: "Too many open files: raise the limit (ulimit -n) or give fewer --jobs.",
    errno.EFBIG: "Files may not be so large here (ulimit -f, or the disk's own limit).",
    errno.EIO: "The disk gave an error: check it, then run the same command again.",
}


def run(command: click.Command) -> int:
    """Run the command line; the exit code."""
    signals.install()
    _fill_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # the name of a file may be no UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with signals.listening():
            # without standalone mode Click hands the code of ctx.exit() back instead of raising it
            code = command.main(standalone_mode=False)
        if sys.stdout is not None:  # what cannot be written is said here, not at Python's very end
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (click.Abort, KeyboardInterrupt):
        stop_workers()
        say(f"Stopped. {GO_ON}")
        return 130
    except signals.Terminated as stop:
        stop_workers()
        say(f"Stopped by {stop}. {GO_ON}")
        return 128 + stop.number
    except click.ClickException as error:
        with contextlib.suppress(OSError):  # a terminal that is gone
            error.show()
        return error.exit_code
    except UserError as error:
        say(f"Error: {error}")
        return error.exit_code
    except (Unread, BrokenPipeError):
        _silence_output()
        return 141
    except Exception as error:
        stop_workers()
        say(f"Error: {words_of(error)}")
        return UserError.exit_code


def words_of(error: Exception) -> str:
    """What to say of an error that no room foresaw: the machine's, a missing library, or a bug."""
    if isinstance(error, ModuleNotFoundError):
        found = bringing(error.name or "")
        if found is not None:
            return str(missing_error("This", [found[0]], [found[1]]))
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _NO_ROOM in str(error)):
        return "Out of memory. Give fewer --jobs, a smaller --batch or --cache-gib, or a larger machine."
    if isinstance(error, OSError):  # a full disk, a missing right: the user's machine, not a bug
        where = f"{error.filename}: " if error.filename else ""
        what = error.strerror or str(error).strip() or type(error).__name__
        advice = _ADVICE.get(error.errno or 0, "")
        return f"{where}{what}." + (f" {advice}" if advice else "")
    if os.environ.get("ABAW_TRACEBACK"):
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())[:200]
    return (
        f"this should not have happened: {type(error).__name__}: {text}"
        f" ({Path(place.filename).name}, line {place.lineno}).\n"
        "Please report it; with ABAW_TRACEBACK=1 the same command says where it came from."
    )


def _fill_closed_streams() -> None:
    """With a standard stream closed (`2>&-`) the next file that is opened would take its number, and what a
    library prints would be written into that file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _silence_output() -> None:
    """Nobody reads any more: what is left in the buffers must not fail again at the very end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
