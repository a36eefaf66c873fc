"""Official files at the official sizes: `format` and `check` against what people write.

    python bench/official_files.py [--repeat 3] [--share 1.0]

Everything is timed from files to files, in one run, each job in its own process (best of the repeats,
imports not counted; peak memory of the whole process). Inputs are synthetic, made from a seed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from abaw_submit.corpus.templates import read_template, write_template
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_scores, write_scores
from abaw_submit.submission.check import check
from abaw_submit.submission.expected import expected_rows
from abaw_submit.submission.format import write_single
from abaw_submit.submission.grammar import grammar_of
from abaw_submit.tasks import TASKS

# tracks and rows of the official test sets (docs/reference/formats.md, section 3)
SIZES = {"AU": (141, 729_736), "EXPR": (228, 1_022_655), "VA": (162, 927_210)}
FORMAT_FACTOR, CHECK_FACTOR = 5.0, 2.0
MEMORY_MIB, MEMORY_FILES = 300, 4


def make_inputs(task: str, folder: Path, share: float) -> None:
    """A template, scores for it, and a submission for the checkers."""
    tracks, total = SIZES[task]
    rng = np.random.default_rng([*task.encode()])
    weights = rng.lognormal(0, 1, tracks)
    rows = np.maximum(73, weights / weights.sum() * total * share).astype(int)
    rows[0] += max(0, int(total * share) - rows.sum())
    names = [f"{k}-30-1920x1080{('', '_left', '_right')[k % 3]}" for k in range(tracks)]
    counts = dict(zip(names, rows.tolist(), strict=True))
    write_template(folder / f"{task}_template.txt", counts, TASKS[task])
    low = -1 if task == "VA" else 0
    shape = TASKS[task].outputs
    made = {t: rng.uniform(low, 1, (n, shape)).astype(np.float32) for t, n in counts.items()}
    write_scores(folder / f"{task}.h5", Scores(TASKS[task], made))
    run_format(task, folder)
    (folder / f"{task}_format.txt").rename(folder / f"{task}_submission.txt")


def run_format(task: str, folder: Path) -> None:
    """This package."""
    rows = read_template(folder / f"{task}_template.txt").tracks
    scores = read_scores(folder / f"{task}.h5")
    write_single([scores], rows, grammar_of(task), folder / f"{task}_format.txt")


def run_loop(task: str, folder: Path) -> None:
    """The loop people write: for each template line split off track and row, look up, write."""
    scores = read_scores(folder / f"{task}.h5")
    labels = {track: decide(TASKS[task], values) for track, values in scores.items()}
    with (
        (folder / f"{task}_template.txt").open() as template,
        (folder / f"{task}_loop.txt").open("w") as out,
    ):
        out.write(next(template))
        for line in template:
            location = line.strip().split(",")[0]
            track, picture = location.split("/")
            row = labels[track][int(picture[:-4]) - 1]
            if task == "VA":
                out.write(f"{location},{row[0]:.6f},{row[1]:.6f}\n")
            elif task == "EXPR":
                out.write(f"{location},{row[0]}\n")
            else:
                out.write(location + "," + ",".join(map(str, row)) + "\n")


def run_to_csv(task: str, folder: Path) -> None:
    """pandas: the template as a frame, labels as its columns, `to_csv`. It cannot write EXPR's grammar."""
    frame = pd.read_csv(folder / f"{task}_template.txt", usecols=[0], index_col=False)
    scores = read_scores(folder / f"{task}.h5")
    order = frame["image_location"].str.split("/", n=1).str[0].drop_duplicates()
    labels = np.concatenate([decide(TASKS[task], scores[track]) for track in order])
    frame[list(TASKS[task].columns)] = labels
    frame.to_csv(folder / f"{task}_to_csv.txt", index=False, float_format="%.6f")


def run_check(task: str, folder: Path) -> None:
    """This package, the template read as well."""
    asked = expected_rows(task, folder / f"{task}_template.txt")
    assert check(folder / f"{task}_submission.txt", task, asked).ok


def run_read_csv(task: str, folder: Path) -> None:
    """pandas reads the same file and checks nothing."""
    pd.read_csv(folder / f"{task}_submission.txt", index_col=False)


JOBS: dict[str, Callable[[str, Path], None]] = {
    "format": run_format,
    "loop": run_loop,
    "to_csv": run_to_csv,
    "check": run_check,
    "read_csv": run_read_csv,
}


def one(job: str, task: str, folder: Path, repeat: int) -> dict[str, float]:
    """Run a job here; best time and this process's peak memory."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        JOBS[job](task, folder)
        times.append(time.perf_counter() - start)
    return {"s": min(times), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(job: str, task: str, folder: Path, repeat: int) -> dict[str, float]:
    """Run a job in a process of its own."""
    command = [sys.executable, __file__, "--one", job, task, str(folder), "--repeat", str(repeat)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def same_text(task: str, folder: Path) -> bool:
    """The three writers agree (but for `-0.000000`, which only this package avoids)."""
    ours = (folder / f"{task}_format.txt").read_bytes()
    files = [folder / f"{task}_{job}.txt" for job in ("loop", "to_csv")]
    return all(f.read_bytes().replace(b"-0.000000", b"0.000000") == ours for f in files if f.exists())


def main() -> None:
    """Measure everything and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each job; the best counts")
    parser.add_argument("--share", type=float, default=1.0, help="part of the official sizes")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        job, task, folder = args.one
        print(json.dumps(one(job, task, Path(folder), args.repeat)))
        return
    lines = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for task in SIZES:
            make_inputs(task, folder, args.share)
            jobs = [job for job in JOBS if not (job == "to_csv" and task == "EXPR")]
            got = {job: measure(job, task, folder, args.repeat) for job in jobs}
            lines.append(table_line(task, folder, got))
    print("## Official files\n")
    print(f"{machine()}; best of {args.repeat}; {args.share:.0%} of the official sizes.\n")
    print(
        "| task | rows | file MB | format s | loop s | factor | to_csv s | factor | check s | read_csv s"
        " | ratio | format MiB | check MiB | allowed MiB | same text | all hold |"
    )
    print("|---" * 16 + "|")
    print("\n".join(lines))
    print(
        f"\nTo hold: loop / format at least {FORMAT_FACTOR:g}, to_csv / format above 1,"
        f" check / read_csv at most {CHECK_FACTOR:g},"
        f" peak memory at most {MEMORY_MIB} MiB + {MEMORY_FILES} times the file."
    )


def table_line(task: str, folder: Path, got: dict[str, dict[str, float]]) -> str:
    """One task's line."""
    size = (folder / f"{task}_submission.txt").stat().st_size
    allowed = MEMORY_MIB + MEMORY_FILES * size / 2**20
    loop = got["loop"]["s"] / got["format"]["s"]
    csv = got["to_csv"]["s"] / got["format"]["s"] if "to_csv" in got else None
    ratio = got["check"]["s"] / got["read_csv"]["s"]
    memory = max(got["format"]["mib"], got["check"]["mib"])
    same = same_text(task, folder)
    holds = loop >= FORMAT_FACTOR and (csv or 2) > 1 and ratio <= CHECK_FACTOR and memory <= allowed and same
    rows = sum(read_template(folder / f"{task}_template.txt").tracks.values())
    to_csv = f"{got['to_csv']['s']:.3f} | {csv:.1f}" if csv else "cannot | "
    return (
        f"| {task} | {rows:,} | {size / 1e6:.1f} | {got['format']['s']:.3f} | {got['loop']['s']:.3f}"
        f" | {loop:.1f}"
        f" | {to_csv} | {got['check']['s']:.3f} | {got['read_csv']['s']:.3f} | {ratio:.2f}"
        f" | {got['format']['mib']:.0f} | {got['check']['mib']:.0f} | {allowed:.0f}"
        f" | {'yes' if same else 'NO'} | {'yes' if holds else 'NO'} |"
    )


def machine() -> str:
    """What it ran on, in a line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            x.split(":", 1)[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")
        ]
        model = f"{len(names)} x {names[0]}" if names else model
    return f"{model}, Python {platform.python_version()}, NumPy {np.__version__}, pandas {pd.__version__}"


if __name__ == "__main__":
    main()
