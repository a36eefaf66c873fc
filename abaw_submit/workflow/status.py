"""How far a run is: every job done, stale (and why), running, failed or missing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from abaw_submit.workflow.identity import unit_files
from abaw_submit.workflow.launch import Pending
from abaw_submit.workflow.plan import Plan
from abaw_submit.workflow.stamp import failures, read_stamp, untrue
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


def run_status(plan: Plan, pending: Sequence[Pending]) -> list[JobStatus]:
    """Every job of a target, in the order of the work.

    Args:
        plan: the run.
        pending: what the graph says of each job (`launch.look`).
    """
    return [_status(plan, p) for p in pending]


def _status(plan: Plan, pending: Pending) -> JobStatus:
    unit = pending.unit
    last = read_state(plan.state(unit))
    active = running(plan.state(unit))
    lost = failures(plan, unit)
    state, why = DONE, ""
    if active is not None:
        state, why = RUNNING, f"process {active.pid} on {active.host}"
    elif pending.due and read_stamp(plan, unit) is None:
        state, why = MISSING, ""
        if last is not None and last.state == "failed":
            state, why = FAILED, f"log: {plan.log(unit)}"
        elif last is not None and last.state == "running":
            why = "it was stopped"
    elif pending.due:
        state, why = STALE, reason(plan, pending)
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
        plan.log(unit).as_posix(),
    )


def reason(plan: Plan, pending: Pending) -> str:
    """Why a job that was done has to run again: what has changed, from what to what."""
    unit = pending.unit
    stamp = read_stamp(plan, unit)
    if stamp is None:
        return "not made yet"
    if gone := untrue(plan, unit):
        return gone
    before, now = stamp["settings"], json.loads(json.dumps(plan.unit_settings(unit)))
    changes = [
        f"{key} {_short(before.get(key))} -> {_short(now.get(key))}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    old, new = stamp["files"], unit_files(plan.layout, unit)
    changes += [f"{what} changed" for what in sorted({*old, *new}) if old.get(what) != new.get(what)]
    return "; ".join(changes) or "what it needs is made again"


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) < 60 else f"{text[:57]}…"
