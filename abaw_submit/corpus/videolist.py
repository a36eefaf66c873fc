"""Lists of whole videos: the ambivalence track labels, asks for and takes back one line a video.

Grammar, without a header (docs/reference/formats.md, section 4): a template has `id` or `id,`; labels and
submissions have `id,label` with 0 or 1, or `id,p0,p1,label`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.lines import read_lines
from abaw_submit.errors import UserError
from abaw_submit.tasks import AH

_SUBSETS = {"train": ("train",), "validation": ("validation", "val")}
_WIDTHS = {1: "id", 2: "id,label", 4: "id,p0,p1,label"}


@dataclass(frozen=True)
class VideoList:
    """The lines of a list, in its order.

    Attributes:
        path: the file.
        labels: id -> 0 or 1, or None where the line has no label.
    """

    path: Path
    labels: dict[str, int | None]

    @property
    def ids(self) -> list[str]:
        """The videos in the list's order."""
        return list(self.labels)


def read_video_list(path: Path | str) -> VideoList:
    """Read a template or a list of labels. BOM, CRLF, spaces around values and a blank tail are accepted.

    Raises:
        UserError: a header, a blank line, another number of values, a video twice, a label that is not 0
            or 1.
    """
    lines = read_lines(path).without_blank_tail()
    labels: dict[str, int | None] = {}
    first: dict[str, int] = {}
    for index in range(len(lines)):
        where = f"{path}, line {index + 1}"
        name, *values = [part.strip() for part in lines.text(index).split(",")]
        if values == [""]:
            values = []
        if not name or 1 + len(values) not in _WIDTHS:
            raise UserError(
                f'{where}: found "{lines.text(index)[:60]}"; expected {" or ".join(_WIDTHS.values())}.'
            )
        if index == 0 and values and not _is_number(values[-1]):
            raise UserError(f'{where}: "{lines.text(0)[:60]}" is a header; these lists have none.')
        if values and values[-1] not in ("0", "1", ""):
            raise UserError(f'{where}: label "{values[-1][:20]}" of {name[:60]}; expected 0 or 1.')
        if name in labels:
            raise UserError(f"{where}: {name} again (first in line {first[name]}). Remove one.")
        first[name] = index + 1
        labels[name] = int(values[-1]) if values and values[-1] else None
    if not labels:
        raise UserError(f"{path} is empty; expected one video a line.")
    return VideoList(Path(path), labels)


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True


def read_video_labels(path: Path | str) -> dict[str, Annotation]:
    """Labels of whole videos as annotations of one row.

    Args:
        path: one list; or a folder with `train.txt` and `validation.txt` (or `val.txt`), `.csv` likewise.

    Returns:
        Annotations of one row by video, in name order; from a single file they have no subset.

    Raises:
        UserError: no such lists, a video without a label, or one in both.
    """
    path = Path(path)
    if path.is_file():
        return _annotations(path, None)
    found: dict[str, Annotation] = {}
    for subset, names in _SUBSETS.items():
        files = [path / f"{name}{end}" for name in names for end in (".txt", ".csv")]
        here = [file for file in files if file.is_file()]
        if len(here) != 1:
            told = "none of them" if not here else " and ".join(file.name for file in here)
            raise UserError(f"{path}: expected one of {', '.join(f.name for f in files)}; found {told}.")
        for name, annotation in _annotations(here[0], subset).items():
            if name in found:
                raise UserError(f"{name} is in {found[name].path} and in {annotation.path}. Remove one.")
            found[name] = annotation
    return dict(sorted(found.items()))


def _annotations(path: Path, subset: str | None) -> dict[str, Annotation]:
    read = read_video_list(path)
    lacking = [name for name, label in read.labels.items() if label is None]
    if lacking:
        raise UserError(
            f"{path}: {lacking[0]} has no label (and {len(lacking) - 1} more); expected id,label."
        )
    one = np.ones(1, bool)
    return {
        name: Annotation(name, AH, np.array([[label]], np.float32), one, subset, path, AH.columns)
        for name, label in sorted(read.labels.items())
    }
