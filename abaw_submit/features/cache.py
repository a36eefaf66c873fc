"""The feature cache: one HDF5 file per track and extractor, written whole or not at all.

One file for all videos would be unreadable after a killed writer and locked while it is open; a file
per track has neither problem, and any number of processes may write beside each other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import FLOAT16_MAX
from abaw_submit.errors import UserError
from abaw_submit.hdf5 import new_hdf5, open_hdf5
from abaw_submit.store import atomic_path

SCHEMA = 1
SUFFIX = ".h5"
_LONGEST_NAME_BYTES = 255  # of a file, on the usual disks


@dataclass(frozen=True)
class FeatureFile:
    """What one extractor says about one track; row k is frame k (1-based in names, 0-based here).

    Attributes:
        values: (rows, dim) float16; zeros where a row is not valid.
        valid: (rows,) bool; False where there was nothing to look at or listen to.
        time_s: (rows,) float64, when the row is shown, in seconds on the container's clock.
        attributes: extractor, fingerprint, schema and whatever else the writer noted.
        views: (further views, rows, dim) float16 of the same rows; none in most files.
    """

    values: npt.NDArray[np.float16]
    valid: npt.NDArray[np.bool_]
    time_s: npt.NDArray[np.float64]
    attributes: dict[str, Any] = field(default_factory=dict)
    views: npt.NDArray[np.float16] | None = None

    @property
    def rows(self) -> int:
        """Number of rows (frames)."""
        return len(self.values)

    @property
    def dim(self) -> int:
        """Numbers per row."""
        return int(self.values.shape[1])


def feature_path(folder: Path | str, track: str) -> Path:
    """Where a track's features lie in an extractor's folder."""
    return Path(folder) / f"{track}{SUFFIX}"


def write_features(
    path: Path | str,
    values: npt.ArrayLike,
    valid: npt.ArrayLike,
    time_s: npt.ArrayLike,
    *,
    extractor: str,
    fingerprint: str,
    attributes: Mapping[str, str | int | float] | None = None,
    views: npt.ArrayLike | None = None,
) -> None:
    """Write a track's features. The same arguments give the same bytes.

    Args:
        path: the `.h5` file, replaced as a whole.
        values: (rows, dim) numbers; stored as float16, held inside its range (+-65504).
        valid: (rows,) bool; rows that are not valid are stored as zeros.
        time_s: (rows,) seconds.
        extractor: the extractor's name.
        fingerprint: identity of extractor, settings, weights and input.
        attributes: more plain values to keep with the file.
        views: (further views, rows, dim) of augmented crops, for training.

    Raises:
        UserError: a valid row holds NaN or infinity, which means broken weights or input; or the name is too
            long for a disk.
        ValueError: the shapes do not fit each other.
    """
    if len(os.fsencode(Path(path).name)) > _LONGEST_NAME_BYTES:
        raise UserError(f"{path}: the name is too long for a disk ({_LONGEST_NAME_BYTES} bytes).")
    matrix = np.asarray(values)
    good = np.asarray(valid, bool)
    times = np.asarray(time_s, np.float64)
    if matrix.ndim != 2 or good.shape != matrix.shape[:1] or times.shape != good.shape:
        raise ValueError(f"values {matrix.shape}, valid {good.shape}, time_s {times.shape} do not fit")
    broken = np.flatnonzero(~np.isfinite(matrix).all(axis=1) & good)
    if len(broken):
        raise UserError(
            f"{path}, row {broken[0] + 1}: {extractor} gave NaN or infinity ({len(broken)} rows)."
            " Check the weights and the input."
        )
    stored = np.zeros(matrix.shape, np.float16)
    stored[good] = np.clip(matrix[good], -FLOAT16_MAX, FLOAT16_MAX)
    with atomic_path(path) as temporary, new_hdf5(temporary) as file:
        file.attrs["schema"] = SCHEMA
        file.attrs["extractor"] = extractor
        file.attrs["fingerprint"] = fingerprint
        for key, value in sorted((attributes or {}).items()):
            file.attrs[key] = value
        file.create_dataset("values", data=stored)
        file.create_dataset("valid", data=good)
        file.create_dataset("time_s", data=times)
        if views is not None:
            kept = np.clip(np.asarray(views, np.float32), -FLOAT16_MAX, FLOAT16_MAX)
            file.create_dataset("views", data=np.where(good[None, :, None], kept, 0).astype(np.float16))


def read_features(path: Path | str) -> FeatureFile:
    """Read a track's features.

    Raises:
        UserError: the file is missing, broken, or not a features file of this schema.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"No features at {path}. Make them with `abaw-submit extract`.")
    with open_hdf5(path, "Delete it and extract again.") as file:
        schema = file.attrs.get("schema")
        if schema is None or not all(name in file for name in ("values", "valid", "time_s")):
            raise UserError(f"{path} is not a features file. Make it with `abaw-submit extract`.")
        if schema != SCHEMA:
            raise UserError(f"{path}: features schema {schema}; expected {SCHEMA}. Extract them again.")
        values = np.asarray(file.read("values", "f"), np.float16)
        valid = np.asarray(file.read("valid", "b"), bool)
        time_s = np.asarray(file.read("time_s", "f"), np.float64)
        attributes = {key: _plain(value) for key, value in file.attrs.items()}
        views = np.asarray(file.read("views", "f"), np.float16) if "views" in file else None
    if values.ndim != 2 or not values.shape[1] or not values.shape[:1] == valid.shape == time_s.shape:
        raise UserError(f"{path}: shapes {values.shape}, {valid.shape}, {time_s.shape} do not fit.")
    if views is not None and views.shape[1:] != values.shape:
        raise UserError(f"{path}: views {views.shape} do not fit values {values.shape}.")
    finite = np.isfinite(values).all(axis=1)
    if views is not None:
        finite &= np.isfinite(views).all(axis=(0, 2))
    broken = np.flatnonzero(~finite)
    if len(broken):
        raise UserError(
            f"{path}, row {broken[0] + 1}: NaN or infinity in {len(broken)} rows."
            " Delete it and make it again."
        )
    return FeatureFile(values, valid, time_s, attributes, views)


def read_fingerprint(path: Path | str) -> str | None:
    """The fingerprint of a features file that could be skipped; None if there is none to read."""
    try:
        with open_hdf5(path) as file:
            return str(file.attrs["fingerprint"]) if file.attrs.get("schema") == SCHEMA else None
    except UserError:
        return None


def is_features_file(path: Path) -> bool:
    """Whether a file looks like one that `write_features` made, whole or broken off."""
    if path.suffix != SUFFIX or not path.is_file():
        return False
    return read_fingerprint(path) is not None or not h5py.is_hdf5(path)


def list_tracks(folder: Path | str) -> list[str]:
    """The tracks that have features in a folder, in name order.

    Raises:
        UserError: the folder holds none.
    """
    tracks = sorted(p.stem for p in Path(folder).glob(f"*{SUFFIX}") if not p.name.startswith("."))
    if not tracks:
        raise UserError(f"{folder} holds no <track>{SUFFIX} features. Make them with `abaw-submit extract`.")
    return tracks


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
