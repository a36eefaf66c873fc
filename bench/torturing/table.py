"""The table: a line for everything that was done, added up over several runs, and the page that shows it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Line:
    """One line: how often something was done, what was counted (added up), its peaks, what was wrong."""

    what: str
    tried: int
    counts: dict[str, int] = field(default_factory=dict)
    peaks: dict[str, float] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    note: str = ""
    place: int = 0  # in the table
    commit: str = ""

    def found(self) -> str:
        """The counts and peaks in words."""
        words = [f"{n:,} {what}" for what, n in self.counts.items()]
        words += [
            f"at most {v:,.1f} {unit}" if v < 10 else f"at most {v:,.0f} {unit}"
            for unit, v in self.peaks.items()
        ]
        return ", ".join(words + ([self.note] if self.note else []))


def commit() -> str:
    """The commit that is tortured, with a + if something was changed since."""
    asked = ("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no")
    if shutil.which("git") is None:
        return ""
    told = [
        subprocess.run(["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True)
        for words in asked
    ]
    return told[0].stdout.strip() + ("+" if told[1].stdout.strip() else "")


def merged(lines: Iterable[Line]) -> list[Line]:
    """The slices of one commit added up, in the table's order; of several commits the last one counts."""
    found: dict[str, Line] = {}
    lines = list(lines)
    last = {line.what: line.commit for line in lines}
    for line in sorted(lines, key=lambda line: line.place):
        if line.commit != last[line.what]:
            continue
        one = found.setdefault(line.what, Line(line.what, 0, note=line.note, commit=line.commit))
        one.tried += line.tried
        for what, number in line.counts.items():
            one.counts[what] = one.counts.get(what, 0) + number
        for unit, value in line.peaks.items():
            one.peaks[unit] = max(one.peaks.get(unit, 0.0), value)
        one.bad += line.bad
    return list(found.values())


def keep(path: Path, line: Line) -> None:
    """Add a line to a file of results."""
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(asdict(line)) + "\n")


def kept(path: Path) -> list[Line]:
    """The lines of a file of results; none if there is no such file."""
    if not path.is_file():
        return []
    return [Line(**json.loads(text)) for text in path.read_text(encoding="utf-8").splitlines()]


HEAD = """# Reliability

Made by `make torture` (`python bench/torture.py`); do not edit. What is done to the stages, and what has
to come out, is in `bench/torturing/`; what is trusted, in `SECURITY.md`.

{how}

Machine: {machine}. **Wrong: {wrong}.**

Every line says its own size. *Cold* starts are `python -m abaw_submit`; the others are processes forked
from one that has imported everything, so that a kill costs the stage's work and not the import of torch.
Half of the kills come at a random moment, half just before a random change of a file. After one to three
disturbances a stage has to finish, with the bytes of an undisturbed run, foreign files beside it
untouched, nothing left behind and no process left alive. A hang is 20 s in which nothing the stage
started uses the processor, or 20 s of processor time more than an undisturbed run takes: on a shared
machine wall time says nothing. Ctrl-C before the first line of the program is Python's own matter.
A message may list what is wrong below its own three lines, indented, up to 20 lines in all.

| what | tried | found | wrong | commit |
|---|---:|---|---:|---|
"""


def page(lines: list[Line], how: str) -> str:
    """The page: what was done, on what machine, and the table."""
    lines = merged(lines)
    wrong = sum(len(line.bad) for line in lines)
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    rows = [f"| {x.what} | {x.tried:,} | {x.found()} | {len(x.bad)} | {x.commit} |\n" for x in lines]
    return HEAD.format(how=how, machine=machine, wrong=wrong) + "".join(rows)
