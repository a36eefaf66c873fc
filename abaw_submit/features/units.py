"""Where the features of each track lie: a file a track, a folder of a file a frame, one file for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from abaw_submit.arrays import F64
from abaw_submit.errors import UserError
from abaw_submit.features.foreign import READING, FeatureRows, feature_parts
from abaw_submit.scores.sniff.assemble import Expected, settle_first_rows
from abaw_submit.scores.sniff.names import known_track, stem_of
from abaw_submit.scores.sniff.sources import frames_of_folder, list_files, numbers_in_names, read_file
from abaw_submit.scores.sniff.table import Options

_MOST_SHARED = 50  # files that hold several tracks each


@dataclass(frozen=True)
class FeatureOptions:
    """What a user may say to settle what a file leaves open.

    Attributes:
        columns: regular expression for the names of the feature columns; None takes all numbers.
        slack: rows a file may have more, or fewer without frame numbers, at its end.
        first_frame: the number of a track's first frame, 0 or 1; None finds out.
        header: whether text has a header line; None finds out.
        key: which array where a file has several.
        only: pattern of the files to read.
        segments: unit of intervals: "seconds", "milliseconds", "frames"; None: as their names say.
        segment_end: whether the last frame of an interval is in it: "inclusive", "exclusive".
    """

    columns: str | None = None
    slack: int = 3
    first_frame: int | None = None
    header: bool | None = None
    key: str | None = None
    only: str | None = None
    segments: str | None = None
    segment_end: str | None = None

    def reading(self) -> Options:
        """The options of the readers."""
        return replace(
            READING, first_frame=self.first_frame, header=self.header, key=self.key, only=self.only
        )


@dataclass(frozen=True)
class Unit:
    """Where one track's features lie: a file, a folder of a file a frame, or a part of a shared file."""

    paths: tuple[Path, ...]
    read: Callable[[], FeatureRows]


def find_units(
    source: Path, expected: Mapping[str, F64], options: FeatureOptions, pattern: re.Pattern[str] | None
) -> dict[str, Unit]:
    """Where each expected track's features lie.

    Raises:
        UserError: nothing fits a track, or two places fit one.
    """
    if source.is_file():
        units: dict[str, Unit] = {}
        _add_shared(units, source, expected, options, pattern, strict=True)
        return units or _no_unit(source, expected)
    units = {}
    others: list[Path] = []
    by_folder: dict[Path, list[Path]] = {}
    for path in list_files(source, options.reading())[0]:
        by_folder.setdefault(path.parent, []).append(path)
    for folder, paths in by_folder.items():
        owner = known_track(folder.name, expected) if folder != source else None
        if owner and len(paths) > 1 and numbers_in_names([stem_of(p) for p in paths]) is not None:
            _add(units, owner, tuple(paths), _frame_files(folder, paths, options, pattern), source)
            continue
        for path in paths:
            track = known_track(stem_of(path), expected) or (owner if len(paths) == 1 else None)
            if track is None:
                others.append(path)
            else:
                _add(units, track, (path,), _one_file(path, track, expected, options, pattern), source)
    for path in others[:_MOST_SHARED] if not units else []:
        _add_shared(units, path, expected, options, pattern, strict=len(others) == 1)
    return units or _no_unit(source, expected)


def _no_unit(source: Path, expected: Mapping[str, F64]) -> dict[str, Unit]:
    raise UserError(
        f"No file in {source} is named like a track ({', '.join(sorted(expected)[:3])}, …), and no file holds"
        " several tracks by name.\nAn array of all tracks goes into one .npz, with `frames` and `video`."
    )


def _add(
    units: dict[str, Unit],
    track: str,
    paths: tuple[Path, ...],
    read: Callable[[], FeatureRows],
    source: Path,
) -> None:
    if track in units:
        first, second = units[track].paths[0], paths[0]
        raise UserError(f"{source} has {first.name} and {second.name}. Remove one of them.")
    units[track] = Unit(paths, read)


def _one_file(
    path: Path,
    track: str,
    expected: Mapping[str, F64],
    options: FeatureOptions,
    pattern: re.Pattern[str] | None,
) -> Callable[[], FeatureRows]:
    def read() -> FeatureRows:
        tables = read_file(path, (stem_of(path),), options.reading(), None)
        tables = settle_first_rows(tables, Expected({stem_of(path): len(expected[track])}, "the crops"))
        parts = feature_parts(tables, pattern)
        if len(parts) == 1:
            return next(iter(parts.values()))
        fitting = [name for name in parts if known_track(name, expected) == track]
        if len(fitting) != 1:
            raise UserError(
                f"{path}: {len(parts)} arrays ({', '.join(list(parts)[:4])}). Say which one with --key NAME."
            )
        return parts[fitting[0]]

    return read


def _frame_files(
    folder: Path, paths: Sequence[Path], options: FeatureOptions, pattern: re.Pattern[str] | None
) -> Callable[[], FeatureRows]:
    def read() -> FeatureRows:
        found = [(path, read_file(path, (stem_of(path),), options.reading(), None)) for path in paths]
        table = frames_of_folder(folder, (folder.name,), found, None)
        if table is None:
            raise UserError(f"{folder}: expected one vector in each file; {paths[0].name} holds more.")
        return next(iter(feature_parts([table], pattern).values()))

    return read


def _add_shared(
    units: dict[str, Unit],
    path: Path,
    expected: Mapping[str, F64],
    options: FeatureOptions,
    pattern: re.Pattern[str] | None,
    strict: bool,
) -> None:
    """The tracks of a file that holds several; what it holds stays in memory."""
    try:
        parts = feature_parts(read_file(path, (stem_of(path),), options.reading(), None), pattern)
    except UserError:
        if strict:
            raise
        return
    for name, part in parts.items():
        track = known_track(name, expected) or (
            known_track(stem_of(path), expected) if len(parts) == 1 else None
        )
        if track is not None:
            _add(units, track, (path,), lambda part=part: part, path)  # type: ignore[misc]
