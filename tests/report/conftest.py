"""A small run of all three tasks with everything a page can show, made by hand and by the real `select`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from abaw_submit.corpus.ledger import Ledger, write_ledger
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import run_select
from abaw_submit.report.find import find_run
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.store import Stage, write_json, write_text
from abaw_submit.tasks import EXPR, TASKS, VA

TRACKS = [f"video{k}" for k in range(1, 9)]
TESTS = ["video11", "video12"]
ROWS = 60


def truth_of(task, rng):
    """(rows, label columns) that move slowly; the first three rows carry no label."""
    if task is VA:
        values = np.tanh(np.cumsum(rng.normal(0, 0.2, (ROWS, 2)), axis=0)).round(3)
    elif task is EXPR:
        values = np.repeat(rng.integers(0, 8, ROWS // 10), 10)[:, None]
    else:
        values = np.repeat(rng.integers(0, 2, (ROWS // 10, 12)), 10, axis=0)
    values = values.astype(float)
    values[:3] = task.invalid
    return values


def scores_of(task, truth, rng, noise):
    """(rows, outputs) near the truth."""
    if task is VA:
        return np.clip(truth + rng.normal(0, noise, truth.shape), -1, 1)
    if task is EXPR:
        raw = np.exp(
            2 * np.eye(8)[np.clip(truth[:, 0], 0, 7).astype(int)] + rng.normal(0, 2 * noise, (ROWS, 8))
        )
        return raw / raw.sum(axis=1, keepdims=True)
    return 1 / (1 + np.exp(-(3 * truth - 1.5 + rng.normal(0, 4 * noise, truth.shape))))


def write_truth(root, task, truth):
    for k, track in enumerate(TRACKS):
        subset = "Validation_Set" if k >= 6 else "Train_Set"
        lines = "".join(",".join(f"{v:g}" for v in row) + "\n" for row in truth[track])
        write_text(root / task.challenge_folder() / subset / f"{track}.txt", task.header() + "\n" + lines)


def write_task(root, task, rng):
    truth = {t: truth_of(task, rng) for t in TRACKS}
    write_truth(root / "annotations", task, truth)
    here = root / "checkpoints" / "one" / task.key
    for kind, noise in (("encoder", 0.8), ("fold", 0.2)):
        parts = {"0": TRACKS[0::2], "1": TRACKS[1::2], "official": TRACKS[6:]}
        for fold, tracks in parts.items():
            out = here / f"{kind}_{fold}"
            out.mkdir(parents=True)
            scores = {t: scores_of(task, truth[t], rng, noise) for t in tracks}
            write_scores(out / "scores_validation.h5", Scores(task, scores))
            tests = {t: scores_of(task, truth[TRACKS[0]], rng, noise) for t in TESTS}
            write_scores(out / "scores_test.h5", Scores(task, tests))
            write_text(
                out / "history.csv", "epoch,step,lr,loss,validation\n1,1,0.1,0.9,0.1\n2,2,0.1,0.5,0.2\n"
            )
            write_json(out / "record.json", {})
    work = root / "work" / "one" / task.key
    tests = {t: scores_of(task, truth[TRACKS[1]], rng, 0.2) for t in TESTS}
    write_scores(work / "test_scores.h5", Scores(task, tests))
    members = {"tmf": [here / f"fold_{k}" / "scores_validation.h5" for k in (0, 1)]}
    settings = SelectSettings(folds=4, resamples=100, longest_rows=9)
    run_select(task, members, root / "annotations", work / "recipe", settings, pictures=False)


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory):
    """The root of a run named "one": annotations, checkpoints, crops, work."""
    root = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    for task in TASKS.values():
        write_task(root, task, rng)
    crops = root / "work" / "one" / "crops"
    with Stage("crop", crops, settings={"detector": "yunet", "size_px": 64}, inputs=[]) as stage:
        for k, track in enumerate(TRACKS):
            found = np.ones(ROWS, bool)
            found[10:20] = False
            zeros = np.zeros(ROWS)
            source = np.where(found, "detected", "nearest").astype("<U8")
            rows, times = np.arange(1, ROWS + 1), np.arange(ROWS) / 10
            (crops / track).mkdir(parents=True)
            write_ledger(crops / track, Ledger(rows, times, found, zeros, zeros, zeros, zeros, zeros, source))
            for row in np.flatnonzero(found) + 1:
                cv2.imwrite(str(crops / track / f"{row:05d}.jpg"), np.full((64, 64, 3), 25 * k, np.uint8))
        stage.count("rows", ROWS * len(TRACKS))
        stage.count("found", (ROWS - 10) * len(TRACKS))
    plan = {
        "task": "VA",
        "metric": "mean CCC",
        "candidates": [
            {
                "number": 1,
                "name": "official",
                "what": "the official split's model alone",
                "score": 0.4,
                "interval": [0.3, 0.5],
                "step": None,
                "rows_changed": 7,
                "teaches": "what one model is worth.",
            }
        ],
    }
    write_text(root / "work" / "one" / "va" / "plan" / "plan.json", json.dumps(plan))
    return Path(root)


@pytest.fixture
def found(whole_run):
    return find_run(whole_run / "work" / "one")
