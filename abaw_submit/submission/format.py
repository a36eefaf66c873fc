"""Scores to official prediction files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abaw_submit.corpus.templates import read_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.errors import UserError
from abaw_submit.postprocess.decide import decide
from abaw_submit.postprocess.scores import FloatArray, Scores
from abaw_submit.store import atomic_path
from abaw_submit.submission.encode import located_text, track_text
from abaw_submit.submission.grammar import Grammar, Labels
from abaw_submit.tasks import AU_COLUMNS, AU_COLUMNS_EDITION_1, TASKS


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        files: the files, in the order of the tracks.
        tracks: number of tracks.
        rows: number of rows.
        unused: tracks that have scores and are not asked for.
    """

    files: list[Path]
    tracks: int
    rows: int
    unused: list[str]


def write_single(
    scores: Sequence[Scores], rows: Mapping[str, int], grammar: Grammar, out: Path | str
) -> Written:
    """Write the one file of editions 5, 6, 8, 9, 10 (and MTL, CE): a row for each row asked for, in order.

    Args:
        scores: one task's scores; for MTL those of VA, EXPR and AU.
        rows: row count by track, in the template's order.
        grammar: what to write.
        out: the file.

    Raises:
        UserError: a row has no score or one that is not finite: track and row. Nothing is written.
    """
    out = Path(out)
    with atomic_path(out) as temporary, temporary.open("wb") as handle:
        handle.write(f"{grammar.header}\n".encode())
        for track, count in rows.items():
            handle.write(located_text(track, track_labels(scores, track, count, grammar), grammar))
    return Written([out], len(rows), sum(rows.values()), _unused(scores, rows))


def write_tracks(
    scores: Sequence[Scores], rows: Mapping[str, int], grammar: Grammar, out: Path | str
) -> Written:
    """Write the folder of editions 1 to 3: one `<track>.txt` in the annotation grammar for each track.

    Args and errors as in `write_single`; the folder replaces an older one.
    """
    out = Path(out)
    if grammar.track_header is None:
        raise UserError(f"{grammar.name} submissions are one file. Give --template, and a file as --out.")
    with atomic_path(out) as temporary:
        temporary.mkdir()
        for track, count in rows.items():
            text = track_text(track_labels(scores, track, count, grammar), grammar)
            (temporary / f"{track}.txt").write_bytes(f"{grammar.track_header}\n".encode() + text)
    return Written([out / f"{t}.txt" for t in rows], len(rows), sum(rows.values()), _unused(scores, rows))


def track_labels(scores: Sequence[Scores], track: str, rows: int, grammar: Grammar) -> Labels:
    """The labels of one track: (rows, columns of the grammar).

    Raises:
        UserError: a row has no score or one that is not finite.
    """
    parts = []
    for one in scores:
        values = _complete(one, track, rows)
        columns = TASKS[one.task.name].columns_of(grammar.edition)
        if len(columns) != one.task.outputs:
            values = values[:, _positions(one, columns)]
        parts.append(decide(one.task, values))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _complete(scores: Scores, track: str, rows: int) -> FloatArray:
    name = scores.task.name
    if track not in scores:
        raise UserError(
            f"Track {track} has no {name} scores: rows 1 to {rows} are missing. Predict it first."
        )
    values = scores[track]
    if len(values) < rows:
        raise UserError(
            f"Track {track}, row {len(values) + 1}: no {name} score;"
            f" expected {rows} rows, found {len(values)}. Nothing was written."
        )
    if len(values) > rows:
        raise UserError(
            f"Track {track}: {len(values)} rows of {name} scores; the template has {rows}."
            "\nMake the scores for the template's rows (crop --rows-from TEMPLATE)."
        )
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1)))
        column = scores.task.columns[int(np.argmin(finite[row]))]
        raise UserError(
            f"Track {track}, row {row + 1}: the {name} score of {column} is {values[row].min()};"
            " expected a finite number. Nothing was written."
        )
    return values


def _positions(scores: Scores, columns: tuple[str, ...]) -> list[int]:
    """Where an earlier edition's columns stand in today's."""
    lacking = [column for column in columns if column not in scores.task.columns]
    if lacking:
        raise UserError(
            f"Edition 1 asks for {', '.join(lacking)}, which {scores.task.name} scores do not have."
            f"\nIts AUs are {', '.join(AU_COLUMNS_EDITION_1)}; the scores' {', '.join(AU_COLUMNS)}."
        )
    return [scores.task.columns.index(column) for column in columns]


def _unused(scores: Sequence[Scores], rows: Mapping[str, int]) -> list[str]:
    return sorted({track for one in scores for track in one} - set(rows))


def wanted_rows(scores: Sequence[Scores], template: Path | None, tracks: Path | None) -> dict[str, int]:
    """The rows to write: the template's, or for a list of tracks as many as the scores have.

    Raises:
        UserError: neither or both are given, or a track of the list has no scores.
    """
    if template is not None and tracks is None:
        return dict(read_template(template).tracks)
    if template is not None or tracks is None:
        raise UserError("Give --template FILE (one file, editions 5 on) or --tracks FILE (editions 1 to 3).")
    names = read_track_list(tracks)
    lacking = [name for name in names if any(name not in one for one in scores)]
    if lacking:
        raise UserError(
            f"{len(lacking)} of {len(names)} tracks in {tracks} have no scores: {', '.join(lacking[:5])}."
            " Predict them first."
        )
    return {name: len(scores[0][name]) for name in names}
