"""Damaged files over all readers, in processes of their own: each must be read or refused in words."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LONGEST_S = 20  # of processor time (which other work on the machine does not lengthen), or without any
MOST_MIB = 1024
WORDS = [
    b"nan", b"inf", b"-5", b"1e999", b"True", b",", b"\n", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf", b"/",
    b"..", b"$x$", b"99999999999999999999", b'"', b"[", b"{", b"null", b" ", b"\xe2\x80\xa8", b"-1", b"1.5",
]  # fmt: skip


@dataclass
class Outcome:
    """What became of the files of one reader."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    bad: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_mib: float = 0.0


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged copy: bytes flipped, cut off, cut out, doubled, zeroed, or words put in."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        size = max(len(out), 1)
        at, length = int(rng.integers(size)), int(rng.integers(1, max(2, size // 8)))
        kind = rng.integers(7)
        if kind == 0:
            for place in rng.integers(0, size, int(rng.integers(1, 9))):
                if place < len(out):
                    out[place] = int(rng.integers(256))
        elif kind == 1:
            del out[at:]
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at:at] = out[at : at + length]
        elif kind == 4:
            out[at : at + length] = bytes(len(out[at : at + length]))
        elif kind == 5:
            out[at:at] = WORDS[int(rng.integers(len(WORDS)))]
        else:
            word = WORDS[int(rng.integers(len(WORDS)))]
            out[at : at + len(word)] = word
    return bytes(out)


def run_all(per_reader: int, seed: int, only: str = "") -> Iterator[tuple[str, Outcome]]:
    """Every reader with so many damaged files of its own."""
    from torturing.readers import all_readers

    with tempfile.TemporaryDirectory() as folder:
        names = [n for n in all_readers(Path(folder) / "names") if only in n]
    for name in names:
        yield name, _in_process(name, per_reader, seed)


def _in_process(name: str, count: int, seed: int) -> Outcome:
    """A reader's files in a process of its own, started again where a file ends it."""
    total = Outcome()
    while total.tried < count:
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(name, total.tried, count, seed, theirs))
        worker.start()
        theirs.close()
        with contextlib.suppress(EOFError):
            while _answers(ours, worker.pid):
                what, text, seconds, peak = ours.recv()
                total.tried += 1
                total.read += what == "read"
                total.refused += what == "refused"
                total.slowest_s, total.peak_mib = max(total.slowest_s, seconds), max(total.peak_mib, peak)
                if what == "bad":
                    total.bad.append(text)
        worker.join()
        if total.tried < count:
            total.tried += 1
            total.bad.append(f"file {total.tried}: the process ended with {worker.exitcode}")
    return total


def _answers(ours: Any, worker: int) -> bool:
    """Wait for the next answer; one that hangs in a library, deaf to its clock, is ended."""
    begin = _used(worker)
    while not ours.poll(1):
        if _used(worker) - begin > LONGEST_S + 5:
            os.kill(worker, signal.SIGKILL)
            return False
    return True


def _used(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0.0


class _TooLong(BaseException):
    pass


class _Clock:
    """Raises `_TooLong` in a reader that uses 20 s of the processor, or none for as long."""

    def __init__(self) -> None:
        self.last_s = 0.0
        signal.signal(signal.SIGALRM, self._look)
        signal.signal(signal.SIGPROF, self._ring)

    def start(self) -> None:
        self.last_s = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_S, LONGEST_S)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, *_: object) -> None:
        raise _TooLong

    def _look(self, *_: object) -> None:
        now = time.process_time()
        if now - self.last_s < 0.01:
            raise _TooLong
        self.last_s = now


def _work(name: str, first: int, count: int, seed: int, told: object) -> None:
    from abaw_submit.errors import UserError
    from torturing.readers import all_readers

    limit = 4 * MOST_MIB << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    clock = _Clock()
    sys.stderr = sys.stdout = io.StringIO()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libjpeg writes there itself
    import logging

    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path, read = all_readers(Path(folder) / "files")[name]
        whole = path.read_bytes()
        read(path)
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(first, count):
            rng = np.random.default_rng([seed, number, *name.encode()])
            path.write_bytes(mutate(whole, rng))
            start = time.process_time()
            clock.start()
            what, text = "read", ""
            try:
                read(path)
            except UserError as error:
                lines = str(error).splitlines()
                short = (
                    sum(not line.startswith("  ") for line in lines) <= 3
                )  # all that is wrong: a list below
                what = "refused" if short and len(lines) <= 20 else "bad"
                text = f"file {number}: a message of {len(lines)} lines"
            except _TooLong:
                what, text = "bad", f"file {number}: more than {LONGEST_S} s of the processor, or of nothing"
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                own = [f for f in traceback.extract_tb(error.__traceback__) if "abaw_submit" in f.filename]
                where = own[-1] if own else place
                what = "bad"
                text = f"file {number}: {type(error).__name__}: {str(error)[:80]!r}"
                text += f" at {Path(where.filename).name}:{where.lineno}"
            clock.stop()
            used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
            told.send((what, text, time.process_time() - start, used))  # type: ignore[attr-defined]


def kinds(bad: list[str]) -> Counter[str]:
    """Failures without their file numbers, counted."""
    return Counter(text.partition(": ")[2] for text in bad)
