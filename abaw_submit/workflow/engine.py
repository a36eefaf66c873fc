"""A run from beginning to end: lock, check, make, tell."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from abaw_submit.errors import UserError
from abaw_submit.workflow import launch
from abaw_submit.workflow.launch import Pending
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.plan import Plan
from abaw_submit.workflow.stamp import failures
from abaw_submit.workflow.units import Unit, stage_units
from abaw_submit.workflow.watch import Watch


@dataclass(frozen=True)
class Options:
    """How a target is made; none of it changes what is made.

    Attributes:
        jobs: how many jobs run side by side.
        profile: "" for this machine, else where and how the jobs run.
        retry: make again the jobs of which some items failed.
        verbose: show commands.
    """

    jobs: int = 1
    profile: str = ""
    retry: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Attributes:
        made: how many jobs ran.
        failed: the jobs that failed.
        lost: by job, the items it could not do; the rest of it is done.
        trouble: what Snakemake said, where no job can be blamed.
    """

    made: int
    failed: list[Unit]
    lost: dict[Unit, list[tuple[str, str]]]
    trouble: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything is there."""
        return not (self.failed or self.lost or self.trouble)


def carry_out(
    plan: Plan,
    units: Sequence[Unit],
    options: Options,
    *,
    say: Callable[[str], None],
    check: Callable[[Sequence[Unit]], None] = lambda due: None,
) -> Outcome:
    """Make what of a target is not there or not up to date.

    Args:
        plan: the run.
        units: the jobs of the target.
        options: how.
        say: prints a line.
        check: is given the jobs that will run, before the first of them; raises if one of them cannot.

    Raises:
        UserError: another process makes this run, or something that is needed is not there.
    """
    with run_lock(plan.layout):
        plan.write(plan.layout.plan)
        again = [u for u in units if options.retry and failures(plan, u)]
        due = [p.unit for p in look(plan, units, again) if p.due]
        if not due:
            return Outcome(0, [], _lost(plan, units))
        check(due)
        watch = Watch(plan, due, say, units, verbose=options.verbose)
        code = 0
        first = [u for u in due if u.stage == "corpus"]
        if first:  # what comes from outside is known before the graph is drawn
            code = _make(plan, first, again, options, watch)
        if code == 0:
            code = _make(plan, units, again, options, watch)
        if code and _only_submissions(watch) and any(u.stage == "report" for u in due):
            # rows are missing: no submission, but a page that says so
            partial = dataclasses.replace(plan, incomplete=True)
            partial.write(plan.layout.plan)
            _make(partial, stage_units(plan.layout, "report"), [], options, watch)
        watch.look(closely=True)
        killed = [] if not code else watch.killed()
        failed = [*watch.failed, *killed]
        trouble = launch.log_tail(plan) if code and not failed else ""
        return Outcome(len(watch.ended), failed, _lost(plan, units), trouble)


def look(
    plan: Plan, units: Sequence[Unit], again: Sequence[Unit] = (), path: Path | None = None
) -> list[Pending]:
    """What would run. Changes nothing but Snakemake's own notes.

    Args:
        plan: the run.
        units: the jobs of the target.
        again: jobs to make anew.
        path: where the plan is written, if not in its own place.
    """
    return launch.look(plan, path or plan.layout.plan, units, again)


def _make(plan: Plan, units: Sequence[Unit], again: Sequence[Unit], options: Options, watch: Watch) -> int:
    return launch.make(
        plan,
        plan.layout.plan,
        units,
        again=[u for u in again if u in units],
        jobs=options.jobs,
        profile=options.profile,
        every=watch.look,
    )


def _only_submissions(watch: Watch) -> bool:
    return bool(watch.failed) and all(u.stage == "submit" for u in watch.failed) and not watch.killed()


def _lost(plan: Plan, units: Sequence[Unit]) -> dict[Unit, list[tuple[str, str]]]:
    return {unit: lost for unit in units if (lost := failures(plan, unit))}


@contextmanager
def run_lock(layout: RunLayout) -> Iterator[None]:
    """One process at a time makes a run.

    Raises:
        UserError: another one does; its host and process.
    """
    layout.stages.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.stages / ".run.lock")
    note = layout.stages / ".run.owner"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        owner = note.read_text(encoding="utf-8").strip() if note.is_file() else "another process"
        raise UserError(
            f"Run {layout.run.name} is being made by {owner}. Wait for it, or stop it first."
        ) from None
    try:
        note.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()
