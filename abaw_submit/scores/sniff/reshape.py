"""Tables of another shape than a row a frame: a row an output, a file an output, a list in one cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from abaw_submit.arrays import F64, Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.scores.sniff.words import FRAME, INDEX, LOCATION, TIME, output_of, role_of
from abaw_submit.tasks import Task

_CELL = re.compile(r"[\[(]([^\[\]()]*)[\])]")
_MOST_OUTPUTS = 100  # different words in a column that may name outputs


def reshaped(tables: Sequence[Table], task: Task, options: Options) -> list[Table]:
    """The tables with a row a frame and a column an output, as far as their names say how.

    Raises:
        UserError: an output comes twice for a frame, or tables of outputs do not fit each other.
    """
    if options.columns is not None:
        return list(tables)
    return _joined([_wide(table, task) for table in tables], task)


def unpacked_cells(table: Table) -> Table:
    """A column of texts such as "[0.1, 0.2]" as columns of numbers; the table as it is if it has none.

    Raises:
        UserError: cells of different lengths, or not numbers.
    """
    texts = [k for k in range(len(table.columns)) if table.is_text(k)]
    packed = [k for k in texts if all(_CELL.fullmatch(str(v).strip()) for v in table.columns[k])]
    if len(packed) != 1:
        return table
    k = packed[0]
    rows = [_CELL.fullmatch(str(v).strip())[1].replace(",", " ").split() for v in table.columns[k]]  # type: ignore[index]
    odd = next((row for row, cell in enumerate(rows) if len(cell) != len(rows[0])), None)
    if odd is not None:
        raise UserError(
            f"{table.row_name(odd)}: {len(rows[odd])} numbers in column {table.column_name(k)};"
            f" {len(rows[0])} in the first row."
        )
    try:
        values = np.array(rows, np.float64)
    except ValueError:
        raise UserError(
            f"{table.where}: column {table.column_name(k)} holds lists; expected numbers in them."
        ) from None
    columns = (*table.columns[:k], *values.T, *table.columns[k + 1 :])
    names = table.names
    if names is not None:
        names = (*names[:k], *(f"out{n}" for n in range(values.shape[1])), *names[k + 1 :])
    kind = f"{table.kind}, lists in a column"
    return replace(table, columns=columns, names=names, matrix=None, kind=kind)


def _wide(table: Table, task: Task) -> Table:
    """A table with a row for each frame and output, turned into one with a row a frame."""
    names = table.names
    if names is None or any(output_of(name, task) for name in names):
        return table
    texts = [k for k in range(len(names)) if table.is_text(k)]
    told = [k for k in texts if _outputs(table, k, task) is not None]
    if len(told) != 1:
        return table
    scores = [k for k in range(len(names)) if k not in texts and role_of(names[k]) is None]
    keys = [k for k in range(len(names)) if k != told[0] and k not in scores]
    numbered = any(role_of(names[k]) in (FRAME, LOCATION, TIME, INDEX) for k in keys)
    if not numbered or not scores or int(_codes(table, keys).max()) + 1 == table.rows:
        return table  # a row a frame: these are class names
    if len(scores) > 1:
        raise UserError(
            f"{table.where}: column {table.column_name(told[0])} names the outputs, a row each, but there are"
            f" {len(scores)} columns of scores ({', '.join(names)[:100]}).\nGive one, beside video and frame."
        )
    codes = _codes(table, keys)
    outputs = _outputs(table, told[0], task)
    assert outputs is not None
    values = np.full((int(codes.max()) + 1, task.outputs), np.nan)
    order = np.array([task.columns.index(output) for output in outputs])
    again = pd.DataFrame({"row": codes, "output": order}).duplicated().to_numpy()
    if again.any():
        row = int(np.argmax(again))
        raise UserError(f"{table.row_name(row)}: {outputs[row]} comes twice for its frame.")
    values[codes, order] = np.asarray(table.columns[scores[0]], np.float64)
    _, first = np.unique(codes, return_index=True)
    return replace(
        table,
        columns=(*(table.columns[k][first] for k in keys), *values.T),
        names=(*(names[k] for k in keys), *task.columns),
        line=0,
        matrix=None,
        kind=f"{table.kind}, a row an output",
    )


def _outputs(table: Table, column: int, task: Task) -> list[str] | None:
    """The output each row of a text column names; None if one names none, or not all are named."""
    codes, unique = pd.factorize(table.columns[column])
    if len(unique) > _MOST_OUTPUTS:
        return None
    meant = [output_of(str(word), task) for word in unique]
    if set(meant) != set(task.columns):
        return None
    return [str(meant[code]) for code in codes]


def _codes(table: Table, keys: Sequence[int]) -> Index:
    """The frame of each row as a number, by the columns that tell them apart."""
    frame = pd.DataFrame({k: table.columns[k] for k in keys})
    return np.asarray(frame.groupby(list(keys), sort=False).ngroup())


def _joined(tables: list[Table], task: Task) -> list[Table]:
    """Files, folders or keys called after the outputs, such as valence.csv and arousal.csv, as one."""
    depth = min(len(table.path) for table in tables)
    for level in range(1, depth + 1):
        meant = [output_of(table.path[-level], task) for table in tables]
        if set(meant) != set(task.columns):
            continue
        groups: dict[tuple[str, ...], dict[str, Table]] = {}
        for table, output in zip(tables, meant, strict=True):
            rest = tuple(part for k, part in enumerate(table.path) if k != len(table.path) - level)
            here = groups.setdefault(rest, {})
            if here.setdefault(str(output), table) is not table:
                raise UserError(
                    f"{table.where}: {output} lies in two places, here and {here[str(output)].where}."
                )
        return [_side_by_side(rest, group, task) for rest, group in groups.items()]
    return tables


def _side_by_side(path: tuple[str, ...], group: dict[str, Table], task: Task) -> Table:
    lacking = [output for output in task.columns if output not in group]
    first = group[next(iter(group))]
    if lacking:
        raise UserError(
            f"{first.where}: there is no {lacking[0]} for {'/'.join(path)}; expected {task.header()}."
        )
    columns: list[F64] = []
    for output in task.columns:
        table = group[output]
        numbers = [k for k in range(len(table.columns)) if not table.is_text(k) and _is_score(table, k)]
        if len(numbers) != 1:
            raise UserError(f"{table.where}: {len(numbers)} columns of numbers; expected one, of {output}.")
        keys = [k for k in range(len(table.columns)) if k != numbers[0]]
        if output == task.columns[0]:
            beside = [table.columns[k] for k in keys]
            names = None if table.names is None else [table.names[k] for k in keys]
        elif len(table.columns[0]) != len(columns[0]) or not all(
            np.array_equal(table.columns[k], one) for k, one in zip(keys, beside, strict=True)
        ):
            raise UserError(f"{table.where}: other rows than {group[task.columns[0]].where} has.")
        columns.append(np.asarray(table.columns[numbers[0]], np.float64))
    heads = (*(names or [""] * len(beside)), *task.columns) if names or not beside else None
    return replace(
        group[task.columns[0]],
        path=path or (group[task.columns[0]].path[0],),
        columns=(*beside, *columns),
        names=heads,
        line=0,
        matrix=None,
        flat=False,
        kind=f"{first.kind}, a place an output",
    )


def _is_score(table: Table, column: int) -> bool:
    return table.names is None or role_of(table.names[column]) is None
