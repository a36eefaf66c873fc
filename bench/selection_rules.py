"""What a rule for choosing recipes gains on tracks it has not seen, over simulated AU and EXPR validation
sets.

    python bench/selection_rules.py                    # eight settings, 24 corpora each
    python bench/selection_rules.py --corpora 4 --rule proven --task EXPR

Each corpus has 70 labelled tracks, as the official validation sets do, and 200 more on which the chosen
recipe is scored. The settings differ in what there is to gain: nothing (errors as slow as the truth itself,
thresholds right), jitter (errors independent from row to row), priors (thresholds or class priors wrong),
and members (four of unequal use, with jitter). "Gain" is the score of the recipe on the new tracks less
that of the plain mean of the members; "bias" is the nested score less the score on the new tracks, which an
honest one has at zero."""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
from scipy.ndimage import gaussian_filter1d

from abaw_submit import metrics
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.recipe import identity_recipe
from abaw_submit.postprocess.selection import row_statistics
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import choose
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, EXPR, Task

TRACKS, NEW_TRACKS, ROWS = 70, 200, 100
SETTINGS = ("nothing", "jitter", "priors", "members")


def slow(r: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """Curves of unit spread along the last axis, half of it the curve's own level."""
    curve = gaussian_filter1d(r.normal(size=shape), sigma, axis=-1, mode="wrap") * np.sqrt(
        2 * sigma * np.sqrt(np.pi)
    )
    return (curve + r.normal(size=(*shape[:-1], 1))) / np.sqrt(2)


def corpus(task: Task, setting: str, seed: int, tracks: int):
    """Members and truth of some tracks; the same world for every seed, other tracks."""
    r = np.random.default_rng(seed)
    outputs = task.outputs
    lean = np.linspace(-1.6, 0.3, outputs)  # how rare each output is
    members = {"a": (1.0, 0.0)}  # spread of slow errors, of jitter
    if setting in ("jitter", "priors"):
        members = {"a": (0.9, 0.35)} if setting == "jitter" else {"a": (1.0, 0.1)}
    elif setting == "members":
        members = {"a": (0.9, 0.3), "b": (1.0, 0.3), "c": (1.2, 0.35), "d": (2.0, 0.4)}
    truth, scores = {}, {m: {} for m in members}
    for t in range(tracks):
        rows = int(r.integers(ROWS // 2, ROWS * 3 // 2))
        z = slow(r, (outputs, rows), 12) + lean[:, None]
        label = (z > 0).T if task is AU else z.argmax(axis=0)[:, None]
        truth[f"t{t:03d}"] = (label.astype(np.float32), np.ones(rows, bool))
        for m, (slow_error, jitter) in members.items():
            seen = z + slow_error * slow(r, (outputs, rows), 12) + jitter * r.normal(size=z.shape)
            if setting == "priors":  # as after training with class weights gone wrong
                seen = seen - 0.5 * lean[:, None] + (0.25 if task is AU else 0.0)
            spread = 1.7 / np.sqrt(slow_error**2 + jitter**2 + 0.3)
            if task is AU:
                values = 1 / (1 + np.exp(-1.7 * spread * _shrunk(seen, lean, slow_error, jitter, setting)))
            else:
                values = np.exp(1.4 * spread * seen - (1.4 * spread * seen).max(axis=0))
                values /= values.sum(axis=0)
            scores[m][f"t{t:03d}"] = values.T.astype(np.float32)
    return {m: Scores(task, s) for m, s in scores.items()}, truth


def _shrunk(seen, lean, slow_error, jitter, setting):
    """Where an even chance is the threshold of the highest F1 (found on 2,000 tracks), unless priors are
    wrong."""
    return seen + 0.25 * (setting != "priors") * np.ones_like(lean)[:, None]


def tested(task: Task, setting: str, seed: int, settings: SelectSettings):
    """Gain on new tracks, nested score less new score, and the steps kept."""
    members, truth = corpus(task, setting, seed, TRACKS)
    selector, selection = choose(task, members, truth, settings)
    new, labels = corpus(task, setting, seed + 10_000, NEW_TRACKS)

    def score(recipe) -> float:
        done = apply_recipe(recipe, new)
        return metrics.score(
            task, {t: v for t, (v, _) in labels.items()}, {t: decide(task, done[t]) for t in labels}
        ).total

    nested = row_statistics(selector.table, selection.crossfit).sum(axis=0)
    there = score(selection.recipe)
    gain = there - score(identity_recipe(task, sorted(members)))
    return gain, float(metrics.total(task, nested)) - there, selection.recipe.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="the first corpus's seed")
    parser.add_argument("--rule", default="expected", choices=["expected", "proven"])
    parser.add_argument("--single", action="store_true", help="one recipe instead of the average")
    parser.add_argument("--task", choices=["AU", "EXPR"])
    parser.add_argument("--setting", choices=SETTINGS)
    options = parser.parse_args()
    base = SelectSettings(
        filters=12,
        longest_rows=101,
        resamples=200,
        group=(".*",),
        rule=options.rule,
        average=not options.single,
    )
    means = []
    for task in (AU, EXPR):
        for setting in SETTINGS:
            if options.task not in (None, task.name) or options.setting not in (None, setting):
                continue
            start = time.process_time()
            seeds = range(options.first, options.first + options.corpora)
            found = [tested(task, setting, seed, base) for seed in seeds]
            gains, bias = np.array([f[0] for f in found]), np.array([f[1] for f in found])
            kept = Counter(step for f in found for step in f[2])
            error = [x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else 0.0 for x in (gains, bias)]
            means.append(gains.mean())
            rates = " ".join(f"{s} {n / len(found):.0%}" for s, n in sorted(kept.items()))
            print(
                f"{task.name:<5} {setting:<8} gain {gains.mean():+.4f} ({error[0]:.4f})"
                f"  bias {bias.mean():+.4f} ({error[1]:.4f})  kept: {rates or 'nothing'}"
                f"  {(time.process_time() - start) / len(found):.1f} s each",
                flush=True,
            )
    print(f"Mean test gain {np.mean(means):+.4f}.")


if __name__ == "__main__":
    main()
