"""Official annotation files of editions 1 to 10: one `<track>.txt` for each annotated track."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Mask
from abaw_submit.corpus.junk import is_junk
from abaw_submit.corpus.lines import Lines, read_lines
from abaw_submit.corpus.numbers import parse_table
from abaw_submit.corpus.tracks import odd_name
from abaw_submit.errors import UserError
from abaw_submit.tasks import EDITIONS, TASKS, Task, get_task

SUBSETS = {"Train_Set": "train", "Training_Set": "train", "Validation_Set": "validation"}


@dataclass(frozen=True)
class Annotation:
    """One track's labels; row k is frame k, 1-based.

    Attributes:
        track: the track's name.
        task: its task.
        values: float32 (rows, label columns): 12 (edition 1: 8) times 0/1, one class index, or valence and
            arousal in [-1, 1]; invalid values as in the file (-1, or -5 for VA).
        valid: bool (rows,), False where any value of the row carries the invalid marker.
        subset: "train", "validation", or None if the folder does not say.
        path: the file.
        columns: the header's names (8 or 12 AUs, 7 or 8 expressions).
    """

    track: str
    task: Task
    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    subset: str | None
    path: Path
    columns: tuple[str, ...] = ()

    @property
    def labelled(self) -> Mask:
        """(rows,) True where there is a label; of MTL, at least one of the three."""
        return self.valid if self.valid.ndim == 1 else np.asarray(self.valid.any(axis=1))

    @property
    def rows(self) -> int:
        """Rows of the track."""
        return len(self.values)


def read_annotation(path: Path | str, task: Task | str, subset: str | None = None) -> Annotation:
    """Read one annotation file: BOM, CRLF, spaces, blank tail, `-5.0` accepted.

    Args:
        path: `<track>.txt`.
        task: the task its header must name, in any edition's form.
        subset: the part of the corpus; None takes it from the folder's name.

    Raises:
        UserError: a wrong header, number of values, value or range: file, line, expected and found.
    """
    path, task = Path(path), get_task(task)
    if why := odd_name(path.stem):
        raise UserError(f"{path}: {why}.")
    lines = read_lines(path).without_blank_tail()
    columns = _columns(lines, task)
    width = task.kind.width(columns)
    starts, ends = lines.starts[1:], lines.ends[1:]
    if not len(starts):
        raise UserError(f"{path} has a header and no rows.")
    values, plain = parse_table(lines, starts, ends, width)
    for row in np.flatnonzero(~plain):
        values[row] = _slow_row(lines, int(row) + 1, task, width)
    _refuse_out_of_range(lines, values, task, columns)
    valid = ~(values == task.invalid).any(axis=1)
    return Annotation(
        path.stem,
        task,
        values.astype(np.float32),
        valid,
        subset or SUBSETS.get(path.parent.name),
        path,
        columns,
    )


def read_annotation_set(root: Path | str, task: Task | str) -> dict[str, Annotation]:
    """Every annotation of a task, by track in name order.

    Args:
        root: the annotations' root of any edition, a challenge folder, a subset folder, or a flat
            folder of `<track>.txt`.
        task: AU, EXPR or VA.

    Raises:
        UserError: no annotation is found, a track lies in two subsets, or a file is malformed.
    """
    task = get_task(task)
    found: dict[str, Annotation] = {}
    files = annotation_files(root, task)
    if not files:
        raise no_annotations(root, task)
    for path, subset in files:
        if path.stem in found:
            raise UserError(f"Track {path.stem} has two annotations: {found[path.stem].path} and {path}.")
        found[path.stem] = read_annotation(path, task, subset)
    return {track: found[track] for track in sorted(found)}


def annotation_files(root: Path | str, task: Task | str) -> list[tuple[Path, str | None]]:
    """The annotation files of a task under a root and their subsets, in name order; [] if none.

    Raises:
        UserError: no such folder, or it holds the task's annotations of two editions.
    """
    root, task = Path(root), get_task(task)
    if not root.is_dir():
        raise UserError(f"No annotation folder {root}.")
    names = list(dict.fromkeys(task.challenge_folder(edition) for edition in EDITIONS))
    challenges = [root / name for name in names if (root / name).is_dir()]
    if len(challenges) > 1:
        raise UserError(
            f"{root} holds two {task.name} folders, {challenges[0].name} and {challenges[1].name}."
            "\nLabels changed between editions: give one of them."
        )
    folder = challenges[0] if challenges else root
    parts: list[tuple[Path, str | None]] = [
        (folder / name, subset) for name, subset in SUBSETS.items() if (folder / name).is_dir()
    ]
    if not parts:
        parts = [(folder, SUBSETS.get(folder.name))]
    files = [(path, subset) for part, subset in parts for path in _text_files(part)]
    return sorted(files, key=lambda item: item[0].stem)


def no_annotations(root: Path | str, task: Task) -> UserError:
    """The error for a folder without annotations of a task; names what is there instead."""
    folders = {
        t.name for t in TASKS.values() for e in EDITIONS if (Path(root) / t.challenge_folder(e)).is_dir()
    }
    hint = (
        f"It has those of {', '.join(sorted(folders))}."
        if folders
        else f"Expected {task.challenge_folder()}/Train_Set/ and Validation_Set/ there."
    )
    return UserError(f"No {task.name} annotations (<track>.txt) under {root}. {hint}")


def _text_files(folder: Path) -> list[Path]:
    return [p for p in folder.glob("*.txt") if p.is_file() and not is_junk(p.name)]


def _columns(lines: Lines, task: Task) -> tuple[str, ...]:
    header = tuple(name.strip() for name in lines.text(0).split(",")) if len(lines) else ()
    known = list(dict.fromkeys(task.columns_of(edition) for edition in reversed(EDITIONS)))
    if header not in known:
        expected = '" or "'.join(",".join(columns) for columns in known)
        found = lines.text(0)[:100] if len(lines) else ""
        raise UserError(f'{lines.name}, line 1: header "{found}";\nexpected "{expected}".')
    return header


def _slow_row(lines: Lines, index: int, task: Task, width: int) -> list[float]:
    """A line that is not plain decimals: spaces and exponents pass, anything else is refused."""
    text = lines.text(index)
    fields = text.split(",")
    where = f"{lines.name}, line {index + 1}"
    if len(fields) != width:
        raise UserError(
            f'{where}: {len(fields) if text.strip() else 0} values in "{text[:80]}"; expected {width}.'
        )
    try:
        row = [float(field) for field in fields]
    except ValueError:
        raise UserError(f'{where}: "{text[:80]}"; expected {_expectation(task)}.') from None
    if any("_" in field for field in fields):  # Python reads 1_0 as 10
        raise UserError(f'{where}: "{text[:80]}"; expected {_expectation(task)}.')
    return row


def _expectation(task: Task, columns: tuple[str, ...] = ()) -> str:
    return task.kind.expected(columns or task.columns, task.invalid)


def _refuse_out_of_range(
    lines: Lines, values: npt.NDArray[np.float64], task: Task, columns: tuple[str, ...]
) -> None:
    fine = task.kind.fits(values, columns, task.invalid)
    if not fine.all():
        row = int(np.argmin(fine.all(axis=1)))
        raise UserError(
            f'{lines.name}, line {row + 2}: "{lines.text(row + 1)[:80]}";'
            f" expected {_expectation(task, columns)}."
        )
