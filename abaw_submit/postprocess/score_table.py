"""What a search works on: all members' scores and the truth, packed by track, divided into folds by group."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64, Index, Mask
from abaw_submit.errors import UserError
from abaw_submit.postprocess.recipe import check_members
from abaw_submit.postprocess.smoothing import Filter, Pack, fill_missing
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import Task

_KEPT_VALUES = 30_000_000  # filtered scores kept at a time, 240 MB


@dataclass(frozen=True)
class ScoreTable:
    """Scores and truth of the same tracks, end to end.

    Attributes:
        task: the task.
        names: tracks, sorted.
        groups: group of each track.
        fold: fold of each track, (tracks,); a group lies in one fold.
        folds: number of folds.
        members: names of the score sets, sorted.
        lengths: rows of each track, (tracks,).
        scores: (members, outputs, rows), gaps filled.
        truth: (rows, label columns).
        valid: (rows,) annotated rows.
        rate_hz: rows per second.
    """

    task: Task
    names: tuple[str, ...]
    groups: tuple[str, ...]
    fold: Index
    folds: int
    members: tuple[str, ...]
    lengths: Index
    scores: F64
    truth: npt.NDArray[np.float32]
    valid: Mask
    rate_hz: float

    @cached_property
    def pack(self) -> Pack:
        """For filtering a column of all tracks at once."""
        return Pack(self.lengths.tolist())

    @cached_property
    def starts(self) -> Index:
        """First row of each track, and the end: (tracks + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @cached_property
    def track_of_valid(self) -> Index:
        """Track of each valid row."""
        return np.repeat(np.arange(len(self.names)), self.lengths)[self.valid]

    @cached_property
    def fold_of_valid(self) -> Index:
        """Fold of each valid row."""
        return np.asarray(self.fold[self.track_of_valid])

    @cached_property
    def group_list(self) -> list[str]:
        """Groups of the tracks as a list, for the bootstrap."""
        return list(self.groups)

    @cached_property
    def _recent(self) -> OrderedDict[tuple[int, int, Filter], F64]:
        return OrderedDict()

    def member(self, member: int, output: int, filter: Filter) -> F64:
        """A member's scores of an output after a filter, (rows,); recently used ones are kept."""
        if filter.kind == "none":
            return np.asarray(self.scores[member, output])
        key = (member, output, filter)
        if key not in self._recent:
            self._recent[key] = self.filtered(self.scores[member, output], filter)
        self._recent.move_to_end(key)
        while len(self._recent) > max(_KEPT_VALUES // max(self.scores.shape[2], 1), 1):
            self._recent.popitem(last=False)
        return self._recent[key]

    def filtered(self, column: F64, filter: Filter) -> F64:
        """A column of all rows after a filter, track by track."""
        return self.pack.run(column, filter.in_rows(self.rate_hz))


def build(
    task: Task,
    members: Mapping[str, Scores],
    truth: Mapping[str, tuple[npt.NDArray[np.float32], Mask]],
    *,
    folds: int = 5,
    group: Callable[[str], str],
    rate_hz: float,
) -> ScoreTable:
    """Pack scores and truth. The order of members and tracks does not matter.

    Args:
        task: the task.
        members: name -> scores; all of the same tracks.
        truth: track -> labels (rows, label columns) and valid (rows,); other tracks are ignored.
        folds: folds for cross-fitting; fewer if there are fewer groups.
        group: the group of a track; a group never lies on both sides.
        rate_hz: rows per second.

    Raises:
        UserError: no track has both scores and valid truth, rows differ, or fewer than three groups.
    """
    members = dict(sorted(members.items()))
    names = [t for t in check_members(task, members) if t in truth and truth[t][1].any()]
    if not names:
        raise UserError(
            "No track has both scores and truth. Compare the track names of --scores and --truth."
        )
    for t in names:
        rows, scored = len(truth[t][0]), len(next(iter(members.values()))[t])
        if rows != scored:
            raise UserError(
                f"Track {t}: truth has {rows} rows, scores {scored}. Scores need a row per frame."
            )
    groups = [group(t) for t in names]
    valid_rows = [int(truth[t][1].sum()) for t in names]
    fold, number = divide(groups, valid_rows, folds)
    columns = []
    for scores in members.values():
        for track in names:
            if np.isinf(scores[track]).any():
                raise UserError(f"Track {track} holds infinite scores.")
        columns.append([_column(scores, names, k) for k in range(task.outputs)])
    values = np.array(columns, np.float64)
    _stand_in(values)
    return ScoreTable(
        task,
        tuple(names),
        tuple(groups),
        fold,
        number,
        tuple(members),
        np.array([len(truth[t][0]) for t in names]),
        values,
        np.concatenate([truth[t][0] for t in names]),
        np.concatenate([truth[t][1] for t in names]),
        rate_hz,
    )


def _column(scores: Scores, names: Sequence[str], k: int) -> F64:
    parts = [np.asarray(scores[t][:, k], np.float64) for t in names]
    return np.concatenate([fill_missing(p) if np.isnan(p).any() else p for p in parts])


def _stand_in(values: F64) -> None:
    """A member with nothing at all for a track is stood in for by the mean of the others."""
    gaps = np.isnan(values)
    if gaps.any():
        count = (~gaps).sum(axis=0)
        if not count.all():
            raise UserError("A track has no score of any member in an output; predict it again.")
        mean = np.where(gaps, 0, values).sum(axis=0) / count
        for m in range(len(values)):
            values[m][gaps[m]] = mean[gaps[m]]


def divide(groups: Sequence[str], rows: Sequence[int], folds: int) -> tuple[Index, int]:
    """The fold of each track: groups whole, largest first, each into the fold with fewest rows so far.

    >>> divide(["a", "b", "a", "c"], [5, 9, 5, 1], 3)[0].tolist()
    [0, 1, 0, 2]

    Raises:
        UserError: fewer than three groups, or fewer than two folds asked.
    """
    size: dict[str, int] = {}
    for g, n in zip(groups, rows, strict=True):
        size[g] = size.get(g, 0) + n
    if len(size) < 3:
        raise UserError(
            f"{len(size)} groups of tracks; at least 3 are needed to choose anything honestly.\n"
            "Give more annotated tracks, or a finer --group."
        )
    if folds < 3:
        raise UserError(f"--folds {folds}: at least 3, or there is nothing left to choose on inside a fold.")
    number = min(folds, len(size))
    load = [0] * number
    place: dict[str, int] = {}
    for g in sorted(size, key=lambda g: (-size[g], g)):
        k = load.index(min(load))
        place[g] = k
        load[k] += size[g]
    return np.array([place[g] for g in groups]), number


def grouping(pattern: str | None) -> Callable[[str], str]:
    """The group of a track by a regular expression (its first bracket, or all it matches); by default the
    recording: left, right and parts of one video together.

    >>> grouping(r"^(sub\\d+)")("sub3_vid1")
    'sub3'

    Raises:
        UserError: not a regular expression; the returned function raises for a track it does not match.
    """
    if pattern is None:
        from abaw_submit.corpus.tracks import sibling_group

        return sibling_group
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f'--group "{pattern}" is not a regular expression: {error}.') from None

    def group(track: str) -> str:
        found = expression.search(track)
        if found is None:
            raise UserError(f'--group "{pattern}" does not match the track {track}.')
        return found.group(1) if expression.groups else found.group(0)

    return group
