"""Leak-proof folds: tracks of one recording stay together, rows and labels are balanced.

Folds are made over tracks, never by matching names inside each other (`108` is part of every `...1080`
name, `102` and `102-30-640x360` are different videos), and never by the order of files on a disk.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.errors import UserError, suggest
from abaw_submit.store import fingerprint, write_json
from abaw_submit.tasks import Task
from abaw_submit.textfile import convert, read_json
from abaw_submit.training.balance import balanced_folds, count_names, label_counts

SCHEMA = 1
OFFICIAL = "official"
GROUPING = "sibling_group: tracks of one recording (left, right, parts) stay together"


@dataclass(frozen=True)
class Fold:
    """One division of tracks into training and validation, each in name order."""

    name: str
    train: list[str]
    validation: list[str]


@dataclass(frozen=True)
class Leak:
    """Tracks of one recording that lie on both sides of a division, and what was done about it.

    Attributes:
        where: "official" (training against validation) or "test" (annotated against test).
        group: the recording's key.
        train: its training tracks, which were removed, unless `kept`.
        held_out: its validation or test tracks, which stay.
        kept: the training tracks stay all the same (`drop_leaks` was off).
    """

    where: str
    group: str
    train: list[str]
    held_out: list[str]
    kept: bool = False


@dataclass(frozen=True)
class Splits:
    """The folds of one task.

    Attributes:
        task: "AU", "EXPR" or "VA".
        seed: what the division among equally good ones was chosen with.
        folds: "0" .. "k-1", then "official" where the annotations have a Train_Set and a Validation_Set.
        source: hash over every track's labels, rows and subset.
        leaks: siblings on both sides of the official or the test division, removed from training.
        balance: tracks, rows and label counts of each fold's validation part, for the reader.
        grouping: what stays together.
        tests: of MTL: of how many tasks the test tracks were given, whose siblings are left out.
    """

    task: str
    seed: int
    folds: list[Fold]
    source: str
    leaks: list[Leak] = dataclasses.field(default_factory=list)
    balance: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    grouping: str = GROUPING
    tests: int = 0

    def fold(self, name: str | int) -> Fold:
        """The fold of a name.

        Raises:
            UserError: there is none of that name.
        """
        for fold in self.folds:
            if fold.name == str(name):
                return fold
        raise UserError(f'No fold "{name}". {suggest(str(name), [f.name for f in self.folds])}')

    @property
    def tracks(self) -> list[str]:
        """Every track of every fold, in name order."""
        return sorted({t for fold in self.folds for t in (*fold.train, *fold.validation)})


def make_splits(
    annotations: Mapping[str, Annotation],
    task: Task,
    *,
    folds: int = 5,
    seed: int = 0,
    official: bool = True,
    test: Iterable[str] = (),
    drop_leaks: bool = True,
) -> Splits:
    """Divide all annotated tracks (training and validation) into folds of whole recordings.

    Args:
        annotations: track -> annotation; their order does not matter.
        task: whose labels are balanced.
        folds: how many, at least 2.
        seed: another seed gives another, equally balanced division.
        official: also make the fold "official" (Train_Set against Validation_Set) where the
            annotations know their subset; training tracks with a sibling in validation are left out of it.
        test: test tracks; annotated tracks with a sibling among them are left out everywhere.
        drop_leaks: training tracks of the official split with a sibling in its validation set are left out;
            False keeps the official split as it is and names them.

    Raises:
        UserError: fewer than 2 folds, or fewer recordings than folds.
    """
    leaks, kept = without_test(annotations, test)
    groups = group_tracks(kept)
    if not 2 <= folds <= len(groups):
        raise UserError(
            f"{folds} folds of {len(groups)} recordings ({len(kept)} tracks): choose between 2 and the"
            " number of recordings with --folds."
        )
    counts = {g: sum(label_counts(kept[t], task) for t in tracks) for g, tracks in groups.items()}
    parts = balanced_folds({g: np.asarray(c) for g, c in counts.items()}, folds, seed)
    made = []
    for k, part in enumerate(parts):
        validation = sorted(t for group in part for t in groups[group])
        made.append(Fold(str(k), sorted(set(kept) - set(validation)), validation))
    if official and {a.subset for a in kept.values()} >= {"train", "validation"}:
        fold, more = _official_fold(kept, drop_leaks)
        made.append(fold)
        leaks += more
    balance = {fold.name: describe(fold, kept, task) for fold in made}
    return Splits(task.name, seed, made, source_hash(annotations), leaks, balance)


def without_test(
    annotations: Mapping[str, Annotation], test: Iterable[str]
) -> tuple[list[Leak], dict[str, Annotation]]:
    """Annotated tracks with a sibling among the test tracks, and the annotations without them."""
    leaks = _leaks("test", annotations, test)
    left_out = {track for leak in leaks for track in leak.train}
    return leaks, {track: annotations[track] for track in sorted(annotations) if track not in left_out}


def group_tracks(tracks: Iterable[str]) -> dict[str, list[str]]:
    """Tracks by recording, keys and tracks in name order.

    >>> group_tracks(["video2_left", "video2", "102", "102-30-640x360"])
    {'102': ['102'], '102-30-640x360': ['102-30-640x360'], 'video2': ['video2', 'video2_left']}
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for track in sorted(tracks):
        groups[sibling_group(track)].append(track)
    return dict(sorted(groups.items()))


def source_hash(annotations: Mapping[str, Annotation]) -> str:
    """Identity of the labels the folds were made from; paths and file order do not count."""
    return fingerprint(
        [
            (
                track,
                a.subset,
                len(a.valid),
                hashlib.sha256(a.values.tobytes() + a.valid.tobytes()).hexdigest(),
            )
            for track, a in sorted(annotations.items())
        ]
    )


def write_splits(path: Path | str, splits: Splits) -> None:
    """Write the folds as JSON, whole or not at all."""
    write_json(path, {"schema": SCHEMA, **dataclasses.asdict(splits)})


def read_splits(path: Path | str) -> Splits:
    """Read folds.

    Raises:
        UserError: the file is missing, not JSON, or not a splits file of this schema.
    """
    path = Path(path)
    try:
        data = read_json(path)
    except FileNotFoundError:
        raise UserError(f"No splits at {path}. Make them with `abaw-submit split`.") from None
    except UserError as error:
        raise UserError(f"{error} Make it again with `abaw-submit split`.") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise UserError(
            f"{path} is not a splits file of schema {SCHEMA} (found: {found}). Make it with"
            " `abaw-submit split`."
        )
    try:
        made: Splits = convert(data, Splits, str(path))
    except UserError as error:
        raise UserError(f"{error} Make it with `abaw-submit split`.") from None
    return made


def _official_fold(annotations: Mapping[str, Annotation], drop_leaks: bool) -> tuple[Fold, list[Leak]]:
    train = [t for t, a in annotations.items() if a.subset == "train"]
    validation = [t for t, a in annotations.items() if a.subset == "validation"]
    leaks = _leaks(OFFICIAL, train, validation)
    if not drop_leaks:
        return Fold(OFFICIAL, sorted(train), sorted(validation)), [replace(k, kept=True) for k in leaks]
    removed = {track for leak in leaks for track in leak.train}
    return Fold(OFFICIAL, sorted(set(train) - removed), sorted(validation)), leaks


def _leaks(where: str, train: Iterable[str], held_out: Iterable[str]) -> list[Leak]:
    ours, theirs = group_tracks(train), group_tracks(held_out)
    return [Leak(where, g, ours[g], theirs[g]) for g in ours if g in theirs]


def describe(fold: Fold, annotations: Mapping[str, Annotation], task: Task) -> dict[str, int]:
    """Tracks, rows, valid rows and label counts of a fold's validation part."""
    counts = sum((label_counts(annotations[t], task) for t in fold.validation), np.zeros(()))
    names = ["tracks", "rows", "valid_rows", *count_names(task)]
    if not fold.validation:
        return dict.fromkeys(names, 0)
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def balance_table(splits: Splits) -> str:
    """The folds' validation parts as CSV: tracks, rows, and how often each label occurs."""
    columns = ["fold", *next(iter(splits.balance.values()), {})]
    lines = [",".join(columns)]
    for name, counts in splits.balance.items():
        lines.append(",".join([name, *(str(count) for count in counts.values())]))
    return "\n".join(lines) + "\n"
