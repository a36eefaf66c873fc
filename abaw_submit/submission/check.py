"""Check a submission of either dialect, by this tool or any other, against what was asked for."""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.lines import Lines
from abaw_submit.errors import UserError
from abaw_submit.submission.containers import DamagedZip, Member, TooMuch, open_members
from abaw_submit.submission.dialect import (
    PER_TRACK,
    SINGLE,
    dialect_asked,
    dialect_of,
    edition_of,
    template_edition,
)
from abaw_submit.submission.expected import ExpectedRows
from abaw_submit.submission.findings import Place, Report
from abaw_submit.submission.grammar import Grammar, grammar_of, grammar_of_header
from abaw_submit.submission.locate import is_row, locate, locate_listed, rows_in_file
from abaw_submit.submission.provenance import edited_since
from abaw_submit.submission.suspicions import note_suspicions, summarize
from abaw_submit.submission.values import Kinds, Values, diagnose, read_values
from abaw_submit.submission.videos import check_videos
from abaw_submit.tasks import AH, LATEST_EDITION

_MOST_SUBMISSIONS = 20  # single files in one container; five are allowed
_PART_BYTES = 1 << 22


def check(
    target: Path | str, kind: str, asked: ExpectedRows | None = None, edition: int | None = None
) -> Report:
    """Check a file, a folder or a zip.

    Args:
        target: what is to be submitted.
        kind: AU, EXPR, VA, MTL, CE or AH.
        asked: what it has to hold; None makes only the checks that need no list of rows.
        edition: the edition whose headers are right; None takes the template's, else that of the files.

    Raises:
        UserError: there is no such target.
    """
    grammar = grammar_of(kind, edition or template_edition(asked, kind) or LATEST_EDITION)
    report = Report(str(target), grammar.name, grammar.edition, grammar.columns)
    members = open_members(target, report)
    edited = edited_since(target)
    if edited:
        report.add("edited", Place(found=edited))
    shortest = 1 if grammar.name == AH.name else 2  # a header and a row
    texts = [(m, lines) for m in members if (lines := _text(m, report, shortest)) is not None]
    if not members and not report.problems:
        report.add("empty", Place(Path(target).name, found="no submission file"))
    if not texts:
        return report
    if grammar.name == AH.name:
        report.dialect = SINGLE
        for member, lines in texts:
            check_videos(member.name, lines, asked.videos if asked else None, report)
        if len(texts) > 1:
            report.add("several submissions", Place(found=f"{len(texts)} files"), len(texts))
        return report
    report.dialect = dialect_of(texts[0][1], grammar, report.container, asked)
    wanted = dialect_asked(asked, edition) or report.dialect
    if report.dialect != wanted:
        found = f"{report.dialect}, expected {wanted}; abaw-submit format makes them from scores"
        report.add("dialect", Place(found=found))
    if report.dialect == PER_TRACK:
        if edition is None:
            grammar = edition_of(texts[0][1], grammar)
            report.edition, report.edition_columns = grammar.edition, grammar.columns
        _check_tracks(texts, grammar, asked, report)
    else:
        for member, lines in texts[:_MOST_SUBMISSIONS]:
            _check_single(member, lines, grammar, asked, report)
        if len(texts) > _MOST_SUBMISSIONS:
            found = f"{len(texts)} files, of which the first {_MOST_SUBMISSIONS} were checked"
            report.add("limit", Place(found=found), len(texts) - _MOST_SUBMISSIONS)
        if len(texts) > 1:
            report.add("several submissions", Place(found=f"{len(texts)} files"), len(texts))
    return report


def _text(member: Member, report: Report, shortest: int) -> Lines | None:
    """The lines of a file, after the checks of bytes; None if it cannot be read on."""
    try:
        lines = member.read()
    except DamagedZip as error:
        report.add("zip", Place(member.name, found=str(error)))
        return None
    except TooMuch as error:
        report.add("limit", Place(member.name, found=str(error)))
        return None
    except UserError as error:
        report.add("encoding", Place(member.name, found=str(error).split(": ", 1)[-1]))
        return None
    report.files.append(member.name)
    text = lines.buffer[: lines.size]
    if lines.bom:
        report.add("encoding", Place(member.name, 1, found="a byte order mark"))
    wrong = _first_not_utf8(text)
    if wrong is not None:
        line = int(np.searchsorted(lines.starts, wrong[0], side="right"))
        report.add("encoding", Place(member.name, line, found=f"not UTF-8: {wrong[1]}"))
    if lines.carriage_returns:
        report.add("line ending", Place(member.name, found="CR LF"), lines.carriage_returns)
    inner = int(np.count_nonzero(text == 13)) - lines.carriage_returns
    if inner > 0:
        report.add("line ending", Place(member.name, found="CR"), inner)
    blank = len(lines) - len(lines.without_blank_tail())
    if blank:
        report.add("blank line", Place(member.name, len(lines) - blank + 1), blank)
    lines = lines.without_blank_tail()
    if len(lines) < shortest:
        report.add("empty", Place(member.name, found=f"{len(lines)} lines"))
        return None
    return lines


def _first_not_utf8(text: npt.NDArray[np.uint8]) -> tuple[int, str] | None:
    """The first byte that is not UTF-8 and why; read in parts, as text takes four times the memory."""
    if text.max(initial=0) <= 127:
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    for first in range(0, len(text), _PART_BYTES):
        held = len(decoder.getstate()[0])
        try:
            decoder.decode(text[first : first + _PART_BYTES].tobytes(), first + _PART_BYTES >= len(text))
        except UnicodeDecodeError as error:
            return first - held + error.start, error.reason
    return None


def _check_single(
    member: Member, lines: Lines, grammar: Grammar, asked: ExpectedRows | None, report: Report
) -> None:
    first = 0 if is_row(lines, 0) else 1
    report.rows += len(lines) - first
    if _unreadable(member.name, lines, grammar.header, report):
        return
    values_fit = _check_header(member.name, lines, grammar, grammar.header, asked, report, first)
    if not values_fit:
        return  # another task's file: its rows are not what is wrong with it
    tracks: Mapping[str, int]
    if asked is not None and asked.listed is not None:
        found, tracks = locate_listed(lines, asked.listed, report, member.name, first)
    else:
        tracks = _known_rows(lines, asked, first, member.name, report)
        found = locate(lines, tracks, report, member.name, first)

    def note(index: int, kinds: Kinds) -> None:
        for kind, text in kinds:
            report.add(kind, Place(member.name, int(found.lines[index]) + 1, found=text))

    values = read_values(lines, found.values, lines.ends[found.lines], grammar, note)
    report.tracks += summarize(found.rows, values, tracks, grammar)
    note_suspicions(values, found.rows, tracks, grammar, report, member.name)


def _unreadable(file: str, lines: Lines, expected: str, report: Report) -> bool:
    """Name what makes every line of a file wrong at once; its lines are then not looked at one by one."""
    header = lines.text(0)
    for mark, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if mark in header and header.replace(mark, ",") == expected:
            report.add("header", Place(file, 1, found=f"{name} between the columns; expected commas alone"))
            return True
    first, _, rest = header.partition(",")
    if rest == expected and first in ("", '""', "index", "Unnamed: 0"):
        found = "a first column with row numbers; in pandas: to_csv(index=False)"
        report.add("header", Place(file, 1, found=found))
        return True
    return False


def _known_rows(
    lines: Lines, asked: ExpectedRows | None, first: int, file: str, report: Report
) -> Mapping[str, int]:
    if asked is not None and None not in asked.tracks.values():
        return {track: rows for track, rows in asked.tracks.items() if rows is not None}
    seen = rows_in_file(lines, first)
    report.add("rows not checked", Place(file))
    if asked is None:
        return seen
    for track in asked.tracks:
        if track not in seen:
            report.add("missing track", Place(file, None, track))
    return {track: rows or seen[track] for track, rows in asked.tracks.items() if rows or track in seen}


def _check_header(
    file: str,
    lines: Lines,
    grammar: Grammar,
    expected: str,
    asked: ExpectedRows | None,
    report: Report,
    first: int = 1,
) -> bool:
    """Compare the header; whether the values are to be checked (not if they are another task's)."""
    header = lines.text(0)
    if header == expected:
        return True
    if first == 0:
        report.add("header", Place(file, 1, found="no header, the first line is a row"))
        return True
    template = asked.template if asked else None
    other = grammar_of_header(header)
    of_other = f"the header of {other.name}" if other else ""
    if template is not None and header == template.header:
        report.add("odd header", Place(file, 1, found=f"{of_other or 'unknown'} over {grammar.name} values"))
        return True
    if other is None or other.name == grammar.name:
        report.add("header", Place(file, 1, found=f'"{header[:100]}", expected "{expected}"'))
        return True
    rows = [lines[index] for index in range(1, min(len(lines), 6))]
    tails = [row.partition(b",")[2] if b"/" in row else row for row in rows]
    if any(not diagnose(tail, grammar)[0] for tail in tails):
        report.add("header", Place(file, 1, found=f"{of_other} over {grammar.name} values"))
        return True
    report.add("wrong task", Place(file, 1, found=f"{of_other}, expected {grammar.name}"))
    return False


def _check_tracks(
    texts: list[tuple[Member, Lines]], grammar: Grammar, asked: ExpectedRows | None, report: Report
) -> None:
    expected = asked.tracks if asked is not None else {member.stem: None for member, _ in texts}
    names = {member.stem for member, _ in texts} | {Path(file).stem for file in report.files}
    for track in expected:
        if track not in names:
            report.add("missing track", Place(f"{track}.txt", None, track))
    parts: list[Values] = []
    rows: dict[str, int] = {}
    for member, lines in texts:
        track = member.stem
        if track not in expected:
            report.add("unknown track", Place(member.name, None, track))
            continue
        values = _check_track(member, lines, grammar, asked, expected[track], report)
        if values is not None:
            parts.append(values)
            rows[track] = len(values.good)
    if None in expected.values():
        unknown = [t for t, count in expected.items() if count is None]
        report.add("rows not checked", Place(track=unknown[0]), len(unknown))
    if parts:
        whole = Values(
            np.concatenate([p.floats for p in parts]),
            np.concatenate([p.integers for p in parts]),
            np.concatenate([p.good for p in parts]),
        )
        at = np.arange(len(whole.good))
        report.tracks += summarize(at, whole, rows, grammar, expected)
        note_suspicions(whole, at, rows, grammar, report, "")


def _check_track(
    member: Member,
    lines: Lines,
    grammar: Grammar,
    asked: ExpectedRows | None,
    rows: int | None,
    report: Report,
) -> Values | None:
    assert grammar.track_header is not None
    report.rows += len(lines) - 1
    if _unreadable(member.name, lines, grammar.track_header, report):
        return None
    values_fit = _check_header(member.name, lines, grammar, grammar.track_header, asked, report)
    if rows is not None and len(lines) - 1 != rows:
        found = f"{len(lines) - 1} rows, expected {rows}"
        report.add("row count", Place(member.name, None, member.stem, found=found))
    if not values_fit:
        return None

    def note(index: int, kinds: Kinds) -> None:
        place = Place(member.name, index + 2, member.stem, index + 1)
        if not lines[index + 1].strip():
            report.add("blank line", place)
            return
        for kind, text in kinds:
            report.add(kind, dataclasses.replace(place, found=text))

    return read_values(lines, lines.starts[1:], lines.ends[1:], grammar, note)
