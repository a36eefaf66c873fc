"""The header of a text table: whether there is one, and its names. A row taken for one shifts all."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import numpy as np

from abaw_submit.arrays import Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.dialect import Dialect
from abaw_submit.scores.sniff.table import Options
from abaw_submit.scores.sniff.words import LOCATION, class_of, looks_named, role_of
from abaw_submit.tasks import EDITIONS, EXPR, Task

_LABELS_HEADERS = {EXPR.columns_of(edition) for edition in EDITIONS}
# what stands for a missing number
GAPS = ["", "NA", "N/A", "null", "None", "-", "-nan(ind)", "nan(ind)", "1.#QNAN", "-1.#IND"]


@dataclass(frozen=True)
class Form:
    """What was found out about the lines: the header's names, and how the rows are divided."""

    names: tuple[str, ...] | None
    width: int
    trailing: bool
    doubtful: bool
    notes: tuple[str, ...]


def place_of(where: str, line: int) -> str:
    return f"{where}, line {line + 1}"


def skips_header(form: Form) -> bool:
    return "header left out" in form.notes


def find_form(
    sample: list[str],
    dialect: Dialect,
    counts: Index,
    options: Options,
    task: Task | None,
    where: str,
    commented: bool,
) -> Form:
    first = sample[0].lstrip("# ") if commented else sample[0]
    head = dialect.split(first) if dialect.delimiter else [f.strip() for f in first.split(",")]
    if dialect.delimiter == " " and len(head) == 1 and "," in first:
        head = [f.strip().strip('"') for f in first.split(",")]
    body = [dialect.split(line) for line in sample[1:]]
    width = usual_count(counts) + 1
    trailing = width > 1 and all(row[-1] == "" for row in body) and bool(body)
    if trailing:
        width -= 1
        head = head[:-1] if head[-1] == "" and len(head) == width + 1 else head
        body = [row[:width] for row in body]
    named, doubtful = _has_header(head, body, dialect, task)
    if options.header is not None:
        named, doubtful = options.header, False
    if commented and not named and any(not dialect.is_number(f) for f in head):
        named = True
    if not named:
        return Form(None, width, trailing, doubtful, ())
    if options.header is None and _only_counts(head[1:] if head[0] == "" else head):
        return Form(None, width, trailing, False, ("header left out", "the header only numbers the columns"))
    if len(head) == width:
        return Form(tuple(head), width, trailing, False, ())
    for columns in _LABELS_HEADERS:  # one integer under eight names, as the organisers want it
        if tuple(head) == columns and width == 1:
            return Form(("expression",), 1, trailing, False, ())
        if tuple(head[1:]) == columns and width == 2 and role_of(head[0]) is not None:
            return Form((head[0], "expression"), 2, trailing, False, ())
    if (
        options.columns
        and re.fullmatch(r"[\d\s,=a-z]+", options.columns)
        and re.search(r"\d", options.columns)
    ):
        return Form(None, width, trailing, False, ("header left out", "the header has another width"))
    if width == 1 and trailing and role_of(head[0]) == LOCATION:
        raise UserError(f"{where}: a blank template, without a single score in it.")
    raise UserError(
        f'{where}: the header names {len(head)} columns ("{first[:60]}"), the rows have {width}.'
        "\nName every column, or choose by position, such as --columns frame=1,2,3."
    )


def usual_count(counts: Index) -> int:
    """Delimiters in most lines; the header's own number if half of the rows have it."""
    body = counts[1:] if len(counts) > 1 else counts
    return int(counts[0]) if 2 * (body == counts[0]).sum() >= len(body) else int(np.bincount(body).argmax())


def _has_header(
    head: list[str], body: list[list[str]], dialect: Dialect, task: Task | None
) -> tuple[bool, bool]:
    """Whether the first line is a header; and whether it may be one that looks like a row."""
    numeric = [dialect.is_number(field) or (field != "" and field in GAPS) for field in head]
    if all(numeric):
        if len(head) > 2 and all(f.isdigit() for f in head) and len(set(head)) == len(head):
            # whole numbers, all different, over rows that are not: `0,1,2,…`, or `1,2,4,6,…` for AUs
            decimals = sum(not field.isdigit() for row in body for field in row)
            whole = sum(len(row) for row in body) - decimals
            return decimals > whole, bool(body) and decimals <= whole and _rises(head)
        return False, bool(body) and _only_counts(head)
    if head[0] == "" and all(numeric[1:]):
        return _only_counts(head[1:]), False
    if all(class_of(field) is not None for row in [head, *body] for field in row) and len(head) == 1:
        return False, False  # the names of classes, one a row
    if not body:
        return any(looks_named(field, task) for field in head), False
    for k, field in enumerate(head):
        below = [row[k] for row in body if k < len(row)]
        if field and not numeric[k] and below and all(dialect.is_number(b) for b in below):
            return True, False
    return len(head) != len(body[0]) or any(looks_named(field, task) for field in head), False


def _rises(head: list[str]) -> bool:
    """Whether fields are whole numbers, each larger than the last: `0,1,2,…`, or `1,2,4,6,…` for AUs."""
    return all(field.isdigit() for field in head) and all(
        int(a) < int(b) for a, b in itertools.pairwise(head)
    )


def _only_counts(head: list[str]) -> bool:
    """Whether fields are 0, 1, 2, … or 1, 2, 3, …, as programs write over unnamed columns."""
    first = 1 if len(head) > 1 and head[0] == "1" else 0
    return head == [str(k + first) for k in range(len(head))]
