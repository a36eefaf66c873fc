"""Features made elsewhere: CSV (OpenFace too), npy and npz files into the cache."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.corpus.rows import official_rows
from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, is_features_file, write_features
from abaw_submit.features.extract import ExtractReport, TrackResult, cropped_tracks
from abaw_submit.store import Stage, fingerprint, sha256_file

SUFFIXES = (".csv", ".npy", ".npz")
FRAME_COLUMNS = ("frame", "row")  # 1-based number of the frame
TIME_COLUMNS = ("timestamp", "time_s")
VALID_COLUMNS = ("success", "valid")
OTHER_COLUMNS = ("face_id", "confidence")  # OpenFace's; never features unless asked for by name


@dataclass(frozen=True)
class Table:
    """One file as read: row numbers (n,) 0-based, values (n, dim), valid (n,)."""

    rows: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


def import_folder(
    source: Path,
    out: Path,
    *,
    name: str,
    crops: Path | None = None,
    annotations: Path | None = None,
    columns: str | None = None,
    slack: int = 3,
) -> ExtractReport:
    """Import a folder of `<track>.csv`, `.npy` or `.npz`.

    Args:
        source: the folder; files of tracks that are not expected are left alone.
        out: folder of the features files.
        name: what made the features.
        crops: crops whose ledgers give rows and times; or else
        annotations: annotations or a template that give the rows (times are unknown then: NaN).
        columns: regular expression for the columns of a CSV; None takes all numbers.
        slack: rows a file may differ by at its end.

    Raises:
        UserError: neither crops nor annotations are given, or no file fits a track.
    """
    expected = _expected(crops, annotations)
    files = _files(source, expected)
    pattern = _pattern(columns)
    stage = Stage(
        "import-features",
        out,
        settings={
            "name": name,
            "columns": columns,
            "slack": slack,
            "rows": {t: len(e) for t, e in expected.items()},
        },
        inputs=list(files.values()),
        reads=[source, *([crops] if crops else [])],
        recognises=is_features_file,
    )
    if stage.done():
        return ExtractReport([], fresh=False)
    results = []
    with stage:
        for track, times in expected.items():
            if track not in files:
                result = TrackResult(track, problem=f"no {track}.csv, .npy or .npz in {source}")
            else:
                result = _import_track(files[track], track, out, times, name, pattern, slack)
            results.append(result)
            if result.problem is not None:
                stage.fail(track, result.problem)
            else:
                stage.output(feature_path(out, track))
                stage.count("rows", result.rows)
    return ExtractReport(results)


def read_table(path: Path, columns: re.Pattern[str] | None = None) -> Table:
    """Read one file.

    A CSV needs a header. Columns `frame` (or `row`), `timestamp`, `success` (or `valid`), `face_id` and
    `confidence` are not features; of several faces in a frame the most confident is taken.

    Raises:
        UserError: the file is broken, has no numbers, or a frame twice.
    """
    if path.suffix == ".csv":
        return _read_csv(path, columns)
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a readable {path.suffix} file: {error}.") from None
    valid = None
    if path.suffix == ".npz":
        with loaded:
            key = "values" if "values" in loaded else next(iter(loaded.files), "")
            if not key:
                raise UserError(f"{path} holds no array. Expected one named values.")
            values = loaded[key]
            valid = loaded["valid"] if "valid" in loaded else None  # noqa: SIM401 - closes with the file
    else:
        values = loaded
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
        raise UserError(f"{path}: {values.dtype} array {values.shape}; expected numbers (rows, dim).")
    good = np.isfinite(values).all(axis=1)
    if valid is not None:
        if valid.shape != good.shape:
            raise UserError(f"{path}: valid is {valid.shape}; expected {good.shape}.")
        good &= valid.astype(bool)
    return Table(np.arange(len(values)), values.astype(np.float32), good)


def _read_csv(path: Path, pattern: re.Pattern[str] | None) -> Table:
    try:
        frame = pd.read_csv(path, skipinitialspace=True, encoding="utf-8-sig", index_col=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path}: {str(error).strip()}. Expected a CSV with a header.") from None
    frame.columns = frame.columns.str.strip()
    known = {c.lower(): c for c in frame.columns}
    special = {*FRAME_COLUMNS, *TIME_COLUMNS, *VALID_COLUMNS, *OTHER_COLUMNS}
    if pattern is not None:
        names = [c for c in frame.columns if pattern.search(c)]
    else:
        names = [c for c in frame.columns if c.lower() not in special]
    if not names:
        raise UserError(f"{path}: no feature column. It has {', '.join(frame.columns[:6])}, …")
    text = [c for c in names if not pd.api.types.is_numeric_dtype(frame[c])]
    if text:
        raise UserError(f'{path}: column "{text[0]}" holds text. Choose columns with --columns.')
    numbered = next((known[c] for c in FRAME_COLUMNS if c in known), None)
    if numbered is not None and "confidence" in known:
        frame = frame.sort_values([numbered, known["confidence"]], kind="stable")
        frame = frame.drop_duplicates(numbered, keep="last")
    rows = frame[numbered].to_numpy(np.int64) - 1 if numbered else np.arange(len(frame))
    if len(np.unique(rows)) != len(rows) or (rows < 0).any():
        raise UserError(f'{path}: column "{numbered}" has a frame twice or below 1.')
    values = frame[names].to_numpy(np.float32)
    valid = np.isfinite(values).all(axis=1)
    success = next((known[c] for c in VALID_COLUMNS if c in known), None)
    if success is not None:
        valid &= frame[success].to_numpy(np.float64) > 0
    return Table(rows, values, valid)


def _import_track(
    file: Path,
    track: str,
    out: Path,
    times: npt.NDArray[np.float64],
    name: str,
    pattern: re.Pattern[str] | None,
    slack: int,
) -> TrackResult:
    try:
        table = read_table(file, pattern)
        last = int(table.rows.max()) + 1 if len(table.rows) else 0
        if abs(last - len(times)) > slack:
            raise UserError(f"{file}: {last} rows; expected {len(times)} (at most {slack} more or fewer).")
        inside = table.rows < len(times)
        values = np.zeros((len(times), table.values.shape[1]), np.float32)
        valid = np.zeros(len(times), bool)
        values[table.rows[inside]] = table.values[inside]
        valid[table.rows[inside]] = table.valid[inside]
        mark = fingerprint("import", name, sha256_file(file), pattern and pattern.pattern, len(times))
        write_features(feature_path(out, track), values, valid, times, extractor=name, fingerprint=mark)
    except UserError as error:
        return TrackResult(track, problem=str(error))
    return TrackResult(track, True, len(times), int(valid.sum()))


def _expected(crops: Path | None, annotations: Path | None) -> dict[str, npt.NDArray[np.float64]]:
    """Track -> time of each row; NaN where unknown."""
    if crops is not None:
        return {track: read_ledger(crops / track).time_s for track in cropped_tracks(crops)}
    if annotations is not None:
        rows = official_rows(annotations)
        return {track: np.full(rows[track], np.nan) for track in sorted(rows)}
    raise UserError("Row counts are unknown: give --crops, or --annotations.")


def _files(source: Path, expected: Mapping[str, object]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(source.iterdir()):
        if path.suffix in SUFFIXES and path.stem in expected:
            if path.stem in files:
                raise UserError(f"{source} has {files[path.stem].name} and {path.name}. Remove one of them.")
            files[path.stem] = path
    if not files:
        raise UserError(
            f"No file in {source} is named like a track ({', '.join(sorted(expected)[:3])}, …) with"
            f" {', '.join(SUFFIXES)}."
        )
    return files


def _pattern(columns: str | None) -> re.Pattern[str] | None:
    try:
        return None if columns is None else re.compile(columns)
    except re.error as error:
        raise UserError(f'--columns "{columns}" is not a regular expression: {error}.') from None
