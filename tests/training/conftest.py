"""A corpus small enough to train on in a second: four recordings, labels that can be seen in the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.ledger import DETECTED, NEAREST, Ledger, write_ledger
from abaw_submit.features.cache import feature_path, write_features
from abaw_submit.tasks import TASKS
from abaw_submit.training.folds import Fold, Splits, write_splits

TRACKS = {"1-30-64x64": 40, "video2_left": 23, "102": 31, "video45_1": 12}
VALIDATION = ["102", "video45_1"]


# a sequence model that is trained in a second
SMALL = [
    "--conv-dim", "16", "--model-dim", "16", "--feedforward-dim", "16", "--layers", "1", "--heads", "2",
    "--head-dim", "8", "--clip-rows", "16", "--batch", "4", "--dropout", "0",
]  # fmt: skip


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    """The command line in this process: what it prints; a user's mistake is raised."""

    def call(*words: object) -> str:
        given = [str(w) for w in words]
        done = CliRunner().invoke(cli, given, catch_exceptions=False, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.output

    return call


@pytest.fixture(scope="session")
def train(run: Callable[..., str]) -> Callable[..., str]:
    """`train` with a small network: of a task, into a folder, with whatever else is given."""
    return lambda task, out, *words: run("train", "--task", task, *SMALL, *words, "--out", out)


@dataclass(frozen=True)
class Corpus:
    """Where its parts are."""

    root: Path

    @property
    def crops(self) -> Path:
        return self.root / "crops"

    @property
    def annotations(self) -> Path:
        return self.root / "annotations"

    def splits(self, task: str) -> Path:
        return self.root / f"{task}.json"

    def features(self, name: str) -> Path:
        return self.root / "features" / name


def labels(task: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    if task == "VA":
        return np.stack([np.sin(np.arange(rows) / 4), np.cos(np.arange(rows) / 6)], 1).round(3) * 0.8
    if task == "EXPR":
        return (np.arange(rows) // 3 % 8)[:, None]
    return (rng.random((rows, 12)) < 0.4).astype(int)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = Corpus(tmp_path_factory.mktemp("corpus"))
    rng = np.random.default_rng(0)
    for track, rows in TRACKS.items():
        found = np.ones(rows, bool)
        found[[2, rows - 1]] = False  # a gap inside and one at the end
        for task in TASKS.values():
            values = labels(task.name, rows, rng)
            subset = "Validation_Set" if track in VALIDATION else "Train_Set"
            folder = made.annotations / task.challenge_folder() / subset
            folder.mkdir(parents=True, exist_ok=True)
            lines = [",".join(f"{v:g}" for v in row) for row in values]
            marker = f"{task.invalid:g}"
            lines[5] = ",".join([marker] * task.label_columns)
            (folder / f"{track}.txt").write_text("\n".join([task.header(), *lines]) + "\n")
        write_pictures(made.crops / track, found, rng)
        va = labels("VA", rows, rng)
        seen = np.concatenate([va, rng.normal(size=(rows, 4))], 1) * 3 + 1
        time_s = np.arange(rows) / 30
        path = feature_path(made.features("visual"), track)
        write_features(path, seen, found, time_s, extractor="vit", fingerprint="f")
        silent = track == "video2_left"  # a track without sound
        heard = np.repeat(va[:, :1], 3, 1) + rng.normal(size=(rows, 3)) * 0.1
        path = feature_path(made.features("sound"), track)
        write_features(path, heard, found & (not silent), time_s, extractor="logmel", fingerprint="f")
    train = sorted(set(TRACKS) - set(VALIDATION))
    for task in TASKS.values():
        fold = Fold("0", train, sorted(VALIDATION))
        write_splits(made.splits(task.name), Splits(task.name, 0, [fold], "source"))
    return made


def write_pictures(folder: Path, found: np.ndarray, rng: np.random.Generator) -> None:
    """Crops whose left half's brightness is valence and whose right half's is arousal."""
    folder.mkdir(parents=True)
    rows = len(found)
    va = labels("VA", rows, rng)
    for row in np.flatnonzero(found):
        picture = rng.integers(0, 30, (32, 32, 3)).astype(np.float64)
        picture[:, :16] += 110 * (va[row, 0] + 1)
        picture[:, 16:] += 110 * (va[row, 1] + 1)
        cv2.imwrite(str(folder / f"{row + 1:05d}.jpg"), picture.clip(0, 255).astype(np.uint8))
    numbers = np.arange(1, rows + 1)
    zero = np.zeros(rows)
    source = np.where(found, DETECTED, NEAREST)
    write_ledger(
        folder / "ledger.csv", Ledger(numbers, numbers / 30, found, zero, zero, zero, zero, zero, source)
    )
