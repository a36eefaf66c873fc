"""Torture: stages killed, stopped and started twice, full and read-only disks, hostile files, load.

    python bench/torture.py [--full | --small] [--seed 0] [--parts kills,stops,…] [--out FILE]

Every stage is a real process. Prints a table and writes docs/reference/reliability.md; exit 1 if anything
went wrong. Plain: 20 kills a stage; --full: 200; --small: a minute, as the tests run it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # the processes that are started find the package too
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])

from torturing import disks, hostile, kills, load, mutate
from torturing.stages import Job, jobs, make_corpus, rows_in, run

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "reliability.md"
SMALL_STAGES = ("import-scores", "split")  # they read nothing that another stage makes
SIZES_KIB = (8, 64, 256, 1024)


@dataclass(frozen=True)
class Amount:
    """How much of everything."""

    kills: int = 20
    stops: int = 5
    twice: int = 3
    disk_sizes: tuple[int, ...] = SIZES_KIB
    mutations: int = 100  # for each reader
    hostile: int = 80
    load_tracks: int = load.TRACKS
    load_rows: int = load.ROWS
    only: tuple[str, ...] = ()


AMOUNTS = {
    "plain": Amount(),
    "full": Amount(kills=200, stops=30, twice=20, mutations=320, hostile=200),
    "small": Amount(3, 1, 1, (8,), 6, 0, 20, 20_000, SMALL_STAGES),
}
PARTS = ("kills", "stops", "twice", "disks", "mutations", "hostile", "load", "rows")


@dataclass
class Line:
    """One line of the table."""

    what: str
    tried: int
    found: str
    bad: list[str] = field(default_factory=list)


class Torture:
    """Everything on one corpus in a temporary folder."""

    def __init__(self, root: Path, amount: Amount, seed: int) -> None:
        self.root, self.amount, self.seed = root, amount, seed
        self.lines: list[Line] = []
        self.whole: dict[str, dict[str, bytes]] = {}
        self.usual_s: dict[str, float] = {}

    def prepare(self) -> None:
        """Make the corpus and every stage's output, undisturbed."""
        make_corpus(self.root)
        for job in self._jobs(everything=True):
            start = time.perf_counter()
            run(job.command(self.root / "made"))
            self.usual_s[job.name] = time.perf_counter() - start
            self.whole[job.name] = kills.output_of(self.root / "made", job)

    def _jobs(self, everything: bool = False) -> list[Job]:
        only = self.amount.only
        if not only or (everything and not set(only) <= set(SMALL_STAGES)):
            return jobs(self.root)
        return [j for j in jobs(self.root) if j.name in only]

    def add(self, line: Line) -> None:
        """Note a line and print it."""
        self.lines.append(line)
        print(f"{line.what:36} {line.tried:>7,}  {line.found:52} {len(line.bad)} wrong", flush=True)
        for text in line.bad[:8]:
            print(f"    {text}", flush=True)

    def disturbed(self, how: str, times: int, words: str) -> None:
        """Every stage killed, stopped or started twice."""
        for job in self._jobs():
            count = kills.torture(
                job, self.whole[job.name], self.usual_s[job.name], self.root / how, times, self.seed, how
            )
            self.add(Line(f"{job.name} {words}", count.runs, f"{count.hit} before the end", count.bad))

    def disks(self) -> None:
        """Full and read-only disks, in a namespace where mounting harms nobody."""
        if not disks.can_mount():
            self.add(Line("full and read-only disks", 0, "not run: mounting is not allowed here"))
            return
        for job in self._jobs():
            words = ["unshare", "-m", sys.executable, __file__, "--inside", str(self.root), job.name]
            told = subprocess.run(
                [*words, ",".join(map(str, self.amount.disk_sizes))], capture_output=True, text=True
            )
            if told.returncode:
                self.add(Line(f"{job.name}, disks", 0, "could not be run", [told.stderr[-300:]]))
                continue
            count = disks.Count(**json.loads(told.stdout.splitlines()[-1]))
            found = f"{count.full} on a full disk; finished and read-only each"
            self.add(Line(f"{job.name}, disks", count.runs, found, count.bad))

    def mutations(self) -> None:
        """Damaged files over all readers."""
        for name, one in mutate.run_all(self.amount.mutations, self.seed).items():
            found = f"{one.read} read, {one.refused} refused, {one.slowest_s:.1f} s, {one.peak_mib:.0f} MiB"
            bad = [f"{times} x {kind}" for kind, times in mutate.kinds(one.bad).items()]
            bad += ["over 1 GiB"] if one.peak_mib > mutate.MOST_MIB else []
            self.add(Line(f"damaged: {name}", one.tried, found, bad))

    def hostile(self) -> None:
        """Hostile files and names, as real processes."""
        if not self.amount.hostile:
            return
        count = hostile.torture(self.root, self.root / "hostile", self.amount.hostile)
        self.add(Line("hostile files and names", count.runs, f"{count.refused} refused", count.bad))

    def load(self) -> None:
        """The official size."""
        steps, missing = load.simulate(self.root / "load", self.amount.load_tracks, self.amount.load_rows)
        for step in steps:
            bad = [f"exit {step.returncode}"] if step.returncode else []
            bad += ["over 4 GiB"] if step.peak_mib > load.MEMORY_MIB else []
            found = f"{step.seconds:.0f} s, {step.peak_mib:,.0f} MiB"
            self.add(Line(f"load: {step.name}", self.amount.load_rows, found, bad))
        self.add(Line("load: rows", self.amount.load_rows, f"{missing} lost", ["rows"] if missing else []))

    def rows(self) -> None:
        """Rows of all outputs added up after all of it."""
        told: list[str] = []
        lost = rows_in(self.root / "made", told.append)
        self.add(Line("rows added up", lost, f"{lost} lost", told))


def page(lines: list[Line], kind: str, parts: list[str], seed: int, minutes: float) -> str:
    """The page: what was done, on what machine, and the table."""
    wrong = sum(len(line.bad) for line in lines)
    head = [
        "# Reliability",
        "",
        "Made by `make torture` (`python bench/torture.py`); do not edit. What is done to the stages, and"
        " what has to come out, is in `bench/torturing/`; what is trusted, in `SECURITY.md`.",
        "",
        f"This run: amount `{kind}`, parts {', '.join(parts)}, seed {seed}, {minutes:.0f} minutes,"
        f" {os.cpu_count()} processors, Python {platform.python_version()}. Wrong: {wrong}.",
        "",
        "| what | tried | found | wrong |",
        "|---|---:|---|---:|",
    ]
    return "\n".join(head + [f"| {x.what} | {x.tried:,} | {x.found} | {len(x.bad)} |" for x in lines]) + "\n"


def main() -> int:
    """Run the parts; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--full", action="store_const", const="full", dest="kind", default="plain")
    kind.add_argument("--small", action="store_const", const="small", dest="kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--stages", default="", help="only these, separated by commas")
    parser.add_argument("--kills", type=int, help="kills a stage; stops are a third, pairs a sixth of it")
    parser.add_argument("--sizes", help="sizes of the full disks in KiB, separated by commas")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        return _inside(*given.inside)
    amount, parts, start = AMOUNTS[given.kind], given.parts.split(","), time.monotonic()
    changes: dict[str, Any] = {"only": tuple(given.stages.split(","))} if given.stages else {}
    if given.kills:
        changes |= {"kills": given.kills, "stops": -(-given.kills // 3), "twice": -(-given.kills // 6)}
    if given.sizes:
        changes["disk_sizes"] = tuple(int(s) for s in given.sizes.split(","))
    amount = Amount(**{**asdict(amount), **changes})
    with tempfile.TemporaryDirectory() as folder:
        torture = Torture(Path(folder) / "corpus", amount, given.seed)
        torture.prepare()
        steps: dict[str, Callable[[], None]] = {
            "kills": lambda: torture.disturbed("kill", amount.kills, "killed"),
            "stops": lambda: torture.disturbed("stop", amount.stops, "stopped (SIGTERM)"),
            "twice": lambda: torture.disturbed("twice", amount.twice, "started twice"),
            "disks": torture.disks,
            "mutations": torture.mutations,
            "hostile": torture.hostile,
            "load": torture.load,
            "rows": torture.rows,
        }
        for part in parts:
            steps[part]()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    text = page(torture.lines, given.kind, parts, given.seed, (time.monotonic() - start) / 60)
    given.out.write_text(text, encoding="utf-8")
    wrong = sum(len(line.bad) for line in torture.lines)
    print(f"{wrong} wrong. Wrote {given.out}.")
    return 1 if wrong else 0


def _inside(root: str, name: str, sizes: str) -> int:
    """The disks of one stage, in the namespace of this process."""
    job = next(j for j in jobs(Path(root)) if j.name == name)
    whole = kills.output_of(Path(root) / "made", job)
    count = disks.torture(job, whole, Path(root) / "disk", [int(s) for s in sizes.split(",")])
    print(json.dumps(asdict(count)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
