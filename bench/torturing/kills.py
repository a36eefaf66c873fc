"""Stages killed at random, told to stop, started twice, their workers killed: the bytes must be the same.

Half of the kills come at a random moment, half just before a random change of a file (rename, open for
writing, remove), where a torn state is made. Killed is the process alone, as for want of memory, or all it
started too, as by a scheduler; a run that was killed is killed again up to three times, then has to finish.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from torturing.stages import Job, tree
from torturing.starts import Event, Running, finish, session, start, survivors

COLD_EVERY = 10  # one start in so many is a cold one
STOPS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGUSR1: 138}


@dataclass(frozen=True)
class Usual:
    """An undisturbed run: wall time of a fork and of a cold start, processor time, changes of files."""

    warm_s: float
    cold_s: float
    cpu_s: float
    events: int


@dataclass
class Count:
    """What happened to one stage."""

    runs: int = 0
    hit: int = 0  # before their end
    cold: int = 0
    bad: list[str] = field(default_factory=list)


def bystanders(folder: Path) -> dict[str, bytes]:
    """Foreign files beside an output, which nobody may touch."""
    names = ("thesis.tex", ".notes.tmp", ".crops.123.tmp/mine.txt", "other/102/00001.jpg")
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    return dict.fromkeys(names, b"mine")


def output_of(folder: Path, job: Job) -> dict[str, bytes]:
    """The bytes of a job's output in its folder."""
    out = folder / job.out
    if out.is_dir():
        return tree(out)
    return {job.out: out.read_bytes()} if out.is_file() else {}


def leftovers(folder: Path) -> list[str]:
    """Hidden files of this package that a finished stage has left."""
    ours, ends = (".tmp-", ".spool"), (".lock", ".unfinished", ".unfinished.json")
    found = [p for p in folder.rglob(".*") if p.name.startswith(ours) or p.name.endswith(ends)]
    return [p.relative_to(folder).as_posix() for p in found]


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def wrong_words(said: str) -> str:
    """What must never be said."""
    for word in ("Traceback", "should not have happened", "Out of memory"):
        if word in said:
            return f"{word}: {' / '.join(said.strip().splitlines()[-8:])[:600]}"
    return ""


def undisturbed(job: Job, folder: Path, log: Path) -> Usual:
    """Run a stage cold, into its place, and then twice warm elsewhere to see how long that takes.

    Raises:
        RuntimeError: it does not work.
    """
    seconds, cpu_s = [], 0.0
    for warm, place in (
        (False, folder),
        (True, folder.with_name("usual")),
        (True, folder.with_name("usual")),
    ):
        if warm:
            shutil.rmtree(place, ignore_errors=True)
        begin = time.perf_counter()
        words = job.command(place) if not warm else job.alone().command(place)
        running = start(words, log, warm=warm, event=Event(place) if warm else None)
        while not running.wait(0.2):
            cpu_s = max(cpu_s, sum(session(running.pid).values()))
        seconds.append(time.perf_counter() - begin)
        if running.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {running.returncode}: {running.said()[-500:]}")
    if output_of(folder.with_name("usual"), job) != output_of(folder, job):
        raise RuntimeError(f"{job.name}: a fork makes other bytes than a cold start")
    shutil.rmtree(folder.with_name("usual"))
    return Usual(seconds[2], seconds[0], cpu_s, int(log.with_suffix(".events").read_text()))


def torture(
    job: Job, whole: dict[str, bytes], usual: Usual, folder: Path, times: int, seed: int, how: str
) -> Count:
    """Disturb a stage again and again, then let it finish and compare.

    Args:
        job: the stage.
        whole: the bytes of an undisturbed run.
        usual: what that took.
        folder: to work in.
        times: how often.
        seed: of the moments.
        how: "kill", "stop" (SIGTERM, SIGINT, SIGUSR1), "twice" (two processes at once), "shard" (one of them
            does a part), or "worker" (one of its worker processes is killed).
    """
    rng = random.Random(f"{seed} {job.name} {how}")
    case = _Case(job, usual, folder, rng)
    left = times
    while left > 0:
        shutil.rmtree(folder, ignore_errors=True)
        foreign = bystanders(folder)
        for _ in range(min(left, 1 if how in ("twice", "shard") else 3)):
            left -= 1
            case.count.runs += 1
            getattr(case, how)()
        case.finish()
        found = output_of(folder, job)
        if found != whole:
            names = sorted(n for n in {*found, *whole} if found.get(n) != whole.get(n))
            case.bad(f"other bytes: {', '.join(names[:4])}")
        if leftovers(folder):
            case.bad(f"left behind: {', '.join(leftovers(folder)[:3])}")
        if any((folder / name).read_bytes() != data for name, data in foreign.items()):
            case.bad("foreign files touched")
    shutil.rmtree(folder, ignore_errors=True)
    return case.count


class _Case:
    """One stage and what is done to it."""

    def __init__(self, job: Job, usual: Usual, folder: Path, rng: random.Random) -> None:
        self.job, self.usual, self.folder, self.rng = job, usual, folder, rng
        self.count = Count()
        self.started: list[Running] = []

    def bad(self, text: str) -> None:
        self.count.bad.append(f"disturbance {self.count.runs}: {text}")

    def kill(self) -> None:
        whole = self.rng.random() < 0.5
        if self.rng.random() < 0.5:
            event = Event(self.folder, self.rng.randint(1, self.usual.events), whole_session=whole)
            running = self._start(event=event)
            why = finish([running], self.usual.cpu_s)
            if why:
                self.bad(why)
            if running.returncode != -signal.SIGKILL:
                self._ended(running)
            self.count.hit += running.returncode == -signal.SIGKILL
        else:
            running = self._start()
            if running.wait(self._moment()):
                self._ended(running)
                return
            self.count.hit += 1
            running.send(signal.SIGKILL, whole)
            running.wait()

    def stop(self) -> None:
        number, whole = self.rng.choice(list(STOPS)), self.rng.random() < 0.5
        running = self._start()
        if running.wait(self._moment()):
            self._ended(running)
            return
        self.count.hit += 1
        running.send(number, whole)
        why = finish([running], self.usual.cpu_s)
        said = running.said()
        if running.returncode == 1 and "KeyboardInterrupt" in said and "abaw_submit/" not in said:
            return  # of a cold start, before its first line: Python's own words
        if why or wrong_words(said):
            self.bad(why or wrong_words(said))
        allowed = (STOPS[number], 0, -number)  # -number: before Python could listen
        if running.returncode not in allowed:
            self.bad(f"{number.name}: exit {running.returncode}: {said.strip()[-200:]}")

    def twice(self) -> None:
        """The same command at the same time."""
        self._pair(self.job, self.job)

    def shard(self) -> None:
        """A shard, and a run that collects all shards, at the same time."""
        part = replace(self.job, words=(*self.job.words, "--shard", f"{self.rng.randint(1, 2)}/2"))
        self._pair(*self.rng.sample([part, self.job], 2))

    def _pair(self, one: Job, other: Job) -> None:
        """The first stops just before it changes a file, the second comes, the first goes on."""
        number = self.rng.randint(1, self.usual.events // (1 if one == self.job else 2))
        first = self._start(event=Event(self.folder, number, signal.SIGSTOP), job=one)
        if first.stopped():
            self.count.hit += 1
        second = self._start(job=other)
        second.wait(self.rng.random() * self.usual.warm_s * 1.5)
        first.send(signal.SIGCONT)
        why = finish([first, second], self.usual.cpu_s)
        if why:
            self.bad(why)
        for running in (first, second):
            self._ended(running)

    def worker(self) -> None:
        running = self._start(alone=False)
        running.wait(self._moment())
        workers = [pid for pid in session(running.pid) if "popen_loky" in _command(pid)]
        if workers and running.returncode is None:
            self.count.hit += 1
            Running(self.rng.choice(workers), running.log).send(signal.SIGKILL)
        why = finish([running], self.usual.cpu_s)
        said = running.said()
        if why or wrong_words(said):
            self.bad(why or wrong_words(said))
        if running.returncode not in (0, 1, 2):
            self.bad(f"worker killed: exit {running.returncode}: {said.strip()[-200:]}")

    def finish(self) -> None:
        """Let it finish; nobody who was started may be alive then."""
        running = self._start()
        why = finish([running], self.usual.cpu_s)
        if why:
            self.bad(why)
        self._ended(running, "the run after it")
        for one in self.started:
            if left := survivors(one.pid):
                self.bad(f"{len(left)} processes outlive their parent")
        self.started.clear()

    def _start(
        self, event: Event | None = None, alone: bool | None = None, job: Job | None = None
    ) -> Running:
        """A fork, or in one case of ten a cold start; without workers if an event is to be heard in it."""
        warm = event is not None or self.rng.randrange(COLD_EVERY) > 0
        self.count.cold += not warm
        if alone is None:
            alone = event is not None or self.rng.random() < 0.5
        job = job or self.job
        job = job.alone() if alone else job
        log = self.folder.with_name(f"{self.folder.name}-{len(self.started)}.log")
        running = start(job.command(self.folder), log, warm=warm, event=event)
        self.started.append(running)
        self._usual_s = self.usual.warm_s if warm else self.usual.cold_s
        return running

    def _moment(self) -> float:
        return self.rng.random() * self._usual_s * 1.1

    def _ended(self, running: Running, who: str = "a run") -> None:
        said = running.said()
        if running.returncode or wrong_words(said):
            self.bad(f"{who} ended with {running.returncode}: {said.strip()[-200:]}")
