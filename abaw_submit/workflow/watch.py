"""What a run says while it works: one line for each job, with its time and what came of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from abaw_submit.workflow.commands import unit_commands
from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.state import JobState, read_state
from abaw_submit.workflow.units import Unit, unit_results

_TAIL_LINES = 8


class Watch:
    """Tells of jobs as they end. Call `look` now and then, and once at the end.

    Args:
        graph: the run.
        units: the jobs that are expected to run.
        say: prints a line.
        all_units: the jobs of the target, those that are up to date with them.
        verbose: tell of beginnings too, with the commands.
    """

    def __init__(
        self,
        graph: Graph,
        units: Sequence[Unit],
        say: Callable[[str], None],
        all_units: Sequence[Unit] = (),
        *,
        verbose: bool = False,
    ) -> None:
        self._temporary = [u for u in all_units if u.stage == "features"] if graph.run.temp else []
        self.graph, self.units, self.say, self.verbose = graph, list(units), say, verbose
        self.began = time.time()
        self.ended: dict[Unit, JobState] = {}
        self._begun: set[Unit] = set()
        self._seen = -1
        self._dates = {unit: _date(graph.state(unit)) for unit in units}
        self._width = max((len(u.label) for u in units), default=0)

    def look(self, closely: bool = False) -> None:
        """Say what has changed since the last time.

        Args:
            closely: even where the folder of the states has its old date (a shared disk may tell it late).
        """
        date = _date(self.graph.layout.states)
        if date == self._seen and not closely:
            return
        self._seen = date
        for unit in self.units:
            if unit in self.ended or _date(self.graph.state(unit)) == self._dates[unit]:
                continue
            state = read_state(self.graph.state(unit))
            if state is None:
                continue
            if state.state == "running":
                self._begin(unit)
            else:
                self._begin(unit)
                self.ended[unit] = state
                self._end(unit, state)
        self.give_up_features()

    def give_up_features(self) -> None:
        """Delete the visual features whose stamp Snakemake has given up: all that needed them is done.

        A job that has yet to run has no stamp either; what is there from the last time helps it.
        """
        for unit in list(self._temporary):
            if unit in self.units and unit not in self.ended:
                continue
            state = read_state(self.graph.state(unit))
            if state is None or state.state != "done" or self.graph.stamp(unit).exists():
                continue
            self._temporary.remove(unit)
            for folder in unit_results(self.graph.layout, unit):
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def failed(self) -> list[Unit]:
        """The jobs that failed."""
        return [unit for unit, state in self.ended.items() if state.state == "failed"]

    def killed(self) -> list[Unit]:
        """The jobs that began and were ended from outside: by the system, for memory, or by a person."""
        return [u for u in self.units if u in self._begun and u not in self.ended]

    def _begin(self, unit: Unit) -> None:
        if unit in self._begun:
            return
        self._begun.add(unit)
        if self.verbose:
            self.say(f"begins: {unit.label}")
            for command in unit_commands(self.graph.layout, unit, self.graph.config):
                self.say(f"  abaw-submit {' '.join(command)}")

    def _end(self, unit: Unit, state: JobState) -> None:
        place = f"[{len(self.ended)}/{len(self.units)}]"
        where = f" on GPU {state.device}" if state.device and self.verbose else ""
        head = f"{place:>7} {unit.label:<{self._width}} {state.seconds:7.1f} s{where}"
        log = self.graph.log(unit)
        if state.state == "failed":
            self.say(f"{head}  FAILED. Its log: {log}")
            for line in _last_lines(log):
                self.say(f"        {line}")
        elif state.failures:
            self.say(f"{head}  {state.result}; {state.failures} FAILED, the rest is done. Its log: {log}")
        else:
            self.say(f"{head}  {state.result}")


def _date(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _last_lines(log: Path) -> list[str]:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ["(no log)"]
    return [line for line in text.splitlines() if line.strip() and not line.startswith("$")][-_TAIL_LINES:]
