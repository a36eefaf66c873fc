"""The two ways a submission is laid out, and which edition's headers it has."""

from __future__ import annotations

from abaw_submit.corpus.lines import Lines
from abaw_submit.submission.expected import ExpectedRows
from abaw_submit.submission.grammar import PER_TRACK_EDITIONS, Grammar, grammar_of, grammar_of_header
from abaw_submit.submission.locate import is_row
from abaw_submit.tasks import LATEST_EDITION

SINGLE, PER_TRACK = "single file", "per-track files"


def template_edition(asked: ExpectedRows | None, kind: str) -> int | None:
    """The edition whose header the template has; None without one, or if the header is another task's."""
    template = asked.template if asked else None
    of_kind = template is not None and template.task is not None and template.task.name == kind
    return template.edition if template and of_kind else None


def edition_of(lines: Lines, grammar: Grammar) -> Grammar:
    """The grammar of the same task whose header the first line is; the one given if it is none's."""
    found = grammar_of_header(lines.text(0))
    return found if found is not None and found.name == grammar.name else grammar


def dialect_of(lines: Lines, grammar: Grammar, container: str, asked: ExpectedRows | None) -> str:
    """By the first lines; where they say nothing, a template or a lone file means a single file."""
    if grammar.track_header is None:
        return SINGLE
    header = lines.text(0)
    if "image" in header or is_row(lines, 0) or (len(lines) > 1 and is_row(lines, 1)):
        return SINGLE
    if header in (grammar_of(grammar.name, e).track_header for e in (1, 2, LATEST_EDITION)):
        return PER_TRACK
    alone = container == "file" or (asked is not None and asked.template is not None)
    return SINGLE if alone else PER_TRACK


def dialect_asked(asked: ExpectedRows | None, edition: int | None) -> str | None:
    """What the edition wants; without one, a template is of editions that want one file."""
    if edition is not None:
        return PER_TRACK if edition in PER_TRACK_EDITIONS else SINGLE
    return SINGLE if asked is not None and asked.template is not None else None
