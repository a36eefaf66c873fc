"""Which columns of a table are scores, tracks and frames: by name, else by number, else refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.roles import Reading, Roles, find_roles, is_location, read_roles
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.scores.sniff.words import (
    FRAME,
    LABEL_WORDS,
    LOCATION,
    TRACK,
    TRUTH_WORDS,
    class_of,
    output_of,
    plain,
)
from abaw_submit.tasks import TASKS, Task

# what stands before the number of a column that has no other name
_NUMBERING = (
    "", "prob", "p", "class", "cls", "c", "output", "out", "score", "logit", "pred", "col", "column", "dim",
    "y", "label", "unnamed", "expr", "au", "va",
)  # fmt: skip
_NUMBERED = re.compile(r"(\D*)(\d+)")


def read_columns(table: Table, task: Task, options: Options) -> Reading:
    """Understand a table's columns for a task.

    Raises:
        UserError: columns are missing, named twice, or unnamed in a number that says nothing.
    """
    roles = find_roles(table, options, task)
    chosen, used, classes, notes = _scores(table, task, roles)
    if chosen is None:  # (outputs, rows)
        assert table.matrix is not None
        reading = Reading(np.asarray(table.matrix.T, np.float64), used=used, notes=notes)
    elif classes:
        reading = Reading(_classes(table, chosen[0], task), classes=True, used=used, notes=notes)
    else:
        reading = Reading(table.numbers(chosen), used=used, notes=notes)
    reading.notes += table.notes
    read_roles(table, roles, reading, chosen)
    return reading


def _scores(table: Table, task: Task, roles: Roles) -> tuple[list[int] | None, str, bool, list[str]]:
    """The score columns (None: the array is turned), what they are called, classes or not, notes."""
    if roles.scores is not None:
        classes = task.decision is Decision.ARGMAX and len(roles.scores) == 1
        if len(roles.scores) != task.outputs and not classes:
            raise UserError(
                f"--columns names {len(roles.scores)} columns of scores; {task.name} has {task.outputs}."
            )
        return roles.scores, _used(table, roles.scores), classes, []
    if table.names is not None:
        return _by_name(table, task, roles)
    return _by_number(table, task, roles)


def _by_name(table: Table, task: Task, roles: Roles) -> tuple[list[int], str, bool, list[str]]:
    names = table.names or ()
    found: dict[str, list[int]] = {}
    for k, name in enumerate(names):
        output = output_of(name, task)
        if output is not None and k not in roles.of:
            found.setdefault(output, []).append(k)
    free = [k for k in range(len(names)) if k not in roles.of]
    if task.decision is Decision.THRESHOLD and not found:
        numbers = {f"AU{int(n)}": k for k, n in enumerate(names) if n.strip().isdigit()}
        if set(task.columns) <= set(numbers):
            found = {column: [numbers[column]] for column in task.columns}
    twice = [output for output, places in found.items() if len(places) > 1]
    if twice:
        both = " and ".join(table.column_name(k) for k in found[twice[0]][:3])
        raise UserError(
            f"{table.where}: {both} may both be {twice[0]}; which one is the score?"
            f"\nSay so with --columns, {task.outputs} names in the order {','.join(task.columns)}."
        )
    if len(found) == task.outputs:
        chosen = [found[column][0] for column in task.columns]
        rest = [names[k] for k in free if k not in chosen]
        return chosen, _used(table, chosen), False, [f"not used: {', '.join(rest[:8])}"] if rest else []
    if task.decision is Decision.ARGMAX and len(found) < 2:
        labels = [k for k in free if plain(names[k]) in LABEL_WORDS]
        if len(labels) == 1:
            return labels, _used(table, labels), True, []
    if found:
        missing = [column for column in task.columns if column not in found]
        seven = missing == ["Other"]
        raise UserError(
            f"{table.where}: no column for {', '.join(missing)} among {', '.join(names)[:150]}."
            + (
                "\nFrom a tool of seven emotions? Add a column Other: 0 where it says nothing."
                if seven
                else f"\nChoose with --columns, in the order {','.join(task.columns)}."
            )
        )
    numeric = [k for k in free if not table.is_text(k) and plain(names[k]) not in TRUTH_WORDS]
    parts = [_NUMBERED.fullmatch(names[k].strip()) for k in numeric]
    if len(numeric) == task.outputs and all(parts):
        numbers_in = [int(part[2]) for part in parts if part]
        stems = {part[1] for part in parts if part}
        if (
            len(stems) == 1
            and plain(min(stems)) in _NUMBERING
            and numbers_in == list(range(numbers_in[0], numbers_in[0] + len(numbers_in)))
        ):
            note = f"columns are only numbered; taken in the order {','.join(task.columns)}"
            return numeric, _used(table, numeric), False, [note]
    has = ", ".join(name or '""' for name in names)[:150]
    other = next((t.name for t in TASKS.values() if {output_of(n, t) for n in names} >= set(t.columns)), None)
    asked = f" They are {other}'s: --task {other}?" if other else ""
    raise UserError(
        f"{table.where}: no column is named for {task.name}; it has {has}.{asked}"
        f"\nChoose with --columns, in the order {','.join(task.columns)}."
    )


def _by_number(table: Table, task: Task, roles: Roles) -> tuple[list[int] | None, str, bool, list[str]]:
    texts = [k for k in range(len(table.columns)) if table.is_text(k)]
    if (
        task.decision is Decision.ARGMAX
        and texts
        and not [k for k in range(len(table.columns)) if k not in texts]
    ):
        last = texts[-1]
        if all(class_of(str(v)) is not None for v in table.columns[last][:20]):
            texts = texts[:-1]
            _text_roles(table, roles, texts)
            return [last], "class names", True, []
    _text_roles(table, roles, texts)
    free = [k for k in range(len(table.columns)) if k not in roles.of]
    order = f"no names over the columns; taken in the order {','.join(task.columns)}"
    named = table.frames is not None or roles.all_of(FRAME) or roles.all_of(LOCATION)
    if _turned(table, task):
        return None, "the array's rows", False, ["the array is (outputs, rows) and was turned", order]
    if len(free) == task.outputs:
        return free, "columns in order", False, [order]
    if task.decision is Decision.ARGMAX and len(free) == 1:
        return free, "one column of class numbers", True, []
    wide = len(free) == task.outputs + 1 or (task.decision is Decision.ARGMAX and len(free) == 2)
    if (
        wide
        and not named
        and _counts(table.columns[free[0]], len(free) == 2, bool(texts) or table.tracks is not None)
    ):
        roles.of[free[0]] = FRAME
        return (
            free[1:],
            "columns in order",
            len(free) == 2,
            [f"column {free[0] + 1} numbers the frames", order],
        )
    hint = (
        "" if len(free) != 7 or task.decision is not Decision.ARGMAX else " (editions 1 and 2 have no Other)"
    )
    turned = (
        f" Are rows and columns exchanged? {task.outputs} columns are expected."
        if table.rows == task.outputs
        else ""
    )
    raise UserError(
        f"{table.where}: {len(free)} columns of numbers without names; {task.name} has {task.outputs}{hint}."
        f"{turned}"
        f"\nChoose with --columns, by position, such as --columns frame=1,"
        f"{','.join(str(k + 2) for k in range(min(task.outputs, 3)))}{',…' if task.outputs > 3 else ''}."
    )


def _turned(table: Table, task: Task) -> bool:
    """Whether an array is (outputs, rows); never where both sides are the outputs."""
    return (
        table.line == 0
        and table.matrix is not None
        and table.matrix.shape[0] == task.outputs != table.matrix.shape[1]
        and not (table.matrix.shape[1] == 1 and task.decision is Decision.ARGMAX)
        and table.matrix.shape[1] != task.outputs + 1
    )


def _counts(column: npt.NDArray[Any], strict: bool, several: bool) -> bool:
    """Whether numbers can be frame numbers: whole, not negative; each once a track;
    if strict, each one more than the last."""
    numbers = np.asarray(column, np.float64)
    if not np.isfinite(numbers).all() or (numbers != np.rint(numbers)).any() or (numbers < 0).any():
        return False
    if strict:
        return bool(len(numbers) > 1 and (np.diff(numbers) == 1).all())
    return len(np.unique(numbers)) == len(numbers) or (several and len(np.unique(numbers)) > 1)


def _text_roles(table: Table, roles: Roles, texts: Sequence[int]) -> None:
    for k in texts:
        if k not in roles.of:
            roles.of[k] = LOCATION if is_location(table.columns[k]) else TRACK


def _used(table: Table, chosen: Sequence[int]) -> str:
    return ", ".join(table.column_name(k) for k in chosen)


def _classes(table: Table, column: int, task: Task) -> F64:
    values = table.columns[column]
    if not table.is_text(column):
        return np.asarray(values, np.float64)[:, None]
    numbers = [class_of(str(v)) for v in values]
    if None in numbers:
        row = numbers.index(None)
        raise UserError(f'{table.row_name(row)}: "{values[row]}" is none of {", ".join(task.columns)}.')
    return np.array(numbers, np.float64)[:, None]
