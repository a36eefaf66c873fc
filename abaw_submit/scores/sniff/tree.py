"""From dictionaries, lists and arrays to tables: which array is a track, a frame, a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.beside import MOST_COLUMNS, is_columns, side_by_side
from abaw_submit.scores.sniff.entries import Context, row_dictionaries, row_vectors
from abaw_submit.scores.sniff.padded import HOW
from abaw_submit.scores.sniff.table import Options, Table, matrix_table
from abaw_submit.scores.sniff.words import FRAME, LOCATION, META_WORDS, TRACK, output_of, plain, role_of
from abaw_submit.tasks import Task

_DEEPEST = 6
_MOST_NUMBERS = 400_000_000  # numbers made of Python lists; more would be a trap
_PLAIN = (str, bool, int, float, np.number, type(None))


def tables_of(
    node: Any, where: str, path: Sequence[str], options: Options, task: Task | None, kind: str
) -> list[Table]:
    """The tables in a tree.

    Args:
        node: dictionaries, lists, arrays, numbers, text; tables stay as they are.
        where: the file, for messages.
        path: the file's place: folders and stem.
        options: what the user settled.
        task: whose column names count; None for features.
        kind: the file's format.

    Raises:
        UserError: something that is not a table, or several arrays where one is needed.
    """
    return _Reader(Context(where, options, task, kind)).read(node, tuple(path), 0)


class _Reader:
    def __init__(self, context: Context) -> None:
        self.context, self.options = context, context.options
        self.place = context.place
        self.left = _MOST_NUMBERS

    def read(self, node: Any, path: tuple[str, ...], depth: int) -> list[Table]:
        """The tables in a node of the tree."""
        if depth > _DEEPEST:
            raise UserError(f"{self.place(path)}: nested more than {_DEEPEST} deep; expected tracks.")
        node = self._simple(node, path)
        if isinstance(node, Table):
            return [node]
        if isinstance(node, np.ndarray):
            return [self._matrix(node, path)]
        if isinstance(node, Mapping):
            if not node:
                raise UserError(f"{self.place(path)} is empty.")
            return self._mapping({_key(k): v for k, v in node.items()}, path, depth)
        if isinstance(node, list | tuple):
            return self.read(self._one_of(node, path), path, depth + 1)
        raise UserError(f"{self.place(path)} holds {type(node).__name__}; expected arrays of numbers.")

    def _simple(self, node: Any, path: tuple[str, ...]) -> Any:
        """Lists of numbers become arrays; arrays of objects become lists; structured arrays dictionaries."""
        if isinstance(node, np.ndarray):
            if node.dtype.names:
                return {name: node[name] for name in node.dtype.names}
            if node.dtype.hasobject:
                return self._simple(node.item() if node.ndim == 0 else list(node), path)
            return node.item() if node.ndim == 0 and node.dtype.kind in "US" else node
        if isinstance(node, list | tuple) and node:
            node = _alone(node, self.place(path))
            first = node[0]
            if isinstance(first, Mapping):
                return _batches(self._records([_flat(item, self.place(path)) for item in node], path))
            if len(first) == 2 and isinstance(first[0], str) if isinstance(first, list | tuple) else False:
                return _pairs(node, self.place(path))
            if isinstance(first, int | float | np.number) and not isinstance(first, bool):
                return self._array(node, path)
            if isinstance(first, list | tuple | np.ndarray) and _is_grid(node):
                return self._array(node, path)
            if all(isinstance(item, str) for item in node):
                return np.array(node, object)
        return node

    def _array(self, node: Sequence[Any], path: tuple[str, ...]) -> npt.NDArray[Any]:
        first = node[0]
        self.left -= len(node) * (len(first) if hasattr(first, "__len__") else 1)
        if self.left < 0:
            raise UserError(f"{self.place(path)}: more numbers than a file of scores has.")
        try:
            values = np.asarray(node)
        except ValueError:
            raise UserError(f"{self.place(path)}: rows of different lengths.") from None
        if values.dtype.kind not in "fiu":
            bad = next(
                (item for item in np.ravel(values) if not isinstance(item, int | float | np.number)), "?"
            )
            raise UserError(f'{self.place(path)}: "{str(bad)[:40]}"; expected numbers.')
        return values

    def _records(self, node: Sequence[Any], path: tuple[str, ...]) -> dict[str, Any]:
        """[{"video": …, "frame": …, "valence": …}, …]: one dictionary a row."""
        keys = list(node[0])
        for row, item in enumerate(node):
            if not isinstance(item, Mapping) or list(item) != keys:
                raise UserError(f"{self.place(path)}, entry {row + 1}: other keys than the first entry has.")
        return {_key(k): [item[k] for item in node] for k in keys}

    def _matrix(self, values: npt.NDArray[Any], path: tuple[str, ...]) -> Table:
        if values.ndim > 2:
            values = values.reshape([side for side in values.shape if side != 1] or [1])
        if values.ndim == 0 or values.ndim > 2:
            padded = f" Tracks padded to one length?{HOW}" if values.ndim == 3 else ""
            raise UserError(f"{self.place(path)}: an array {values.shape}; expected (rows, values).{padded}")
        if values.size == 0:
            raise UserError(f"{self.place(path)}: an empty array {values.shape}.")
        if values.dtype.kind in "OUS":
            text = np.asarray(values, object)
            return Table(self.place(path), path, (text,), kind=self.context.kind, flat=True)
        return matrix_table(values, self.place(path), path, self.context.kind)

    def _one_of(self, node: Sequence[Any], path: tuple[str, ...]) -> Any:
        """One array of several without names, such as (features, scores)."""
        if len(node) == 1:
            return node[0]
        if self.options.key is not None and self.options.key.isdigit():
            place = int(self.options.key)
            if not 1 <= place <= len(node):
                raise UserError(f"{self.place(path)}: --key {place}; there are {len(node)} arrays.")
            return node[place - 1]
        shapes = ", ".join(_shape(item) for item in node[:4])
        raise UserError(
            f"{self.place(path)}: {len(node)} arrays without names: {shapes}{' …' if len(node) > 4 else ''}."
            "\nSay which one with --key 1, 2, …; a list with one array a track needs names: a dictionary."
        )

    def _mapping(self, node: dict[str, Any], path: tuple[str, ...], depth: int) -> list[Table]:
        node, said = _without_remarks(self._of_pandas(node, path))
        few = len(node) <= MOST_COLUMNS
        named = few and any(role_of(key) == TRACK for key in node)  # then a list is one array a track
        simple = {
            key: self._simple(value if named else self._chosen(value, path), (*path, key))
            for key, value in node.items()
        }
        if is_columns(simple, self.context):
            return [side_by_side(simple, path, self.context, lambda v, p: self.read(v, p, depth + 1)[0])]
        first = next(iter(simple.values()))
        if isinstance(first, Mapping) and all(isinstance(v, int | float) for v in first.values()):
            columns = self._records(list(simple.values()), path)
            arrays = {key: self._array(values, path) for key, values in columns.items()}
            return [row_dictionaries(simple, arrays, path, self.context)]
        rows = row_vectors(simple, path, self.context)
        if rows is not None:
            return [rows]
        said |= {key: value for key, value in simple.items() if isinstance(value, _PLAIN)}
        whole = {key: value for key, value in simple.items() if key not in said} or simple
        tables = [t for key, value in whole.items() for t in self.read(value, (*path, key), depth + 1)]
        if said and whole and whole is not simple:  # {"model": "x", "results": {…}}
            tables[0] = tables[0].with_note(
                f"not used: {', '.join(f'{k} = {str(v)[:30]}' for k, v in list(said.items())[:6])}"
            )
        return tables

    def _of_pandas(self, node: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """Tables as pandas writes them to JSON: "split", and "columns" with the rows as numbered keys."""
        if {"columns", "data"} <= set(node) <= {"columns", "data", "index"}:
            rows = node["data"]
            if not isinstance(rows, list) or any(len(row) != len(node["columns"]) for row in rows):
                raise UserError(f"{self.place(path)}: rows that are not as wide as its columns.")
            found = {str(name): [row[k] for row in rows] for k, name in enumerate(node["columns"])}
            index = node.get("index") or []
            if any(isinstance(item, list) for item in index):
                raise UserError(
                    f"{self.place(path)}: rows named by several values. Write frame.reset_index().to_csv(…)."
                )
            return found if index == list(range(len(rows))) else {"index": index, **found}
        task, values = self.context.task, list(node.values())
        told = [k for k in node if role_of(k) in (TRACK, LOCATION, FRAME) or (task and output_of(k, task))]
        numbered = [str(k) for k in range(len(values[0]))] if isinstance(values[0], Mapping) else None
        if len(told) > 1 and all(isinstance(v, Mapping) and list(v) == numbered for v in values):
            return {key: list(value.values()) for key, value in node.items()}
        return node

    def _chosen(self, value: Any, path: tuple[str, ...]) -> Any:
        """Of an entry (features, scores) the array that --key names."""
        several = isinstance(value, list | tuple) and value and all(isinstance(v, np.ndarray) for v in value)
        if several and not _is_grid(value) and len(value) < 10:
            return self._one_of(value, path)
        return value


def _without_remarks(node: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is no remark such as {"config": {…}} beside the scores, and the remarks."""
    said = {
        key: "…" for key, value in node.items() if plain(key) in META_WORDS and isinstance(value, Mapping)
    }
    kept = {key: value for key, value in node.items() if key not in said}
    return (kept, said) if kept else (node, {})


def _alone(node: Sequence[Any], where: str) -> Sequence[Any]:
    """[[{…}], [{…}]], a list of faces for each frame, as one face a frame.

    Raises:
        UserError: a frame with none or several.
    """
    if not all(isinstance(item, list) and all(isinstance(i, Mapping) for i in item) for item in node):
        return node
    odd = [row for row, item in enumerate(node) if len(item) != 1]
    if 2 * len(odd) > len(node):
        return node  # lists of frames
    if odd:
        raise UserError(f"{where}, entry {odd[0] + 1}: {len(node[odd[0]])} faces; expected one a frame.")
    return [item[0] for item in node]


def _flat(item: Any, where: str) -> Any:
    """{"frame": 1, "emotion": {"angry": 0.1, …}} as one dictionary; so with a list of one dictionary."""
    if not isinstance(item, Mapping):
        return item
    found: dict[str, Any] = {}
    for key, value in item.items():
        inner = value[0] if isinstance(value, list) and len(value) == 1 else value
        more = dict(inner) if isinstance(inner, Mapping) else {_key(key): value}
        if set(found) & set(more):
            raise UserError(f"{where}: two values called {min(set(found) & set(more))} in one entry.")
        found |= more
    return found


def _batches(columns: dict[str, Any]) -> dict[str, Any]:
    """[{"names": [a, b], "scores": [s, t]}, …], the batches of a loader, as one; else as it is."""
    sizes = [
        [len(v) if isinstance(v, list | tuple | np.ndarray) and np.ndim(v) > 0 else -1 for v in values]
        for values in columns.values()
    ]
    listed = [v[0][0] for v in columns.values() if isinstance(v[0], list | tuple) and len(v[0])]
    if (
        len(sizes) < 2
        or any(s != sizes[0] or -1 in s for s in sizes)
        or not any(isinstance(i, str) for i in listed)
    ):
        return columns
    return {
        key: np.concatenate(values)
        if isinstance(values[0], np.ndarray)
        else [one for value in values for one in value]
        for key, values in columns.items()
    }


def _pairs(node: Sequence[Any], where: str) -> dict[str, Any]:
    """[("video2", array), …] as a dictionary.

    Raises:
        UserError: a name comes twice, or an entry is no pair.
    """
    if any(not isinstance(i, list | tuple) or len(i) != 2 or not isinstance(i[0], str) for i in node):
        raise UserError(f"{where}: entries that are not all pairs of a name and scores.")
    found = dict(node)
    if len(found) < len(node):
        raise UserError(f"{where}: a name comes twice in a list of pairs.")
    return found


def _shape(item: Any) -> str:
    return str(item.shape) if isinstance(item, np.ndarray) else type(item).__name__


def _is_grid(node: Sequence[Any]) -> bool:
    """Whether items are plain rows of numbers, all of one length."""
    size = len(node[0]) if _is_row(node[0]) else 0
    return size > 0 and all(_is_row(item) and len(item) == size for item in node)


def _is_row(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim == 1
    return isinstance(item, list | tuple) and len(item) > 0 and isinstance(item[0], int | float | np.number)


def _key(key: Any) -> str:
    """A key as text; (track, frame) as a picture's location."""
    if isinstance(key, tuple):
        return "/".join(map(_key, key))
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)
