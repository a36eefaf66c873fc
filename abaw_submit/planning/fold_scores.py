"""The cached scores of the folds of a run: each fold's validation tracks, and the test tracks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.layout import MODEL, OFFICIAL, TEST_SCORES, VALIDATION_SCORES
from abaw_submit.scores.files import Scores, read_scores
from abaw_submit.tasks import Task


@dataclass(frozen=True)
class FoldScores:
    """One fold's scores.

    Attributes:
        name: the fold's name, "0" or "official".
        validation: scores of the tracks it was not trained on.
        test: scores of the test tracks.
        paths: the two files or folders.
    """

    name: str
    validation: Scores
    test: Scores
    paths: tuple[Path, Path]


def read_fold_scores(folder: Path | str, task: Task) -> list[FoldScores]:
    """The folds of `<folder>/fold_<name>/`, each with its validation and test scores.

    Returns:
        The cross-validation folds by name, and last the fold of the official split, if there is one.

    Raises:
        UserError: no folder, fewer than two cross-validation folds, a fold without scores, or a track out of
            fold twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"No folder {folder}. Give a task's checkpoints, with fold_0, fold_1, … in it.")
    found = []
    for place in sorted(folder.glob(f"{MODEL}_*")):
        if place.is_dir():
            paths = _scores(place, VALIDATION_SCORES), _scores(place, TEST_SCORES)
            read = [read_scores(path, task) for path in paths]
            found.append(FoldScores(place.name.removeprefix(f"{MODEL}_"), read[0], read[1], paths))
    folds = [fold for fold in found if fold.name != OFFICIAL]
    if len(folds) < 2:
        raise UserError(f"{len(folds)} cross-validation folds in {folder}; expected fold_0, fold_1, …")
    owner: dict[str, str] = {}
    for fold in folds:
        for track in fold.validation:
            if track in owner:
                raise UserError(
                    f"Track {track} is out of fold in {owner[track]} and in {fold.name}: two runs' folds in"
                    f" {folder}?"
                )
            owner[track] = fold.name
    return sorted(found, key=lambda fold: fold.name == OFFICIAL)


def _scores(place: Path, name: str) -> Path:
    for path in (place / name, place / Path(name).stem):
        if path.exists():
            return path
    raise UserError(f"{place} has no {name}. Train the fold with --tracks TEMPLATE.")
