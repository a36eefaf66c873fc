"""The three tasks as data: columns, invalid marker, activation, decision, headers per edition.

Source: the organisers' readme, as gathered in docs/reference/formats.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from abaw_submit.errors import UserError, suggest

AU_COLUMNS = tuple(f"AU{k}" for k in (1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26))
AU_COLUMNS_EDITION_1 = tuple(f"AU{k}" for k in (1, 2, 4, 6, 12, 15, 20, 25))
EXPR_COLUMNS = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
EXPR_COLUMNS_EDITION_1 = EXPR_COLUMNS[:7]
VA_COLUMNS = ("valence", "arousal")
CE_COLUMNS = (
    "Fearfully_Surprised",
    "Happily_Surprised",
    "Sadly_Surprised",
    "Disgustedly_Surprised",
    "Angrily_Surprised",
    "Sadly_Fearful",
    "Sadly_Angry",
)
EDITIONS = tuple(range(1, 12))
LATEST_EDITION = 10


class Decision(Enum):
    """How scores become labels."""

    THRESHOLD = "threshold"  # AU: one 0/1 per column
    ARGMAX = "argmax"  # EXPR: one class index
    CLIP = "clip"  # VA: the value itself, inside [-1, 1]
    PARTS = "parts"  # MTL: each part by its own rule


@dataclass(frozen=True)
class Task:
    """One challenge task.

    Attributes:
        name: "AU", "EXPR" or "VA".
        columns: names of the score columns, in the official order of edition 3 and later.
        invalid: the marker of an unannotated value in the official files.
        activation: "sigmoid", "softmax" or "tanh": from model outputs to scores.
        decision: from scores to labels.
        label_columns: values per row of an annotation file (1 for EXPR).
        metric: the official score, higher is better.
    """

    name: str
    columns: tuple[str, ...]
    invalid: float
    activation: str
    decision: Decision
    label_columns: int
    metric: str

    @property
    def parts(self) -> tuple[Task, ...]:
        """The tasks it is made of, in the order of its columns: itself, or for MTL the three."""
        return MTL_PARTS if self.decision is Decision.PARTS else (self,)

    @property
    def outputs(self) -> int:
        """Number of score columns: 12, 8 or 2."""
        return len(self.columns)

    @property
    def key(self) -> str:
        """The name in lower case, as in folder names."""
        return self.name.lower()

    def header(self, edition: int = LATEST_EDITION) -> str:
        """The header line of an annotation or per-track file of an edition (1 and 2 differ).

        >>> VA.header()
        'valence,arousal'
        """
        return ",".join(self.columns_of(edition))

    def columns_of(self, edition: int = LATEST_EDITION) -> tuple[str, ...]:
        """Column names in an edition: edition 1 has 8 AUs; editions 1 and 2 have 7 expressions."""
        if self.name == "AU" and edition == 1:
            return AU_COLUMNS_EDITION_1
        if self.name == "EXPR" and edition in (1, 2):
            return EXPR_COLUMNS_EDITION_1
        return self.columns

    def challenge_folder(self, edition: int = LATEST_EDITION) -> str:
        """The annotation folder's name in an edition.

        >>> EXPR.challenge_folder(5), EXPR.challenge_folder(6), AU.challenge_folder(2)
        ('EXPR_Classification_Challenge', 'EXPR_Recognition_Challenge', 'AU_Set')
        """
        if edition <= 2:
            return f"{self.name}_Set"
        if self.name == "EXPR":
            return f"EXPR_{'Classification' if edition <= 5 else 'Recognition'}_Challenge"
        return {"AU": "AU_Detection_Challenge", "VA": "VA_Estimation_Challenge"}[self.name]


AU = Task("AU", AU_COLUMNS, -1, "sigmoid", Decision.THRESHOLD, 12, "mean F1")
EXPR = Task("EXPR", EXPR_COLUMNS, -1, "softmax", Decision.ARGMAX, 1, "macro F1")
VA = Task("VA", VA_COLUMNS, -5, "tanh", Decision.CLIP, 2, "mean CCC")
TASKS = {task.name: task for task in (AU, EXPR, VA)}
# all three at once (editions 4, 7, 11): the columns of a multi-task list, expressions as eight scores
MTL_PARTS = (VA, EXPR, AU)
MTL = Task(
    "MTL",
    tuple(column for part in MTL_PARTS for column in part.columns),
    -5,
    "of each part",
    Decision.PARTS,
    sum(part.label_columns for part in MTL_PARTS),
    "sum of the three",
)
# ambivalence and hesitancy (edition 11): one label for a whole video; its "tracks" are videos of one row
AH = Task("AH", ("AH",), -1, "sigmoid", Decision.THRESHOLD, 1, "macro F1")
MORE_TASKS = {task.name: task for task in (MTL, AH)}  # trained and submitted, but not uni-task


def get_task(name: str | Task) -> Task:
    """The task of a name, in any case.

    Raises:
        UserError: the name is not AU, EXPR or VA.
    """
    if isinstance(name, Task):
        return name
    task = TASKS.get(name.upper())
    if task is None:
        raise UserError(f'Unknown task "{name}". {suggest(name.upper(), TASKS)}')
    return task


def any_task(name: str | Task) -> Task:
    """As `get_task`, and MTL (all three at once) and AH (whole videos) too.

    Raises:
        UserError: none of these.

    >>> any_task("ah").outputs
    1
    """
    if isinstance(name, Task):
        return name
    known = {**TASKS, **MORE_TASKS}
    if name.upper() not in known:
        raise UserError(f'Unknown task "{name}". {suggest(name.upper(), known)}')
    return known[name.upper()]


def part_slices(task: Task) -> list[tuple[Task, slice, slice]]:
    """Each part of a task with its score columns and its label columns.

    >>> [(part.name, scores, labels) for part, scores, labels in part_slices(MTL)][1]
    ('EXPR', slice(2, 10, None), slice(2, 3, None))
    """
    found, at, label_at = [], 0, 0
    for part in task.parts:
        found.append((part, slice(at, at + part.outputs), slice(label_at, label_at + part.label_columns)))
        at, label_at = at + part.outputs, label_at + part.label_columns
    return found
