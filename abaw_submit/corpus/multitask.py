"""Labels of all three tasks per track, missing ones marked: from MTL lists, or from the tasks' own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from abaw_submit.arrays import F32, Mask
from abaw_submit.corpus.annotations import Annotation, read_annotation_set
from abaw_submit.corpus.mtl import MtlList, read_mtl, write_mtl
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.errors import UserError
from abaw_submit.store import Stage
from abaw_submit.tasks import MTL, MTL_PARTS, part_slices

LISTS = {"train": "training_set_annotations.txt", "validation": "validation_set_annotations.txt"}


def read_multitask(root: Path | str) -> dict[str, Annotation]:
    """Annotations of the multi-task track, by track in name order.

    Args:
        root: a folder with the organisers' `training_set_annotations.txt` and
            `validation_set_annotations.txt`; or one such list; or the annotations' root of any edition from
            3 on, whose three tasks are then put together.

    Returns:
        Annotations of `MTL`: values (rows, 15), valid (rows, 3), one column for each part. Rows that no list
        or file names are not valid.

    Raises:
        UserError: none of these, or a track in both lists.
    """
    root = Path(root)
    if root.is_file():
        return annotations_of_list(read_mtl(root), None, root)
    lists = multitask_lists(root)
    if not lists:
        return union_of_tasks({part.name: read_annotation_set(root, part) for part in MTL_PARTS})
    found: dict[str, Annotation] = {}
    for subset, path in lists.items():
        for track, annotation in annotations_of_list(read_mtl(path), subset, path).items():
            if track in found:
                raise UserError(f"{track} is in {found[track].path.name} and in {path.name} of {root}.")
            found[track] = annotation
    return dict(sorted(found.items()))


def is_union(root: Path) -> bool:
    """Whether `read_multitask` puts the three tasks' own annotations together, for want of a list."""
    return not root.is_file() and not multitask_lists(root)


def multitask_lists(root: Path) -> dict[str, Path]:
    """The organisers' multi-task lists in a folder, by subset."""
    return {subset: root / name for subset, name in LISTS.items() if (root / name).is_file()}


def annotations_of_list(listed: MtlList, subset: str | None, path: Path) -> dict[str, Annotation]:
    """The labels of a list by track, as long as the last row that it names.

    Raises:
        UserError: the list has no values.
    """
    if np.isnan(listed.values).any():
        raise UserError(f"{path} has lines without values: a list to predict, no annotations.")
    names = np.array(listed.tracks)
    found = {}
    for track in sorted(set(listed.tracks)):
        here = names == track
        rows = listed.rows[here] - 1
        values, valid = _nothing(int(rows.max()) + 1)
        values[rows], valid[rows] = listed.values[here], listed.valid[here]
        found[track] = Annotation(track, MTL, values, valid, subset, path, MTL.columns)
    return found


def union_of_tasks(by_task: Mapping[str, Mapping[str, Annotation]]) -> dict[str, Annotation]:
    """The labels of the three tasks put together; a task that does not know a track is missing in its rows.

    A track may have a row more in one task than in another (the official files do); it gets as many as the
    longest. One that is in training for one task and in validation for another counts as validation.
    """
    tracks = sorted({track for annotations in by_task.values() for track in annotations})
    found = {}
    for track in tracks:
        own = {name: a[track] for name, a in by_task.items() if track in a}
        subsets = {a.subset for a in own.values()}
        subset = "validation" if "validation" in subsets else next(iter(subsets))
        values, valid = _nothing(max(len(a.valid) for a in own.values()))
        for at, (part, _, columns) in enumerate(part_slices(MTL)):
            if part.name in own:
                annotation = own[part.name]
                values[: len(annotation.valid), columns] = annotation.values
                valid[: len(annotation.valid), at] = annotation.valid
        first = next(iter(own.values()))
        found[track] = Annotation(track, MTL, values, valid, subset, first.path, MTL.columns)
    return found


def _nothing(rows: int) -> tuple[F32, Mask]:
    """Rows in which every label is missing."""
    values = np.empty((rows, MTL.label_columns), np.float32)
    for part, _, columns in part_slices(MTL):
        values[:, columns] = part.invalid
    return values, np.zeros((rows, len(MTL_PARTS)), bool)


def part_of(annotation: Annotation, index: int) -> Annotation:
    """One part of a multi-task annotation as an annotation of its own task."""
    part, _, columns = part_slices(MTL)[index]
    return Annotation(
        annotation.track,
        part,
        annotation.values[:, columns],
        annotation.valid[:, index],
        annotation.subset,
        annotation.path,
        part.columns,
    )


def list_lines(
    annotations: Mapping[str, Annotation], step: int = 1, with_values: bool = True
) -> list[tuple[str, int, list[float]]]:
    """Lines of a multi-task list: every n-th row of each track that has at least one label.

    Args:
        annotations: of `MTL`.
        step: n.
        with_values: False makes a list to predict.
    """
    lines = []
    for track, annotation in annotations.items():
        for row in np.flatnonzero(annotation.valid.any(1))[::step]:
            values = annotation.values[row].copy()
            for index, (part, _, columns) in enumerate(part_slices(MTL)):
                if not annotation.valid[row, index]:
                    values[columns] = part.invalid
            lines.append((track, int(row) + 1, values.tolist() if with_values else []))
    return lines


def make_mtl_list(
    annotations: Path, out: Path, *, tracks: Path | None = None, step: int = 1, blank: bool = False
) -> tuple[int, int] | None:
    """The stage `mtl-list`: one line for each row that at least one task labels.

    Args:
        annotations: annotations of the three tasks, or a list.
        out: the list to write.
        tracks: only these: a list of tracks, or a template.
        step: only every n-th labelled row of a track.
        blank: without labels: a list to predict.

    Returns:
        Rows and tracks written, or None if it was made before.

    Raises:
        UserError: malformed annotations, or none of the tracks has a label.
    """
    inputs = [annotations, *([tracks] if tracks is not None else [])]
    stage = Stage("mtl-list", out, settings={"step": step, "blank": blank}, inputs=inputs)
    if stage.done():
        return None
    with stage:
        read = read_multitask(annotations)
        if tracks is not None:
            names = read_tracks(tracks)
            read = {track: annotation for track, annotation in read.items() if track in names}
        if not read:
            raise UserError(f"No track of {tracks} has a label in {annotations}.")
        rows = write_mtl(out, list_lines(read, step, not blank))
        stage.output(out)
        stage.count("rows", rows)
    return rows, len(read)
