"""What a recipe is worth on people, and films, that it has not seen: real predictions, divided in half.

    python bench/halves.py                     # needs $ABAW_SHARED/epic
    python bench/halves.py --members carelab sail --seeds 0 1

    half      fitted on half the people, applied to the other half, both ways
    quarter   fitted on half the people and half the films, applied to the others of both, four ways
    twelfth   fitted on three of thirty people, applied to the others, four times

The score is the mean CCC over all applied rows pooled. Beside it: the plain mean, the best member (of the
tracks fitted on) alone, and a reference of ten lines: Gaussian of 100 rows, non-negative least squares per
output, then the truth's mean and spread; what it reaches depends on the division (quarters: .52 to .63). All
thirty people watched the same eight films: a half may recognise a film, a quarter may not. People are given
as the group; --two-groups gives the films as well. `--set pool=none` asks what holds without common levels.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import nnls

from abaw_submit import metrics
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import choose, read_truth
from abaw_submit.scores.files import Scores, read_scores
from abaw_submit.tasks import VA

PERSON, FILM = r"^(sub\d+)", r"(vid\d+)"


def number(pattern: str, track: str) -> int:
    return int(re.sub(r"\D", "", re.search(pattern, track)[0]))


def divisions(tracks, seed: int | None):
    """Name -> pairs of (tracks to fit on, tracks to apply to); by number, or in a random order."""
    people = sorted({number(PERSON, t) for t in tracks})
    films = sorted({number(FILM, t) for t in tracks})
    if seed is not None:
        r = np.random.default_rng(seed)
        people, films = list(r.permutation(people)), list(r.permutation(films))

    def of(some, other):
        return [t for t in tracks if number(PERSON, t) in some and number(FILM, t) in other]

    both = [(people[::2], people[1::2]), (people[1::2], people[::2])]
    screens = [(films[:4], films[4:]), (films[4:], films[:4])]
    threes = [people[k : k + 3] for k in (0, 3, 6, 9)]
    return {
        "half": [(of(a, films), of(b, films)) for a, b in both],
        "quarter": [(of(a, f), of(b, g)) for a, b in both for f, g in screens],
        "twelfth": [(of(three, films), of(set(people) - set(three), films)) for three in threes],
    }


def ours(members, truth, new, settings):
    _, selection = choose(VA, members, truth, settings)
    return apply_recipe(selection.recipe, new), ",".join(selection.recipe.steps)


def mean(members, truth, new):
    return Scores(VA, {t: np.mean([s[t] for s in new.values()], axis=0) for t in truth_of(new)})


def best(members, truth, new):
    return new[max(members, key=lambda m: total([(members[m], truth)]))]


def reference(members, truth, new):
    def smooth(scores, t, o):
        return gaussian_filter1d(scores[t][:, o].astype(float), 100, mode="reflect")

    out = {t: np.empty((len(v), 2)) for t, v in next(iter(new.values())).items()}
    for o in range(2):
        x = np.stack([np.concatenate([smooth(s, t, o) for t in truth]) for s in members.values()], 1)
        y = np.concatenate([truth[t][0][:, o] for t in truth])
        w = nnls(x - x.mean(axis=0), y - y.mean())[0]
        fitted = x @ w
        for t, rows in out.items():
            p = sum(w[k] * smooth(s, t, o) for k, s in enumerate(new.values()))
            rows[:, o] = (p - fitted.mean()) * y.std() / max(fitted.std(), 1e-9) + y.mean()
    return Scores(VA, {t: np.clip(v, -1, 1).astype(np.float32) for t, v in out.items()})


def truth_of(scores):
    return next(iter(scores.values()))


def total(parts) -> float:
    """Mean CCC of (scores, truth) over all rows of all parts."""
    sums = [metrics.statistics(VA, v, s[t], ok) for s, truth in parts for t, (v, ok) in truth.items()]
    return float(metrics.total(VA, np.sum(sums, axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", nargs="*", help="teams; by default all")
    parser.add_argument("--seeds", nargs="*", type=int, default=[], help="random divisions as well")
    parser.add_argument("--only", nargs="*", help="half, quarter, twelfth")
    parser.add_argument("--two-groups", action="store_true", help="give the films as a group, too")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings of select")
    options = parser.parse_args()
    if "ABAW_SHARED" not in os.environ:
        raise SystemExit("Set ABAW_SHARED to the folder that holds epic/.")
    epic = Path(os.environ["ABAW_SHARED"]) / "epic"
    names = options.members or sorted(p.name for p in (epic / "predictions").iterdir() if p.is_dir())
    scores = {m: read_scores(epic / "predictions" / m, VA) for m in names}
    truth = read_truth(epic / "truth", VA)
    more = dict(pair.split("=") for pair in options.set)
    base = SelectSettings(filters=24, resamples=500, rate_hz=20.0, **more)
    for seed in (None, *options.seeds):
        for name, pairs in divisions(sorted(truth), seed).items():
            if options.only and name not in options.only:
                continue
            found = {"ours": [], "reference": [], "plain mean": [], "best member": []}
            steps, start = [], time.process_time()
            groups = (PERSON, FILM) if options.two_groups else (PERSON,)
            settings = SelectSettings(**{**base.__dict__, "group": groups})
            for fit, use in pairs:
                members = {m: Scores(VA, {t: s[t] for t in fit}) for m, s in scores.items()}
                new = {m: Scores(VA, {t: s[t] for t in use}) for m, s in scores.items()}
                labels, answers = {t: truth[t] for t in fit}, {t: truth[t] for t in use}
                made, kept = ours(members, labels, new, settings)
                steps.append(kept or "nothing")
                found["ours"].append((made, answers))
                for key, way in (("reference", reference), ("plain mean", mean), ("best member", best)):
                    found[key].append((way(members, labels, new), answers))
            seconds = time.process_time() - start
            text = "  ".join(f"{key} {total(parts):.4f}" for key, parts in found.items())
            which = "by number" if seed is None else f"seed {seed}"
            print(f"{name:<8} {which:<10} {text}  ({seconds:.0f} s) {' | '.join(steps)}", flush=True)


if __name__ == "__main__":
    main()
