"""What a trained run says about every frame of any video, in one process and without leaving files behind."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abaw_submit.arrays import F32
from abaw_submit.corpus.ledger import Ledger, read_ledger
from abaw_submit.corpus.tracks import VIDEO_SUFFIXES
from abaw_submit.errors import UserError, suggest
from abaw_submit.faces.detect import DetectorSpec
from abaw_submit.faces.settings import CropSettings
from abaw_submit.features.extract import extract
from abaw_submit.features.job import Extraction
from abaw_submit.features.registry import AUDIO, get_extractor
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.ensemble import average_folds
from abaw_submit.postprocess.recipe_json import read_recipe
from abaw_submit.progress import Progress, quiet
from abaw_submit.report.find import Run, TaskRun
from abaw_submit.scores.files import Scores
from abaw_submit.store import read_record
from abaw_submit.tasks import Task


@dataclass(frozen=True)
class Watched:
    """A video's predictions.

    Attributes:
        video: the media file.
        ledger: time and face box of every frame.
        scores: task name -> (rows, outputs), after the run's recipe; the default decision is the right one.
        notes: what the user should know.
    """

    video: Path
    ledger: Ledger
    scores: dict[str, F32]
    notes: list[str]


@dataclass(frozen=True)
class Choice:
    """What the caller may decide.

    Attributes:
        fold: use only this fold of every task; None: all of them, averaged.
        weights: extractor -> its weights, where the run's own are not at their old place.
        device: "auto", "cpu" or "cuda".
    """

    fold: str | None = None
    weights: Mapping[str, str] | None = None
    device: str = "auto"


def watch(
    video: Path, run: Run, detector: DetectorSpec, choice: Choice | None = None, progress: Progress = quiet
) -> Watched:
    """Crop, extract and predict as the run's own stages do, in a temporary folder.

    Args:
        video: the media file; its main person is looked at.
        run: a run with trained folds.
        detector: the face detector; the run's own settings of cropping are used.
        choice: what the caller decides.
        progress: shows how far it is.

    Raises:
        UserError: the video cannot be read, the run has no trained fold, or an extractor's weights are gone.
    """
    from abaw_submit.faces.stage import Workers, crop_corpus

    choice = choice or Choice()
    trained = [task for task in run.tasks if task.folds]
    if not trained:
        raise UserError(f"Run {run.name} has no trained folds under {run.checkpoints}. Train it first.")
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="abaw-show-") as place:
        crops = Path(place) / "crops"
        done = crop_corpus(
            [video], crops, detector, _crop_settings(run), workers=Workers(jobs=1), progress=progress
        )
        if done.failures:
            raise UserError(f"{done.failures[0][0]}: {done.failures[0][1]}.")
        track = next(iter(done.tracks))
        ledger = read_ledger(crops / track)
        if not ledger.found.any():
            notes.append(
                "No face was found in the whole video: the predictions rest on sound, or on nothing."
            )
        scores = {}
        for task in trained:
            folds = _folds(task, choice.fold)
            parts = [
                Scores(
                    task.task, {track: _fold_scores(run, task, fold, video, crops, track, choice, progress)}
                )
                for fold in folds
            ]
            scores[task.task.name] = _after(task, parts, notes)[track]
    return Watched(video, ledger, scores, notes)


def _crop_settings(run: Run) -> CropSettings:
    """The settings the run's own crops were made with."""
    settings: dict[str, Any] = (run.crops or {}).get("settings", {})
    return CropSettings(**{k: v for k, v in settings.items() if k in CropSettings.__dataclass_fields__})


def _folds(task: TaskRun, fold: str | None) -> list[Path]:
    if fold is None:
        return task.folds
    names = {folder.name.removeprefix("fold_"): folder for folder in task.folds}
    if fold not in names:
        raise UserError(f'{task.task.name} has no fold "{fold}". {suggest(fold, names)}')
    return [names[fold]]


def _fold_scores(
    run: Run,
    task: TaskRun,
    fold: Path,
    video: Path,
    crops: Path,
    track: str,
    choice: Choice,
    progress: Progress,
) -> F32:
    """One fold's scores of the video, (rows, outputs)."""
    from abaw_submit.models.device import pick_device
    from abaw_submit.training.scoring import predict_tracks
    from abaw_submit.training.table import TrackFeatures
    from abaw_submit.training.tmf import load_sequence

    model, config = load_sequence(fold)
    record = read_record(fold) or {"inputs": []}
    folders = []
    for k, name in enumerate(config["features"]["extractors"]):
        source = (choice.weights or {}).get(name) or _source(run, task.task, fold, name, record, k)
        audio = get_extractor(name).kind == AUDIO
        # sound is heard once for all tasks and folds
        out = crops.parent / (name if audio else f"{name}_{task.task.key}_{fold.name}")
        if not out.exists():
            job = Extraction(name, out, source, device=choice.device)
            videos = [video] if audio else []
            done = extract(job, crops, videos=videos, tracks=[track], jobs=1, progress=progress)
            if done.failures:
                raise UserError(f"{name}: {done.failures[0][1]}")
        folders.append(out)
    values = TrackFeatures(folders, track).read(track, None).filled(model.mean.numpy())
    device = pick_device(choice.device)
    settings = config["train"]
    stride_rows = settings.get("stride_rows", 0)  # not there in older checkpoints
    clip_rows = settings["clip_rows"]
    (_, scores), *_ = predict_tracks(model.to(device), [(track, values)], clip_rows, device, stride_rows)
    return scores


def _source(run: Run, task: Task, fold: Path, extractor: str, record: dict[str, Any], k: int) -> str | None:
    """The weights an extractor had in training, from the records; None: it needs none."""
    entry = get_extractor(extractor)
    if not entry.needs_weights:
        return None
    root = run.work.parent.parent
    features = root / record["inputs"][k]["path"] if k < len(record["inputs"]) else None
    made = read_record(features) if features is not None else None
    if made is not None:
        if made["settings"].get("checkpoint"):
            return str(made["settings"]["checkpoint"])
        for item in made["inputs"]:
            path = Path(item["path"])
            if path.name != "crops" and path.suffix.lower() not in VIDEO_SUFFIXES:
                found = path if path.is_absolute() else root / path
                if found.exists():
                    return str(found)
    own = run.layout.encoder(task.key, fold.name.partition("_")[2])
    if entry.kind != AUDIO and own.is_dir():
        return str(own)
    if entry.default_source:
        return entry.default_source
    raise UserError(
        f"The weights of {extractor} are not where run {run.name} had them.\n"
        f"Say where: --weights {extractor}=PATH"
    )


def _after(task: TaskRun, parts: list[Scores], notes: list[str]) -> Scores:
    """The folds together, after the run's recipe."""
    if task.recipe is None:
        return average_folds(parts)
    recipe = read_recipe(task.recipe)
    if len(recipe.members) != 1:
        names = ", ".join(recipe.members)
        notes.append(
            f"{task.task.name}: the recipe mixes {names}; only this run's folds are shown, without it."
        )
        return average_folds(parts)
    # the spread that averaging takes cannot be known from one video: only the recipe's own steps are done
    return apply_recipe(recipe, {recipe.members[0]: average_folds(parts, restore=0.0)})
