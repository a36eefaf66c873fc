"""The paper's ablations as a list of settings: which features, which model, with and without each part.

What is trained is the full model of a run with one thing changed, fold by fold, with the settings that its
own checkpoint names. A variant that is trained already is not trained again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.errors import UserError
from abaw_submit.layout import VALIDATION_SCORES
from abaw_submit.models.checkpoint import read_config
from abaw_submit.models.settings import SequenceSize
from abaw_submit.postprocess.comparison import compare, filter_table, fold_table, pool, write_table
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.files import Scores, read_scores
from abaw_submit.tasks import Task
from abaw_submit.training.fold import FoldInputs
from abaw_submit.training.folds import read_splits
from abaw_submit.training.settings import TmfSettings
from abaw_submit.training.tmf import train

FOLD = "{fold}"
FULL = "full model"


@dataclass(frozen=True)
class Ablation:
    """What the tables are made from. In paths, `{fold}` stands for the fold's name.

    Attributes:
        task: AU, EXPR or VA.
        annotations: the official annotations.
        splits: the folds.
        trained: checkpoints of the full model.
        features: name -> features folders of the full model, in its order.
        plain: features of the encoder that was not fine-tuned, in place of the first; or None.
        frames: validation scores of the single-frame heads, for "without TMF"; or None.
        models: other sequence models to train on the same features.
    """

    task: Task
    annotations: Path
    splits: Path
    trained: str
    features: Mapping[str, str]
    plain: str | None = None
    frames: str | None = None
    models: Sequence[str] = ()


@dataclass(frozen=True)
class Variant:
    """The full model with one thing changed.

    Attributes:
        name: of its row.
        features: features folders, `{fold}` in them.
        model: another sequence model; None keeps it.
    """

    name: str
    features: tuple[str, ...]
    model: str | None = None


def variants_of(ablation: Ablation) -> dict[str, list[Variant]]:
    """The rows that need training, by table: parts (table 7), features (table 8), models."""
    every = tuple(ablation.features.values())
    tables: dict[str, list[Variant]] = {"parts": [], "features": [], "models": []}
    if ablation.plain is not None:
        tables["parts"].append(Variant("without fine-tuning", (ablation.plain, *every[1:])))
    if len(every) > 1:
        tables["features"] = [Variant(f"{name} alone", (path,)) for name, path in ablation.features.items()]
        if len(every) > 2:
            for name, path in ablation.features.items():
                tables["features"].append(
                    Variant(f"without {name}", tuple(other for other in every if other != path))
                )
    tables["models"] = [Variant(model, every, model) for model in ablation.models]
    return tables


def ablate(ablation: Ablation, out: Path, *, progress: Progress = quiet) -> dict[str, list[dict[str, str]]]:
    """Train what is missing and write the tables as `<out>/<task>_<table>.csv`.

    Args:
        ablation: what to compare.
        out: folder of the tables; the variants' checkpoints are under `<out>/<task>/`.
        progress: shows how far the trainings are.

    Returns:
        table's name -> its rows: folds, parts, features, filters, models; those that have any.

    Raises:
        UserError: the full model or something it needs is not there.
    """
    task = ablation.task
    truth = read_annotation_set(ablation.annotations, task)
    folds = [fold.name for fold in read_splits(ablation.splits).folds]
    cross = [name for name in folds if name != "official"]
    there = [name for name in folds if (_at(ablation.trained, name) / VALIDATION_SCORES).is_file()]
    if not set(cross) <= set(there):
        lacking = _at(ablation.trained, sorted(set(cross) - set(there))[0])
        raise UserError(f"No {VALIDATION_SCORES} in {lacking}. Train the full model of every fold first.")
    full = {name: read_scores(_at(ablation.trained, name) / VALIDATION_SCORES, task) for name in there}
    pooled = pool([full[name] for name in cross])

    tables = {"folds": fold_table(task, truth, full), "filters": filter_table(task, truth, pooled)}
    for table, variants in variants_of(ablation).items():
        candidates: dict[str, Mapping[str, object]] = {FULL: pooled}
        if table == "parts" and ablation.frames is not None:
            frames = [read_scores(_at(ablation.frames, name), task) for name in cross]
            candidates["without TMF (single frames)"] = pool(frames)
        for variant in variants:
            trained = [_train(ablation, variant, name, out, progress) for name in cross]
            candidates[variant.name] = pool(trained)
        if len(candidates) > 1:
            tables[table] = compare(task, truth, candidates)  # type: ignore[arg-type]
    for name, rows in tables.items():
        write_table(out / f"{task.key}_{name}.csv", rows)
    return tables


def _train(ablation: Ablation, variant: Variant, fold: str, out: Path, progress: Progress) -> Scores:
    """The variant's validation scores of a fold, trained unless they are there."""
    config = read_config(_at(ablation.trained, fold))
    size = SequenceSize(**config.get("sequence", config.get("tmf", {})))
    known = {field.name for field in dataclasses.fields(TmfSettings)}
    settings = TmfSettings(**{k: v for k, v in config["train"].items() if k in known})
    if variant.model is not None:
        size = dataclasses.replace(size, model=variant.model)
    if len(variant.features) == 1 and size.fusion == "gate":
        size = dataclasses.replace(size, fusion="concat")  # a gate needs two kinds of features
    folder = out / ablation.task.key / variant.name.replace(" ", "_") / f"fold_{fold}"
    sources = tuple(_at(path, fold) for path in variant.features)
    inputs = FoldInputs(sources, ablation.annotations, ablation.splits, fold)
    train(ablation.task, inputs, folder, size=size, settings=settings, progress=progress)
    return read_scores(folder / VALIDATION_SCORES, ablation.task)


def _at(path: str, fold: str) -> Path:
    return Path(path.replace(FOLD, fold))
