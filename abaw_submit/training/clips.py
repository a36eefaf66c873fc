"""Features of many tracks as one array, and clips of them.

A clip never crosses from one track into the next. Every row of a track is in some clip of every epoch, the
tail too, and a track shorter than a clip is padded and masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abaw_submit.arrays import F32, Index, Mask
from abaw_submit.corpus.ledger import nearest_found
from abaw_submit.errors import UserError
from abaw_submit.features.cache import FeatureFile, feature_path, read_features
from abaw_submit.features.registry import AUDIO, EXTRACTORS
from abaw_submit.models.sequence.streams import PICTURE, SOUND, Stream
from abaw_submit.scratch import scratch_array


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


class FeatureTable:
    """The features of some tracks, concatenated per row over folders, in one float16 array.

    Rows that are not valid in a folder take that folder's nearest valid row. A track with no valid row there
    takes the mean given to `fill_absent`.

    Args:
        folders: features folders; their numbers are concatenated in this order.
        tracks: track -> rows expected, None where the features may say.
        cache_gib: larger tables are kept in a temporary file in place of memory.

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
        if not folders:
            raise UserError("No features folder given; expected at least one --features.")
        if not tracks:
            raise UserError("No track to read features of.")
        self.folders, self.tracks = list(folders), list(tracks)
        first = [read_features(feature_path(folder, self.tracks[0])) for folder in folders]
        self.sources = _sources(first)
        self.dim = sum(s.dim for s in self.sources)
        counts = [self._rows(track, rows) for track, rows in tracks.items()]
        self.begin: Index = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.values = _allocate((int(self.begin[-1]), self.dim), cache_gib)
        self.absent: list[tuple[slice, slice]] = []
        # further views of the crops, of the sources that kept some: (views, rows, dim) by columns
        counted = [0 if f.views is None or not with_views else len(f.views) for f in first]
        self.views = 1 + max(counted)
        self.further = {
            source.columns.start: [_allocate((len(self.values), source.dim), cache_gib) for _ in range(count)]
            for source, count in zip(self.sources, counted, strict=True)
            if count
        }
        for index, track in enumerate(self.tracks):
            self._read_track(index, track)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What the numbers of a row are, for the network."""
        return tuple(Stream(s.extractor, s.dim, kind_of(s.extractor)) for s in self.sources)

    def rows_of(self, index: int) -> slice:
        """Where the rows of the index-th track lie."""
        return slice(int(self.begin[index]), int(self.begin[index + 1]))

    def statistics(self) -> tuple[F32, F32]:
        """Mean and deviation of each feature over the rows of tracks that have it: (dim,) twice."""
        count, total = np.zeros(self.dim), np.zeros(self.dim)
        for rows, columns in self._present():
            count[columns] += rows.stop - rows.start
            total[columns] += self.values[rows, columns].astype(np.float64).sum(0)
        mean = total / np.maximum(count, 1)
        squares = np.zeros(self.dim)
        for rows, columns in self._present():
            squares[columns] += ((self.values[rows, columns].astype(np.float64) - mean[columns]) ** 2).sum(0)
        return mean.astype(np.float32), np.sqrt(squares / np.maximum(count, 1)).astype(np.float32)

    def fill_absent(self, mean: F32) -> None:
        """Give tracks without any valid row of a folder that folder's mean."""
        for rows, columns in self.absent:
            self.values[rows, columns] = mean[columns].astype(np.float16)
            for view in self.further.get(columns.start, []):
                view[rows] = mean[columns].astype(np.float16)

    def gather(self, starts: Index, clip_rows: int, views: Index | None = None) -> tuple[F32, Mask, Index]:
        """Clips that begin at some rows of the table.

        Args:
            starts: (clips,) first rows.
            clip_rows: rows of a clip.
            views: (clips,) which view each clip is seen in, 0 for the crops themselves; None: 0 for all.

        Returns:
            Features (clips, clip_rows, dim), zero in the padding; whether a row is real (clips, clip_rows);
            the row's place in the table (clips, clip_rows), the clip's last real one in the padding.
        """
        track = np.searchsorted(self.begin, starts, side="right") - 1
        places = starts[:, None] + np.arange(clip_rows)
        ends = self.begin[track + 1][:, None]
        present = places < ends
        places = np.minimum(places, ends - 1)
        values = np.asarray(self.values[places], np.float32)
        for source in self.sources:
            for number, view in enumerate(self.further.get(source.columns.start, []), start=1):
                clips = np.flatnonzero(views == number) if views is not None else ()
                if len(clips):
                    values[clips, :, source.columns] = view[places[clips]]
        values[~present] = 0
        return values, present, places

    def _present(self) -> list[tuple[slice, slice]]:
        absent = {(rows.start, columns.start) for rows, columns in self.absent}
        parts = [(self.rows_of(i), s.columns) for i in range(len(self.tracks)) for s in self.sources]
        return [(rows, columns) for rows, columns in parts if (rows.start, columns.start) not in absent]

    def _rows(self, track: str, expected: int | None) -> int:
        if expected is not None:
            return expected
        return read_features(feature_path(self.folders[0], track)).rows

    def _read_track(self, index: int, track: str) -> None:
        rows = self.rows_of(index)
        for folder, source in zip(self.folders, self.sources, strict=True):
            file = read_features(feature_path(folder, track))
            where = feature_path(folder, track)
            if file.dim != source.dim:
                raise UserError(f"{where}: {file.dim} numbers a row; {source.dim} in {self.tracks[0]}.")
            if file.rows != rows.stop - rows.start:
                raise UserError(
                    f"{where}: {file.rows} rows; {rows.stop - rows.start} are expected for {track}.\n"
                    "Crop with --rows-from the annotations or the template, then extract again."
                )
            nearest = nearest_found(file.valid)
            if not file.valid.any():
                self.absent.append((rows, source.columns))
                continue
            self.values[rows, source.columns] = file.values[nearest]
            further = self.further.get(source.columns.start, [])
            if further and (file.views is None or len(file.views) != len(further)):
                raise UserError(
                    f"{where}: {0 if file.views is None else len(file.views)} further views; {len(further)}"
                    f" in {self.tracks[0]}. Extract all tracks with the same --views."
                )
            for number, view in enumerate(further):
                view[rows] = file.views[number][nearest]  # type: ignore[index]


def kind_of(extractor: str) -> str:
    """Whether an extractor hears or sees; one that is not known here is taken to see.

    >>> kind_of("hubert"), kind_of("mae"), kind_of("somebody's own")
    ('sound', 'picture', 'picture')
    """
    entry = EXTRACTORS.get(extractor)
    return SOUND if entry is not None and entry.kind == AUDIO else PICTURE


def _sources(files: Sequence[FeatureFile]) -> list[Source]:
    sources, at = [], 0
    for file in files:
        sources.append(Source(str(file.attributes.get("extractor", "")), file.dim, slice(at, at + file.dim)))
        at += file.dim
    return sources


def _allocate(shape: tuple[int, int], cache_gib: float) -> Any:
    if shape[0] * shape[1] * 2 <= cache_gib * 2**30:
        return np.zeros(shape, np.float16)
    return scratch_array(shape, np.float16, "features")


def clip_starts(rows: int, clip_rows: int, offset: int, stride_rows: int = 0) -> list[int]:
    """First rows of clips that together hold every row of a track.

    Clips begin every `stride_rows` rows from `offset` on; one at the very beginning and one at the
    very end hold what is left over there.

    Args:
        rows: rows of the track.
        clip_rows: rows of a clip.
        offset: 0 .. stride_rows - 1.
        stride_rows: rows from one clip to the next; 0: they follow each other without overlap.

    >>> clip_starts(250, 100, 30), clip_starts(200, 100, 0), clip_starts(60, 100, 30)
    ([0, 30, 130, 150], [0, 100], [0])
    >>> clip_starts(250, 100, 10, 50)
    [0, 10, 60, 110, 150]
    """
    if rows <= clip_rows:
        return [0]
    last = rows - clip_rows
    return sorted({0, *range(offset, last + 1, stride_rows or clip_rows), last})


def epoch_clips(begin: Index, clip_rows: int, seed: int, epoch: int, stride_rows: int = 0) -> Index:
    """The clips of one epoch in random order, each track with its own random offset.

    Args:
        begin: (tracks + 1,) first row of each track in the table.
        clip_rows: rows of a clip.
        seed: of the draws.
        epoch: which epoch.
        stride_rows: rows from one clip to the next; 0: they follow each other.

    Returns:
        (clips,) first rows in the table.
    """
    generator = np.random.default_rng((seed, epoch))
    counts = np.diff(begin)
    offsets = generator.integers(0, stride_rows or clip_rows, len(counts))
    starts = [
        first + start
        for first, rows, offset in zip(begin[:-1], counts, offsets, strict=True)
        for start in clip_starts(int(rows), clip_rows, int(offset), stride_rows)
    ]
    return generator.permutation(np.array(starts, np.int64))


def overlapping_starts(rows: int, clip_rows: int, stride_rows: int = 0) -> list[int]:
    """First rows of clips so far apart (0: half a clip), the last one ending with the track.

    >>> overlapping_starts(230, 100), overlapping_starts(100, 100), overlapping_starts(1, 100)
    ([0, 50, 100, 130], [0], [0])
    """
    if rows <= clip_rows:
        return [0]
    return sorted({*range(0, rows - clip_rows, stride_rows or max(1, clip_rows // 2)), rows - clip_rows})


def clip_weights(clip_rows: int) -> F32:
    """Weights of a clip's rows in the mean over clips: a row in the middle has seen more on both sides.

    >>> clip_weights(5).tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    ramp = np.arange(1, clip_rows + 1, dtype=np.float32)
    return np.minimum(ramp, ramp[::-1])
