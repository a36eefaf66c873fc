"""Stages killed at random, told to stop, and started twice: the bytes must come out the same."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from torturing.stages import Job, tree

HANG_S = 300  # a started process on a busy machine; a hang is one that outlives its whole run by far


@dataclass
class Count:
    """What happened to one stage."""

    runs: int = 0
    hit: int = 0  # killed before their end
    bad: list[str] = field(default_factory=list)


def bystanders(folder: Path) -> dict[str, bytes]:
    """Foreign files beside an output, which nobody may touch."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("thesis.tex", ".notes.tmp", ".crops.123.tmp/mine.txt", "other/102/00001.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    return {n: (folder / n).read_bytes() for n in ("thesis.tex", ".notes.tmp", ".crops.123.tmp/mine.txt")}


def output_of(folder: Path, job: Job) -> dict[str, bytes]:
    """The bytes of a job's output in its folder."""
    out = folder / job.out
    if out.is_dir():
        return tree(out)
    return {job.out: out.read_bytes()} if out.is_file() else {}


def leftovers(folder: Path) -> list[str]:
    """Hidden files of this package that a finished stage has left."""
    ours = (".tmp-", ".spool")
    found = [p for p in folder.rglob(".*") if p.name.startswith(ours)]
    found += [p for p in folder.rglob(".*") if p.name.endswith((".lock", ".unfinished", ".unfinished.json"))]
    return [p.relative_to(folder).as_posix() for p in found]


def wrong_words(stderr: str) -> str:
    """What must never be said."""
    for word in ("Traceback", "should not have happened"):
        if word in stderr:
            return f"{word}: {stderr.strip().splitlines()[-1][:150]}"
    return ""


def torture(
    job: Job, whole: dict[str, bytes], usual_s: float, folder: Path, kills: int, seed: int, how: str
) -> Count:
    """Kill a stage again and again, then let it finish and compare.

    Args:
        job: the stage.
        whole: the bytes of an undisturbed run.
        usual_s: what that took.
        folder: to work in.
        kills: how many.
        seed: of the times.
        how: "kill", "stop" (SIGTERM), or "twice" (two processes at once).
    """
    count, rng = Count(), random.Random(f"{seed} {job.name} {how}")
    left = kills
    while left > 0:
        shutil.rmtree(folder, ignore_errors=True)
        foreign = bystanders(folder)
        for _ in range(min(left, 3)):  # several in a row: a run that was killed is killed again
            left -= 1
            count.runs += 1
            _disturb(job, folder, rng.random() * usual_s * 1.1, how, count)
        ended = subprocess.run(job.command(folder), capture_output=True, text=True, timeout=HANG_S)
        if ended.returncode:
            count.bad.append(f"the run after it ended with {ended.returncode}: {ended.stderr.strip()[-200:]}")
        found = output_of(folder, job)
        if found != whole:
            names = sorted(n for n in {*found, *whole} if found.get(n) != whole.get(n))
            count.bad.append(f"other bytes: {', '.join(names[:4])}")
        if leftovers(folder):
            count.bad.append(f"left behind: {', '.join(leftovers(folder)[:3])}")
        if any((folder / n).read_bytes() != data for n, data in foreign.items()):
            count.bad.append("foreign files touched")
    shutil.rmtree(folder, ignore_errors=True)
    return count


def _disturb(job: Job, folder: Path, after_s: float, how: str, count: Count) -> None:
    workers = [_start(job, folder)]
    if how == "twice":
        time.sleep(after_s / 4)
        workers.append(_start(job, folder))
        for worker in workers:
            said = _end(worker, count)
            if worker.returncode:
                count.bad.append(f"one of two ended with {worker.returncode}: {said.strip()[-200:]}")
        count.hit += 1
        return
    try:
        said = workers[0].communicate(timeout=after_s)[1]
    except subprocess.TimeoutExpired:
        count.hit += 1
        workers[0].send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        if how == "kill":  # what it started may hold its end of the pipe a little longer
            workers[0].wait()
            return
        said = _end(workers[0], count)
        if how == "stop" and workers[0].returncode not in (143, 0, -15):  # -15: before Python could listen
            count.bad.append(f"SIGTERM: exit {workers[0].returncode}: {said.strip()[-200:]}")
    if how == "stop" and wrong_words(said):
        count.bad.append(wrong_words(said))


def _start(job: Job, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(job.command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _end(worker: subprocess.Popen[str], count: Count) -> str:
    start = time.monotonic()
    try:
        said = worker.communicate(timeout=HANG_S)[1]
    except subprocess.TimeoutExpired:
        worker.kill()
        count.bad.append("it hangs")
        return worker.communicate()[1]
    seconds = time.monotonic() - start
    if worker.returncode == 143 and seconds > 20:
        count.bad.append(f"stopped only after {seconds:.0f} s")
    return said
