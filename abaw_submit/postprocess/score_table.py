"""What a search works on: all members' scores and the truth, packed by track, divided into folds by group."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F32, F64, Index, Mask
from abaw_submit.errors import UserError
from abaw_submit.postprocess.apply import check_members
from abaw_submit.postprocess.smoothing import fill_missing
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import Task

Folds = tuple[int, ...]
SAMPLED_BYTES = 400 << 20  # filtered scores held at a time, all filters together
FEWEST_GROUPS = 6  # of a grouping, to fit on while choosing, where there are two groupings
SAMPLED_ROWS = 40_000  # neighbouring rows tell the same; more are left out evenly


@dataclass(frozen=True)
class ScoreTable:
    """Scores and truth of the same tracks, end to end.

    A fold is what is held out together. With one grouping that is some groups; with two it is some groups of
    the first that are also in some groups of the second, and its training tracks share neither.

    Attributes:
        task: the task.
        names: tracks, sorted.
        groupings: per grouping the group of each track, for resampling.
        fold: fold of each track, (tracks,); a group lies in one fold.
        levels: per fold its place in the division of each grouping, (folds, groupings).
        members: names of the score sets, sorted.
        lengths: rows of each track, (tracks,).
        scores: (members, outputs, rows), gaps filled.
        truth: (rows, label columns).
        valid: (rows,) annotated rows.
        rate_hz: rows per second.
    """

    task: Task
    names: tuple[str, ...]
    groupings: tuple[tuple[str, ...], ...]
    fold: Index
    levels: Index
    members: tuple[str, ...]
    lengths: Index
    scores: F32
    truth: npt.NDArray[np.float32]
    valid: Mask
    rate_hz: float

    @property
    def groups(self) -> tuple[str, ...]:
        """Group of each track in the first grouping."""
        return self.groupings[0]

    @property
    def all_folds(self) -> Folds:
        """Every fold."""
        return tuple(range(len(self.levels)))

    @cached_property
    def starts(self) -> Index:
        """First row of each track, and the end: (tracks + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def tracks_in(self, folds: Folds) -> Mask:
        """Which tracks lie in some folds, (tracks,)."""
        if folds not in self._masks:
            self._masks[folds] = np.isin(self.fold, folds)
        return self._masks[folds]

    @cached_property
    def _masks(self) -> dict[Folds, Mask]:
        return {}

    def held_out(self, folds: Folds) -> list[tuple[Folds, int]]:
        """The divisions of some folds: (those that share no grouping with the one left out, the one left
        out). Where nothing remains to fit on, the folds stand for both."""
        return self._divisions(folds, [(self.levels != self.levels[j]).all(axis=1) for j in folds])

    def held_out_to_choose(self, folds: Folds) -> list[tuple[Folds, int]]:
        """As `held_out`, for choosing: a grouping of which hardly anything would remain is shared for once,
        because a fit on two films is no picture of one on four."""
        apart = [
            (self.levels != self.levels[j])[:, self._held_to_choose(folds, j)].all(axis=1) for j in folds
        ]
        return self._divisions(folds, apart)

    def _held_to_choose(self, folds: Folds, j: int) -> list[int]:
        """The groupings that a choice on some folds shares nothing of with fold j."""
        away = self.levels != self.levels[j]
        left = [
            len({g for g, k in zip(one, self.fold, strict=True) if k in folds and away[k, f]})
            for f, one in enumerate(self.groupings)
        ]
        return [f for f, number in enumerate(left) if number >= FEWEST_GROUPS] or [int(np.argmax(left))]

    @property
    def shares_to_choose(self) -> bool:
        """Whether choices on all folds have to share a grouping with what is held out."""
        folds, number = self.all_folds, len(self.groupings)
        return any(len(self._held_to_choose(folds, j)) < number for j in folds)

    @staticmethod
    def _divisions(folds: Folds, apart: Sequence[Mask]) -> list[tuple[Folds, int]]:
        found = [(tuple(k for k in folds if away[k]), j) for j, away in zip(folds, apart, strict=True)]
        return [(inner, j) for inner, j in found if inner] or [(folds, j) for j in folds]

    def leave_one(self, folds: Folds) -> list[Folds]:
        """Some folds less one place of one grouping, each in turn: what the averaged recipes are fitted
        on."""
        found: list[Folds] = []
        for factor in range(self.levels.shape[1]):
            for place in sorted({int(self.levels[k, factor]) for k in folds}):
                rest = tuple(k for k in folds if self.levels[k, factor] != place)
                if rest and rest != folds:
                    found.append(rest)
        return found

    # ---- the rows that a search looks at -------------------------------------------------------------

    def sample_rows(self, filters: int) -> Index:
        """Valid rows, evenly thinned so that all filtered scores together stay small; (sampled,)."""
        rows = np.flatnonzero(self.valid)
        room = SAMPLED_BYTES // (4 * max(filters, 1) * self.scores.shape[0] * self.scores.shape[1])
        stride = max(-(-len(rows) // min(max(room, 2_000), SAMPLED_ROWS)), 1)
        track = np.repeat(np.arange(len(self.names)), self.lengths)[rows]
        first = np.concatenate([[0], np.flatnonzero(np.diff(track)) + 1])
        within = np.arange(len(rows)) - np.repeat(first, np.diff([*first, len(rows)]))
        size = np.repeat(np.diff([*first, len(rows)]), np.diff([*first, len(rows)]))
        kept: Index = rows[within % stride == np.minimum(stride, size) // 2]
        return kept


def build(
    task: Task,
    members: Mapping[str, Scores],
    truth: Mapping[str, tuple[npt.NDArray[np.float32], Mask]],
    *,
    folds: int = 5,
    group: Callable[[str], str] | Sequence[Callable[[str], str]],
    rate_hz: float,
) -> ScoreTable:
    """Pack scores and truth. The order of members and tracks does not matter.

    Args:
        task: the task.
        members: name -> scores; all of the same tracks.
        truth: track -> labels (rows, label columns) and valid (rows,); other tracks are ignored.
        folds: folds for cross-fitting; fewer if there are fewer groups. Two groupings make many small
            ones, so that the one with more groups is then divided in three.
        group: the group of a track, or several such; tracks that share one never lie on both sides.
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
    groupings = [group] if callable(group) else list(group)
    groups = [[key(t) for t in names] for key in groupings]
    valid_rows = [int(truth[t][1].sum()) for t in names]
    most = max(range(len(groups)), key=lambda k: len(set(groups[k])))
    numbers = [3 if k == most and len(groups) > 1 else folds for k in range(len(groups))]
    divided = [divide(one, valid_rows, number)[0] for one, number in zip(groups, numbers, strict=True)]
    places = np.stack(divided, axis=1)
    levels, fold = np.unique(places, axis=0, return_inverse=True)
    columns = []
    for scores in members.values():
        for track in names:
            if np.isinf(scores[track]).any():
                raise UserError(f"Track {track} holds infinite scores.")
        columns.append([_column(scores, names, k) for k in range(task.outputs)])
    values = np.array(columns, np.float32)
    _stand_in(values)
    return ScoreTable(
        task,
        tuple(names),
        tuple(map(tuple, groups)),
        fold.ravel(),
        levels,
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


def _stand_in(values: F32) -> None:
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


def groupings(patterns: Sequence[str]) -> list[Callable[[str], str]]:
    """A grouping for each regular expression; the default one if there are none."""
    return [grouping(p) for p in patterns or (None,)]


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
