"""What is valid but suspicious, and a word about each track's values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Index
from abaw_submit.submission.findings import Place, Report, TrackSummary
from abaw_submit.submission.grammar import Grammar
from abaw_submit.submission.values import Values


def summarize(
    rows: Index,
    values: Values,
    tracks: Mapping[str, int],
    grammar: Grammar,
    expected: Mapping[str, int | None] | None = None,
) -> list[TrackSummary]:
    """One summary for each track.

    Args:
        rows: position over all tracks of each line, 0-based.
        values: the lines' values.
        tracks: row count by track, in the order of the positions.
        grammar: what the values are.
        expected: official row counts, if not those of `tracks`.
    """
    summaries = []
    for track, count, which in _by_track(rows, tracks):
        official = count if expected is None else expected[track]
        distinct, times = np.unique(rows[which], return_counts=True)
        bad = count - len(distinct) + len(np.union1d(rows[which][~values.good[which]], distinct[times > 1]))
        summaries.append(TrackSummary(track, len(which), official, bad, _words(values, which, grammar)))
    return summaries


def note_suspicions(
    values: Values, rows: Index, tracks: Mapping[str, int], grammar: Grammar, report: Report, file: str
) -> None:
    """Warn of constant columns, classes never predicted, tracks all the same, equal columns."""
    good = values.good
    if good.sum() < 2:
        return
    floats, integers = values.floats[good], values.integers[good]
    columns: list[npt.NDArray[np.generic]] = [*floats.T, *integers.T]
    for name, column in zip(grammar.columns, columns, strict=True):
        if (column == column[0]).all():
            report.add("constant column", Place(file, found=f"{name} is always {column[0]:g}"))
    for index, name in enumerate(grammar.classes):
        if not (integers[:, 0] == index).any():
            report.add("class never predicted", Place(file, found=name))
    if floats.shape[1] == 2 and np.array_equal(floats[:, 0], floats[:, 1]):
        report.add("equal columns", Place(file, found=" and ".join(grammar.floats)))
    for track, _, which in _by_track(rows, tracks):
        kept = which[good[which]]
        if len(kept) > 1 and _all_same(values, kept):
            report.add("track all the same", Place(file, None, track, found=_words(values, kept, grammar)))


def _by_track(rows: Index, tracks: Mapping[str, int]) -> Iterator[tuple[str, int, Index]]:
    """Each track, its row count, and the indices of its lines."""
    order = np.arange(len(rows)) if (np.diff(rows) >= 0).all() else np.argsort(rows, kind="stable")
    borders = np.searchsorted(rows[order], np.cumsum([0, *tracks.values()]))
    for (track, count), low, high in zip(tracks.items(), borders, borders[1:], strict=False):
        yield track, count, order[low:high]


def _all_same(values: Values, which: Index) -> bool:
    floats, integers = values.floats[which], values.integers[which]
    return bool((floats == floats[0]).all() and (integers == integers[0]).all())


def _words(values: Values, which: Index, grammar: Grammar) -> str:
    """The values of some lines in a few words: means, the most frequent class, active units."""
    which = which[values.good[which]]
    if not len(which):
        return "no valid rows"
    words = []
    for name, mean in zip(grammar.floats, values.floats[which].mean(axis=0), strict=True):
        words.append(f"{name} mean {mean:+.3f}")
    integers = values.integers[which]
    if grammar.classes:
        counts = np.bincount(integers[:, 0], minlength=len(grammar.classes))
        words.append(f"{grammar.classes[int(counts.argmax())]} {counts.max() / len(which):.0%}")
    units = integers[:, 1:] if grammar.classes else integers
    if units.shape[1]:
        words.append(f"{units.sum(axis=1).mean():.1f} AUs a row")
    return ", ".join(words)
