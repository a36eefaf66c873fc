"""Which columns of a table are scores, tracks and frames: by name, else by number, else refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64, Index
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.names import frame_number, split_locations, without_suffix
from abaw_submit.scores.sniff.table import Options, Table
from abaw_submit.scores.sniff.tree import whole_numbers
from abaw_submit.scores.sniff.words import (
    CONFIDENCE,
    END,
    FACE,
    FRAME,
    INDEX,
    LABEL_WORDS,
    LOCATION,
    START,
    TIME,
    TRACK,
    TRUTH_WORDS,
    VALID,
    class_of,
    output_of,
    plain,
    role_of,
)
from abaw_submit.tasks import Task

_PICTURE = re.compile(r"\.(jpe?g|png|bmp|webp|tiff?)$", re.IGNORECASE)
# what stands before the number of a column that has no other name
_NUMBERING = (
    "", "prob", "p", "class", "cls", "c", "output", "out", "score", "logit", "pred", "col", "column", "dim",
    "y", "label", "unnamed", "expr", "au", "va",
)  # fmt: skip
_NUMBERED = re.compile(r"(\D*)(\d+)")


@dataclass
class Reading:
    """A table whose columns are understood.

    Attributes:
        values: (rows, outputs) numbers as they stand; (rows, 1) class numbers if `classes`.
        tracks: track of each row as written, or None.
        frames: frame number of each row as written, or None.
        times: time of each row, or None.
        classes: the values are class numbers.
        used: what each output was read from, for people.
        notes: what a user should know.
    """

    values: F64
    tracks: npt.NDArray[Any] | None = None
    frames: Index | None = None
    times: F64 | None = None
    classes: bool = False
    used: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class Roles:
    """Columns by what they are for; `scores` only where the user chose them."""

    of: dict[int, str]
    scores: list[int] | None = None
    said: set[str] = field(default_factory=set)

    def all_of(self, role: str) -> list[int]:
        """The columns of a role."""
        return [k for k, own in self.of.items() if own == role]


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


def find_roles(table: Table, options: Options, task: Task | None) -> Roles:
    """What the columns are for beside scores, by their names and what the user said.

    Raises:
        UserError: --columns names a column that is not there.
    """
    roles = Roles({})
    for k, name in enumerate(table.names or ()):
        role = role_of(name) if task is None or output_of(name, task) is None else None
        if role is not None:
            roles.of[k] = role
    if options.columns is None:
        return roles
    scores: list[int] = []
    words = {"frame": FRAME, "track": TRACK, "video": TRACK, "image": LOCATION, "time": TIME}
    for given in options.columns.split(","):
        role, sign, name = (part.strip() for part in given.partition("="))
        if not sign:
            scores.append(_place(table, role))
        elif role in words:
            k = _place(table, name)
            roles.said.add(words[role])
            roles.of = {**{p: r for p, r in roles.of.items() if r != words[role] and p != k}, k: words[role]}
        else:
            raise UserError(
                f'--columns "{given}": {role} is unknown; expected {", ".join(words)}, or a column.'
            )
    roles.scores = scores or None
    for k in scores:
        roles.of.pop(k, None)
    return roles


def _place(table: Table, name: str) -> int:
    names = [own.strip() for own in table.names or ()]
    if names.count(name) == 1:
        return names.index(name)
    if name.isdigit() and 1 <= int(name) <= len(table.columns):
        return int(name) - 1
    has = ", ".join(names[:12]) if names else f"{len(table.columns)} without names"
    twice = "more than one column" if name in names else "no column"
    raise UserError(f'{table.where}: {twice} "{name}" for --columns. It has {has}.')


def _scores(table: Table, task: Task, roles: Roles) -> tuple[list[int] | None, str, bool, list[str]]:
    """The score columns (None: the array is turned), what they are called, classes or not, notes."""
    if roles.scores is not None:
        classes = task.name == "EXPR" and len(roles.scores) == 1
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
    if task.name == "AU" and not found:
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
    if task.name == "EXPR" and len(found) < 2:
        labels = [k for k in free if plain(names[k]) in LABEL_WORDS]
        if len(labels) == 1:
            return labels, _used(table, labels), True, []
    if found:
        missing = [column for column in task.columns if column not in found]
        raise UserError(
            f"{table.where}: no column for {', '.join(missing)} among {', '.join(names)[:150]}."
            f"\nChoose with --columns, in the order {','.join(task.columns)}."
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
    raise UserError(
        f"{table.where}: no column is named for {task.name}; it has {', '.join(names)[:150]}."
        f"\nChoose with --columns, in the order {','.join(task.columns)}."
    )


def _by_number(table: Table, task: Task, roles: Roles) -> tuple[list[int] | None, str, bool, list[str]]:
    texts = [k for k in range(len(table.columns)) if table.is_text(k)]
    if task.name == "EXPR" and texts and not [k for k in range(len(table.columns)) if k not in texts]:
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
    if task.name == "EXPR" and len(free) == 1:
        return free, "one column of class numbers", True, []
    wide = len(free) == task.outputs + 1 or (task.name == "EXPR" and len(free) == 2)
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
    hint = "" if len(free) != 7 or task.name != "EXPR" else " (editions 1 and 2 have no Other)"
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
        and not (table.matrix.shape[1] == 1 and task.name == "EXPR")
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


def is_location(column: npt.NDArray[Any]) -> bool:
    """Whether text names pictures: `video2/00001.jpg`, not `video2.mp4`."""
    sample = [str(v) for v in column[:: max(len(column) // 50, 1)]]
    return all(
        frame_number(v) is not None and (_PICTURE.search(v) is not None or re.search(r"[/\\]\D{0,8}\d+$", v))
        for v in sample
    )


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


def read_roles(table: Table, roles: Roles, reading: Reading, chosen: Sequence[int] | None) -> None:
    """Fill in tracks, frames and times.

    Raises:
        UserError: two columns that differ about the track or the frame; frames that are not whole numbers.
    """
    for k in [*roles.all_of(LOCATION), *roles.all_of(TRACK), *roles.all_of(INDEX)]:
        if table.is_text(k):
            roles.of[k] = LOCATION if is_location(table.columns[k]) else TRACK
    tracks, frames = table.tracks, table.frames
    for k in roles.all_of(TRACK) if LOCATION not in roles.said or TRACK in roles.said else []:
        own = np.array([str(v) for v in table.columns[k]], object)
        tracks = _agree(tracks, own, table, "tracks")
    for k in roles.all_of(LOCATION):
        if not table.is_text(k):
            frames = _agree(frames, whole_numbers(table.columns[k], table.where), table, "frames")
            continue
        of_picture, numbers = split_locations(table.columns[k], table.where)
        if of_picture is not None and tracks is None:
            tracks = of_picture
        elif of_picture is not None and tracks is not None and TRACK not in roles.said:
            _same_tracks(tracks, of_picture, table)
        frames = _agree(frames, numbers, table, "frames")
    for k in roles.all_of(FRAME):
        frames = _agree(frames, _frame_column(table, k), table, "frames")
    if frames is None:
        _check_index(table, roles, tracks, reading.notes)
    times = roles.all_of(TIME)
    if times and not table.is_text(times[0]):
        reading.times = np.asarray(table.columns[times[0]], np.float64)
    for role, what in (
        (VALID, "valid"),
        (CONFIDENCE, "confidence"),
        (FACE, "face"),
        (START, "start"),
        (END, "end"),
    ):
        if roles.all_of(role) and table.names:
            reading.notes.append(f"not used: {what} ({table.column_name(roles.all_of(role)[0])})")
    reading.tracks, reading.frames = tracks, frames
    for name, array in (("tracks", tracks), ("frames", frames)):
        if array is not None and len(array) != len(reading.values):
            raise UserError(f"{table.where}: {len(array)} {name} for {len(reading.values)} rows of scores.")


def _frame_column(table: Table, column: int) -> Index:
    values = table.columns[column]
    if not table.is_text(column):
        numbers = np.asarray(values, np.float64)
        wrong = ~np.isfinite(numbers) | (numbers != np.rint(numbers)) | (numbers < 0) | (numbers > 1e8)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise UserError(
                f"{table.row_name(row)}: frame {numbers[row]:g} in column {table.column_name(column)};"
                " expected a whole number from 0 on."
            )
        return numbers.astype(np.int64)
    found = [frame_number(str(v)) for v in values]
    if None in found:
        row = found.index(None)
        raise UserError(f'{table.row_name(row)}: "{str(values[row])[:40]}" is not a frame number.')
    return np.array(found, np.int64)


def _agree(known: Any, found: npt.NDArray[Any], table: Table, what: str) -> npt.NDArray[Any]:
    if known is not None and not np.array_equal(known, found):
        raise UserError(
            f"{table.where}: two columns say different {what}. Name the right one:"
            f" --columns {'frame' if what == 'frames' else 'track'}=NAME."
        )
    return found


def _same_tracks(tracks: npt.NDArray[Any], of_picture: npt.NDArray[Any], table: Table) -> None:
    """A column of tracks and the folders of pictures must not contradict each other."""
    pairs = {
        (without_suffix(str(a).rpartition("/")[2]), str(b)) for a, b in zip(tracks, of_picture, strict=True)
    }
    other = next(((a, b) for a, b in sorted(pairs) if a != without_suffix(b)), None)
    if other is not None:
        raise UserError(
            f"{table.where}: one column says track {other[0]}, the picture's folder {other[1]}."
            " Name the right one: --columns track=NAME or image=NAME, with the scores."
        )


def _check_index(table: Table, roles: Roles, tracks: npt.NDArray[Any] | None, notes: list[str]) -> None:
    """An index column may only say what the order of the rows says already."""
    for k in roles.all_of(INDEX):
        if table.is_text(k):
            continue
        numbers = np.asarray(table.columns[k], np.float64)
        rows = np.arange(len(numbers))
        plain_order = len(numbers) == 0 or (
            np.array_equal(numbers, rows + numbers[0]) and numbers[0] in (0, 1)
        )
        if not plain_order and tracks is not None:
            starts = np.flatnonzero(np.concatenate([[True], tracks[1:] != tracks[:-1]]))
            within = rows - np.repeat(starts, np.diff([*starts, len(rows)]))
            plain_order = np.array_equal(numbers, within) or np.array_equal(numbers, within + 1)
        if not plain_order:
            raise UserError(
                f"{table.where}: column {table.column_name(k)} numbers the rows, but not one after the other."
                f"\nIf these are frames: --columns frame={k + 1}{_rest(table, roles)}."
            )
        notes.append(f"column {table.column_name(k)} only counts the rows")


def _rest(table: Table, roles: Roles) -> str:
    free = [str(p + 1) for p in range(len(table.columns)) if p not in roles.of and not table.is_text(p)]
    return "," + ",".join(free[:12]) if free else ""
