"""What a submission has to hold: a template's rows, or a list of tracks with row counts from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from abaw_submit.corpus.lines import read_lines
from abaw_submit.corpus.mtl import MtlList, read_mtl
from abaw_submit.corpus.rows import official_rows
from abaw_submit.corpus.templates import Template, read_template
from abaw_submit.corpus.testlists import read_track_list
from abaw_submit.corpus.videolist import read_video_list
from abaw_submit.errors import UserError
from abaw_submit.submission.grammar import grammar_of, grammar_of_header
from abaw_submit.tasks import TASKS


@dataclass(frozen=True)
class ExpectedRows:
    """What the submission has to hold.

    Attributes:
        tracks: row count by track in the official order; None where it is not known.
        template: the template, if there is one.
        listed: for MTL, the lines of the list.
        videos: for AH, the videos in the template's order.
    """

    tracks: dict[str, int | None]
    template: Template | None = None
    listed: MtlList | None = None
    videos: tuple[str, ...] | None = None


def expected_rows(
    kind: str, template: Path | None = None, tracks: Path | None = None, rows_from: Path | None = None
) -> ExpectedRows:
    """What a template, or a list of tracks with row counts from elsewhere, asks for.

    Raises:
        UserError: a file is malformed, the template is for another task, or nothing is given.
    """
    if kind == "MTL":
        if template is None:
            raise UserError("Nothing to check against: give the list of pictures as --template FILE.")
        return ExpectedRows({}, None, read_mtl(template))
    if kind == "AH":
        if template is None:
            raise UserError("Nothing to check against: give the list of videos as --template FILE.")
        return ExpectedRows({}, videos=tuple(read_video_list(template).ids))
    if template is not None:
        read = read_template(template)
        refuse_other_task(read, kind)
        if tracks is None:
            return ExpectedRows(dict(read.tracks), read)
    if tracks is None:
        raise UserError("Nothing to check against: give --template FILE, or --tracks FILE (editions 1 to 3).")
    source = rows_from or template
    rows = official_rows(source) if source is not None else {}
    return ExpectedRows({track: rows.get(track) for track in read_track_list(tracks)})


def task_of_template(path: Path) -> str | None:
    """The one task a template can be of, by its header; None if that leaves a choice (or there is no header).

    Raises:
        UserError: the template is malformed.
    """
    first = read_lines(path).text(0)
    grammar = grammar_of_header(first.replace(" ", ""))
    if grammar is None or grammar.name not in TASKS:
        return None if grammar is None else grammar.name
    dummies = read_template(path).dummies
    return grammar.name if dummies in (0, len(grammar.columns)) else None


def refuse_other_task(template: Template, kind: str) -> None:
    """Refuse a template of another task. One whose header is another task's and whose dummy values are
    of this task passes: such templates were handed out.

    Raises:
        UserError: the template is another task's.
    """
    other = grammar_of_header(template.header) if template.header else None
    if other is None or other.name == kind:
        return
    if template.dummies != len(grammar_of(kind).columns) or template.dummies == len(other.columns):
        raise UserError(f"{template.path} is a template of {other.name}; the task asked for is {kind}.")
