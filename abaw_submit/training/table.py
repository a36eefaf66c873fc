"""The features of many tracks as one table of rows, in memory or in a temporary file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abaw_submit.arrays import F16, F32, Index
from abaw_submit.corpus.ledger import nearest_found
from abaw_submit.errors import UserError
from abaw_submit.features.cache import FeatureFile, feature_path, read_features
from abaw_submit.features.registry import AUDIO, EXTRACTORS
from abaw_submit.models.sequence.streams import PICTURE, SOUND, Stream
from abaw_submit.scratch import RowStore

_COLUMNS = 128  # at a time in the statistics: doubles of a whole long track would fill the memory

Reader = Callable[[Path], FeatureFile]


@dataclass(frozen=True)
class Source:
    """One features folder.

    Attributes:
        extractor: its extractor's name.
        dim: numbers per row.
        columns: where they lie in the concatenation.
    """

    extractor: str
    dim: int
    columns: slice


@dataclass(frozen=True)
class TrackRows:
    """One track's features, concatenated over folders; gaps hold the nearest valid row.

    Attributes:
        values: (rows, dim) float16.
        absent: columns of the folders where no row of the track is valid; zeros until they are filled.
        views: by first column of a folder: (further views, rows, dim of the folder).
    """

    values: F16
    absent: tuple[slice, ...]
    views: Mapping[int, F16]

    def filled(self, mean: F32) -> F16:
        """The values with the mean row where a folder has nothing to say of the track."""
        for columns in self.absent:
            self.values[:, columns] = mean[columns].astype(np.float16)
        return self.values


class TrackFeatures:
    """Reads the features of one track after another from some folders.

    Args:
        folders: features folders; their numbers are concatenated in this order.
        example: a track that says how wide each folder is.
        read: reads a features file.

    Raises:
        UserError: no folder, or no features of the track.
    """

    def __init__(self, folders: Sequence[Path], example: str, read: Reader = read_features) -> None:
        if not folders:
            raise UserError("No features folder given; expected at least one --features.")
        self.folders, self.example, self._read = list(folders), example, read
        first = [read(feature_path(folder, example)) for folder in folders]
        self.sources: list[Source] = []
        self.dim = 0
        for file in first:
            extractor = str(file.attributes.get("extractor", ""))
            self.sources.append(Source(extractor, file.dim, slice(self.dim, self.dim + file.dim)))
            self.dim += file.dim
        # further views of the crops, of the folders that kept some
        self.further = {
            source.columns.start: len(file.views)
            for source, file in zip(self.sources, first, strict=True)
            if file.views is not None
        }

    def read(self, track: str, rows: int | None, *, with_views: bool = False) -> TrackRows:
        """A track's features.

        Args:
            track: its name.
            rows: how many there must be; None takes what the first folder has.
            with_views: whether its further views are read too.

        Raises:
            UserError: no features, or not the rows or the widths expected.
        """
        files = [self._read(feature_path(folder, track)) for folder in self.folders]
        expected = files[0].rows if rows is None else rows
        values = np.zeros((expected, self.dim), np.float16)
        absent, views = [], {}
        for folder, source, file in zip(self.folders, self.sources, files, strict=True):
            where = feature_path(folder, track)
            if file.dim != source.dim:
                raise UserError(f"{where}: {file.dim} numbers a row; {source.dim} in {self.example}.")
            if file.rows != expected:
                raise UserError(
                    f"{where}: {file.rows} rows; {expected} are expected for {track}.\n"
                    "Crop with --rows-from the annotations or the template, then extract again."
                )
            if not file.valid.any():
                absent.append(source.columns)
                continue
            nearest = nearest_found(file.valid)
            values[:, source.columns] = file.values[nearest]
            count = self.further.get(source.columns.start, 0)
            if with_views and count:
                found = 0 if file.views is None else len(file.views)
                if file.views is None or found != count:
                    raise UserError(
                        f"{where}: {found} further views; {count} in {self.example}."
                        " Extract all tracks with the same --views."
                    )
                views[source.columns.start] = file.views[:, nearest]
        return TrackRows(values, tuple(absent), views)

    def row_count(self, track: str) -> int:
        """Rows of a track in the first folder."""
        return self._read(feature_path(self.folders[0], track)).rows


class FeatureTable:
    """The features of some tracks, concatenated per row over folders, in one float16 table.

    Rows that are not valid in a folder take that folder's nearest valid row. A track with no valid row there
    takes the mean given to `fill_absent`.

    Args:
        folders: features folders; their numbers are concatenated in this order.
        tracks: track -> rows expected, None where the features may say.
        cache_gib: larger tables are kept in a temporary file in place of memory.
        with_views: whether further views of the crops are kept too.

    Raises:
        UserError: a track has no features, or not the rows expected, or widths differ between tracks.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        tracks: Mapping[str, int | None],
        cache_gib: float = 8.0,
        *,
        with_views: bool = False,
    ) -> None:
        if not tracks:
            raise UserError("No track to read features of.")
        self.tracks = list(tracks)
        reader = TrackFeatures(folders, self.tracks[0])
        self.sources, self.dim = reader.sources, reader.dim
        counts = [reader.row_count(t) if rows is None else rows for t, rows in tracks.items()]
        self.begin: Index = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.store = _store(int(self.begin[-1]), self.dim, cache_gib)
        self.absent: list[tuple[slice, slice]] = []
        counted = reader.further if with_views else {}
        self.views = 1 + max(counted.values(), default=0)
        dims = {source.columns.start: source.dim for source in self.sources}
        self.further = {
            at: [_store(self.rows, dims[at], cache_gib) for _ in range(count)]
            for at, count in counted.items()
        }
        for index, track in enumerate(self.tracks):
            rows = self.rows_of(index)
            read = reader.read(track, rows.stop - rows.start, with_views=with_views)
            self.store.write(rows.start, read.values)
            self.absent += [(rows, columns) for columns in read.absent]
            for at, views in read.views.items():
                for view, values in zip(self.further[at], views, strict=True):
                    view.write(rows.start, values)

    @property
    def rows(self) -> int:
        """Rows of all tracks."""
        return int(self.begin[-1])

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What the numbers of a row are, for the network."""
        return tuple(Stream(s.extractor, s.dim, kind_of(s.extractor)) for s in self.sources)

    def rows_of(self, index: int) -> slice:
        """Where the rows of the index-th track lie."""
        return slice(int(self.begin[index]), int(self.begin[index + 1]))

    def values_of(self, index: int) -> F16:
        """The rows of the index-th track, (rows, dim)."""
        rows = self.rows_of(index)
        values: F16 = self.store.read(rows.start, rows.stop)
        return values

    def statistics(self) -> tuple[F32, F32]:
        """Mean and deviation of each feature over the rows of tracks that have it: (dim,) twice."""
        count, total = np.zeros(self.dim), np.zeros(self.dim)
        for values, columns in self._present():
            count[columns] += len(values)
            total[columns] += values.astype(np.float64).sum(0)
        mean = total / np.maximum(count, 1)
        squares = np.zeros(self.dim)
        for values, columns in self._present():
            squares[columns] += np.square(values.astype(np.float64) - mean[columns]).sum(0)
        return mean.astype(np.float32), np.sqrt(squares / np.maximum(count, 1)).astype(np.float32)

    def fill_absent(self, mean: F32) -> None:
        """Give tracks without any valid row of a folder that folder's mean."""
        for rows, columns in self.absent:
            values = np.array(self.store.read(rows.start, rows.stop))
            values[:, columns] = mean[columns].astype(np.float16)
            self.store.write(rows.start, values)
            for view in self.further.get(columns.start, []):
                view.write(rows.start, values[:, columns])

    def _present(self) -> Iterator[tuple[F16, slice]]:
        """The rows of each track that a folder has, some columns at a time."""
        absent = {(rows.start, columns.start) for rows, columns in self.absent}
        for index in range(len(self.tracks)):
            first = self.rows_of(index).start
            values = self.values_of(index)
            for source in self.sources:
                columns = source.columns
                if (first, columns.start) in absent:
                    continue
                for part in np.array_split(
                    np.arange(columns.start, columns.stop), -(-source.dim // _COLUMNS)
                ):
                    some = slice(int(part[0]), int(part[-1]) + 1)
                    yield values[:, some], some


def kind_of(extractor: str) -> str:
    """Whether an extractor hears or sees; one that is not known here is taken to see.

    >>> kind_of("hubert"), kind_of("mae"), kind_of("somebody's own")
    ('sound', 'picture', 'picture')
    """
    entry = EXTRACTORS.get(extractor)
    return SOUND if entry is not None and entry.kind == AUDIO else PICTURE


def _store(rows: int, dim: int, cache_gib: float) -> RowStore:
    return RowStore(rows, dim, np.float16, rows * dim * 2 <= cache_gib * 2**30, "features")
