"""The graph of a run: everything the graph and its jobs have to know, as one JSON file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.store import version_of, write_json
from abaw_submit.textfile import read_json
from abaw_submit.workflow.identity import unit_files
from abaw_submit.workflow.layout import RunLayout
from abaw_submit.workflow.settings import RunSettings
from abaw_submit.workflow.units import OF_MEMBERS, OF_NETWORKS, RECORDS, STAGES, Unit, stage_units


@dataclass(frozen=True)
class Graph:
    """What is to be made, and how.

    Attributes:
        run: the `[run]` section, with what the command line put over it.
        config: the config file, absolute.
        settings: by stage, or stage and task or extractor ("train_va"): every setting that can change the
            bytes, resolved (command line > ABAW_* > config > default).
        jobs: by stage, worker processes of the stages that share out their work themselves.
        devices: GPUs of this machine, one for each job that wants one; [] without, or on a cluster.
        cluster: whether jobs go to other machines.
        incomplete: the report does not wait for submissions, because rows for them are missing.
        owner: host and process of the run, so that a job does not outlive it.
    """

    run: RunSettings
    config: Path
    settings: dict[str, dict[str, Any]]
    jobs: dict[str, int] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    cluster: bool = False
    incomplete: bool = False
    owner: tuple[str, int] = ("", 0)

    @cached_property
    def layout(self) -> RunLayout:
        """Where its files lie."""
        return RunLayout(self.run)

    def unit_settings(self, unit: Unit) -> dict[str, Any]:
        """The settings that can change what a job makes."""
        variant = unit.task or (unit.part if unit.stage == "sound" else "")
        found = self.settings.get(f"{unit.stage}_{variant}", self.settings.get(unit.stage, {}))
        more: dict[str, Any] = {"code": version_of(*RECORDS.get(unit.stage, (unit.stage,)))}
        if unit.stage in OF_MEMBERS:
            more["members"] = list(self.layout.members)
        if unit.stage in OF_NETWORKS and len(self.run.networks) > 1:
            more["networks"] = list(self.run.networks)
        if unit.stage == "report" and self.run.planned:
            more["plan"] = [self.run.plan, version_of("plan")]
        return {**found, **more}

    def find(self, name: str) -> Unit:
        """The job of a name, such as "train_va_0".

        Raises:
            UserError: the run has no such job.
        """
        for stage in STAGES:
            for unit in stage_units(self.layout, stage):
                if unit.name == name:
                    return unit
        raise UserError(f'Run {self.run.name} has no job "{name}".')

    def stamp(self, unit: Unit) -> Path:
        """The file that says a job is done: the digests of what it made, and of what. Written last."""
        return self.layout.stages / f"{unit.name}.json"

    def state(self, unit: Unit) -> Path:
        """How the job goes, or went the last time."""
        return self.layout.states / f"{unit.name}.json"

    def log(self, unit: Unit) -> Path:
        """What the job printed."""
        return self.layout.stages / "logs" / f"{unit.name}.log"

    def setting_lines(self, unit: Unit) -> list[str]:
        """The settings as "key = value", for the graph's params."""
        return [f"{key} = {json.dumps(value)}" for key, value in sorted(self.unit_settings(unit).items())]

    def file_lines(self, unit: Unit) -> list[str]:
        """The files from outside as "what = identity", for the graph's params."""
        return [f"{key} = {value}" for key, value in sorted(unit_files(self.layout, unit).items())]

    def write(self, path: Path) -> None:
        """Write it where the graph and its jobs can read it."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def read(cls, path: Path | str) -> Graph:
        """Read what `write` wrote.

        Raises:
            UserError: it is damaged.
        """
        graph: Graph = read_json(path, cls)
        return graph
