"""Full and read-only disks: a small tmpfs, mounted in a namespace of this process (as root)."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torturing.kills import Usual, leftovers, output_of, wrong_words
from torturing.stages import Job
from torturing.starts import finish, start

_NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS of <sched.h>


@dataclass
class Count:
    """What happened to one stage."""

    runs: int = 0
    full: int = 0
    bad: list[str] = field(default_factory=list)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def in_namespace(work: Callable[[], Any]) -> Any:
    """The result of a function in a fork whose mounts nobody else sees; None if not allowed."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def inside() -> None:
        if os.geteuid() or ctypes.CDLL(None, use_errno=True).unshare(_NEW_NAMESPACE):
            return
        _mount("--make-rprivate", "/")
        theirs.send(work())

    process = multiprocessing.get_context("fork").Process(target=inside)
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return None
    finally:
        process.join()


def torture(job: Job, whole: dict[str, bytes], usual: Usual, folder: Path, sizes_kib: list[int]) -> Count:
    """A stage on disks that are too small, then on one that is not; then finished and read-only.

    Call it in a namespace of its own.
    """
    count = Count()
    folder.mkdir(parents=True, exist_ok=True)

    def run(job: Job) -> tuple[int | None, str]:
        running = start(job.command(folder), folder.with_name("disk.log"))
        why = finish([running], usual.cpu_s)
        said = running.said()
        if why or wrong_words(said):
            count.bad.append(why or wrong_words(said))
        return running.returncode, said

    for size in sizes_kib:
        shape = job if size == sizes_kib[0] else job.alone()
        _mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder))
        try:
            count.runs += 1
            code, said = run(shape)
            if code:
                count.full += 1
                if "full" not in said and "No space" not in said:
                    count.bad.append(f"full disk of {size} KiB: {said.strip()[-200:]}")
                _mount("-o", "remount,size=200m", str(folder))
                if run(shape)[0]:
                    count.bad.append(f"disk of {size} KiB: not finished after room was made")
            if output_of(folder, job) != whole:
                count.bad.append(f"disk of {size} KiB: other bytes")
            if leftovers(folder):
                count.bad.append(f"disk of {size} KiB, left behind: {leftovers(folder)[:3]}")
            _mount("-o", "remount,ro", str(folder))
            code, said = run(shape)
            if code:
                count.bad.append(f"finished and read-only: {said.strip()[-200:]}")
            code, said = run(Job(job.name, shape.words, f"new-{job.out}"))
            if code != 2 or "read-only" not in said.lower():
                count.bad.append(f"read-only: exit {code}: {said.strip()[-200:]}")
        finally:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
    return count
