"""What a rule for choosing recipes gains on tracks it has not seen, over simulated validation sets.

    python bench/selection_rules.py              # eight settings of AU and EXPR, four of VA, 24 corpora each
    python bench/selection_rules.py --corpora 4 --rule proven --task EXPR
    python bench/selection_rules.py --task AU --setting members --first 12 --corpora 12 --save parts.jsonl
    python bench/selection_rules.py --show parts.jsonl  # long runs in parts

Each corpus has 70 labelled tracks, as the official validation sets do, and three more corpora of 70 on which
the chosen recipe is scored: of the same size, because the F1 of few tracks is biased. The settings differ in
what there is to gain: nothing (errors as slow as the truth itself, thresholds and spread right), jitter
(errors independent from row to row), priors (thresholds, class priors, or level and spread wrong), and
members (four of unequal use, with jitter).

"gain" is the score of the recipe on the new tracks less that of the plain mean of the members; "oracle" is
the gain of the set of steps that does best in that setting, over all its corpora, known only afterwards;
"bias" is the nested gain less the gain on the new tracks, which an honest one has at zero. Standard errors in
brackets.
"""

from __future__ import annotations

import argparse
import json
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
from abaw_submit.tasks import AU, EXPR, VA, Task

TRACKS, NEW_CORPORA, ROWS = 70, 3, 100
TASKS = (AU, EXPR, VA)
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
    lean = np.zeros(outputs) if task is VA else np.linspace(-1.6, 0.3, outputs)  # how rare each output is
    members = {"a": (1.0, 0.0)}  # spread of slow errors, of jitter
    if setting in ("jitter", "priors"):
        members = {"a": (0.9, 0.35)} if setting == "jitter" else {"a": (1.0, 0.1)}
    elif setting == "members":
        members = {"a": (0.9, 0.3), "b": (1.0, 0.3), "c": (1.2, 0.35), "d": (2.0, 0.4)}
    truth, scores = {}, {m: {} for m in members}
    for t in range(tracks):
        rows = int(r.integers(ROWS // 2, ROWS * 3 // 2))
        z = slow(r, (outputs, rows), 12) + lean[:, None]
        label = np.tanh(0.5 * z).T if task is VA else (z > 0).T if task is AU else z.argmax(axis=0)[:, None]
        truth[f"t{t:03d}"] = (label.astype(np.float32), np.ones(rows, bool))
        for m, (slow_error, jitter) in members.items():
            seen = z + slow_error * slow(r, (outputs, rows), 12) + jitter * r.normal(size=z.shape)
            if setting == "priors" and task is not VA:  # as after training with class weights gone wrong
                seen = seen - 0.5 * lean[:, None] + (0.25 if task is AU else 0.0)
            spread = 1.7 / np.sqrt(slow_error**2 + jitter**2 + 0.3)
            if task is VA:  # the truth's own spread, unless the priors are wrong
                values = np.tanh(0.5 * seen / np.sqrt(1 + slow_error**2 + jitter**2))
                values = 0.5 * values + 0.15 if setting == "priors" else values
            elif task is AU:
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


def tested(task: Task, setting: str, seed: int, settings: SelectSettings) -> dict:
    """Gains of the choice, nested and on new tracks, and of every set of steps on new tracks."""
    start = time.process_time()
    members, truth = corpus(task, setting, seed, TRACKS)
    selector, selection = choose(task, members, truth, settings)
    new = [corpus(task, setting, seed + 10_000 * k, TRACKS) for k in range(1, 1 + NEW_CORPORA)]

    def there(recipe) -> float:
        totals = []
        for scores, labels in new:
            done = apply_recipe(recipe, scores)
            values = {t: v for t, (v, _) in labels.items()}
            totals.append(metrics.score(task, values, {t: decide(task, done[t]) for t in labels}).total)
        return float(np.mean(totals))

    def here(scores) -> float:
        return float(metrics.total(task, row_statistics(selector.table, scores).sum(axis=0)))

    nothing = identity_recipe(task, sorted(members))
    before = there(nothing)
    sets = {
        ",".join(s for s in selector.steps if s in steps): there(selector.recipe(selector.all_folds, steps))
        - before
        for steps in selector.every_set()
    }
    return {
        "task": task.name,
        "setting": setting,
        "seed": seed,
        "gain": there(selection.recipe) - before,
        "nested": here(selection.crossfit) - here(apply_recipe(nothing, members)),
        "steps": selection.recipe.steps,
        "sets": sets,
        "seconds": time.process_time() - start,
    }


def with_error(values) -> str:
    x = np.asarray(values)
    return f"{x.mean():+.4f} ({x.std(ddof=1) / np.sqrt(len(x)):.4f})" if len(x) > 1 else f"{x.mean():+.4f}"


def show(found: list[dict]) -> None:
    """A line for each setting, and the means over the settings of AU and EXPR."""
    gains, oracles = [], []
    for task in TASKS:
        for setting in SETTINGS:
            mine = [f for f in found if (f["task"], f["setting"]) == (task.name, setting)]
            if not mine:
                continue
            gain = [f["gain"] for f in mine]
            best = max(mine[0]["sets"], key=lambda s: np.mean([f["sets"][s] for f in mine]))
            oracle = [f["sets"][best] for f in mine]
            if task is not VA:
                gains.append(np.mean(gain))
                oracles.append(np.mean(oracle))
            kept = Counter(step for f in mine for step in f["steps"])
            print(
                f"{task.name:<5} {setting:<8} {len(mine):>3} corpora  gain {with_error(gain)}"
                f"  oracle {np.mean(oracle):+.4f} [{best or 'nothing'}]"
                f"  bias {with_error([f['nested'] - f['gain'] for f in mine])}  kept: "
                + (" ".join(f"{s} {n / len(mine):.0%}" for s, n in sorted(kept.items())) or "nothing")
                + f"  {np.mean([f['seconds'] for f in mine]):.1f} s each",
                flush=True,
            )
    if gains:
        part = np.mean(gains) / max(np.mean(oracles), 1e-9)
        print(
            f"Mean test gain over {len(gains)} settings of AU and EXPR {np.mean(gains):+.4f},"
            f" oracle {np.mean(oracles):+.4f}: {part:.0%}."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=int, default=24)
    parser.add_argument("--first", type=int, default=0, help="the first corpus's seed")
    parser.add_argument("--rule", default="expected", choices=["expected", "proven"])
    parser.add_argument("--single", action="store_true", help="one recipe instead of the average")
    parser.add_argument("--task", choices=[t.name for t in TASKS])
    parser.add_argument("--setting", choices=SETTINGS)
    parser.add_argument("--save", help="add a line of JSON for each corpus to this file")
    parser.add_argument("--show", help="only sum up what --save wrote")
    options = parser.parse_args()
    if options.show:
        with open(options.show) as lines:
            show([json.loads(line) for line in lines])
        return
    base = SelectSettings(
        filters=12,
        longest_rows=101,
        resamples=200,
        group=(".*",),
        rule=options.rule,
        average=not options.single,
    )
    found = []
    for task in TASKS:
        for setting in SETTINGS:
            if options.task not in (None, task.name) or options.setting not in (None, setting):
                continue
            for seed in range(options.first, options.first + options.corpora):
                found.append(tested(task, setting, seed, base))
                if options.save:
                    with open(options.save, "a") as file:
                        print(json.dumps(found[-1]), file=file)
    show(found)


if __name__ == "__main__":
    main()
