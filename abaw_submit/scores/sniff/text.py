"""Text tables: CSV and its relatives. Every line is counted before pandas parses it: no row can shift."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.arrays import Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.dialect import COMMA_NUMBER, Dialect, decode, find_dialect
from abaw_submit.scores.sniff.header import GAPS, Form, find_form, place_of, skips_header, usual_count
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.scores.sniff.words import TEXT_ROLES, role_of
from abaw_submit.tasks import Task

_SAMPLE = 200  # lines that decide about the form; all lines are then held to it
_SPACES = re.compile(rb"[ \t]+")
_LONGEST_LINE = 1 << 23  # 26,000 frames of 12 scores in one row are 4 MB
_MARKDOWN = re.compile(r"\|?(\s*:?-{2,}:?\s*\|)+(\s*:?-{2,}:?\s*)?")
_EDGES = re.compile(rb"(?m)^[ \t]+|[ \t]+$")


def read_text(
    path: Path, name: Sequence[str], options: Options, task: Task | None = None, data: bytes | None = None
) -> Table:
    """Read a text table strictly.

    Args:
        path: the file, for messages and bytes.
        name: the table's path of names.
        options: what the user settled.
        task: whose column names count as a header.
        data: its bytes, if they are read already.

    Raises:
        UserError: empty, binary, a blank line inside, rows of different widths, a field that is not a number.
    """
    where = str(path)
    raw, encoding = decode(path.read_bytes() if data is None else data, where)
    starts, ends = _lines(raw, where)
    comments = 0
    while comments < len(starts) and raw[starts[comments] : starts[comments] + 1] == b"#":
        comments += 1
    if comments == len(starts):
        raise UserError(f"{where} holds nothing but lines that begin with #.")
    first = max(comments - 1, 0)
    sample = _sample(raw, starts, ends, first)
    if len(sample) > 1 and _MARKDOWN.fullmatch(sample[1].strip()):
        raise UserError(f"{where} is a table of Markdown. Save it as CSV: frame.to_csv('scores.csv').")
    dialect = find_dialect(sample)
    if dialect.delimiter == " ":
        raw = _SPACES.sub(b"\t", _EDGES.sub(b"", raw))
        starts, ends = _lines(raw, where)
    counts = _delimiters(raw, starts, ends, dialect, where)
    if comments and len(dialect.split(sample[0].lstrip("# "))) != usual_count(counts[comments:]) + 1:
        first, sample = comments, sample[1:]  # a remark, no header
    commented = first < comments
    form = find_form(sample, dialect, counts[first:], options, task, place_of(where, first), commented)
    begin = first + (form.names is not None or skips_header(form))
    if begin >= len(starts):
        raise UserError(f"{where} has a header and no rows.")
    _check_widths(raw, starts, ends, counts, begin, form, dialect, where)
    columns = _parse(raw, starts, ends, begin, form, dialect, options, where)
    kind = f"text, {dialect.text()}, {encoding}" + ("" if form.names else ", no header")
    return Table(
        where,
        tuple(name),
        columns,
        form.names,
        line=begin + 1,
        kind=kind,
        notes=form.notes,
        doubtful_first=form.doubtful,
    )


def _lines(raw: bytes, where: str) -> tuple[Index, Index]:
    """First and last byte of each line, blank ones at the end left out.

    Raises:
        UserError: nothing in it, or a blank line before the end.
    """
    buffer = np.frombuffer(raw, np.uint8)
    breaks = np.flatnonzero(buffer == 10)
    starts = np.concatenate([[0], breaks + 1]).astype(np.int64)
    ends = np.concatenate([breaks, [len(raw)]]).astype(np.int64)
    last = len(starts)
    while last and not raw[starts[last - 1] : ends[last - 1]].strip():
        last -= 1
    if not last:
        raise UserError(f"{where} is empty. Remove it, or put the scores in.")
    starts, ends = starts[:last], ends[:last]
    longest = int(np.argmax(ends - starts))
    if ends[longest] - starts[longest] > _LONGEST_LINE:
        raise UserError(
            f"{where}, line {longest + 1}: more than {_LONGEST_LINE:,} bytes in one line;"
            " expected rows of scores."
        )
    narrow = np.flatnonzero(ends - starts <= np.median(ends - starts) / 4 + 1)
    for index in narrow:
        if not raw[starts[index] : ends[index]].strip():
            raise UserError(
                f"{where}, line {index + 1}: blank, with rows below it. A blank line may be a missing frame"
                " or nothing at all: fill it or remove it."
            )
    return starts, ends


def _sample(raw: bytes, starts: Index, ends: Index, first: int) -> list[str]:
    """The first lines, and some from all over the file."""
    spread = np.linspace(first, len(starts) - 1, _SAMPLE, dtype=np.int64)
    chosen = np.unique(np.concatenate([np.arange(first, min(first + 50, len(starts))), spread]))
    return [raw[starts[k] : ends[k]].decode() for k in chosen]


def _delimiters(raw: bytes, starts: Index, ends: Index, dialect: Dialect, where: str) -> Index:
    """Delimiters outside quotes in each line."""
    if dialect.delimiter == "":
        return np.zeros(len(starts), np.int64)
    buffer = np.frombuffer(raw, np.uint8)
    mark = 9 if dialect.delimiter == " " else ord(dialect.delimiter)
    found = buffer == mark
    if b'"' in raw:
        quotes = np.cumsum(buffer == 34)
        open_at = quotes[np.minimum(ends, len(raw)) - 1] % 2 == 1
        if open_at.any():
            line = int(np.argmax(open_at))
            raise UserError(f"{place_of(where, line)}: a quotation mark without its partner on the line.")
        found &= quotes % 2 == 0
    places = np.flatnonzero(found)
    return np.searchsorted(places, ends) - np.searchsorted(places, starts)


def _check_widths(
    raw: bytes,
    starts: Index,
    ends: Index,
    counts: Index,
    begin: int,
    form: Form,
    dialect: Dialect,
    where: str,
) -> None:
    expected = form.width - 1 + form.trailing
    wrong = np.flatnonzero(counts[begin:] != expected)
    if len(wrong):
        line = begin + int(wrong[0])
        text = raw[starts[line] : ends[line]].decode()[:60].replace("\t", " ")
        raise UserError(
            f'{place_of(where, line)}: {int(counts[line]) + 1 - form.trailing} values in "{text}";'
            f" expected {form.width} ({dialect.text()})."
        )
    if form.trailing:
        mark = 9 if dialect.delimiter == " " else ord(dialect.delimiter)
        full = np.flatnonzero(np.frombuffer(raw, np.uint8)[ends[begin:] - 1] != mark)
        if len(full):
            line = begin + int(full[0])
            raise UserError(
                f"{place_of(where, line)}: a value in a last column that is empty in the other rows."
            )


def _parse(
    raw: bytes,
    starts: Index,
    ends: Index,
    begin: int,
    form: Form,
    dialect: Dialect,
    options: Options,
    where: str,
) -> tuple[npt.NDArray[Any], ...]:
    chosen = np.unique(np.linspace(begin, len(starts) - 1, _SAMPLE, dtype=np.int64))
    rows = [dialect.split(raw[starts[k] : ends[k]].decode())[: form.width] for k in chosen]
    forced = _text_columns(form.names, options)
    numeric = [k not in forced and _mostly_numbers(dialect, [r[k] for r in rows]) for k in range(form.width)]
    body = raw[int(starts[begin]) : int(ends[-1])]
    if any(numeric) and _words_of_truth(body):
        _first_bad(raw, starts, ends, begin, form, dialect, numeric, options, where)
    gaps = ["nan", "NaN", "NAN", "Nan", "-nan", *(GAPS if options.missing != "refuse" else [])]
    try:
        frame: pd.DataFrame = pd.read_csv(  # type: ignore[call-overload]
            io.BytesIO(body),
            header=None,
            index_col=False,
            sep="\t" if dialect.delimiter == " " else (dialect.delimiter or "\x01"),
            names=list(range(form.width + form.trailing)),
            usecols=list(range(form.width)),
            dtype={k: np.float64 if numeric[k] else str for k in range(form.width)},
            keep_default_na=False,
            na_values={k: gaps for k in range(form.width) if numeric[k]},
            decimal=dialect.decimal,
            skipinitialspace=True,
            skip_blank_lines=False,
            engine="c",
        )
    except (ValueError, pd.errors.ParserError, OverflowError) as error:
        late = numeric[0] and form.width > 1 and all(row[0].isdigit() for row in rows)
        if form.names is None and late and "track=" not in (options.columns or ""):
            # tracks such as 102, and further down video2: the first column is text after all
            first = replace(options, columns=f"track=1,{options.columns or ''}".rstrip(","))
            return _parse(raw, starts, ends, begin, form, dialect, first, where)
        _first_bad(raw, starts, ends, begin, form, dialect, numeric, options, where)
        raise UserError(f"{where}: {str(error).strip()[:200]}.") from None
    if len(frame) != len(starts) - begin:
        raise UserError(f"{where}: {len(frame)} rows were read of {len(starts) - begin} lines; not used.")
    return tuple(frame[k].to_numpy() if numeric[k] else _stripped(frame[k], body) for k in range(form.width))


def _stripped(column: pd.Series[Any], body: bytes) -> npt.NDArray[Any]:
    return (column.str.strip() if b" " in body or b'"' in body else column).to_numpy(object)


def _mostly_numbers(dialect: Dialect, fields: list[str]) -> bool:
    """Whether a column holds numbers: one slip in it is an error, not a reason to take it for names."""
    numbers = sum(_numeric(dialect, field) for field in fields)
    return numbers > 0.9 * len(fields) or (len(fields) < 10 and 2 * numbers >= len(fields))


def _numeric(dialect: Dialect, field: str) -> bool:
    return dialect.is_number(field) or (dialect.decimal == "," and COMMA_NUMBER.fullmatch(field) is not None)


def _text_columns(names: tuple[str, ...] | None, options: Options) -> set[int]:
    """Columns that stay text though they look like numbers: `102` is a track."""
    forced = set()
    for k, name in enumerate(names or ()):
        if name.strip() and role_of(name) in TEXT_ROLES:
            forced.add(k)
    for given in (options.columns or "").split(","):
        role, sign, name = given.partition("=")
        if sign and role.strip() in ("track", "image"):
            forced |= {k for k, own in enumerate(names or ()) if own == name.strip()}
            if name.strip().isdigit():
                forced.add(int(name) - 1)
    return forced


def _words_of_truth(body: bytes) -> bool:
    """Whether True or False may be among the fields, which pandas reads as 1 and 0."""
    return any(word in body for word in (b"rue", b"RUE", b"alse", b"ALSE"))


def _first_bad(
    raw: bytes,
    starts: Index,
    ends: Index,
    begin: int,
    form: Form,
    dialect: Dialect,
    numeric: list[bool],
    options: Options,
    where: str,
) -> None:
    """Name the first field that is not a number; return if there is none.

    Raises:
        UserError: file, line, column, what was found.
    """
    allowed = set(GAPS) if options.missing != "refuse" else set()
    for line in range(begin, len(starts)):
        fields = dialect.split(raw[starts[line] : ends[line]].decode())
        for k, field in enumerate(fields[: form.width]):
            if numeric[k] and not _numeric(dialect, field) and field not in allowed and field != "-nan":
                column = f'column "{form.names[k]}"' if form.names else f"column {k + 1}"
                found = f'"{field[:40]}"' if field else "nothing"
                more = (
                    " If it stands for a missing row, add --missing nearest|line|nan."
                    if field in GAPS
                    else ""
                )
                raise UserError(f"{place_of(where, line)}: {found} in {column}; expected a number.{more}")
