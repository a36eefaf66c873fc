"""What can be wrong with a division into folds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.training.factors import TWO_FACTORS, factors_of
from abaw_submit.training.folds import OFFICIAL, Fold, Splits, group_tracks, source_hash


def find_problems(
    splits: Splits, annotations: Mapping[str, Annotation] | None = None, test: Iterable[str] = ()
) -> list[str]:
    """All problems of a division, one line each; an empty list when there is none.

    Args:
        splits: the folds.
        annotations: the task's annotations: missing and unknown tracks and changed labels are found too.
        test: test tracks: those in training, or with a sibling there, are found too.
    """
    problems = [line for fold in splits.folds for line in _inside(fold)]
    if splits.grouping.startswith(TWO_FACTORS):
        problems += _shared_factors(splits)
    else:
        problems += _across(splits)
    if annotations is not None:
        problems += _against_annotations(splits, annotations)
    return problems + _against_test(splits, list(test))


def refuse_bad_fold(splits: Splits, fold: str, annotations: Mapping[str, Annotation], where: str) -> None:
    """Refuse to train on a fold that `split-check` would complain of.

    Args:
        splits: all folds of the file.
        fold: the one to train.
        annotations: the task's annotations.
        where: the file, for the message.

    Raises:
        UserError: naming the first problems.
    """
    problems = find_problems(splits, annotations)
    others = tuple(f"fold {f.name}: " for f in splits.folds if f.name != fold)
    problems = [line for line in problems if not line.startswith(others)]
    if problems:
        more = f" (and {len(problems) - 2} more; see `abaw-submit split-check`)" if len(problems) > 2 else ""
        raise UserError(
            f"{where}, fold {fold}: {'; '.join(problems[:2])}{more}.\n"
            "Make the folds again with `abaw-submit split`."
        )


def _inside(fold: Fold) -> list[str]:
    lines = []
    for part, tracks in (("training", fold.train), ("validation", fold.validation)):
        if not tracks:
            lines.append(f"fold {fold.name}: no {part} tracks")
        lines += [f"fold {fold.name}: {track} twice in {part}" for track in _doubled(tracks)]
    both = sorted(set(fold.train) & set(fold.validation))
    lines += [f"fold {fold.name}: {track} in training and in validation" for track in both]
    ours, theirs = group_tracks(set(fold.train)), group_tracks(set(fold.validation))
    for group in ours:
        left = [t for t in ours[group] if t not in both]
        right = [t for t in theirs.get(group, ()) if t not in both]
        if left and right:
            lines.append(
                f"fold {fold.name}: siblings: {', '.join(left)} in training, {', '.join(right)} in validation"
            )
    return lines


def _shared_factors(splits: Splits) -> list[str]:
    """Folds by two factors: no value of either on both sides, every track validated once."""
    pattern = re.compile(splits.grouping.removeprefix(TWO_FACTORS))
    lines = []
    for fold in splits.folds:
        sides = [[factors_of(t, pattern) for t in part] for part in (fold.train, fold.validation)]
        for which in (0, 1):
            both = {f[which] for f in sides[0]} & {f[which] for f in sides[1]}
            lines += [f"fold {fold.name}: {value} in training and in validation" for value in sorted(both)]
    times = Counter(t for fold in splits.folds for t in set(fold.validation))
    return lines + [
        f"{track}: in validation of {times[track]} folds, expected 1"
        for track in splits.tracks
        if times[track] != 1
    ]


def _across(splits: Splits) -> list[str]:
    """Each cross-validation track is validated once, and is in every fold."""
    folds = [fold for fold in splits.folds if fold.name != OFFICIAL]
    lines = [f'fold name "{name}" twice' for name in _doubled(fold.name for fold in splits.folds)]
    tracks = {t for fold in folds for t in (*fold.train, *fold.validation)}
    for fold in folds:
        missing = sorted(tracks - set(fold.train) - set(fold.validation))
        lines += [f"fold {fold.name}: {track} missing" for track in missing]
    times = Counter(t for fold in folds for t in set(fold.validation))
    if len(folds) == 1:  # one division, not a cross-validation
        return lines
    lines += [
        f"{track}: in validation of {times[track]} folds, expected 1"
        for track in sorted(tracks)
        if times[track] != 1
    ]
    return lines


def _against_annotations(splits: Splits, annotations: Mapping[str, Annotation]) -> list[str]:
    lines = []
    # a file made by hand may name its source in words, which cannot be compared
    if source_hash(annotations) != splits.source and re.fullmatch("[0-9a-f]{16}", splits.source):
        lines.append("the annotations are not the ones the folds were made from (labels or tracks differ)")
    left_out = {t for leak in splits.leaks if leak.where == "test" for t in leak.train}
    removed = {t for leak in splits.leaks for t in leak.train}
    cross = {t for f in splits.folds if f.name != OFFICIAL for t in (*f.train, *f.validation)}
    if cross:
        lines += [f"{t}: annotated, but in no fold" for t in sorted(set(annotations) - cross - left_out)]
    for fold in splits.folds:
        if fold.name == OFFICIAL:
            listed = {*fold.train, *fold.validation}
            missing = sorted(set(annotations) - listed - removed)
            lines += [f"fold {OFFICIAL}: {track} missing" for track in missing]
    return lines + [
        f"{t}: in the folds, but not annotated" for t in sorted(set(splits.tracks) - set(annotations))
    ]


def _against_test(splits: Splits, test: list[str]) -> list[str]:
    lines = []
    held_out = group_tracks(set(test))
    for group, tracks in group_tracks({t for fold in splits.folds for t in fold.train}).items():
        for track in tracks if group in held_out else ():
            where = ", ".join(fold.name for fold in splits.folds if track in fold.train)
            if track in held_out[group]:
                lines.append(f"test track {track} is in training of folds {where}")
            else:
                siblings = ", ".join(held_out[group])
                lines.append(f"test track {siblings}: sibling {track} is in training of folds {where}")
    return lines


def _doubled(items: Iterable[str]) -> list[str]:
    return sorted(item for item, times in Counter(items).items() if times > 1)
