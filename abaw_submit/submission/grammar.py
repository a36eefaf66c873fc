"""The grammars of submissions as data: what each value of a row may be, and the header lines.

Source: the organisers' readme, as gathered in docs/reference/formats.md, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.corpus.mtl import MTL_HEADER
from abaw_submit.errors import UserError, suggest
from abaw_submit.tasks import AH, AU, CE_COLUMNS, EDITIONS, EXPR, LATEST_EDITION, TASKS, VA, Task

PER_TRACK_EDITIONS = (1, 2, 3)
Labels = npt.NDArray[Any]  # (rows, columns of a grammar)


@dataclass(frozen=True)
class Grammar:
    """One kind of submission.

    A row has the floats first, then the integers; every integer is one digit.

    Attributes:
        name: "AU", "EXPR", "VA", "MTL", "CE" (compound expressions) or "AH" (ambivalence, whole videos).
        edition: the edition whose header it has.
        header: the header of the single-file dialect.
        track_header: the header of a per-track file; None where there is no such dialect.
        floats: names of the values in [-1, 1].
        integers: (name, highest value) of the values 0..highest.
        classes: names of the classes of the (only) class column; () if there is none.
    """

    name: str
    edition: int
    header: str
    track_header: str | None
    floats: tuple[str, ...]
    integers: tuple[tuple[str, int], ...]
    classes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values of a row."""
        return (*self.floats, *(name for name, _ in self.integers))

    @property
    def highest(self) -> npt.NDArray[np.uint8]:
        """The highest value of each integer."""
        return np.array([top for _, top in self.integers], np.uint8)


def grammar_of(kind: str | Task, edition: int = LATEST_EDITION) -> Grammar:
    """The grammar of a kind of submission in an edition.

    Args:
        kind: AU, EXPR, VA, MTL, CE or AH in any case, or a task.
        edition: 1 to 11; 1 has 8 AUs, 1 and 2 have 7 expressions.

    Raises:
        UserError: an unknown kind or edition.
    """
    name = kind.name if isinstance(kind, Task) else kind.upper()
    if edition not in EDITIONS:
        raise UserError(f"Edition {edition}: expected {EDITIONS[0]} to {EDITIONS[-1]}.")
    if name == "MTL":
        aus = tuple((column, 1) for column in AU.columns)
        return Grammar("MTL", edition, MTL_HEADER, None, VA.columns, (("expression", 7), *aus), EXPR.columns)
    if name == "CE":
        header = ",".join(("image_location", *CE_COLUMNS))
        return Grammar("CE", edition, header, None, (), (("compound expression", 6),), CE_COLUMNS)
    if name == AH.name:  # `id,label` too; submission/videos.py knows both forms
        return Grammar(name, edition, "", None, ("p0", "p1"), (("label", 1),), ("no", "yes"))
    if name not in TASKS:
        raise UserError(f'Unknown task "{kind}". {suggest(name, [*TASKS, "MTL", "CE", AH.name])}')
    task = TASKS[name]
    columns = task.columns_of(edition)
    header, single = ",".join(columns), ",".join(("image_location", *columns))
    return Grammar(name, edition, single, header, *task.kind.grammar(columns))


def grammar_of_header(header: str) -> Grammar | None:
    """The grammar whose single-file or per-track header this is, of the latest such edition.

    >>> grammar_of_header("valence,arousal").name, grammar_of_header("frame,x")
    ('VA', None)
    """
    for kind in (*TASKS, "MTL", "CE"):
        for edition in (LATEST_EDITION, *reversed(EDITIONS)):
            grammar = grammar_of(kind, edition)
            if header in (grammar.header, grammar.track_header):
                return grammar
    return None
