"""Scores to official prediction files, written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from abaw_submit.arrays import F32
from abaw_submit.corpus.mtl import MtlList, read_mtl
from abaw_submit.corpus.templates import read_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.errors import UserError
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_member, read_scores, refuse_other_labels
from abaw_submit.store import RECORD_NAME, Stage, atomic_path
from abaw_submit.submission.encode import located_text, track_text
from abaw_submit.submission.expected import refuse_other_task
from abaw_submit.submission.grammar import PER_TRACK_EDITIONS, Grammar, Labels, grammar_of
from abaw_submit.submission.videos import template_ids, write_videos
from abaw_submit.tasks import AH, AU_COLUMNS, AU_COLUMNS_EDITION_1, LATEST_EDITION, TASKS


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
    _refuse_other_folder(out, rows)
    with atomic_path(out) as temporary:  # what is left in the folder is written again
        temporary.mkdir()
        for track, count in rows.items():
            text = track_text(track_labels(scores, track, count, grammar), grammar)
            (temporary / f"{track}.txt").write_bytes(f"{grammar.track_header}\n".encode() + text)
    return Written([out / f"{t}.txt" for t in rows], len(rows), sum(rows.values()), _unused(scores, rows))


def _refuse_other_folder(out: Path, tracks: Mapping[str, int]) -> None:
    """The folder written is replaced as a whole, so it must hold nothing but what is written again."""
    if not out.is_dir():
        return
    known = {RECORD_NAME, *(f"{track}.txt" for track in tracks)}
    others = sorted(path.name for path in out.iterdir() if path.name not in known)
    if others:
        raise UserError(f"{out} holds {others[0]}, which would be lost. Give a folder of its own as --out.")


def track_labels(
    scores: Sequence[Scores], track: str, rows: int, grammar: Grammar, exact: bool = True
) -> Labels:
    """The labels of one track: (rows, columns of the grammar).

    Args:
        scores: one task's scores, or for MTL those of VA, EXPR and AU.
        track: the track.
        rows: rows wanted.
        grammar: what is written.
        exact: refuse more rows than wanted.

    Raises:
        UserError: a row has no score or one that is not finite.
    """
    parts = []
    for one in scores:
        values = _complete(one, track, rows, exact)
        columns = TASKS[one.task.name].columns_of(grammar.edition)
        if len(columns) != one.task.outputs:
            values = values[:, _positions(one, columns)]
        parts.append(decide(one.task, values))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _complete(scores: Scores, track: str, rows: int, exact: bool) -> F32:
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
    if exact and len(values) > rows:
        raise UserError(
            f"Track {track}: {len(values)} rows of {name} scores; the template has {rows}."
            "\nMake the scores for the template's rows (crop --rows-from TEMPLATE)."
        )
    values = values[:rows]
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite.all(axis=1)))
        column = int(np.argmin(finite[row]))
        raise UserError(
            f"Track {track}, row {row + 1}: the {name} score of {scores.task.columns[column]} is"
            f" {values[row, column]}; expected a finite number. Nothing was written."
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


def write_listed(scores: Sequence[Scores], wanted: MtlList, grammar: Grammar, out: Path | str) -> Written:
    """Write a multi-task submission: a line for each line of the list, repeated pictures repeated.

    Args and errors as in `write_single`; tracks may have more rows than the list names.
    """
    out = Path(out)
    last: dict[str, int] = {}
    for track, row in wanted.locations:
        last[track] = max(last.get(track, 0), row)
    texts: dict[str, list[bytearray]] = {}
    for track, rows in last.items():
        labels = track_labels(scores, track, rows, grammar, exact=False)
        texts[track] = located_text(track, labels, grammar).split(b"\n")
    with atomic_path(out) as temporary, temporary.open("wb") as handle:
        handle.write(f"{grammar.header}\n".encode())
        handle.writelines(texts[track][row - 1] + b"\n" for track, row in wanted.locations)
    return Written([out], len(last), len(wanted.tracks), _unused(scores, last))


def format_files(
    kind: str,
    scores: Sequence[Path | str],
    out: Path | str,
    template: Path | None = None,
    tracks: Path | None = None,
    edition: int | None = None,
    with_probabilities: bool = False,
    other_labels: bool = False,
) -> Written | None:
    """The stage: read scores, write the official file or files, record what was read.

    Args:
        kind: AU, EXPR, VA, MTL or AH.
        scores: score files or folders; several of one task are gathered (averaged per track).
        out: the file, or for per-track editions the folder.
        template: the rows to write, for the single-file dialect.
        tracks: a list of tracks, for the per-track dialect.
        edition: whose headers; None takes the template's, or 3 for a list.
        with_probabilities: for AH, lines `id,p0,p1,label` in place of `id,label`.
        other_labels: AU, EXPR, VA: take scores of a model that learned other tasks' labels too.

    Returns:
        What was written, or None if it was done already.

    Raises:
        UserError: scores are missing, not finite or another task's; nothing is written.
    """
    source = template or tracks
    if source is None or (template and tracks):
        raise UserError("Give --template FILE (one file, editions 5 on) or --tracks FILE (editions 1 to 3).")
    grammar = grammar_of(kind, edition or (LATEST_EDITION if template else PER_TRACK_EDITIONS[-1]))
    rows: Mapping[str, int] | MtlList | list[str] | None = None
    if grammar.track_header is None and template is None:
        what = "videos" if grammar.name == AH.name else "pictures"
        raise UserError(f"A {grammar.name} submission is one file: give its list of {what} as --template.")
    if with_probabilities and grammar.name != AH.name:
        raise UserError(f"{grammar.name} submissions hold no probabilities; only AH (ambivalence) does.")
    if grammar.name == AH.name:
        rows = template_ids(source)
    elif grammar.name == "MTL":
        rows = read_mtl(source)
    elif template is not None:
        read = read_template(template)
        refuse_other_task(read, kind)
        if edition is None and read.edition and read.task and read.task.name == grammar.name:
            grammar = grammar_of(kind, read.edition)
        rows = read.tracks
    settings = {
        "task": grammar.name,
        "edition": grammar.edition,
        "rows": "template" if template else "tracks",
    }
    if with_probabilities:
        settings["probabilities"] = True
    stage = Stage("format", out, settings=settings, inputs=[*scores, source])
    if stage.done():
        return None
    with stage:
        members = _read(grammar, scores, other_labels)
        if isinstance(rows, list):
            unused = write_videos(members[0], rows, Path(out), with_probabilities)
            written = Written([Path(out)], len(rows), len(rows), unused)
        elif isinstance(rows, MtlList):
            written = write_listed(members, rows, grammar, out)
        elif rows is not None:
            written = write_single(members, rows, grammar, out)
        else:
            written = write_tracks(members, _scored_rows(members, source), grammar, out)
        for file in written.files:
            stage.output(file)
        stage.count("rows", written.rows)
        stage.count("tracks", written.tracks)
    return written


def _scored_rows(scores: Sequence[Scores], tracks: Path) -> dict[str, int]:
    """For a list of tracks: as many rows as the scores have.

    Raises:
        UserError: a track of the list has no scores.
    """
    names = read_track_list(tracks)
    lacking = [name for name in names if any(name not in one for one in scores)]
    if lacking:
        raise UserError(
            f"{len(lacking)} of {len(names)} tracks in {tracks} have no scores: {', '.join(lacking[:5])}."
            " Predict them first."
        )
    return {name: len(scores[0][name]) for name in names}


def _read(grammar: Grammar, paths: Sequence[Path | str], other_labels: bool) -> list[Scores]:
    """The scores of the grammar's tasks, in the order of its columns."""
    wanted = ("VA", "EXPR", "AU") if grammar.name == "MTL" else (grammar.name,)
    by_task: dict[str, list[tuple[Path | str, Scores]]] = {name: [] for name in wanted}
    for path in paths:
        read = read_scores(path, wanted[0] if len(wanted) == 1 else None)
        if read.task.name not in by_task:
            raise UserError(f"{path} holds {read.task.name} scores; expected {' and '.join(wanted)}.")
        if len(wanted) == 1 and not other_labels:
            refuse_other_labels(read, path)
        by_task[read.task.name].append((path, read))
    lacking = [name for name in wanted if not by_task[name]]
    if lacking:
        raise UserError(f"No {' and '.join(lacking)} scores given; {grammar.name} needs {', '.join(wanted)}.")
    return [
        found[0][1] if len(found) == 1 else read_member([path for path, _ in found], name)
        for name, found in by_task.items()
    ]
