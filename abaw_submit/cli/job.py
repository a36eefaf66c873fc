"""One job of the graph: runs its commands in this process, writes its log, its state and its stamp.

The workflow calls `python -m abaw_submit.cli.job --graph GRAPH STAMP`; people call the commands themselves.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import shlex
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from abaw_submit.store import read_record
from abaw_submit.workers import stop_workers
from abaw_submit.workflow.commands import unit_commands
from abaw_submit.workflow.devices import one_device
from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.identity import unit_files
from abaw_submit.workflow.launch import THREAD_VARIABLES
from abaw_submit.workflow.stamp import failures, write_stamp
from abaw_submit.workflow.state import JobState, heartbeat
from abaw_submit.workflow.units import GPU_STAGES, Unit, unit_results

_VALIDATION = re.compile(r"validation (.+?) (-?\d+\.\d+)\.")
_SELECTED = re.compile(r"Cross-fitted (.+? -?\d+\.\d+), doing nothing (-?\d+\.\d+)")


def main() -> None:
    """Run the job that makes a stamp; exit 0 if the stamp is written."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--graph", required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("stamp", type=Path)
    given = parser.parse_args()
    graph = Graph.read(given.graph)
    unit = graph.find(given.stamp.stem)
    for name in THREAD_VARIABLES:  # before numpy is imported
        os.environ[name] = str(graph.run.threads)
    devices = graph.devices if unit.stage in GPU_STAGES and not graph.cluster else ()
    place, log = graph.state(unit), graph.log(unit)
    log.parent.mkdir(parents=True, exist_ok=True)
    with one_device(devices) as device:
        if device:
            os.environ["CUDA_VISIBLE_DEVICES"] = device
        began = time.time()
        state = JobState("running", socket.gethostname(), os.getpid(), device, began)
        state.write(place)
        with heartbeat(place, graph.owner):
            files = unit_files(graph.layout, unit)
            with _into(log):
                ok = all(_run(command, graph, unit) for command in _commands(graph, unit, given.jobs))
        stop_workers(kill=False)  # now, not minutes later; their time counts as the job's then
        failed = failures(graph, unit) if ok else []
        if ok:
            write_stamp(graph, unit, files)
        JobState(
            "done" if ok else "failed",
            state.host,
            state.pid,
            device,
            began,
            round(time.time() - began, 2),
            round(_cpu_s(), 2),
            _result(graph, unit, log) if ok else "",
            len(failed),
        ).write(place)
    sys.exit(0 if ok else 1)


def _commands(graph: Graph, unit: Unit, jobs: int) -> list[list[str]]:
    return unit_commands(graph.layout, unit, graph.layout.config, jobs)


def _run(command: list[str], graph: Graph, unit: Unit) -> bool:
    """One command in this process. True too if some items failed and the rest is done and recorded."""
    from abaw_submit.cli import main as command_line

    print(f"$ abaw-submit {shlex.join(command)}", flush=True)
    sys.argv = ["abaw-submit", *command]
    try:
        command_line()
    except SystemExit as ended:
        code = ended.code
    except Exception:  # nobody sees this process: whatever happens must stand in the log, and fail the job
        traceback.print_exc()
        code = 3
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code in (0, None) or (code == 1 and bool(failures(graph, unit)))


@contextlib.contextmanager
def _into(log: Path) -> Iterator[None]:
    """Standard output and error of this process and its children, into a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("w", encoding="utf-8") as handle:
        os.dup2(handle.fileno(), 1)
        os.dup2(handle.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, number)
                os.close(copy)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def _result(graph: Graph, unit: Unit, log: Path) -> str:
    """What came of a job: its scores where it has some, else the counts in its last record."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if scores := _VALIDATION.findall(text):
        return f"validation {scores[0][0]} {scores[0][1]}"
    if selected := _SELECTED.search(text):
        return f"cross-fitted {selected[1]} (without post-processing {selected[2]})"
    last = unit_results(graph.layout, unit)[-1]
    counts = (read_record(last) or {"counts": {}})["counts"]
    numbers = ", ".join(f"{value:,.0f} {what.replace('_', ' ')}" for what, value in counts.items() if value)
    return numbers or last.as_posix()


if __name__ == "__main__":
    main()
