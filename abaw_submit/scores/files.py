"""Scores on disk: one HDF5 file, or a folder of text files. Both wherever scores are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.arrays import F32
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.hdf5 import new_hdf5, open_hdf5
from abaw_submit.scores.sniff.names import check_name
from abaw_submit.store import RECORDED, atomic_path
from abaw_submit.tasks import TASKS, Task, any_task

if TYPE_CHECKING:
    from abaw_submit.scores.sniff.understand import Understood

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ROUNDING = 1e-4  # a probability of 1.00001 is one


@dataclass(frozen=True)
class Scores(Mapping[str, F32]):
    """What a model says before any decision: track -> (rows, outputs) float32.

    Attributes:
        task: the task the scores are for.
        tracks: arrays by track name; row k of a track is frame k, 1-based in files.
        attributes: subset, fold, fingerprint and whatever else the writer noted.
        notes: what a user should know about how they were read; not written.
    """

    task: Task
    tracks: dict[str, F32]
    attributes: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, track: str) -> F32:
        return self.tracks[track]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tracks)

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def rows(self) -> int:
        """Rows of all tracks."""
        return sum(len(values) for values in self.tracks.values())


def write_scores(path: Path | str, scores: Scores) -> None:
    """Write scores whole or not at all: HDF5 if the path ends in `.h5`, else a folder of text files.

    Tracks are written in name order, so the bytes do not depend on the order they came in.
    Text has nine significant digits, which reads back as the same float32.
    """
    with score_writer(path, scores.task, scores.attributes) as write:
        for track in sorted(scores):
            write(track, scores[track])


@contextmanager
def score_writer(
    path: Path | str, task: Task, attributes: Mapping[str, Any]
) -> Iterator[Callable[[str, F32], None]]:
    """`write_scores` for tracks that come one by one, to be given in name order.

    Yields:
        Takes a track and its scores, (rows, outputs).
    """
    path = Path(path)
    with atomic_path(path, RECORDED) as temporary:
        if path.suffix == ".h5":
            with new_hdf5(temporary) as file:
                file.attrs["task"] = task.name
                file.attrs["columns"] = list(task.columns)
                for key, value in sorted(attributes.items()):
                    file.attrs[key] = value
                yield lambda track, values: file.create_dataset(track, data=np.asarray(values, np.float32))
            return
        temporary.mkdir()

        def write(track: str, values: F32) -> None:
            frame = pd.DataFrame(np.asarray(values, np.float32), columns=task.columns)
            frame.to_csv(temporary / f"{track}.txt", index=False, float_format="%.9g", na_rep="nan")

        yield write


def read_scores(path: Path | str, task: Task | str | None = None) -> Scores:
    """Read scores, tracks in name order: this project's two forms strictly, any other layout by `sniff`.

    What is not certain is refused with the option of `import-scores` that settles it. Rows that are NaN
    stay so (they mark missing rows), values of VA just outside [-1, 1] are left to the decision, which clips.

    Args:
        path: a `.h5` file, a folder of `<track>.txt`, or scores of another tool.
        task: the task expected; needed where no header or attribute names it.

    Raises:
        UserError: no such path, another task, wrong columns or a malformed row (named).
    """
    path = Path(path)
    wanted = any_task(task) if task is not None else None
    if not path.exists():
        raise UserError(f"No scores at {path}.")
    scores = _read_h5(path) if is_own_hdf5(path) else _read_foreign(path, wanted or guess_task(path))
    if wanted is not None and scores.task.name != wanted.name:
        raise UserError(f"{path} holds {scores.task.name} scores; expected {wanted.name}.")
    return scores


def is_own_hdf5(path: Path) -> bool:
    """Whether a file is HDF5 in this project's form: with the attributes `task` and `columns`."""
    if not path.is_file():
        return False
    with path.open("rb") as handle:
        if handle.read(8) != HDF5_MAGIC:
            return False
    with open_hdf5(path) as file:
        return "task" in file.attrs and "columns" in file.attrs


def _read_h5(path: Path) -> Scores:
    with open_hdf5(path) as file:
        task = any_task(str(file.attrs["task"]))
        columns = tuple(str(c) for c in file.attrs["columns"])
        if columns != task.columns:
            raise UserError(f"{path}: columns {columns}; expected {task.columns}.")
        tracks: dict[str, F32] = {}
        for names, _, values in file.arrays():
            track = "/".join(names)
            for name in names:  # a video's name may hold a slash, which HDF5 takes for a group
                check_name(name)
            if values.ndim != 2 or values.shape[1] != task.outputs or values.dtype.kind not in "fiu":
                raise UserError(
                    f"{path}, track {track}: {values.dtype} {values.shape}; expected (rows, {task.outputs})."
                )
            tracks[track] = values.astype(np.float32)
        extra = {k: v for k, v in file.attrs.items() if k not in ("task", "columns")}
    if task.name in TASKS:  # the writer of AH checks its own
        refuse_impossible(tracks, task, str(path))
    return Scores(task, {track: tracks[track] for track in sorted(tracks)}, extra)


def refuse_impossible(tracks: Mapping[str, F32], task: Task, where: str) -> None:
    """Refuse numbers that no scores of a task can be: the marker -5, logits, percentages. Infinite ones are
    left to `format`, `select` and `metrics`, which name the row.

    Raises:
        UserError: track, row, and what to do.
    """
    low, high = (-5.0, 5.0) if task.decision is Decision.CLIP else (-ROUNDING, 1 + ROUNDING)
    for track, values in tracks.items():
        with np.errstate(invalid="ignore"):
            wrong = ((values <= low) | (values >= high)) & ~np.isinf(values)
        if wrong.any():
            row = int(np.argmax(wrong.any(axis=1)))
            value = values[row, int(np.argmax(wrong[row]))]
            if task.decision is Decision.CLIP:
                what = (
                    "-5 marks rows without annotation."
                    if value == -5
                    else "Valence and arousal lie in [-1, 1]."
                )
            else:
                what = "Logits or percentages? abaw-submit import-scores --logits or --percent."
            raise UserError(
                f"{where}, track {track}, row {row + 1}: {value:.6g} is no {task.name} score. {what}"
            )


def _read_foreign(path: Path, task: Task) -> Scores:
    from abaw_submit.scores.sniff.table import Options
    from abaw_submit.scores.sniff.understand import understand

    try:
        found = understand(path, task, Options(lenient=True))
    except UserError as error:
        if "--" in str(error):  # options of import-scores; say whose they are
            raise UserError(
                f"{error}\n(options of abaw-submit import-scores {path} --task {task.name})"
            ) from None
        raise
    notes = [] if _is_plain(found) else [f"{path}: {found.layout}; row counts {found.checked.split(':')[0]}"]
    return Scores(task, found.tracks, {}, tuple(notes + [f"{path}: {note}" for note in found.notes]))


def _is_plain(found: Understood) -> bool:
    """Whether a folder is this project's text form, about which nothing needs to be said."""
    return found.layout.endswith("text, comma, UTF-8") and found.first_frame is None and not found.notes


def guess_task(path: Path) -> Task:
    """The task of scores that nobody named: by the columns' names in the first file.

    Raises:
        UserError: they are not scores of any task.
    """
    from abaw_submit.scores.sniff.sources import list_files, read_file
    from abaw_submit.scores.sniff.table import Options
    from abaw_submit.scores.sniff.words import output_of

    first = path if path.is_file() else next(iter(list_files(path, Options())[0]), None)
    if first is None:
        raise UserError(f"{path} holds no file of scores.")
    table = read_file(first, (first.stem,), Options(), None)[0]
    for task in TASKS.values():
        if set(task.columns) <= {output_of(name, task) for name in table.names or ()}:
            return task
    if table.names and "expression" in table.names:
        return TASKS["EXPR"]
    headers = "; ".join(f"{t.name}: {t.header()}" for t in TASKS.values())
    raise UserError(
        f"{first}: nothing says whether these are AU, EXPR or VA scores. Give --task, or import them with it:"
        f"\nabaw-submit import-scores {path} --task …. Headers that say it: {headers}."
    )


def refuse_other_labels(scores: Scores, where: Path | str) -> None:
    """Refuse a multi-task model's scores where the challenge is uni-task: only its own labels may be used.

    Raises:
        UserError: the labels of which tasks it was trained on.
    """
    if others := set(scores.attributes.get("labels_of", "").split()) - {scores.task.name}:
        raise UserError(
            f"{where} is of a model trained on labels of {' and '.join(sorted(others))} too; the"
            f" {scores.task.name} challenge is uni-task.\nWhere the rules allow it, add --other-labels."
        )


def read_member(paths: Sequence[Path | str], task: Task | str | None = None) -> Scores:
    """One member from several files: tracks that lie in one file are taken as they are, tracks that
    lie in several (the test scores of the folds) are averaged with equal weights.

    Raises:
        UserError: files of different tasks, or different row counts for a track.
    """
    parts = [read_scores(path, task) for path in paths]
    if not parts:
        raise UserError("No scores given.")
    sums: dict[str, npt.NDArray[np.float64]] = {}
    counts: dict[str, int] = {}
    for path, part in zip(paths, parts, strict=True):
        if part.task.name != parts[0].task.name:
            raise UserError(f"{path} holds {part.task.name} scores; {paths[0]} {parts[0].task.name}.")
        for track, values in part.items():
            if track not in sums:
                sums[track], counts[track] = values.astype(np.float64), 1
                continue
            if len(sums[track]) != len(values):
                raise UserError(
                    f"{path}, track {track}: {len(values)} rows; another file has {len(sums[track])}."
                )
            sums[track] += values
            counts[track] += 1
    tracks = {t: (sums[t] / counts[t]).astype(np.float32) for t in sorted(sums)}
    return Scores(parts[0].task, tracks, notes=tuple(note for part in parts for note in part.notes))
