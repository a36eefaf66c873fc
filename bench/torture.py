"""Torture: stages killed, stopped and started twice, full and read-only disks, hostile files, load.

    python bench/torture.py [--full | --small] [--seed 0] [--parts kills,stops,…] [--out FILE]

Every stage is a real process. Prints a table and writes docs/reference/reliability.md; exit 1 if anything
went wrong. Plain: 20 kills a stage; --full: 200; --small: a minute, as the tests run it. A long run can be
taken in slices: with --results FILE the lines are added to a file, and the page shows all lines in it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))  # the processes that are started find the package too
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

from torturing import disks, hostile, kills, load, mutate
from torturing.stages import Job, jobs, make_corpus, rows_in
from torturing.starts import warm_up
from torturing.table import Line, commit, keep, kept, page

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "reliability.md"
SMALL_STAGES = ("import-scores", "split")  # they read nothing that another stage makes
SIZES_KIB = (8, 12, 16, 24, 40, 64, 256, 1024)
PARTS = ("kills", "stops", "twice", "shards", "workers", "disks", "mutations", "hostile", "load", "rows")
HOW = {
    "kills": ("kill", "killed"),
    "stops": ("stop", "told to stop (SIGTERM, SIGINT, SIGUSR1)"),
    "twice": ("twice", "started twice"),
    "shards": ("shard", "collecting beside a shard"),
    "workers": ("worker", "with a worker killed"),
}
_FORK: Any = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Amount:
    """How much of everything."""

    kills: int = 20
    stops: int = 6
    twice: int = 6
    shards: int = 6
    workers: int = 4
    disk_sizes: tuple[int, ...] = SIZES_KIB
    mutations: int = 240  # for each reader
    hostile: int = 200
    load_tracks: int = load.TRACKS
    load_rows: int = load.ROWS
    only: tuple[str, ...] = ()


AMOUNTS = {
    "plain": Amount(),
    "full": Amount(kills=200, stops=30, twice=20, shards=20, workers=20, mutations=320, hostile=400),
    "small": Amount(3, 1, 1, 0, 0, (8,), 6, 0, 20, 20_000, SMALL_STAGES),
}


class Torture:
    """Everything on one corpus.

    Args:
        root: the corpus, and what every stage makes of it.
        work: a folder for everything else.
        amount: how much.
        seed: of what is random.
        results: file to which the lines are added.
    """

    def __init__(self, root: Path, work: Path, amount: Amount, seed: int, results: Path) -> None:
        self.root, self.work, self.amount, self.seed, self.results = root, work, amount, seed, results
        self.whole: dict[str, dict[str, bytes]] = {}
        self.usual: dict[str, kills.Usual] = {}
        self.place = 0

    def prepare(self) -> None:
        """Make the corpus and every stage's output, undisturbed, unless an earlier slice did."""
        warm_up()
        known = self.root / "usual.json"
        if known.is_file():
            told = json.loads(known.read_text(encoding="utf-8"))
            self.usual = {name: kills.Usual(**usual) for name, usual in told.items()}
            self.whole = {j.name: kills.output_of(self.root / "made", j) for j in self._jobs(everything=True)}
            return
        making = _FORK.Process(target=make_corpus, args=(self.root,))
        making.start()  # in a process of its own: nothing is computed in the one that is forked
        making.join()
        for job in self._jobs(everything=True):
            self.usual[job.name] = kills.undisturbed(job, self.root / "made", self.root / "usual.log")
            self.whole[job.name] = kills.output_of(self.root / "made", job)
        told = {name: dataclasses.asdict(usual) for name, usual in self.usual.items()}
        known.write_text(json.dumps(told), encoding="utf-8")

    def _jobs(self, everything: bool = False) -> list[Job]:
        only = self.amount.only
        if not only or (everything and not set(only) <= set(SMALL_STAGES)):
            return jobs(self.root)
        return [j for j in jobs(self.root) if j.name in only]

    def run(self, parts: list[str], lanes: int) -> None:
        """All parts, in so many processes at once; the longest first."""
        todo = [(part, job) for part in parts if part in HOW or part == "disks" for job in self._jobs()]
        todo.sort(key=lambda one: -self.usual[one[1].name].cold_s)
        whole = [(part, None) for part in parts if part not in HOW and part != "disks"]
        items: list[tuple[str, Job | None]] = [*whole, *todo]
        taken = _FORK.Value("i", 0)

        def lane(number: int) -> None:
            while True:
                with taken.get_lock():
                    at, taken.value = taken.value, taken.value + 1
                if at >= len(items):
                    return
                part, job = items[at]
                self.place = 100 * PARTS.index(part) + (
                    [j.name for j in jobs(self.root)].index(job.name) if job else 0
                )
                place = self.work / str(number)
                place.mkdir(exist_ok=True)
                if part in HOW and job:
                    self.disturbed(part, job, place)
                else:
                    getattr(self, part)(job, place)

        running = [_FORK.Process(target=lane, args=(number,)) for number in range(lanes)]
        for process in running:
            process.start()
        for process in running:
            process.join()
            if process.exitcode:
                raise RuntimeError(f"a lane ended with {process.exitcode}")

    def add(self, line: Line) -> None:
        """Note a line and print it."""
        line.place, line.commit = self.place, commit()
        keep(self.results, line)
        print(f"{line.what:48} {line.tried:>9,}  {line.found():52} {len(line.bad)} wrong", flush=True)
        for text in line.bad[:8]:
            print(f"    {text}", flush=True)

    def disturbed(self, part: str, job: Job, place: Path) -> None:
        """A stage killed, stopped or started twice."""
        how, words = HOW[part]
        if how in ("worker", "shard") and not job.workers:
            return
        name, times = job.name, getattr(self.amount, part)
        count = kills.torture(job, self.whole[name], self.usual[name], place / how, times, self.seed, how)
        counts = {"before the end": count.hit, "cold starts": count.cold}
        self.add(Line(f"{name} {words}", count.runs, counts, bad=count.bad))

    def disks(self, job: Job, place: Path) -> None:
        """A stage on full and read-only disks, in a namespace where mounting harms nobody."""
        whole, usual, sizes = self.whole[job.name], self.usual[job.name], list(self.amount.disk_sizes)
        count = disks.in_namespace(lambda: disks.torture(job, whole, usual, place / "disk", sizes))
        if count is None:
            self.add(Line(f"{job.name}, disks", 0, note="not run: mounting is not allowed here"))
            return
        note = "finished and read-only each"
        self.add(Line(f"{job.name}, disks", count.runs, {"full": count.full}, bad=count.bad, note=note))

    def mutations(self, _: None, place: Path) -> None:
        """Damaged files over all readers."""
        for number, (name, one) in enumerate(mutate.run_all(self.amount.mutations, self.seed)):
            self.place = 100 * PARTS.index("mutations") + number
            bad = [f"{times} x {kind}" for kind, times in mutate.kinds(one.bad).items()]
            bad += ["over 1 GiB"] if one.peak_mib > mutate.MOST_MIB else []
            counts = {"read": one.read, "refused": one.refused}
            self.add(
                Line(f"damaged: {name}", one.tried, counts, {"s": one.slowest_s, "MiB": one.peak_mib}, bad)
            )

    def hostile(self, _: None, place: Path) -> None:
        """Hostile files and names, as real processes."""
        if not self.amount.hostile:
            return
        count = hostile.torture(self.root, place / "hostile", self.amount.hostile, self.seed)
        peaks = {"s": count.longest_s, "MiB": count.peak_mib}
        self.add(Line("hostile files and names", count.runs, {"refused": count.refused}, peaks, count.bad))

    def load(self, _: None, place: Path) -> None:
        """The official size."""
        steps, missing = load.simulate(place / "load", self.amount.load_tracks, self.amount.load_rows)
        for step in steps:
            bad = [f"exit {step.returncode}"] if step.returncode else []
            bad += ["over 4 GiB"] if step.peak_mib > load.MEMORY_MIB else []
            peaks = {"s": step.seconds, "MiB": step.peak_mib}
            self.add(Line(f"load: {step.name}", self.amount.load_rows, {}, peaks, bad))
        lost = ["rows"] if missing else []
        self.add(Line("load: rows", self.amount.load_rows, {"lost": missing}, bad=lost))

    def rows(self, _: None, place: Path) -> None:
        """Rows of all outputs added up."""
        told: list[str] = []
        counted, lost = rows_in(self.root / "made", told.append)
        self.add(Line("rows added up", counted, {"lost": lost}, bad=told))


def main() -> int:
    """Run the parts; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--full", action="store_const", const="full", dest="kind", default="plain")
    kind.add_argument("--small", action="store_const", const="small", dest="kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--stages", default="", help="only these, separated by commas")
    parser.add_argument("--times", type=int, help="disturbances a stage, damaged files a reader")
    parser.add_argument("--jobs", type=int, default=2, help="so many lines of the table at once")
    parser.add_argument("--corpus", type=Path, help="make it in this folder and keep it for the next slice")
    parser.add_argument("--results", type=Path, help="add the lines to this file; the page shows all of it")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    parts, amount = given.parts.split(","), AMOUNTS[given.kind]
    changes: dict[str, Any] = {"only": tuple(given.stages.split(","))} if given.stages else {}
    if given.times:
        changes |= {part: given.times for part in (*HOW, "mutations", "hostile") if part in parts}
    amount = dataclasses.replace(amount, **changes)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))  # TemporaryDirectory is removed by any fork that ends
    results = given.results or folder / "results.jsonl"
    before = len(kept(results))
    try:
        torture = Torture(given.corpus or folder / "corpus", folder, amount, given.seed, results)
        torture.prepare()
        torture.run(parts, given.jobs)
        lines = kept(results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    how = f"Command: `python bench/torture.py {' '.join(sys.argv[1:])}`."
    if not given.results:
        how += f" Amount `{given.kind}`, seed {given.seed}."
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(page(lines, how), encoding="utf-8")
    wrong = sum(len(line.bad) for line in lines[before:])
    print(f"{wrong} wrong. Wrote {given.out}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
