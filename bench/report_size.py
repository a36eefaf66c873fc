"""The report at the official size: how large the page gets with faces, and what it takes to make.

    python bench/report_size.py CROPS [--tracks 432]

CROPS are any crops of real faces (`abaw-submit crop`); every simulated track shows some of them, one a
second. Track numbers and lengths are those of Aff-Wild2 (AU 400, EXPR 318, VA 432 tracks, 73 to 47,435 rows).
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from abaw_submit.corpus.ledger import Ledger, write_ledger
from abaw_submit.report.find import find_run
from abaw_submit.report.page import page
from abaw_submit.report.scoreboard import board
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.store import write_text
from abaw_submit.tasks import TASKS, Task

NUMBER = {"AU": 400, "EXPR": 318, "VA": 432}
MEAN_ROWS, SPREAD, FEWEST, MOST = 3_500, 1.0, 73, 47_435
RATE_HZ = 30


def lengths(number: int) -> np.ndarray:
    """Rows of each track, spread as the official ones are."""
    rng = np.random.default_rng(0)
    rows = np.exp(rng.normal(np.log(MEAN_ROWS) - SPREAD**2 / 2, SPREAD, number))
    return np.clip(rows, FEWEST, MOST).astype(int)


def write_task(root: Path, task: Task, rows: dict[str, int]) -> None:
    """Truth and out-of-fold scores of two folds."""
    rng = np.random.default_rng(1)
    scores: dict[str, np.ndarray] = {}
    for k, (track, count) in enumerate(rows.items()):
        walk = np.tanh(np.cumsum(rng.normal(0, 0.05, (count, task.outputs)), axis=0))
        values = walk if task.kind.low < 0 else (walk + 1) / 2
        scores[track] = np.clip(values + rng.normal(0, 0.1, values.shape), task.kind.low, 1).astype(
            np.float32
        )
        labels = task.kind.decide(values).astype(float)
        subset = "Validation_Set" if k % 5 == 0 else "Train_Set"
        path = root / "annotations" / task.challenge_folder() / subset / f"{track}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, labels, fmt="%.3g", delimiter=",", header=task.header(), comments="")
    for fold in (0, 1):
        part = {t: v for k, (t, v) in enumerate(scores.items()) if k % 2 == fold}
        out = root / "checkpoints" / "size" / task.key / f"fold_{fold}" / "scores_validation.h5"
        out.parent.mkdir(parents=True)
        write_scores(out, Scores(task, part))


def main() -> None:
    """Make the run, then its page, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("crops", type=Path)
    parser.add_argument("--tracks", type=int, default=432, help="At most so many tracks of a task.")
    args = parser.parse_args()
    pictures = sorted(args.crops.glob("*/*.jpg"))
    if not pictures:
        sys.exit(f"No crops in {args.crops}.")
    with tempfile.TemporaryDirectory(dir=args.crops.parent) as folder:
        root = Path(folder)
        rows = {f"video{k}": int(n) for k, n in enumerate(lengths(min(args.tracks, max(NUMBER.values()))))}
        for task in TASKS.values():
            write_task(root, task, dict(list(rows.items())[: min(NUMBER[task.name], args.tracks)]))
        for k, (track, count) in enumerate(rows.items()):
            seconds = count // RATE_HZ + 1
            place, zeros = root / "work" / "size" / "crops" / track, np.zeros(seconds)
            place.mkdir(parents=True)
            source = np.full(seconds, "detected")
            row, times = np.arange(1, seconds + 1), np.arange(seconds, dtype=float)
            write_ledger(place, Ledger(row, times, row > 0, zeros, zeros, zeros, zeros, zeros, source))
            for r in row:
                os.link(pictures[(37 * k + r) % len(pictures)], place / f"{r:05d}.jpg")
        run = find_run(root / "work" / "size")
        started = time.process_time()
        boards = {t.task.name: b for t in run.tasks if (b := board(t, root / "annotations")) is not None}
        for faces in (False, True):
            html = page(run, boards, root / "annotations", faces=faces)
            said = html.partition("So that the page stays small")[2].partition("</figcaption>")[0]
            print(f"faces {faces}: {len(html.encode()) / 1e6:.2f} MB; {sum(rows.values()):,} rows;{said}")
            write_text(args.crops.parent / f"report_faces_{faces}.html", html)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.process_time() - started:.0f} s of processor time, {peak:.0f} MiB")


if __name__ == "__main__":
    main()
