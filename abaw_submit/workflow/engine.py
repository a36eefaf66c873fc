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
from abaw_submit.store import record_path, write_text
from abaw_submit.workflow import launch
from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.launch import Pending
from abaw_submit.workflow.layout import RunLayout
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
    graph: Graph,
    units: Sequence[Unit],
    options: Options,
    *,
    say: Callable[[str], None],
    check: Callable[[Sequence[Unit]], None] = lambda due: None,
) -> Outcome:
    """Make what of a target is not there or not up to date.

    Args:
        graph: the run.
        units: the jobs of the target.
        options: how.
        say: prints a line.
        check: is given the jobs that will run, before the first of them; raises if one of them cannot.

    Raises:
        UserError: another process makes this run, or something that is needed is not there.
    """
    with run_lock(graph.layout):
        graph.write(graph.layout.graph)
        # the jobs read what was read here: who edits a config while a run goes means the next one
        write_text(graph.layout.config, graph.config.read_text(encoding="utf-8-sig"))
        again = [u for u in units if options.retry and failures(graph, u)]
        due = [p.unit for p in look(graph, units, again) if p.due]
        if not due:
            return Outcome(0, [], _lost(graph, units))
        check(due)
        watch = Watch(graph, due, say, units, verbose=options.verbose)
        code = 0
        first = [u for u in due if u.stage == "corpus"]
        if first:  # what comes from outside is known before the graph is drawn
            code = _make(graph, first, again, options, watch)
            if code == 0:
                check([u for u in due if u not in first])
        if code == 0:
            code = _make(graph, units, again, options, watch)
        if code and _only_submissions(watch) and any(u.stage == "report" for u in due):
            # rows are missing: no submission, but a page that says so
            partial = dataclasses.replace(graph, incomplete=True)
            partial.write(graph.layout.graph)
            _make(partial, stage_units(graph.layout, "report"), [], options, watch)
        watch.look(closely=True)
        killed = [] if not code else watch.killed()
        failed = [*watch.failed, *killed]
        trouble = launch.log_tail(graph) if code and not failed else ""
        return Outcome(len(watch.ended), failed, _lost(graph, units), trouble)


def look(
    graph: Graph, units: Sequence[Unit], again: Sequence[Unit] = (), path: Path | None = None
) -> list[Pending]:
    """What would run. Changes nothing but Snakemake's own notes.

    Args:
        graph: the run.
        units: the jobs of the target.
        again: jobs to make anew.
        path: where the graph is written, if not in its own place.
    """
    _trained(graph)
    return launch.look(graph, path or graph.layout.graph, units, again)


def _trained(graph: Graph) -> None:
    """Refuse to look at a run whose folds another run was to have trained, and has not."""
    layout, run = graph.layout, graph.run
    if not run.trained:
        return
    wanted = [
        place
        for key in run.task_keys
        for place in (
            *(layout.encoder(key, fold) for fold in layout.members),
            *(layout.model(key, fold, net) for net in run.networks.values() for fold in layout.members),
            layout.recipe(key),
        )
    ]
    if missing := [place.as_posix() for place in wanted if not record_path(place).is_file()]:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise UserError(
            f'[run] trained = "{run.trained}": {missing[0]}{more} not there, or not finished.'
            f" Make the submission of run {run.trained} first, with the tasks and folds of this one."
        )


def _make(graph: Graph, units: Sequence[Unit], again: Sequence[Unit], options: Options, watch: Watch) -> int:
    return launch.make(
        graph,
        graph.layout.graph,
        units,
        again=[u for u in again if u in units],
        jobs=options.jobs,
        profile=options.profile,
        every=watch.look,
    )


def _only_submissions(watch: Watch) -> bool:
    return bool(watch.failed) and all(u.stage == "submit" for u in watch.failed) and not watch.killed()


def _lost(graph: Graph, units: Sequence[Unit]) -> dict[Unit, list[tuple[str, str]]]:
    return {unit: lost for unit in units if (lost := failures(graph, unit))}


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
