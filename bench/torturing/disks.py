"""Full and read-only disks: a small tmpfs, mounted in a namespace of this process (as root)."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from torturing.kills import leftovers, output_of, wrong_words
from torturing.stages import Job


@dataclass
class Count:
    """What happened to one stage."""

    runs: int = 0
    full: int = 0
    bad: list[str] = field(default_factory=list)


def can_mount() -> bool:
    """Whether this process may mount."""
    return (
        os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
    )


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def torture(job: Job, whole: dict[str, bytes], folder: Path, sizes_kib: list[int]) -> Count:
    """A stage on disks that are too small, then on one that is not; then finished and read-only.

    Call it in a namespace of its own (`unshare -m`).
    """
    count = Count()
    folder.mkdir(parents=True, exist_ok=True)
    for size in sizes_kib:
        _mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder))
        try:
            count.runs += 1
            first = _run(job, folder, count)
            if first.returncode:
                count.full += 1
                if "full" not in first.stderr and "No space" not in first.stderr:
                    count.bad.append(f"full disk: {first.stderr.strip()[-200:]}")
                _mount("-o", "remount,size=200m", str(folder))
                if _run(job, folder, count).returncode:
                    count.bad.append("not finished after room was made")
            if output_of(folder, job) != whole:
                count.bad.append("other bytes")
            if leftovers(folder):
                count.bad.append(f"left behind: {leftovers(folder)[:3]}")
            _mount("-o", "remount,ro", str(folder))
            again = _run(job, folder, count)
            if again.returncode:
                count.bad.append(f"finished and read-only: {again.stderr.strip()[-200:]}")
            new = _run(Job(job.name, job.words, f"new-{job.out}"), folder, count)
            if new.returncode != 2 or "read-only" not in new.stderr.lower():
                count.bad.append(f"read-only: exit {new.returncode}: {new.stderr.strip()[-200:]}")
        finally:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
    return count


def _run(job: Job, folder: Path, count: Count) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(job.command(folder), capture_output=True, text=True, timeout=300)
    if wrong_words(ended.stderr):
        count.bad.append(wrong_words(ended.stderr))
    return ended
