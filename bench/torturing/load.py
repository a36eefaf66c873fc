"""The official size by simulation: 594 tracks, 2.94 million rows, through the commands within 4 GiB."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

TRACKS, ROWS, MEMORY_MIB = 594, 2_940_000, 4096


@dataclass(frozen=True)
class Step:
    """One command at the official size."""

    name: str
    seconds: float
    peak_mib: float
    returncode: int


def simulate(folder: Path, tracks: int = TRACKS, rows: int = ROWS) -> tuple[list[Step], int]:
    """Scores of all tracks through apply, format, check and pack; the steps, and rows that are missing."""
    from abaw_submit.corpus.templates import write_template
    from abaw_submit.postprocess.recipe import identity_recipe
    from abaw_submit.postprocess.recipe_json import write_recipe
    from abaw_submit.scores.files import Scores, write_scores
    from abaw_submit.tasks import VA

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    cuts = np.sort(rng.choice(np.arange(1, rows), tracks - 1, replace=False))
    counts = np.diff(np.concatenate([[0], cuts, [rows]]))
    names = {f"{k}-30-1280x720": int(n) for k, n in enumerate(counts)}
    scores = {t: np.tanh(rng.normal(size=(n, 2))).astype(np.float32) for t, n in names.items()}
    write_scores(folder / "s.h5", Scores(VA, scores))
    write_template(folder / "template.txt", names, VA)
    write_recipe(folder / "recipe.json", identity_recipe("VA", ["m"]))
    va = ["--task", "VA", "--template", str(folder / "template.txt")]
    text, zipped = str(folder / "VA.txt"), str(folder / "VA.zip")
    applied = str(folder / "a.h5")
    lines = {
        "apply": ["apply", "--recipe", str(folder / "recipe.json"), "--scores", f"m={folder / 's.h5'}",
                  "--out", applied],
        "format": ["format", "--scores", applied, *va, "--out", text],
        "check": ["check", text, *va],
        "pack": ["pack", text, *va, "--out", zipped],
        "check zip": ["check", zipped, *va],
    }  # fmt: skip
    steps = [_measure(name, words) for name, words in lines.items()]
    with open(text, "rb") as handle:
        written = sum(1 for _ in handle) - 1
    return steps, rows - written


# the peak of the program itself: what getrusage says begins with the memory of the process that started it
PROGRAM = """
import sys
from pathlib import Path
from abaw_submit.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print("peak", status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


def _measure(name: str, words: list[str]) -> Step:
    limit = (MEMORY_MIB << 20, MEMORY_MIB << 20)
    start = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
    )
    peak = ended.stderr.rpartition("peak ")[2].strip()
    seconds = time.perf_counter() - start
    return Step(name, seconds, int(peak) / 1024 if peak.isdecimal() else 0.0, ended.returncode)
