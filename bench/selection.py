"""How fast a recipe is chosen, at the size of the official VA validation set, against the plain way.

    python bench/selection.py            # some ten minutes on an idle machine
    python bench/selection.py --task AU  # one task alone
    python bench/selection.py --ours     # without the plain way
    python bench/selection.py --plan     # `plan` for AU: five recipes chosen, scored and applied
    python bench/selection.py --part 4   # compare on a quarter of the rows

The plain way is what one writes first: for every filter call SciPy on the columns of each track's (rows, 2)
array, recompute the CCC from concatenated rows for every fold, and again for every bootstrap resample. It
does one level of cross-fitting; ours does the nested choice, tables and intervals as well. Times are
given both ways; processor time holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from scipy import ndimage, signal

from abaw_submit import metrics
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.planning.compare import build_plan
from abaw_submit.planning.fold_scores import FoldScores
from abaw_submit.planning.settings import PlanSettings
from abaw_submit.postprocess.score_table import build
from abaw_submit.postprocess.selection import Rule, Selector
from abaw_submit.postprocess.settings import STEPS
from abaw_submit.postprocess.smoothing import candidates
from abaw_submit.postprocess.stages import make_search
from abaw_submit.postprocess.summary import summarise
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, EXPR, VA, Task

ROWS, TRACKS, FOLDS, RESAMPLES = 382_021, 76, 5, 2000


def classes(task: Task, rows: int, tracks: int, members: int, seed: int = 0):
    """Slow AU or expressions, and members that see them through more and more noise."""
    r = np.random.default_rng(seed)
    truth, scores = {}, {f"m{k}": {} for k in range(members)}
    for t in range(tracks):
        shape = (rows // tracks, task.outputs)
        hidden = ndimage.uniform_filter1d(r.normal(size=shape), 60, axis=0) * 8
        hidden += r.normal(0, 0.7, task.outputs) - np.linspace(0, 1.5, task.outputs)
        label = hidden > 0 if task is AU else hidden.argmax(axis=1)[:, None]
        truth[f"t{t:03d}"] = (label.astype(np.float32), np.ones(shape[0], bool))
        for k, name in enumerate(scores):
            seen = hidden + r.normal(0, 0.7 + 0.2 * k, shape)
            values = 1 / (1 + np.exp(-seen)) if task is AU else np.exp(seen)
            values = values if task is AU else values / values.sum(axis=1, keepdims=True)
            scores[name][f"t{t:03d}"] = values.astype(np.float32)
    return {m: Scores(task, s) for m, s in scores.items()}, truth


def corpus(rows: int, tracks: int, members: int, seed: int = 0):
    """Slow truths and noisy scores in tracks of uneven length that add up to `rows`."""
    r = np.random.default_rng(seed)
    share = r.dirichlet(np.full(tracks, 2.0))
    lengths = np.maximum((share * rows).astype(int), 73)
    lengths[-1] += rows - lengths.sum()
    truth, scores = {}, {f"m{k}": {} for k in range(members)}
    for t, n in enumerate(lengths):
        slow = ndimage.gaussian_filter1d(r.normal(size=(n, 2)), 60, axis=0) * 6 + r.normal(0, 0.3, 2)
        y = np.tanh(slow).astype(np.float32)
        truth[f"t{t:03d}"] = (y, r.random(n) > 0.02)
        for k, name in enumerate(scores):
            noise = r.normal(0, 0.3 + 0.2 * k, (n, 2))
            scores[name][f"t{t:03d}"] = np.clip(0.4 * y + noise, -1, 1).astype(np.float32)
    return {m: Scores(VA, s) for m, s in scores.items()}, truth


def ours(members, truth) -> tuple[float, int]:
    table = build(
        next(iter(members.values())).task, members, truth, folds=FOLDS, group=lambda t: t, rate_hz=30
    )
    search = make_search(table)
    selector = Selector(search, STEPS, Rule(resamples=RESAMPLES))
    summary = summarise(selector, selector.run(members), members)
    return summary["chosen"]["cross_fitted"], len(search.filters)


def plan(members, truth) -> tuple[float, int]:
    """Five folds of each member, and test scores of a third of the tracks under other names."""
    task = next(iter(members.values())).task
    tracks = sorted(truth)
    folds = {}
    for name, scores in members.items():
        test = Scores(task, {f"new_{t}": scores[t] for t in tracks[::3]})
        parts = [Scores(task, {t: scores[t] for t in tracks[k::FOLDS]}) for k in range(FOLDS)]
        folds[name] = [FoldScores(str(k), part, test, paths=(Path(), Path())) for k, part in enumerate(parts)]
    annotations = {t: Annotation(t, task, v, ok, None, None) for t, (v, ok) in truth.items()}
    rows = {f"new_{t}": len(truth[t][0]) for t in tracks[::3]}
    settings = PlanSettings(group=(".*",), resamples=RESAMPLES)
    found = build_plan(task, folds, annotations, rows, settings)
    return found.candidates[0].score.total, 0


def plain(members, truth) -> tuple[float, int]:
    (scores,) = members.values()
    names = sorted(truth)
    fold = {t: k % FOLDS for k, t in enumerate(names)}
    pairs = candidates(60)
    held_out: dict[tuple[int, int], float] = {}
    smoothed = {}
    best = {(k, o): (-2.0, 0, 1.0, 0.0) for k in range(FOLDS) for o in range(2)}
    for f, pair in enumerate(pairs):
        now = {t: _filter(_filter(scores[t], pair.before), pair.after) for t in names}
        for o in range(2):
            for k in range(FOLDS):
                y, p = _rows(truth, now, [t for t in names if fold[t] != k], o)
                scale = y.std() / max(p.std(), 1e-9)
                offset = y.mean() - scale * p.mean()
                score = metrics.ccc(y, scale * p + offset)
                if score > best[k, o][0]:
                    best[k, o] = (score, f, scale, offset)
                    smoothed[k, o] = {t: now[t][:, o] * scale + offset for t in names if fold[t] == k}
    final = {t: np.column_stack([smoothed[fold[t], o][t] for o in range(2)]) for t in names}
    total = float(np.mean([metrics.ccc(*_rows(truth, final, names, o)) for o in range(2)]))
    counts = metrics.bootstrap_counts(len(names), RESAMPLES).astype(int)
    for number, row in enumerate(counts):
        drawn = [t for t, c in zip(names, row, strict=True) for _ in range(c)]
        for which in (final, scores):  # the paired difference needs both
            for o in range(2):
                held_out[number, o] = metrics.ccc(*_rows(truth, which, drawn, o))
    return total, len(pairs)


def _filter(x, filter):
    if filter.kind == "none":
        return x
    if filter.kind == "gaussian":
        return ndimage.gaussian_filter1d(x, filter.size, axis=0)
    if filter.kind == "mean":
        return ndimage.uniform_filter1d(x, int(filter.size), axis=0)
    if filter.kind == "median":
        return ndimage.median_filter(x, size=(int(filter.size), 1))
    window = min(int(filter.size), (len(x) - 1) // 2 * 2 + 1)
    return signal.savgol_filter(x, window, min(2, window - 1), axis=0)


def _rows(truth, scores, names, o):
    y = np.concatenate([truth[t][0][truth[t][1], o] for t in names])
    p = np.concatenate([scores[t][truth[t][1], o] for t in names])
    return y, p


def timed(label: str, function, *arguments) -> tuple[float, float]:
    wall, start = time.perf_counter(), time.process_time()
    score, filters = function(*arguments)
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{label:<44} {seconds:8.1f} s CPU {wall:8.1f} s wall   {filters} filters,"
        f" score {score:.4f}, peak so far {peak:.0f} MiB",
        flush=True,
    )
    return seconds, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", type=int, default=1, help="compare on 1/PART of the rows")
    parser.add_argument("--task", choices=["AU", "EXPR", "VA"])
    parser.add_argument("--ours", action="store_true", help="leave out the plain way")
    parser.add_argument("--plan", action="store_true", help="only `plan`, for AU")
    options = parser.parse_args()
    if options.plan:
        timed("plan AU, 5 members, 450000 rows, 105 tracks", plan, *classes(AU, 450_000, 105, 5))
        return
    for task, count, tracks in ((AU, 450_000, 105), (EXPR, 280_000, 70)):
        if options.task in (None, task.name):
            label = f"select {task.name}, 5 members, {count} rows, {tracks} tracks"
            timed(label, ours, *classes(task, count, tracks, 5))
    if options.task in ("AU", "EXPR"):
        return
    size = f"{ROWS} rows, {TRACKS} tracks"
    timed(f"select, 1 member, {size}", ours, *corpus(ROWS, TRACKS, 1))
    timed(f"select, 3 members, {size}", ours, *corpus(ROWS, TRACKS, 3))
    if options.ours:
        return
    rows = ROWS // options.part
    small = corpus(rows, TRACKS, 1)
    mine = timed(f"select, 1 member, {rows} rows", ours, *small)
    naive = timed(f"plain loop, 1 member, {rows} rows", plain, *small)
    cpu, wall = (theirs / own for theirs, own in zip(naive, mine, strict=True))
    print(f"{wall:.1f} times faster in wall time, {cpu:.1f} in processor time, at {rows} rows.")


if __name__ == "__main__":
    main()
