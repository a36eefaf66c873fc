"""Arrays side by side: columns of one table, or a matrix of scores with its tracks, frames and lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.entries import Context, whole_numbers
from abaw_submit.scores.sniff.names import split_locations
from abaw_submit.scores.sniff.padded import spread, unpadded
from abaw_submit.scores.sniff.table import Table, matrix_table
from abaw_submit.scores.sniff.words import (
    CONFIDENCE,
    END,
    FEATURE_WORDS,
    FRAME,
    LENGTH_WORDS,
    LOCATION,
    MASK_WORDS,
    SCORE_WORDS,
    START,
    TIME,
    TRACK,
    TRUTH_WORDS,
    VALID,
    output_of,
    plain,
    role_of,
)

MOST_COLUMNS = 1000
_BESIDE = (VALID, START, END, TIME, CONFIDENCE)
Node = Mapping[str, Any]
Read = Callable[[Any, tuple[str, ...]], Table]  # reads one array as a table


def is_columns(node: Node, context: Context) -> bool:
    """Whether the keys name columns and arrays of one table, and not tracks."""
    if context.options.key is not None and context.options.key in node:
        return True
    if len(node) > MOST_COLUMNS or any(isinstance(value, Mapping | Table) for value in node.values()):
        return False
    for key in node:
        word = plain(key)
        if word in SCORE_WORDS or word in FEATURE_WORDS or word in TRUTH_WORDS:
            return True
        if context.task is not None and output_of(key, context.task) is not None:
            return True
        if role_of(key) in (LOCATION, TRACK, FRAME):
            return True
    return False


def side_by_side(node: Node, path: tuple[str, ...], context: Context, read: Read) -> Table:
    """A table whose columns, or whose matrix, names and lengths, lie side by side.

    Raises:
        UserError: several arrays may be the scores, or what lies beside them does not fit.
    """
    where, task, key = context.place(path), context.task, context.options.key
    outputs = [k for k in node if task is not None and output_of(k, task) is not None]
    singles = {k: v for k, v in node.items() if isinstance(v, np.ndarray) and v.ndim == 1}
    if outputs and all(k in singles for k in outputs) and key is None:
        rows = len(singles[outputs[0]])
        same = {k: v for k, v in singles.items() if len(v) == rows}
        return Table(where, path, tuple(same.values()), tuple(same), kind=context.kind)
    wanted = FEATURE_WORDS | SCORE_WORDS if task is None else SCORE_WORDS
    keys = [k for k in node if plain(k) in wanted] if key is None else [k for k in node if k == key]
    if len(keys) > 1 and key is None:  # an embedding beside the x and y of a face
        keys = [k for k in keys if np.ndim(node[k]) > 1] or keys
    if len(keys) != 1:
        raise UserError(
            f"{where}: {'several arrays' if keys else 'no array of scores'} among"
            f" {', '.join(list(node)[:8])}. Say which one with --key NAME."
        )
    return _matrix(node, keys[0], path, context, read)


def _matrix(node: Node, key: str, path: tuple[str, ...], context: Context, read: Read) -> Table:
    """The array of scores, and what the arrays beside it say."""
    where, value = context.place(path), node[key]
    others = {k: v for k, v in node.items() if k != key}
    listed = _listed(value, others, path, context, read)
    if listed is not None:
        return listed
    notes = [f"read {key}"] if others else []
    if "logit" in plain(key):
        notes.append(f"the array is called {key}")
    if isinstance(value, np.ndarray) and value.ndim == 3 and min(value.shape) > 1:
        mask = _first(others, lambda k, v: plain(k) in MASK_WORDS and np.shape(v) == value.shape[:2])
        matrix, tracks = unpadded(value, _lengths(others), mask, _names(others), where)
        kind = f"{context.kind}, tracks padded to one length"
        names = _column_names(others, matrix.shape[1])
        return matrix_table(matrix, where, path, kind, names, tracks=tracks, notes=tuple(notes))
    table = read(value, path)
    more = _beside(others, table, path, context, notes)
    names = _column_names(others, len(table.columns)) or table.names
    return replace(table, path=path, names=names, kind=context.kind, notes=tuple(notes), **more)


def _listed(arrays: Any, others: Node, path: tuple[str, ...], context: Context, read: Read) -> Table | None:
    """{"names": [a, b], "scores": [array of a, array of b]}: a list with one array a track."""
    names = _names(others)
    if not isinstance(arrays, list | tuple) or names is None or len(arrays) < 2 or len(names) != len(arrays):
        return None
    tables = [read(array, path) for array in arrays]
    if len({len(table.columns) for table in tables}) > 1:
        raise UserError(f"{context.place(path)}: arrays of different widths for its tracks.")
    where, values = context.place(path), [table.numbers(range(len(table.columns))) for table in tables]
    lengths, mask = _lengths(others), _first(others, lambda key, _: plain(key) in MASK_WORDS)
    if (lengths is not None or mask is not None) and len({len(rows) for rows in values}) == 1:
        matrix, tracks = unpadded(np.stack(values), lengths, mask, names, where)
    else:
        matrix = np.concatenate(values)
        counts = np.array([len(rows) for rows in values])
        if lengths is not None and not np.array_equal(lengths, counts):
            raise UserError(
                f"{where}: lengths {lengths[:4].tolist()}, …; the arrays have {counts[:4].tolist()}, …"
            )
        tracks = spread(counts, names, len(matrix), where)
    return matrix_table(matrix, where, path, context.kind, tracks=tracks)


def _beside(
    others: Node, table: Table, path: tuple[str, ...], context: Context, notes: list[str]
) -> dict[str, Any]:
    """Tracks and frames from the arrays beside the scores."""
    where, task = context.place(path), context.task
    found: dict[str, Any] = {}
    lengths, names = None, None
    unused: list[str] = []
    beside: dict[str, npt.NDArray[Any]] = {}
    rows = table.rows
    if task is not None and table.matrix is not None and len(table.matrix) == task.outputs:
        rows = table.matrix.shape[1] if table.matrix.shape[1] != task.outputs else rows  # (outputs, rows)
    for key, value in others.items():
        inside = context.place((*path, key))
        role, length = role_of(key), len(value) if isinstance(value, np.ndarray) and value.ndim else -1
        if plain(key) in LENGTH_WORDS and length > 0 and _whole(value):
            lengths = value
        elif role in (LOCATION, FRAME) and length == rows and value.dtype.kind in "iuf":
            found["frames"] = whole_numbers(value, inside)
        elif role in (LOCATION, TRACK) and length == rows and length > 0:
            if role == LOCATION or all("/" in str(v) for v in value[:1]):
                tracks, found["frames"] = split_locations(value, inside)
                if tracks is not None:
                    found["tracks"] = tracks
            else:
                found["tracks"] = np.array([str(v) for v in value], object)
        elif role == TRACK and (length > 0 or isinstance(value, str)):
            names = [value] if isinstance(value, str) else [str(v) for v in value]
        elif role in _BESIDE and length == rows and value.dtype.kind in "iufb":
            beside[role] = value
        elif role in (FRAME, LOCATION, VALID, START, END) and length > 0:
            raise UserError(f"{where}: {key} is {value.shape}; expected ({rows},).")
        elif key not in ("columns",):
            unused.append(key)
    found["beside"] = beside
    if lengths is not None:
        found["tracks"] = spread(lengths, names, rows, where)
    elif names is not None and "tracks" not in found:
        if len(names) > 1:
            raise UserError(f"{where}: {len(names)} tracks, {rows} rows and no list of lengths.")
        found["tracks"] = np.array(names * rows, object)
    if unused:
        notes.append(f"not used: {', '.join(unused[:6])}")
    return found


def _first(others: Node, test: Callable[[str, Any], bool]) -> Any:
    return next((value for key, value in others.items() if test(key, value)), None)


def _lengths(others: Node) -> Any:
    return _first(others, lambda key, value: plain(key) in LENGTH_WORDS and _whole(value) and value.ndim == 1)


def _names(others: Node) -> list[str] | None:
    found = _first(others, lambda key, value: role_of(key) == TRACK and not isinstance(value, str))
    if found is not None and any(isinstance(name, list | tuple | np.ndarray) for name in found):
        raise UserError("A list of lists where the names of tracks should be; expected one name a track.")
    return None if found is None else [str(name) for name in found]


def _whole(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def _column_names(others: Node, width: int) -> tuple[str, ...] | None:
    given = others.get("columns")
    return tuple(str(name) for name in given) if given is not None and len(given) == width else None
