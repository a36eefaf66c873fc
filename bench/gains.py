"""What each option of training gains on synthetic corpora of several seeds, three folds, out of fold.

    python bench/gains.py --train                       # every option, seeds 0, 1, 2: hours of one core
    python bench/gains.py --train --seeds 0 --only gru  # what is trained already is kept
    python bench/gains.py                               # only the table: work/gains/gains.csv

Each corpus has a folder with a whole run of configs/demo.toml up to the features. An option changes one thing
of the base, which is the demo's TMF with nothing added. An option of fine-tuning is scored by its single
frames. A difference is paired over recordings: the same 2,000 resamples of the corpus' recordings for both
and for all tasks. "mean" is the mean of the tasks the option is for, "1+2" that of the two corpora that had
no say.

The rule, written down before anything was measured. Seed 0 chooses: an option goes into configs/demo.toml if
the interval of its mean gain there lies above zero, and one that saves processor time if it lies above -0.01;
of options that exclude each other the one of the largest gain. Seeds 1 and 2 confirm: what was chosen is said
to help if the interval of 1+2 lies above zero (above -0.01 for one that saves time), and else not to.
"""

from __future__ import annotations

import argparse
import csv
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
from gaining.options import LABELS, OPTIONS, RECORD, TRAINING, Missing, Tracks, make

from abaw_submit import metrics
from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.scores.decide import decide
from abaw_submit.tasks import TASKS

CONFIG = Path(__file__).parents[1] / "configs/demo.toml"


def prepare(place: Path, seed: int) -> None:
    """A corpus of its own seed, and the demo's run on it up to the features."""
    (place / "gains").mkdir(parents=True, exist_ok=True)
    if not (place / "run.toml").is_file():
        (place / "run.toml").write_text(f"{CONFIG.read_text()}\n[demo-data]\nseed = {seed}\n")
    if not (place / "work/demo/features/mae_va_2" / RECORD).is_file():
        with chdir(place):
            cli.main(["run", "features", "-c", "run.toml", "--jobs", "1"], standalone_mode=False)


def gain(seed: int, key: str, scores: Tracks, other: Tracks) -> tuple[float, float, np.ndarray]:
    """A score, its difference to another's, and that difference in each resample of the recordings."""
    task = TASKS[key.upper()]
    truth = read_annotation_set(LABELS, task)
    names = [t for t in sorted({*truth} & {*scores} & {*other}) if truth[t].valid.any()]
    every = sorted({path.stem for path in LABELS.rglob("*.txt")})
    drawn = metrics.bootstrap_counts([sibling_group(t) for t in every], 2000, seed)
    drawn = drawn[:, [every.index(t) for t in names]]
    score, sampled = [], []
    for tracks in (scores, other):
        sums = np.stack(
            [
                metrics.statistics(task, truth[t].values, decide(task, tracks[t]), truth[t].valid)
                for t in names
            ]
        )
        score.append(float(metrics.total(task, sums.sum(0))))
        sampled.append(metrics.total(task, np.tensordot(drawn, sums, 1)))
    return score[0], score[0] - score[1], sampled[0] - sampled[1]


def shown(difference: float, sampled: np.ndarray) -> list[str]:
    return [f"{value:+.4f}" for value in (difference, *metrics.interval(sampled))]


def rows_of(root: Path, name: str, seeds: list[int]) -> list[list[object]]:
    """The lines of one option: each seed's tasks, their mean, and the mean of seeds 1 and 2."""
    option, rows, means = OPTIONS[name], [], {}
    for seed in seeds:
        place = root / f"seed_{seed}"
        if TRAINING:
            prepare(place, seed)
        try:
            with chdir(place):
                found = {k: gain(seed, k, make(name, k), make(option.against, k)) for k in option.keys}
        except (Missing, OSError):
            continue
        means[seed] = np.mean([f[1] for f in found.values()]), np.mean([f[2] for f in found.values()], 0)
        start = [name, option.against, seed]
        rows += [[*start, key, f"{s:.4f}", *shown(d, x)] for key, (s, d, x) in found.items()]
        rows.append([*start, "mean", "", *shown(*means[seed])])
    if {1, 2} <= set(means):
        both = [np.mean([means[seed][i] for seed in (1, 2)], 0) for i in (0, 1)]
        rows.append([name, option.against, "1+2", "mean", "", *shown(*both)])
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("--folder", type=Path, default=Path("work/gains"))
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments.add_argument("--only", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    arguments.add_argument(
        "--train", action="store_true", help="train what is missing; else show what is there"
    )
    given = arguments.parse_args()
    root = given.folder.absolute()
    if not TRAINING and not root.is_dir():
        sys.exit("Nothing is measured yet: python bench/gains.py --train")
    rows = [row for name in given.only for row in rows_of(root, name, given.seeds)]
    with (root / "gains.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["option", "against", "seed", "task", "score", "difference", "low", "high"])
        table.writerows(rows)
    for row in rows:
        print("  ".join(f"{v!s:<{w}}" for v, w in zip(row, (30, 14, 4, 5, 7, 7, 7, 7), strict=True)))


if __name__ == "__main__":
    main()
