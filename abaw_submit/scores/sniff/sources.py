"""Where scores lie: a file, a folder of files a track, a folder of folders, a folder of files a frame."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from abaw_submit.corpus.junk import is_junk
from abaw_submit.errors import UserError
from abaw_submit.layout import TEST_SCORES, VALIDATION_SCORES
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.sniff.arrays import COMPRESSED, format_of, read_tree, uncompressed
from abaw_submit.scores.sniff.companions import is_set, read_set
from abaw_submit.scores.sniff.names import known_track, stem_of
from abaw_submit.scores.sniff.reshape import unpacked_cells
from abaw_submit.scores.sniff.table import Options, Table, matrix_table
from abaw_submit.scores.sniff.text import read_text
from abaw_submit.scores.sniff.tree import tables_of
from abaw_submit.tasks import Task

_JUNK_FOLDERS = {"__macosx", "__pycache__", "node_modules"}
_OF_TRAINING = (VALIDATION_SCORES, TEST_SCORES)  # what `train` leaves in a fold's folder
_TENSORS = (".pt", ".pth")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Source:
    """What lies in a place.

    Attributes:
        tables: the tables, in the order of their paths.
        left_out: files that were not read: by name, by kind or by --only.
        files: number of files read.
    """

    tables: list[Table]
    left_out: list[str]
    files: int


def read_source(
    source: Path,
    options: Options,
    task: Task | None = None,
    progress: Progress = quiet,
    known: Collection[str] = (),
) -> Source:
    """Every table of a file or a folder.

    With official tracks, a file that cannot be read and is named like none of them is left out.

    Raises:
        UserError: nothing there, or a file that cannot be read (named).
    """
    if source.is_file():
        return Source(read_file(source, (stem_of(source),), options, task), [], 1)
    if not source.is_dir():
        raise UserError(
            f"Nothing at {source}." if not source.exists() else f"{source} is not a file or folder."
        )
    chosen, left_out = list_files(source, options)
    if not chosen:
        what = f"; left out: {', '.join(left_out[:5])}" if left_out else ""
        raise UserError(f"{source} holds no file of scores{what}.")
    tables: list[Table] = []
    for folder, paths in _by_folder(progress(chosen, total=len(chosen), label="reading")):
        parts = folder.relative_to(source).parts
        if is_set(paths):
            kind = "arrays in files side by side"
            tables += tables_of(read_set(paths), str(folder), (*parts, folder.name), options, task, kind)
            continue
        found = []
        for path in paths:
            try:
                found.append((path, read_file(path, (*parts, stem_of(path)), options, task)))
            except UserError as error:
                if known and known_track(stem_of(path), known) is None and len(chosen) > 1:
                    left_out.append(path.relative_to(source).as_posix())
                elif len(chosen) > 1 and "\n" not in str(error):
                    raise UserError(
                        f"{error}\nIf this is no file of scores, move it, or give --only."
                    ) from None
                else:
                    raise
        stacked = frames_of_folder(folder, parts, found, task)
        tables += [stacked] if stacked is not None else [table for _, part in found for table in part]
    return Source(tables, left_out, len(chosen))


def read_file(path: Path, name: tuple[str, ...], options: Options, task: Task | None) -> list[Table]:
    """The tables of one file, whatever its format.

    Args:
        path: the file.
        name: folders below the source, and the file's stem.
        options: what the user settled.
        task: whose column names count; None for features.

    Raises:
        UserError: empty, damaged, or of a format that is not read here.
    """
    with path.open("rb") as handle:
        head = handle.read(16)
    if not head:
        raise UserError(f"{path} is empty. Remove it, or put the scores in.")
    kind = format_of(path, head)
    if kind == "picture":
        raise UserError(f"{path} is a picture; expected scores.")
    if kind == "text":
        return [unpacked_cells(read_text(path, name, options, task))]
    if kind in COMPRESSED:
        inner = (*name[:-1], stem_of(Path(name[-1])))
        return [unpacked_cells(read_text(path, inner, options, task, uncompressed(path, kind)))]
    collecting = gc.isenabled()
    gc.disable()  # a million small arrays are not garbage; looking for it takes longer than reading them
    try:
        return tables_of(read_tree(path, kind), str(path), name, options, task, kind)
    finally:
        if collecting:
            gc.enable()


def list_files(source: Path, options: Options) -> tuple[list[Path], list[str]]:
    """The files of a folder that may hold scores, in natural order, and those left out."""
    chosen: list[Path] = []
    tensors: list[Path] = []  # checkpoints lie beside scores as .pt; they count only where nothing else does
    left_out: list[str] = []
    for folder, folders, names in os.walk(source):
        junk = [f for f in folders if f.startswith(".") or f.lower() in _JUNK_FOLDERS]
        left_out += [f"{f}/" for f in junk]
        folders[:] = sorted(set(folders) - set(junk))
        for name in names:
            path = Path(folder) / name
            inside = path.relative_to(source).as_posix()
            wanted = path.is_file() and (options.only is None or fnmatch(inside, options.only))
            if wanted and path.suffix.lower() in _TENSORS and not name.startswith("."):
                tensors.append(path)
            elif not wanted or is_junk(name):
                left_out.append(inside)
            else:
                chosen.append(path)
    if chosen:
        left_out += [path.relative_to(source).as_posix() for path in tensors]
    chosen = chosen or tensors
    own = [path for path in chosen if path.name in _OF_TRAINING]
    if own:  # checkpoint folders: history.csv and the like are not scores
        left_out += [p.relative_to(source).as_posix() for p in chosen if p.name not in _OF_TRAINING]
        chosen = own
        if len({path.name for path in own}) > 1:
            some = ", ".join(p.relative_to(source).as_posix() for p in own[:4])
            pattern = f"*/{VALIDATION_SCORES}" if own[0].parent != source else VALIDATION_SCORES
            raise UserError(
                f"{source} holds scores of validation and test tracks: {some}{', …' if len(own) > 4 else ''}."
                f"\nGive one file, or choose with --only '{pattern}'."
            )
    return sorted(chosen, key=lambda p: (p.parent.parts, natural(p.name))), sorted(left_out)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    return [(0, int(p), "") if p.isdigit() and p.isascii() else (1, 0, p) for p in _DIGITS.split(name)]


def _by_folder(paths: Iterator[Path]) -> Iterator[tuple[Path, list[Path]]]:
    group: list[Path] = []
    for path in paths:
        if group and path.parent != group[0].parent:
            yield group[0].parent, group
            group = []
        group.append(path)
    if group:
        yield group[0].parent, group


def frames_of_folder(
    folder: Path, parts: tuple[str, ...], found: list[tuple[Path, list[Table]]], task: Task | None
) -> Table | None:
    """One table of a folder with a file a frame; None if the folder is not one.

    Raises:
        UserError: files numbered like frames of which some are one row and others are not.
    """
    if len(found) < 2 or any(len(tables) != 1 for _, tables in found):
        return None
    tables = [tables[0] for _, tables in found]
    if any(
        t.tracks is not None or (t.matrix is None and any(map(t.is_text, range(len(t.columns)))))
        for t in tables
    ):
        return None
    size = len(tables[0].columns) * tables[0].rows
    single = [t.rows == 1 or (t.flat and t.rows == size) for t in tables]
    if tables[0].flat and task is not None and size not in (task.outputs, 1):
        return None
    frames = numbers_in_names([stem_of(path) for path, _ in found])
    if frames is None or not any(single):
        return None
    if not all(single):
        odd = tables[single.index(not single[0])]
        if tables[0].flat:
            return None
        raise UserError(
            f"{folder}: {found[0][0].name} holds {tables[0].rows} rows and {Path(odd.where).name} {odd.rows}:"
            " neither a file a frame nor a file a track."
        )
    rows = [np.concatenate([np.ravel(c) for c in t.columns]) for t in tables]
    if len({len(row) for row in rows}) != 1:
        raise UserError(f"{folder}: files of one row each, of different widths.")
    table = matrix_table(
        np.stack(rows),
        str(folder),
        parts or (folder.name,),
        f"{tables[0].kind}, a file a frame",
        tables[0].names,
    )
    return replace(table, frames=np.array(frames, np.int64))


def numbers_in_names(stems: list[str]) -> list[int] | None:
    """The one number in which names differ; None if they differ in letters, or in more than one number."""
    pieces = [_DIGITS.split(stem) for stem in stems]
    if len({tuple(piece[::2]) for piece in pieces}) != 1 or len({len(piece) for piece in pieces}) != 1:
        return None
    varying = [k for k in range(1, len(pieces[0]), 2) if len({int(piece[k]) for piece in pieces}) > 1]
    return [int(piece[varying[0]]) for piece in pieces] if len(varying) == 1 else None
