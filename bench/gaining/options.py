"""The options that bench/gains.py compares, and how the scores of each come about.

Everything is relative to the folder of a seed's corpus and run, which is the working folder.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.postprocess.comparison import pool
from abaw_submit.scores.files import read_scores
from abaw_submit.tasks import TASKS
from abaw_submit.training.epochs import LAST, choose_epochs, read_curve
from abaw_submit.training.folds import Fold, read_splits, write_splits

FOLDS, KEYS = ("0", "1", "2"), ("au", "expr", "va")
# the demo's sizes and steps, with nothing added to the paper's training
BASE = {"epochs": 20, "batch": 8, "lr": 1e-3, "weight-decay": 0.1, "clip-rows": 60, "layers": 1}
BASE |= dict.fromkeys(("conv-dim", "model-dim", "feedforward-dim", "head-dim"), 64)
LABELS, CROPS, MAE = Path("work/demo/corpus/annotations"), "work/demo/crops", "checkpoints/demo/mae"
SOUND = Path("work/demo/features/logmel")
VALIDATION, RECORD = "scores_validation.h5", "record.json"
TRAINING = "--train" in sys.argv
Tracks = Mapping[str, np.ndarray]


class Missing(Exception):
    """Something would have to be trained."""


@dataclass(frozen=True)
class Option:
    """One thing changed.

    Attributes:
        change: options of `train`, or of `finetune` where `frames`.
        against: the option it is compared with.
        keys: the tasks it is for.
        frames: it is a fine-tuning, scored by its single-frame heads.
        mean_of: no training of its own: the mean of the scores of these.
        how: another way to a task's scores.
    """

    change: dict[str, object] = field(default_factory=dict)
    against: str = "tmf"
    keys: tuple[str, ...] = KEYS
    frames: bool = False
    mean_of: tuple[str, ...] = ()
    how: Callable[[str], Tracks] | None = None


def base(*keys: str, **change: object) -> Option:
    return Option({name.replace("_", "-"): value for name, value in change.items()}, keys=keys or KEYS)


def frames(*keys: str, **change: object) -> Option:
    return replace(base(*keys, **change), frames=True, against="single frames")


def at_chosen_epoch(key: str) -> Tracks:
    """The base, each fold stopped after the epoch that the other folds say."""
    parts = []
    for choice in choose_epochs({k: read_curve(folder("tmf", key, k)) for k in FOLDS}):
        name = "tmf" if choice.rule == LAST else f"stopped after {choice.epoch}"
        train(name, key, choice.fold, {} if choice.rule == LAST else {"stop-after": choice.epoch})
        parts.append(read_scores(folder(name, key, choice.fold) / VALIDATION))
    return pool(parts)


def multi_task(key: str) -> Tracks:
    """One encoder and one TMF for all tasks, on folds that leave out the test tracks of each."""
    made, given = Path("gains/multi-task"), ["--task", "MTL", "--annotations", LABELS]
    if not Path("splits/mtl.json").is_file():
        tests = [
            w
            for path in sorted(Path(LABELS.parent, "test_sets").glob("*sample.txt"))
            for w in ("--test", path)
        ]
        call("split", *given, "--folds", 3, *tests, "--out", "splits/mtl.json")
    for k in FOLDS:
        encoder, seen, out = made / f"encoder_{k}", made / f"features_{k}", made / f"fold_{k}"
        if not (out / RECORD).is_file():
            fold = [*given, "--splits", "splits/mtl.json", "--fold", k]
            source = ["--crops", CROPS, "--encoder", MAE, "-c", "run.toml"]
            timed("multi-task encoder", "mtl", k, "finetune", *fold, *source, "--out", encoder)
            extract(encoder, seen)
            source = ["--features", seen, "--features", SOUND]
            timed("multi-task", "mtl", k, "train", *fold, *source, *words(BASE), "--out", out)
    return pool([read_scores(made / f"fold_{k}" / f"scores_validation_{key}.h5") for k in FOLDS])


def on_multi_task_encoder(key: str) -> Tracks:
    """A TMF for one task, on the same folds and the encoder that all tasks have tuned."""
    multi_task(key)
    task, splits = TASKS[key.upper()], read_splits("splits/mtl.json")
    path = Path(f"splits/mtl_{key}.json")
    if not path.is_file():
        known = read_annotation_set(LABELS, task)
        own = [Fold(f.name, *([t for t in part if t in known] for part in (f.train, f.validation)))
               for f in splits.folds]  # fmt: skip
        write_splits(path, replace(splits, task=task.name, folds=own, source="the folds of mtl.json"))
    seen = "gains/multi-task/features_{}"
    return on_features("on the multi-task encoder", key, lambda k: [Path(seen.format(k)), *sound(key)], path)


def plain(key: str) -> Tracks:
    """Features of the encoder before fine-tuning."""
    extract(Path(MAE), Path("gains/plain"))
    return on_features("without fine-tuning", key, lambda k: [Path("gains/plain"), *sound(key)])


def without_sound(key: str) -> Tracks:
    return on_features("without sound", key, lambda k: features_of(key, k)[:1])


OPTIONS = {
    "tmf": replace(base(), against="single frames"),
    "single frames": frames(),
    "ema .98": base(ema=0.98),
    "gru": base(model="gru"),
    "tcn, 4 layers": base(model="tcn", layers=4),
    "10 epochs": base(epochs=10),
    "average of the last 5 epochs": base(keep="average"),
    "multi-task": Option(how=multi_task),
    "on the multi-task encoder": Option(how=on_multi_task_encoder),
    "without fine-tuning": Option(how=plain),
    "without sound": Option(how=without_sound, keys=("va",)),
    "gate": base("va", fusion="gate"),
    "modality dropout .1": base("va", modality_dropout=0.1),
    "gate + modality dropout .1": base("va", fusion="gate", modality_dropout=0.1),
    "balance video": base(balance="video"),
    "balance class": base(balance="class"),
    "label smoothing .1": base("au", "expr", label_smoothing=0.1),
    "seed 1": base(seed=1),
    "seed 2": base(seed=2),
    "3 seeds": Option(mean_of=("tmf", "seed 1", "seed 2")),
    "tmf + gru + tcn": Option(mean_of=("tmf", "gru", "tcn, 4 layers")),
    "chosen epoch": Option(how=at_chosen_epoch),
    "transformer": base(model="transformer"),
    "frames: random one of 3": frames(frame_step=3),
    "mamba": base("au", "expr", model="mamba"),
    # six encoders a setting in place of nine: half an hour of a core each is what nine would take
    "frames: mixup .8": frames("au", "expr", mixup=0.8),
    "frames: RandAugment + erasing": frames("au", "expr", randaugment="rand-m9-mstd0.5-inc1", erasing=0.25),
    "frames: layer decay .75": frames("au", "expr", layer_decay=0.75),
    "frames: head from 2e-5": frames("au", "expr", head_std=2e-5),
    "frames: balance class": frames("au", "expr", balance="class"),
    "frames: label smoothing .1": frames("au", "expr", label_smoothing=0.1),
}


def folder(name: str, key: str, fold: str) -> Path:
    if name == "single frames":
        return Path("checkpoints/demo") / key / f"encoder_{fold}"
    return Path("gains") / name / key / f"fold_{fold}"


def sound(key: str) -> list[Path]:
    return [SOUND] if key == "va" else []


def features_of(key: str, fold: str) -> list[Path]:
    return [Path(f"work/demo/features/mae_{key}_{fold}"), *sound(key)]


def words(settings: Mapping[str, object]) -> list[str]:
    return [word for name, value in settings.items() for word in (f"--{name}", str(value))]


def call(*command: object) -> None:
    if not TRAINING:
        raise Missing
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        cli.main([str(word) for word in command], standalone_mode=False)


def timed(option: str, key: str, fold: str, *command: object) -> None:
    """A command of which the processor time is kept."""
    began = time.process_time()
    call(*command)
    spent = time.process_time() - began
    with Path("gains/times.csv").open("a") as file:
        csv.writer(file).writerow([option, key, fold, f"{spent:.2f}"])
    print(f"{Path.cwd().name}: {option}, {key}, fold {fold}: {spent:.1f} s", flush=True)


def extract(encoder: Path, out: Path) -> None:
    if not (out / RECORD).is_file():
        call("extract", "--extractor", "mae", "--crops", CROPS, "--checkpoint", encoder, "--out", out)


def train(
    name: str, key: str, fold: str, change: Mapping[str, object], seen: list[Path] | None = None,
    splits: Path | None = None, frames: bool = False,
) -> None:  # fmt: skip
    """One fold of an option, unless it is there."""
    out = folder(name, key, fold)
    if (out / RECORD).is_file():
        return
    given = ["--task", key.upper(), "--annotations", LABELS, "--fold", fold, "--out", out]
    given += ["--splits", splits or f"splits/demo_{key}.json"]
    if frames:
        given += ["--crops", CROPS, "--encoder", MAE, "-c", "run.toml"]
        timed(name, key, fold, "finetune", *given, *words(change))
    else:
        given += [w for path in seen or features_of(key, fold) for w in ("--features", path)]
        timed(name, key, fold, "train", *given, *words(BASE | dict(change)))


def on_features(name: str, key: str, seen: Callable[[str], list[Path]], splits: Path | None = None) -> Tracks:
    for fold in FOLDS:
        train(name, key, fold, {}, seen(fold), splits)
    return pool([read_scores(folder(name, key, k) / VALIDATION) for k in FOLDS])


def make(name: str, key: str) -> Tracks:
    """An option's scores out of fold, trained unless they are there."""
    option = OPTIONS[name]
    if option.mean_of:
        parts = [make(other, key) for other in option.mean_of]
        return {t: np.mean([p[t] for p in parts], 0) for t in parts[0]}
    if option.how:
        return option.how(key)
    for fold in FOLDS:
        train(name, key, fold, option.change, frames=option.frames)
    return pool([read_scores(folder(name, key, k) / VALIDATION) for k in FOLDS])
