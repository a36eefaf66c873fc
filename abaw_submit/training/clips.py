"""Where clips begin, and how much each of their rows counts.

A clip never crosses from one track into the next. Every row of a track is in some clip of every epoch, the
tail too, and a track shorter than a clip is padded and masked.
"""

from __future__ import annotations

import numpy as np

from abaw_submit.arrays import F32, Index


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
