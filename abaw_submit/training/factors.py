"""Folds by two factors: validation has new people AND new films, training has neither.

Where every person watched the same films, folds by person alone reward knowing the film
(docs/reference/splits.md).
People are divided into k parts and films into k parts; fold (i, j) validates on the tracks of person part i
and film part j and trains on tracks of neither. So there are k * k folds, every track is validated once, and
each fold leaves out the tracks that share one factor with its validation part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.errors import UserError
from abaw_submit.tasks import Task
from abaw_submit.training.balance import balanced_folds, label_counts
from abaw_submit.training.folds import Fold, Splits, describe, source_hash, without_test

TWO_FACTORS = "two factors: "


def factors_of(track: str, pattern: re.Pattern[str]) -> tuple[str, str]:
    """The two factors of a track: what the pattern's two groups match.

    Raises:
        UserError: the name does not match.

    >>> factors_of("P07-film3", re.compile(r"(P\\d+)-(film\\d+)"))
    ('P07', 'film3')
    """
    match = pattern.search(track)
    if match is None or None in match.groups():
        raise UserError(f'Track {track} does not match the two groups of --factors "{pattern.pattern}".')
    return match[1], match[2]


def make_factor_splits(
    annotations: Mapping[str, Annotation],
    task: Task,
    pattern: str,
    *,
    folds: int = 3,
    seed: int = 0,
    test: Iterable[str] = (),
) -> Splits:
    """k * k folds whose validation tracks share neither factor with any training track.

    Args:
        annotations: track -> annotation; their order does not matter.
        task: whose labels are balanced.
        pattern: regular expression with two groups, such as "(P\\d+)-(film\\d+)".
        folds: parts of each factor (k).
        seed: chooses among equally balanced divisions.
        test: test tracks; annotated tracks with a sibling among them are left out.

    Raises:
        UserError: a pattern without two groups, a track that does not match, fewer values than parts, or a
            fold without tracks to train or validate on.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(f'--factors "{pattern}" is not a regular expression: {error}.') from None
    if compiled.groups != 2:
        raise UserError(
            f'--factors "{pattern}" has {compiled.groups} groups; expected 2, such as (P\\d+)-(\\w+).'
        )
    leaks, kept = without_test(annotations, test)
    found = {track: factors_of(track, compiled) for track in kept}
    part_of = [_parts(kept, task, {t: f[which] for t, f in found.items()}, folds, seed) for which in (0, 1)]
    made: list[Fold] = []
    for i in range(folds):
        for j in range(folds):
            place = {
                t: (part_of[0][first] == i, part_of[1][second] == j) for t, (first, second) in found.items()
            }
            train = [t for t, inside in place.items() if not any(inside)]
            validation = [t for t, inside in place.items() if all(inside)]
            if not train or not validation:
                raise UserError(
                    f"Parts {i} and {j} of the two factors have {len(validation)} tracks together and leave"
                    f" {len(train)} to train on. Choose fewer --folds."
                )
            made.append(Fold(str(len(made)), train, validation))
    balance = {fold.name: describe(fold, kept, task) for fold in made}
    return Splits(task.name, seed, made, source_hash(annotations), leaks, balance, TWO_FACTORS + pattern)


def _parts(
    annotations: Mapping[str, Annotation], task: Task, value_of: Mapping[str, str], folds: int, seed: int
) -> dict[str, int]:
    """The part of each value of one factor, balanced by rows and labels."""
    counts: dict[str, F64] = {}
    for track, value in value_of.items():
        own = label_counts(annotations[track], task)
        counts[value] = counts[value] + own if value in counts else own
    if len(counts) < folds:
        raise UserError(f"{folds} parts of {len(counts)} values of a factor: choose fewer --folds.")
    parts = balanced_folds(counts, folds, seed)
    return {value: index for index, part in enumerate(parts) for value in part}
