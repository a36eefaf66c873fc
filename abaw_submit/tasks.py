"""The three tasks as data: columns, invalid marker, kind of labels, headers and folders per edition.

Source: the organisers' readme, as gathered in docs/reference/formats.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from abaw_submit.decisions import Decision
from abaw_submit.errors import UserError, suggest

if TYPE_CHECKING:
    from abaw_submit.kinds import Kind

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
        folders: (edition, name of its annotation folder from that edition on), in order.
        older_columns: (edition, columns) of editions that had others.
        accuracy_share: how much of the official total was accuracy in editions 1 and 2.
        whole_videos: one label for a video in place of one for each row.
    """

    name: str
    columns: tuple[str, ...]
    invalid: float
    activation: str
    decision: Decision
    label_columns: int
    metric: str
    folders: tuple[tuple[int, str], ...] = ()
    older_columns: tuple[tuple[int, tuple[str, ...]], ...] = ()
    accuracy_share: float = 0.0
    whole_videos: bool = False

    @property
    def kind(self) -> Kind:
        """What follows from the kind of its labels. MTL has none of its own: ask its parts."""
        from abaw_submit.kinds import KINDS  # here: the command line knows tasks without numpy

        return KINDS[self.decision]

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
        return dict(self.older_columns).get(edition, self.columns)

    def challenge_folder(self, edition: int = LATEST_EDITION) -> str:
        """The annotation folder's name in an edition.

        >>> EXPR.challenge_folder(5), EXPR.challenge_folder(6), AU.challenge_folder(2)
        ('EXPR_Classification_Challenge', 'EXPR_Recognition_Challenge', 'AU_Set')
        """
        return next(name for first, name in reversed(self.folders) if first <= edition)


AU = Task(
    "AU",
    AU_COLUMNS,
    -1,
    "sigmoid",
    Decision.THRESHOLD,
    12,
    "mean F1",
    folders=((1, "AU_Set"), (3, "AU_Detection_Challenge")),
    older_columns=((1, AU_COLUMNS_EDITION_1),),
    accuracy_share=0.5,
)
EXPR = Task(
    "EXPR",
    EXPR_COLUMNS,
    -1,
    "softmax",
    Decision.ARGMAX,
    1,
    "macro F1",
    folders=((1, "EXPR_Set"), (3, "EXPR_Classification_Challenge"), (6, "EXPR_Recognition_Challenge")),
    older_columns=((1, EXPR_COLUMNS_EDITION_1), (2, EXPR_COLUMNS_EDITION_1)),
    accuracy_share=0.33,
)
VA = Task(
    "VA",
    VA_COLUMNS,
    -5,
    "tanh",
    Decision.CLIP,
    2,
    "mean CCC",
    folders=((1, "VA_Set"), (3, "VA_Estimation_Challenge")),
)
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
AH = Task("AH", ("AH",), -1, "sigmoid", Decision.THRESHOLD, 1, "macro F1", whole_videos=True)
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
