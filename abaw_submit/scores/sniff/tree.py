"""From dictionaries, lists and arrays to tables: which array is a track, a frame, a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.names import frame_number, split_locations
from abaw_submit.scores.sniff.table import Options, Table, matrix_table
from abaw_submit.scores.sniff.words import (
    CONFIDENCE,
    END,
    FEATURE_WORDS,
    FRAME,
    LENGTH_WORDS,
    LOCATION,
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
from abaw_submit.tasks import Task

_BESIDE = (VALID, START, END, TIME, CONFIDENCE)
_DEEPEST = 6
_MOST_COLUMNS = 1000
_MOST_NUMBERS = 400_000_000  # numbers made of Python lists; more would be a trap


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
    return _Reader(where, options, task, kind).read(node, tuple(path), 0)


class _Reader:
    def __init__(self, where: str, options: Options, task: Task | None, kind: str) -> None:
        self.where, self.options, self.task, self.kind = where, options, task, kind
        self.left = _MOST_NUMBERS

    def read(self, node: Any, path: tuple[str, ...], depth: int) -> list[Table]:
        """The tables in a node of the tree."""
        if depth > _DEEPEST:
            raise UserError(f"{self._place(path)}: nested more than {_DEEPEST} deep; expected tracks.")
        node = self._simple(node, path)
        if isinstance(node, Table):
            return [node]
        if isinstance(node, np.ndarray):
            return [self._matrix(node, path)]
        if isinstance(node, Mapping):
            if not node:
                raise UserError(f"{self._place(path)} is empty.")
            return self._mapping({_key(k): v for k, v in node.items()}, path, depth)
        if isinstance(node, list | tuple):
            return self.read(self._one_of(node, path), path, depth + 1)
        raise UserError(f"{self._place(path)} holds {type(node).__name__}; expected arrays of numbers.")

    def _place(self, path: tuple[str, ...]) -> str:
        inside = "/".join(path[1:])
        return f"{self.where}, {inside}" if inside and not self.where.endswith(inside) else self.where

    def _simple(self, node: Any, path: tuple[str, ...]) -> Any:
        """Lists of numbers become arrays; arrays of objects become lists; structured arrays dictionaries."""
        if isinstance(node, np.ndarray):
            if node.dtype.names:
                return {name: node[name] for name in node.dtype.names}
            if node.dtype.hasobject:
                return self._simple(node.item() if node.ndim == 0 else list(node), path)
            return node.item() if node.ndim == 0 and node.dtype.kind in "US" else node
        if isinstance(node, list | tuple) and node:
            first = node[0]
            if isinstance(first, Mapping):
                return self._records(node, path)
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
            raise UserError(f"{self._place(path)}: more numbers than a file of scores has.")
        try:
            values = np.asarray(node)
        except ValueError:
            raise UserError(f"{self._place(path)}: rows of different lengths.") from None
        if values.dtype.kind not in "fiu":
            bad = next(
                (item for item in np.ravel(values) if not isinstance(item, int | float | np.number)), "?"
            )
            raise UserError(f'{self._place(path)}: "{str(bad)[:40]}"; expected numbers.')
        return values

    def _records(self, node: Sequence[Any], path: tuple[str, ...]) -> dict[str, Any]:
        """[{"video": …, "frame": …, "valence": …}, …]: one dictionary a row."""
        keys = list(node[0])
        for row, item in enumerate(node):
            if not isinstance(item, Mapping) or list(item) != keys:
                raise UserError(f"{self._place(path)}, entry {row + 1}: other keys than the first entry has.")
        return {_key(k): [item[k] for item in node] for k in keys}

    def _matrix(self, values: npt.NDArray[Any], path: tuple[str, ...]) -> Table:
        if values.ndim > 2:
            values = values.reshape([side for side in values.shape if side != 1] or [1])
        if values.ndim == 0 or values.ndim > 2:
            raise UserError(f"{self._place(path)}: an array {values.shape}; expected (rows, values).")
        if values.size == 0:
            raise UserError(f"{self._place(path)}: an empty array {values.shape}.")
        if values.dtype.kind in "OUS":
            return Table(self._place(path), path, (np.asarray(values, object),), kind=self.kind, flat=True)
        return matrix_table(values, self._place(path), path, self.kind)

    def _one_of(self, node: Sequence[Any], path: tuple[str, ...]) -> Any:
        """One array of several without names, such as (features, scores)."""
        if len(node) == 1:
            return node[0]
        if self.options.key is not None and self.options.key.isdigit():
            place = int(self.options.key)
            if not 1 <= place <= len(node):
                raise UserError(f"{self._place(path)}: --key {place}; there are {len(node)} arrays.")
            return node[place - 1]
        shapes = ", ".join(str(np.shape(item)) for item in node[:4])
        raise UserError(
            f"{self._place(path)}: {len(node)} arrays without names: {shapes}{' …' if len(node) > 4 else ''}."
            "\nSay which one with --key 1, 2, …; a list with one array a track needs names: a dictionary."
        )

    def _mapping(self, node: dict[str, Any], path: tuple[str, ...], depth: int) -> list[Table]:
        few = len(node) <= _MOST_COLUMNS
        named = few and any(role_of(key) == TRACK for key in node)  # then a list is one array a track
        simple = {
            key: self._simple(value if named else self._chosen(value, path), (*path, key))
            for key, value in node.items()
        }
        if self.options.key is not None and self.options.key in simple:
            role_keys = True
        else:
            role_keys = self._is_columns(simple)
        if role_keys:
            return [self._columns(simple, path, depth)]
        rows = self._keyed_records(simple, path)
        if rows is not None:
            return [rows]
        frames = self._frames(simple, path)
        if frames is not None:
            return [frames]
        return [table for key, value in simple.items() for table in self.read(value, (*path, key), depth + 1)]

    def _chosen(self, value: Any, path: tuple[str, ...]) -> Any:
        """Of an entry (features, scores) the array that --key names."""
        several = isinstance(value, list | tuple) and value and all(isinstance(v, np.ndarray) for v in value)
        if several and not _is_grid(value) and len(value) < 10:
            return self._one_of(value, path)
        return value

    def _is_columns(self, node: dict[str, Any]) -> bool:
        """Whether the keys name columns and arrays of one table, and not tracks."""
        if len(node) > _MOST_COLUMNS or any(isinstance(value, Mapping | Table) for value in node.values()):
            return False
        for key in node:
            word = plain(key)
            if word in SCORE_WORDS or word in FEATURE_WORDS or word in TRUTH_WORDS:
                return True
            if self.task is not None and output_of(key, self.task) is not None:
                return True
            if role_of(key) in (LOCATION, TRACK, FRAME):
                return True
        return False

    def _columns(self, node: dict[str, Any], path: tuple[str, ...], depth: int) -> Table:
        """A table whose columns, or whose matrix, names and lengths, lie side by side."""
        outputs = [key for key in node if self.task is not None and output_of(key, self.task) is not None]
        singles = {
            key: value for key, value in node.items() if isinstance(value, np.ndarray) and value.ndim == 1
        }
        if outputs and all(key in singles for key in outputs) and self.options.key is None:
            rows = len(singles[outputs[0]])
            same = {key: value for key, value in singles.items() if len(value) == rows}
            return Table(self._place(path), path, tuple(same.values()), tuple(same), kind=self.kind)
        wanted = FEATURE_WORDS | SCORE_WORDS if self.task is None else SCORE_WORDS
        keys = [key for key in node if plain(key) in wanted]
        if self.options.key is not None:
            keys = [key for key in node if key == self.options.key]
        if len(keys) != 1:
            raise UserError(
                f"{self._place(path)}: {'several arrays' if keys else 'no array of scores'} among"
                f" {', '.join(list(node)[:8])}. Say which one with --key NAME."
            )
        named = self._listed(node, keys[0], path, depth)
        if named is not None:
            return named
        (table,) = self.read(node[keys[0]], path, depth + 1)
        notes = [f"read {keys[0]}"] if len(node) > 1 else []
        if "logit" in plain(keys[0]):
            notes.append(f"the array is called {keys[0]}")
        more = self._beside({key: value for key, value in node.items() if key != keys[0]}, table, path, notes)
        return Table(
            table.where, path, table.columns, _names_beside(node, table), kind=self.kind, notes=tuple(notes),
            matrix=table.matrix, flat=table.flat, **more,
        )  # fmt: skip

    def _listed(self, node: dict[str, Any], key: str, path: tuple[str, ...], depth: int) -> Table | None:
        """{"names": [a, b], "scores": [array of a, array of b]}: a list with one array a track."""
        arrays = node[key]
        names = next((v for k, v in node.items() if role_of(k) == TRACK and len(v) == len(arrays)), None)
        if not isinstance(arrays, list | tuple) or names is None or len(arrays) < 2:
            return None
        tables = [self.read(array, path, depth + 2)[0] for array in arrays]
        if len({len(table.columns) for table in tables}) > 1:
            raise UserError(f"{self._place(path)}: arrays of different widths in {key}.")
        matrix = np.concatenate([table.numbers(range(len(table.columns))) for table in tables])
        tracks = np.repeat(np.array([str(n) for n in names], object), [table.rows for table in tables])
        return matrix_table(matrix, self._place(path), path, self.kind, tracks=tracks)

    def _beside(
        self, node: dict[str, Any], table: Table, path: tuple[str, ...], notes: list[str]
    ) -> dict[str, Any]:
        """Tracks and frames from the arrays beside the scores."""
        found: dict[str, Any] = {}
        lengths, names = None, None
        unused: list[str] = []
        beside: dict[str, npt.NDArray[Any]] = {}
        rows = table.rows
        turned = self.task is not None and table.matrix is not None
        if turned and table.matrix.shape[0] == self.task.outputs != table.matrix.shape[1]:  # type: ignore[union-attr]
            rows = table.matrix.shape[1]  # type: ignore[union-attr]  # (outputs, rows)
        for key, value in node.items():
            role, length = role_of(key), len(value) if isinstance(value, np.ndarray) and value.ndim else -1
            if plain(key) in LENGTH_WORDS and length > 0 and value.dtype.kind in "iu":
                lengths = value
            elif role in (LOCATION, FRAME) and length == rows and value.dtype.kind in "iuf":
                found["frames"] = whole_numbers(value, self._place((*path, key)))
            elif role in (LOCATION, TRACK) and length == rows and length > 0:
                if role == LOCATION or all("/" in str(v) for v in value[:1]):
                    tracks, found["frames"] = split_locations(value, self._place((*path, key)))
                    if tracks is not None:
                        found["tracks"] = tracks
                else:
                    found["tracks"] = np.array([str(v) for v in value], object)
            elif role == TRACK and length > 0:
                names = [str(v) for v in value]
            elif role in _BESIDE and length == rows and value.dtype.kind in "iufb":
                beside[role] = value
            elif role in (FRAME, LOCATION, VALID, START, END) and length > 0:
                raise UserError(f"{self._place(path)}: {key} is {value.shape}; expected ({rows},).")
            elif key not in ("columns",):
                unused.append(key)
        found["beside"] = beside
        if lengths is not None:
            found["tracks"] = self._spread(lengths, names, rows, path)
        elif names is not None and "tracks" not in found:
            if len(names) == 1:
                found["tracks"] = np.array(names * rows, object)
            else:
                raise UserError(
                    f"{self._place(path)}: {len(names)} tracks, {rows} rows and no list of lengths."
                )
        if unused:
            notes.append(f"not used: {', '.join(unused[:6])}")
        return found

    def _spread(
        self, lengths: Index, names: list[str] | None, rows: int, path: tuple[str, ...]
    ) -> npt.NDArray[Any]:
        if names is None:
            raise UserError(
                f"{self._place(path)}: lengths of {len(lengths)} tracks without their names. Add an array"
                " `names`, or leave the lengths out and give --rows-from TEMPLATE --stacked."
            )
        if len(names) != len(lengths) or int(lengths.sum()) != rows or (lengths < 0).any():
            raise UserError(
                f"{self._place(path)}: {len(names)} names, {len(lengths)} lengths that add up to"
                f" {int(lengths.sum())}; the scores have {rows} rows."
            )
        return np.repeat(np.array(names, object), lengths)

    def _keyed_records(self, node: dict[str, Any], path: tuple[str, ...]) -> Table | None:
        """{"1": {"valence": 0.1, "arousal": 0.2}, …}: a dictionary a row under its frame or picture."""
        first = next(iter(node.values()))
        if not isinstance(first, Mapping) or not all(isinstance(v, int | float) for v in first.values()):
            return None
        columns = self._records(list(node.values()), path)
        keys = np.array(list(node), object)
        tracks, frames = split_locations(keys, self._place(path))
        arrays = {key: self._array(values, path) for key, values in columns.items()}
        return Table(
            self._place(path),
            path,
            tuple(arrays.values()),
            tuple(arrays),
            kind=f"{self.kind}, an entry a frame",
            frames=frames,
            tracks=tracks,
        )

    def _frames(self, node: dict[str, Any], path: tuple[str, ...]) -> Table | None:
        """{"video2/00001.jpg": vector, …} or {1: vector, …}: one entry a row; None if it is not that."""
        values = list(node.values())
        first = values[0]
        if not isinstance(first, np.ndarray) or first.dtype.kind not in "fiu" or len(values) < 2:
            return None
        if any(not isinstance(v, np.ndarray) or v.size != first.size or v.ndim > 2 for v in values):
            return None
        if any(v.ndim == 2 and min(v.shape) != 1 for v in values[:3]) or first.size > 100_000:
            return None
        keys = list(node)
        by_location = all("/" in key and frame_number(key) is not None for key in (keys[0], keys[-1]))
        spread = keys[:: max(len(keys) // 200, 1)]  # a key without a number is refused below, wherever it is
        by_number = all(frame_number(key) is not None for key in spread)
        if not by_location and (
            not by_number or (self.task is not None and first.size > 2 * self.task.outputs)
        ):
            return None
        tracks, frames = split_locations(np.array(keys, object), self._place(path))
        matrix = np.stack([v.reshape(-1) for v in values])
        where = self._place(path)
        return matrix_table(
            matrix, where, path, f"{self.kind}, an entry a frame", frames=frames, tracks=tracks
        )


def whole_numbers(values: npt.NDArray[Any], where: str) -> Index:
    """Frame numbers as integers.

    Raises:
        UserError: a number that is not whole (named).
    """
    numbers = np.asarray(values, np.float64)
    fine = np.isfinite(numbers) & (numbers == np.rint(numbers)) & (np.abs(numbers) < 1e9)
    if not fine.all():
        row = int(np.argmin(fine))
        raise UserError(
            f"{where}, row {row + 1}: {numbers[row]:g} is not a frame number; expected a whole number."
        )
    return numbers.astype(np.int64)


def _names_beside(node: dict[str, Any], table: Table) -> tuple[str, ...] | None:
    given = node.get("columns")
    if given is not None and len(given) == len(table.columns):
        return tuple(str(name) for name in given)
    return table.names


def _is_grid(node: Sequence[Any]) -> bool:
    """Whether items are plain rows of numbers, all of one length."""
    size = len(node[0]) if _is_row(node[0]) else 0
    return size > 0 and all(_is_row(item) and len(item) == size for item in node)


def _is_row(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim == 1
    return isinstance(item, list | tuple) and len(item) > 0 and isinstance(item[0], int | float | np.number)


def _key(key: Any) -> str:
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)
