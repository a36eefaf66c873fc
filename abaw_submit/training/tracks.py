"""Which tracks and rows a training may see, and for which rows scores are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F32, Mask
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.crops import crop_path
from abaw_submit.corpus.labels import read_labels
from abaw_submit.corpus.ledger import LEDGER_NAME, read_ledger
from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path
from abaw_submit.store import read_record
from abaw_submit.tasks import Task
from abaw_submit.training.folds import OFFICIAL, Fold, make_splits, read_splits
from abaw_submit.training.splitcheck import refuse_bad_fold


@dataclass(frozen=True)
class Division:
    """The tracks of one fold with their annotations.

    Attributes:
        fold: the fold's name and its track names.
        train: annotations of the training tracks, in name order.
        validation: annotations of the validation tracks, for printed scores and curves only.
    """

    fold: Fold
    train: dict[str, Annotation]
    validation: dict[str, Annotation]


def read_division(task: Task, annotations: Path, splits: Path | None, fold: str) -> Division:
    """The training and validation tracks of a fold.

    Args:
        task: the task.
        annotations: the official annotations, any edition from 3 on (AU: any but the first); for MTL and AH
            what `read_labels` takes.
        splits: a splits file; None uses the official Train_Set and Validation_Set, without the siblings of
            validation tracks in training.
        fold: name of the fold, "0" … or "official".

    Raises:
        UserError: the fold or its annotations are not there, or the splits are of another task.
    """
    found = read_labels(annotations, task)
    for annotation in found.values():
        columns = annotation.values.shape[1]
        if columns != task.label_columns:
            raise UserError(
                f"{annotation.path} has the {columns} {task.name}s of edition 1;"
                f" expected {task.label_columns}."
            )
    if splits is not None:
        read = read_splits(splits)
        if read.task != task.name:
            raise UserError(f"{splits} divides the tracks of {read.task}; expected {task.name}.")
        chosen = read.fold(fold)
        if set(chosen.train) | set(chosen.validation) <= set(found):  # else it is said below what is missing
            refuse_bad_fold(read, fold, found, str(splits))
    else:
        if fold != OFFICIAL:
            raise UserError(f'Fold "{fold}" needs --splits; without it only "official" is known.')
        made = make_splits(found, task, folds=2).folds
        if made[-1].name != OFFICIAL:
            raise UserError(f"{annotations} has no Train_Set and Validation_Set; give --splits and --fold.")
        chosen = made[-1]
    missing = [t for t in (*chosen.train, *chosen.validation) if t not in found]
    if missing:
        raise UserError(
            f"{len(missing)} tracks of fold {fold} have no {task.name} annotation in {annotations}: "
            f"{', '.join(missing[:5])}. Make the splits again."
        )
    if not chosen.train:
        raise UserError(f"Fold {fold} has no training track.")
    return Division(chosen, {t: found[t] for t in chosen.train}, {t: found[t] for t in chosen.validation})


def absent_tracks(sources: Sequence[Path], tracks: Iterable[str]) -> set[str]:
    """Tracks that a stage before could not do and noted as failed: the rest goes on without them.

    Where no failure was noted nothing is absent, and a track that is not there is an error.

    Args:
        sources: folders of features or crops.
        tracks: the tracks that are wanted.
    """
    noted = [folder for folder in sources if (read_record(folder) or {"failures": []})["failures"]]
    return {
        track
        for track in tracks
        for folder in noted
        if not (folder / track / LEDGER_NAME).is_file() and not feature_path(folder, track).is_file()
    }


def row_labels(annotation: Annotation, rows: int) -> tuple[F32, Mask]:
    """Labels of a track's rows, as many as its features have.

    Args:
        annotation: of one label a row; of MTL, which may name the first rows only; or of a whole video.
        rows: rows of the features.

    Returns:
        (rows, label columns) and (rows,) or (rows, 3): which are valid.

    Raises:
        UserError: there are labels for more rows.
    """
    if annotation.task.whole_videos:
        return np.repeat(annotation.values, rows, axis=0), np.repeat(annotation.valid, rows, axis=0)
    lacking = rows - annotation.rows
    if lacking < 0:
        raise UserError(
            f"{annotation.track} has labels up to row {annotation.rows} and features of {rows} rows.\n"
            "Crop with --rows-from the annotations or the template, then extract again."
        )
    if not lacking:
        return annotation.values, annotation.valid
    # the value does not matter where it is not valid
    values = np.concatenate([annotation.values, np.zeros((lacking, annotation.values.shape[1]), np.float32)])
    return values, np.concatenate([annotation.valid, np.zeros((lacking, *annotation.valid.shape[1:]), bool)])


def found_rows(crops: Path, track: str, rows: int | None = None) -> npt.NDArray[np.bool_]:
    """Rows of a track that have a picture of the person.

    Taken from the ledger; a folder without one, such as the official crops, has a picture for the row of each
    jpg.

    Args:
        crops: folder of the tracks' folders.
        track: the track.
        rows: how many there must be; None takes what the ledger, or the last jpg, says.

    Returns:
        (rows,) bool.

    Raises:
        UserError: no folder, or a ledger with another number of rows.
    """
    folder = crops / track
    if not folder.is_dir():
        raise UserError(f"{crops} has no folder for track {track}. Crop its video first.")
    if (folder / LEDGER_NAME).is_file():
        found = read_ledger(folder).found
        if rows is not None and len(found) != rows:
            raise UserError(
                f"{folder / LEDGER_NAME} has {len(found)} rows; {rows} are expected.\n"
                "Crop again with --rows-from the annotations or the template."
            )
        return found
    numbers = np.array([int(p.stem) for p in folder.glob("*.jpg") if p.stem.isdecimal()], np.int64)
    count = rows if rows is not None else int(numbers.max(initial=0))
    present = np.zeros(count, bool)
    present[numbers[(numbers >= 1) & (numbers <= count)] - 1] = True
    return present


def picture_paths(crops: Path, track: str, rows: npt.NDArray[np.int64]) -> list[Path]:
    """The crops of 0-based rows of a track."""
    return [crop_path(crops / track, int(row) + 1) for row in rows]
