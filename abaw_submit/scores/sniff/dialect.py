"""How a text table is written: encoding, line ends, delimiter, decimal mark, header. Found, never assumed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from abaw_submit.errors import UserError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space", "": "one column"}


@dataclass(frozen=True)
class Dialect:
    """How the rows of a text are written.

    Attributes:
        delimiter: "," tab ";" "|", " " for any white space, "" for a single column.
        decimal: "." or ",".
    """

    delimiter: str
    decimal: str = "."

    def split(self, line: str) -> list[str]:
        """The fields of a line, without spaces and quotes around them."""
        if self.delimiter == "":
            return [unquoted(line)]
        if self.delimiter == " ":
            return [unquoted(field) for field in line.split()]
        return [unquoted(field) for field in split_quoted(line, self.delimiter)]

    def is_number(self, text: str) -> bool:
        """Whether a field is a number in this dialect (nan and inf count)."""
        if self.decimal == "," and COMMA_NUMBER.fullmatch(text):
            return True
        return NUMBER.fullmatch(text) is not None and not (self.decimal == "," and "." in text)

    def text(self) -> str:
        """For people: "semicolon, decimal comma"."""
        return _NAMES[self.delimiter] + (", decimal comma" if self.decimal == "," else "")


def unquoted(field: str) -> str:
    """A field without the spaces and the quotes around it."""
    field = field.strip()
    return field[1:-1].strip() if len(field) > 1 and field[0] == field[-1] == '"' else field


def split_quoted(line: str, delimiter: str) -> list[str]:
    """Split at delimiters that are not inside double quotes.

    >>> split_quoted('"a,b",1', ",")
    ['"a,b"', '1']
    """
    if '"' not in line:
        return line.split(delimiter)
    fields, inside, start = [], False, 0
    for place, letter in enumerate(line):
        if letter == '"':
            inside = not inside
        elif letter == delimiter and not inside:
            fields.append(line[start:place])
            start = place + 1
    return [*fields, line[start:]]


def decode(data: bytes, where: str) -> tuple[bytes, str]:
    """UTF-8 bytes with LF line ends of a text in another encoding, and the encoding's name.

    Raises:
        UserError: the bytes are not text.
    """
    encoding = "UTF-8"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            data, encoding = data.decode("utf-16").encode(), "UTF-16"
        except UnicodeDecodeError:
            raise UserError(f"{where}: begins like UTF-16 text and is not. Save it again as UTF-8.") from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        raise UserError(f"{where}: holds a zero byte, so it is not text; and no other format known here.")
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            try:
                data, encoding = data.decode("cp1252").encode(), "Windows-1252"
            except UnicodeDecodeError as error:
                line = data.count(b"\n", 0, error.start) + 1
                raise UserError(
                    f"{where}, line {line}: neither UTF-8 nor Windows-1252 text. Save it again as UTF-8."
                ) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\r" in data:
            if b"\n" in data:
                line = data.count(b"\n", 0, data.index(b"\r")) + 1
                raise UserError(f"{where}, line {line}: a lone carriage return. Save it with one line end.")
            data = data.replace(b"\r", b"\n")
    return data, encoding


def find_dialect(lines: Sequence[str]) -> Dialect:
    """The dialect that a sample of lines, header first where there is one, is written in.

    A delimiter has to divide every row into equally many fields; numbers inside decide about a decimal
    comma. Tab, semicolon and bar come before the comma, since only the comma is also a decimal mark.
    """
    body = [line for line in (lines[1:] or lines) if line.strip()]
    for delimiter in "\t;|":
        if _most(delimiter in line for line in body):
            return Dialect(delimiter, _decimal(body, Dialect(delimiter)))
    comma, space = Dialect(","), Dialect(" ")
    with_comma = _most("," in line for line in body)
    with_space = all(len(line.split()) > 1 for line in body) and bool(body)
    if with_space:
        fields = [field for line in body for field in space.split(line)]
        if not with_comma or all(COMMA_NUMBER.fullmatch(f) or NUMBER.fullmatch(f) for f in fields):
            return Dialect(" ", _decimal(body, space))
    # a decimal comma beside commas as delimiters stands in quotes: "0,5","0,25"
    return Dialect(",", _decimal(body, comma) if '"' in "".join(body) else ".") if with_comma else Dialect("")


def _most(marks: Iterable[bool]) -> bool:
    """Whether nearly all lines have a mark: one bad line must not change how the others are read."""
    found = list(marks)
    return (bool(found) and sum(found) >= 0.9 * len(found)) or (
        0 < len(found) < 10 and 2 * sum(found) >= len(found)
    )


def _decimal(lines: Sequence[str], dialect: Dialect) -> str:
    fields = [field for line in lines for field in dialect.split(line)]
    return "," if any(COMMA_NUMBER.fullmatch(field) for field in fields) else "."
