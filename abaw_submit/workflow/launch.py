"""Calling Snakemake: what would be made, and making it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.extras import require
from abaw_submit.workflow.graph import Graph
from abaw_submit.workflow.hand_over import SOCKET as WARM_SOCKET
from abaw_submit.workflow.stamp import changed
from abaw_submit.workflow.state import alive
from abaw_submit.workflow.units import HEAVY_STAGES, Unit

HERE = Path(__file__).parent
SNAKEFILE = HERE / "Snakefile"
PROFILES = HERE / "profiles"
# what a job calculates with; the same number everywhere, or sums differ in their last digits
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.1
_TAIL_LINES = 12
_WARM = "abaw-warm-"  # folders of the sockets, in the temporary folder


@dataclass(frozen=True)
class Pending:
    """What Snakemake says of a job.

    Attributes:
        unit: the job.
        due: whether it has to run.
        why: Snakemake's word for it: "missing", "params changed", …; "ok" where it hangs on a job that runs.
    """

    unit: Unit
    due: bool
    why: str


def job_command(graph: str) -> str:
    """The command line of a job, without its stamp, for a rule of the Snakefile."""
    # -S: it needs no packages, and there may be a hundred of them
    words = [sys.executable, "-S", str(HERE / "hand_over.py"), "--graph", graph]
    return shlex.join(words).replace("{", "{{").replace("}", "}}")


def look(graph: Graph, graph_path: Path, units: Sequence[Unit], again: Iterable[Unit] = ()) -> list[Pending]:
    """Ask what would run, and change nothing.

    Args:
        graph: the run.
        graph_path: where it is written.
        units: the jobs of the target.
        again: jobs to make anew whatever is there.

    Raises:
        UserError: Snakemake is not installed, or cannot make sense of the run.
    """
    command = [*_snakemake(graph_path), "--summary", *_targets(graph, units, again)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment())
    if done.returncode != 0:
        raise UserError(f"Snakemake cannot plan the run:\n{_tail(done.stderr or done.stdout)}")
    found: dict[str, Pending] = {}
    for line in done.stdout.splitlines():
        cells = line.split("\t")
        if len(cells) == 6 and cells[0] != "output_file":
            name = Path(cells[0]).stem
            found[name] = Pending(graph.find(name), cells[5] == "update pending", cells[4])
    return [found[unit.name] for unit in units if unit.name in found]


def dot(graph: Graph, graph_path: Path | str, units: Sequence[Unit]) -> str:
    """The graph in Graphviz's language, as Snakemake says it.

    Raises:
        UserError: Snakemake cannot make sense of the run.
    """
    command = [
        *_snakemake(Path(graph_path)),
        "--dag",
        "dot",
        "--",
        *(graph.stamp(u).as_posix() for u in units),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment())
    if done.returncode != 0:
        raise UserError(f"Snakemake cannot plan the run:\n{_tail(done.stderr)}")
    return done.stdout


def make(
    graph: Graph,
    graph_path: Path,
    units: Sequence[Unit],
    *,
    again: Iterable[Unit] = (),
    jobs: int = 1,
    profile: str = "",
    more: Sequence[str] = (),
    every: Callable[[], None] = lambda: None,
) -> int:
    """Make the jobs that have to be made.

    Args:
        graph: the run.
        graph_path: where it is written.
        units: the jobs of the target.
        again: jobs to make anew whatever is there.
        jobs: how many run side by side.
        profile: "" for this machine, a name of `profiles/`, or a folder with Snakemake's `config.yaml`.
        more: further options of Snakemake.
        every: called some times a second.

    Returns:
        Snakemake's exit code: 0 if all is made.
    """
    log = graph.layout.stages / "snakemake.log"
    command = [*_snakemake(graph_path), *_how(graph, jobs, profile), *more, *_targets(graph, units, again)]
    warm = sys.platform == "linux" and not profile and any(unit.stage in HEAVY_STAGES for unit in units)
    with _warm_process(graph, warm) as more_environment, log.open("w", encoding="utf-8") as handle:
        process = subprocess.Popen(
            command,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env={**_environment(slurm=bool(profile)), **more_environment},
            preexec_fn=_die_with_parent,
        )
        try:
            while True:
                every()
                try:
                    return process.wait(timeout=_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            every()


@contextmanager
def _warm_process(graph: Graph, wanted: bool) -> Iterator[dict[str, str]]:
    """The process that jobs are forked from (`cli.warm`), and what they find it by."""
    if not wanted:
        yield {}
        return
    remove_dead_sockets(Path(tempfile.gettempdir()))
    # a socket's path must be short; the number tells other runs whether this one still lives
    with tempfile.TemporaryDirectory(prefix=f"{_WARM}{os.getpid()}-") as folder:
        address = str(Path(folder) / "warm")
        threads = dict.fromkeys(THREAD_VARIABLES, str(graph.run.threads))
        process = subprocess.Popen(
            [sys.executable, "-m", "abaw_submit.cli.warm", address], env={**_environment(), **threads}
        )
        while not os.path.exists(address) and process.poll() is None:
            time.sleep(_POLL_S / 10)
        try:
            yield {WARM_SOCKET: address}
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)  # it ends when this is gone
            process.wait()


def remove_dead_sockets(folder: Path) -> None:
    """Remove what runs left that were killed with all their processes.

    A run that lives is not asked: to connect would be to ask its warm process for a job.
    """
    for place in folder.glob(f"{_WARM}*-*"):
        number = place.name.removeprefix(_WARM).partition("-")[0]
        if number.isdecimal() and not alive(int(number)):
            shutil.rmtree(place, ignore_errors=True)


def log_tail(graph: Graph) -> str:
    """The last lines Snakemake wrote, for a failure that is not a job's."""
    return _tail((graph.layout.stages / "snakemake.log").read_text(encoding="utf-8", errors="replace"))


def profile_folder(name: str) -> Path:
    """The folder of a profile: one that comes with the package, by its name, or one of the user's.

    Raises:
        UserError: there is none.
    """
    for folder in (Path(name), PROFILES / name):
        if (folder / "config.yaml").is_file():
            return folder
    known = ", ".join(sorted(p.name for p in PROFILES.iterdir() if p.is_dir()))
    raise UserError(f'No profile "{name}": expected {known}, or a folder that holds a config.yaml.')


def _snakemake(graph_path: Path) -> list[str]:
    require("The graph of a run", ["run"])
    return [
        *[sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--nocolor", "--nolock"],
        *["--rerun-incomplete", "--rerun-triggers", "mtime", "params", "input"],
        *["--config", f"graph={graph_path}"],
    ]


def _how(graph: Graph, jobs: int, profile: str) -> list[str]:
    shared = ["--keep-going", "--latency-wait", "10"]
    if profile:
        if profile == "slurm":
            require("The profile slurm", ["cluster"])
        return [*shared, "--profile", str(profile_folder(profile)), "--jobs", str(jobs)]
    devices = ["--resources", f"gpu={len(graph.devices)}"] if graph.devices else []
    return [*shared, "--scheduler", "greedy", "--cores", str(jobs * graph.run.threads), *devices]


def _targets(graph: Graph, units: Sequence[Unit], again: Iterable[Unit]) -> list[str]:
    forced = [*again, *(unit for unit in units if changed(graph, unit))]
    force = ["--forcerun", *(graph.stamp(u).as_posix() for u in forced)] if forced else []
    # a stamp given up with the features it stands for is not asked for again by those who need them no more
    given_up = graph.run.temp and any(u.stage in ("train", "predict") for u in units)
    wanted = [u for u in units if not (given_up and u.stage == "features")]
    return [*force, "--", *(graph.stamp(unit).as_posix() for unit in wanted)]


def _environment(*, slurm: bool = False) -> dict[str, str]:
    # a profile of the user's own, or one in the folder, does not get in by the back door
    kept = {k: v for k, v in os.environ.items() if k != "SNAKEMAKE_PROFILE"}
    # Snakemake's Slurm plugin asks scontrol when it is imported: 9 s where Slurm is there and does not answer
    return kept if slurm else {**kept, "SLURM_CONF": os.devnull}


def _die_with_parent() -> None:
    """Snakemake ends with the run, however that ends (Linux; elsewhere only the jobs do)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tail(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-_TAIL_LINES:])
