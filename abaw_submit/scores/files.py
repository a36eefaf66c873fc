"""Scores on disk: one HDF5 file, or a folder of text files. Both wherever scores are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.arrays import F32
from abaw_submit.errors import UserError
from abaw_submit.store import RECORDED, atomic_path
from abaw_submit.tasks import Task, any_task, get_task


@dataclass(frozen=True)
class Scores(Mapping[str, F32]):
    """What a model says before any decision: track -> (rows, outputs) float32.

    Attributes:
        task: the task the scores are for.
        tracks: arrays by track name; row k of a track is frame k, 1-based in files.
        attributes: subset, fold, fingerprint and whatever else the writer noted.
    """

    task: Task
    tracks: dict[str, F32]
    attributes: dict[str, Any] = field(default_factory=dict)

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
    path = Path(path)
    with atomic_path(path, RECORDED) as temporary:
        if path.suffix == ".h5":
            with h5py.File(temporary, "w") as file:
                file.attrs["task"] = scores.task.name
                file.attrs["columns"] = list(scores.task.columns)
                for key, value in sorted(scores.attributes.items()):
                    file.attrs[key] = value
                for track in sorted(scores):
                    file.create_dataset(track, data=np.asarray(scores[track], np.float32))
            return
        temporary.mkdir()
        for track in sorted(scores):
            frame = pd.DataFrame(np.asarray(scores[track], np.float32), columns=scores.task.columns)
            frame.to_csv(temporary / f"{track}.txt", index=False, float_format="%.9g", na_rep="nan")


def read_scores(path: Path | str, task: Task | str | None = None) -> Scores:
    """Read scores of either form, tracks in name order.

    Args:
        path: a `.h5` file or a folder of `<track>.txt`.
        task: the task expected; needed for a folder whose header does not name it.

    Raises:
        UserError: no such path, another task, wrong columns or a malformed row (named).
    """
    path = Path(path)
    wanted = any_task(task) if task is not None else None
    if not path.exists():
        raise UserError(f"No scores at {path}.")
    scores = _read_h5(path) if path.is_file() else _read_folder(path)
    if wanted is not None and scores.task.name != wanted.name:
        raise UserError(f"{path} holds {scores.task.name} scores; expected {wanted.name}.")
    return scores


def _read_h5(path: Path) -> Scores:
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise UserError(f"{path} is not a readable HDF5 file. Make it again.") from None
    with file:
        if "task" not in file.attrs or "columns" not in file.attrs:
            raise UserError(f"{path} has no `task` and `columns` attributes: it is not a scores file.")
        task = any_task(str(file.attrs["task"]))
        columns = tuple(str(c) for c in file.attrs["columns"])
        if columns != task.columns:
            raise UserError(f"{path}: columns {columns}; expected {task.columns}.")
        tracks: dict[str, F32] = {}
        for track in _names(file):
            values = np.asarray(file[track][()], np.float32)
            if values.ndim != 2 or values.shape[1] != task.outputs:
                raise UserError(
                    f"{path}, track {track}: shape {values.shape}; expected (rows, {task.outputs})."
                )
            tracks[track] = values
        extra = {k: v for k, v in file.attrs.items() if k not in ("task", "columns")}
    return Scores(task, tracks, extra)


def _names(file: h5py.File) -> list[str]:
    """All datasets; the name of a video may hold a slash, which HDF5 takes for a group."""
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(found)


def _read_folder(path: Path) -> Scores:
    files = sorted(path.glob("*.txt"))
    if not files:
        raise UserError(f"{path} holds no <track>.txt files.")
    with files[0].open(encoding="utf-8-sig") as handle:
        header = handle.readline().strip()
    task = task_of_header(header, files[0])
    return Scores(task, {file.stem: _read_text(file, task) for file in files})


def task_of_header(header: str, where: Path) -> Task:
    """The task a header line belongs to.

    Raises:
        UserError: it is no task's header.
    """
    for name in ("VA", "EXPR", "AU"):
        if re.sub(r"\s", "", header) == get_task(name).header():
            return get_task(name)
    raise UserError(f'{where}, line 1: "{header[:60]}" is not the header of any task.')


def _read_text(path: Path, task: Task) -> F32:
    with path.open(encoding="utf-8-sig") as handle:
        header = handle.readline().strip()
    if re.sub(r"\s", "", header) != task.header():
        raise UserError(f'{path}, line 1: header "{header[:60]}"; expected "{task.header()}".')
    try:
        frame = pd.read_csv(path, skipinitialspace=True, encoding="utf-8-sig", index_col=False)
        values = frame.to_numpy(np.float32)
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: {str(error).strip()}. Expected {task.outputs} numbers a row.") from None
    if values.shape[1] != task.outputs:
        raise UserError(f"{path}: {values.shape[1]} values a row; expected {task.outputs}.")
    return values


def gather(paths: Sequence[Path | str], task: Task | str | None = None) -> Scores:
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
    return Scores(parts[0].task, tracks)
