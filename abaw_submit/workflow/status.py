"""How far a run is: every job done, stale (and why), running, failed or missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.launch import Pending
from abaw_submit.workflow.stamp import changed, failures, read_stamp
from abaw_submit.workflow.state import read_state, running

DONE, STALE, RUNNING, FAILED, MISSING = "done", "stale", "running", "failed", "missing"


@dataclass(frozen=True)
class JobStatus:
    """One job of a run.

    Attributes:
        job: its name, as in the names of its stamp and its log.
        label: its name for people.
        state: "done", "stale", "running", "failed" or "missing".
        why: of a job that is not done: which setting, which input, or where to look.
        seconds: how long it took the last time.
        result: what came of it.
        failures: items it could not do, each with the reason; the rest of it is done.
        log: what it printed.
    """

    job: str
    label: str
    state: str
    why: str
    seconds: float
    result: str
    failures: list[tuple[str, str]]
    log: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)


def run_status(graph: Graph, pending: Sequence[Pending]) -> list[JobStatus]:
    """Every job of a target, in the order of the work.

    Args:
        graph: the run.
        pending: what the graph says of each job (`launch.look`).
    """
    return [_status(graph, p) for p in pending]


def _status(graph: Graph, pending: Pending) -> JobStatus:
    unit = pending.unit
    last = read_state(graph.state(unit))
    active = running(graph.state(unit))
    lost = failures(graph, unit)
    state, why = DONE, ""
    if active is not None:
        state, why = RUNNING, f"process {active.pid} on {active.host}"
    elif pending.due and read_stamp(graph, unit) is None:
        state, why = MISSING, ""
        if last is not None and last.state == "failed":
            state, why = FAILED, f"log: {graph.log(unit)}"
        elif last is not None and last.state == "running":
            why = "it was stopped"
    elif pending.due:
        state, why = STALE, reason(graph, pending)
    elif lost:
        why = (
            f"{len(lost)} items failed: {', '.join(item for item, _ in lost[:3])}{', …' if lost[3:] else ''}"
        )
    return JobStatus(
        unit.name,
        unit.label,
        state,
        why,
        last.seconds if last else 0.0,
        last.result if last and last.state == "done" else "",
        lost,
        graph.log(unit).as_posix(),
    )


def reason(graph: Graph, pending: Pending) -> str:
    """Why a job that was done has to run again: what has changed, from what to what."""
    if read_stamp(graph, pending.unit) is None:
        return "not made yet"
    return changed(graph, pending.unit) or "what it needs is made again"
