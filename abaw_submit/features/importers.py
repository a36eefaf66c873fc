"""The stage `import-features`: features made elsewhere, in any layout, into the cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from abaw_submit.arrays import F32, F64, Mask
from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.corpus.rows import official_rows
from abaw_submit.errors import UserError, is_machines
from abaw_submit.features.cache import feature_path, is_features_file, write_features
from abaw_submit.features.foreign import FeatureRows, read_table
from abaw_submit.features.job import ExtractReport, TrackResult
from abaw_submit.features.segments import frame_intervals, row_edges, spread
from abaw_submit.features.sources import cropped_tracks
from abaw_submit.features.units import FeatureOptions, Unit, find_units
from abaw_submit.progress import Progress, quiet
from abaw_submit.scores.sniff.frames import TrackRows, first_frame
from abaw_submit.store import Stage, fingerprint, sha256_file

_RATE = "\nOf another rate than the frames'? Then give each vector a `start` and an `end`."
_KEPT_BYTES = 1 << 30  # features kept in memory until it is known where frames are counted from


def import_folder(
    source: Path,
    out: Path,
    *,
    name: str,
    crops: Path | None = None,
    annotations: Path | None = None,
    columns: str | None = None,
    slack: int = 3,
    options: FeatureOptions | None = None,
    progress: Progress = quiet,
) -> ExtractReport:
    """Import features: a file a track, a file a frame, or one file for all, of any format `sniff` reads.

    Args:
        source: the folder or file; files of tracks that are not expected are left alone.
        out: folder of the features files.
        name: what made the features.
        crops: crops whose ledgers give rows and times; or else
        annotations: annotations or a template that give the rows (times are unknown then: NaN).
        columns: short for `options.columns`.
        slack: short for `options.slack`.
        options: what the user settled.
        progress: shows how far it is.

    Raises:
        UserError: neither crops nor annotations are given, or no file fits a track.
    """
    given = options or FeatureOptions(columns=columns, slack=slack)
    pattern = _pattern(given.columns)
    expected = _expected(crops, annotations)
    units = find_units(source, expected, given, pattern)
    files = sorted({path for unit in units.values() for path in unit.paths})
    settings = {
        **given.__dict__,
        "name": name,
        "rows": {t: [len(e), _digest(e)] for t, e in expected.items()},
    }
    stage = Stage(
        "import-features",
        out,
        settings=settings,
        inputs=files,
        reads=[source, *([crops] if crops else [])],
        recognises=is_features_file,
    )
    if stage.done():
        return ExtractReport([], fresh=False)
    with stage:
        results, notes = _Import(out, name, given, expected, units).run(source, progress)
        for result in results:
            if result.problem is not None:
                stage.fail(result.track, result.problem)
            else:
                stage.output(feature_path(out, result.track))
                stage.count("rows", result.rows)
    return ExtractReport(results, True, tuple(notes))


class _Import:
    """One run: reads every track, waits with those whose frame numbers need the others to be understood."""

    def __init__(
        self,
        out: Path,
        name: str,
        options: FeatureOptions,
        expected: Mapping[str, F64],
        units: Mapping[str, Unit],
    ) -> None:
        self.out, self.name, self.options = out, name, options
        self.expected, self.units = expected, units
        self.results: dict[str, TrackResult] = {}
        self.seen: FeatureRows | None = None

    def run(self, source: Path, progress: Progress) -> tuple[list[TrackResult], list[str]]:
        """All tracks in the order expected, and what was understood."""
        waiting: dict[str, FeatureRows | None] = {}
        numbered: list[TrackRows] = []
        kept = 0
        openface = False
        for track in progress(list(self.expected), label="import"):
            if track not in self.units:
                self._fail(track, f"no {track}.csv, .npy, .npz or the like in {source}")
                continue
            part = self._try(track, self.units[track].read)
            if part is None:
                continue
            self.seen, openface = self.seen or part, openface or part.openface
            if part.frames is None or part.intervals is not None:
                self._write(track, part, 0)
                continue
            numbered.append(TrackRows(track, np.empty((0, 0)), part.frames, None, part.where))
            kept += part.values.nbytes
            waiting[track] = part if kept < _KEPT_BYTES else None
        base = self._base(numbered, openface) if numbered else None
        for track in progress(list(waiting), label="write"):
            if base is not None:
                part = waiting.pop(track) or self._try(track, self.units[track].read)
                if part is not None:
                    self._write(track, part, base)
        return [self.results[track] for track in self.expected], self._notes(base)

    def _base(self, numbered: Sequence[TrackRows], openface: bool) -> int | None:
        lowest = min(int(part.frames.min()) for part in numbered if part.frames is not None)
        if self.options.first_frame is None and openface and lowest > 0:
            return 1  # OpenFace counts from 1
        rows = {track: len(times) for track, times in self.expected.items()}
        try:
            return first_frame(numbered, self.options.reading(), rows)
        except UserError as error:
            for part in numbered:
                self._fail(part.track, str(error))
            return None

    def _try(self, track: str, read: Callable[[], FeatureRows]) -> FeatureRows | None:
        """One bad file never stops the others."""
        try:
            return read()
        except UserError as error:
            self._fail(track, str(error))
        except (OSError, MemoryError) as error:
            if is_machines(error):
                raise
            self._fail(track, f"cannot be read: {error}")
        return None

    def _fail(self, track: str, why: str) -> None:
        self.results[track] = TrackResult(track, problem=why)

    def _write(self, track: str, part: FeatureRows, base: int) -> None:
        times = self.expected[track]
        try:
            if part.intervals is not None:
                values, valid = self._spread(part, times)
            else:
                values, valid = self._place(part, base, len(times))
            key = fingerprint(
                "import",
                self.name,
                [sha256_file(path) for path in self.units[track].paths],
                self.options.__dict__,
                base,
                len(times),
                _digest(times),
            )
            path = feature_path(self.out, track)
            write_features(path, values, valid, times, extractor=self.name, fingerprint=key)
        except UserError as error:
            self._fail(track, str(error))
            return
        self.results[track] = TrackResult(track, True, len(times), int(valid.sum()))

    def _place(self, part: FeatureRows, base: int, count: int) -> tuple[F32, Mask]:
        """Rows at their places; a few more at the end are cut, a few fewer left not valid.

        Raises:
            UserError: more rows than the track can have, or fewer and no frame numbers that say which.
        """
        rows = np.arange(len(part.values)) if part.frames is None else part.frames - base
        last = int(rows.max()) + 1 if len(rows) else 0
        slack = self.options.slack
        far = abs(last - count) > 0.1 * count
        if last > count + slack or (part.frames is None and last < count - slack):
            raise UserError(
                f"{part.where}: {last} rows; expected {count} (at most {slack} more or fewer)."
                + (f" Frames were counted from {base}." if part.frames is not None else _RATE if far else "")
            )
        inside = rows < count
        values = np.zeros((count, part.values.shape[1]), np.float32)
        valid = np.zeros(count, bool)
        values[rows[inside]] = part.values[inside]
        valid[rows[inside]] = part.valid[inside]
        return values, valid

    def _spread(self, part: FeatureRows, times: F64) -> tuple[F32, Mask]:
        assert part.intervals is not None
        unit = self.options.segments or part.unit
        if unit == "frames":
            stretch = frame_intervals(
                part.intervals, self.options.first_frame, self.options.segment_end, part.where
            )
            starts = np.arange(len(times), dtype=np.float64)
            ends = starts + 1
        else:
            stretch = part.intervals / (1000 if unit == "milliseconds" else 1)
            starts, ends = row_edges(times, part.where)
        return spread(part.values, part.valid, stretch, starts, ends, part.where)

    def _notes(self, base: int | None) -> list[str]:
        if self.seen is None:
            return []
        names = self.seen.columns
        shown = f" ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else ""
        notes = [f"{self.seen.values.shape[1]} numbers a row{shown}"]
        if self.seen.intervals is not None:
            unit = self.options.segments or self.seen.unit
            notes.append(f"vectors hold for intervals in {unit}; overlaps are averaged by shared time")
        elif base is None:
            notes.append("no frame numbers: row k is frame k")
        else:
            notes.append(f"frame numbers counted from {base}")
        return notes


def _expected(crops: Path | None, annotations: Path | None) -> dict[str, F64]:
    """Track -> time of each row; NaN where unknown."""
    if crops is not None:
        return {track: read_ledger(crops / track).time_s for track in cropped_tracks(crops)}
    if annotations is not None:
        rows = official_rows(annotations)
        return {track: np.full(rows[track], np.nan) for track in sorted(rows)}
    raise UserError("Row counts are unknown: give --crops, or --annotations.")


def _digest(times: F64) -> str:
    """Identity of a track's times: new crops may have other ones."""
    return hashlib.sha256(np.ascontiguousarray(times, np.float64).tobytes()).hexdigest()[:16]


def _pattern(columns: str | None) -> re.Pattern[str] | None:
    try:
        return None if columns is None else re.compile(columns)
    except re.error as error:
        raise UserError(f'--columns "{columns}" is not a regular expression: {error}.') from None


__all__ = ["FeatureOptions", "import_folder", "read_table"]
