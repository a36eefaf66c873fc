"""What a page is made of: sections of charts, tables, text and players. The template draws each kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from abaw_submit.charts import Spec


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Code:
    """Lines to copy, or settings to read, folded away under a title if there is one."""

    kind: ClassVar[str] = "code"
    text: str
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite chart.

    Attributes:
        spec: without theme and width, which the page adds.
        caption: a sentence or two: what is drawn, and what to look for.
    """

    kind: ClassVar[str] = "chart"
    spec: Spec
    caption: str


@dataclass(frozen=True)
class Table:
    """A table; a click on a column's head sorts by it.

    Attributes:
        head: column names.
        rows: cells, as they are shown; numbers as text.
        caption: a sentence.
        open_rows: rows shown before "show all"; 0: all.
        tracks: whether the first column names tracks that a player may show.
    """

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    open_rows: int = 0
    tracks: bool = False


@dataclass(frozen=True)
class Player:
    """Timelines of tracks; `data` is what page.js reads (see timeline.py)."""

    kind: ClassVar[str] = "player"
    key: str
    data: dict[str, Any]
    caption: str


Block = Text | Code | Chart | Table | Player


@dataclass(frozen=True)
class Section:
    """A titled part of the page.

    Attributes:
        title: its heading and its line in the contents.
        blocks: what is in it.
        parts: sub-sections.
        prefix: makes the anchor of a title that comes once per task its own.
    """

    title: str
    blocks: Sequence[Block] = ()
    parts: Sequence[Section] = field(default_factory=list)
    prefix: str = ""

    @property
    def anchor(self) -> str:
        """The section's id on the page."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.prefix} {self.title}".lower()).strip("-")
