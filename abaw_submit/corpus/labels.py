"""Labels of any task by track: the one place that knows which reader a task's labels need."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.corpus.annotations import Annotation, read_annotation_set
from abaw_submit.corpus.multitask import read_multitask
from abaw_submit.corpus.videolist import read_video_labels
from abaw_submit.tasks import AH, MTL, Task


def read_labels(root: Path, task: Task) -> dict[str, Annotation]:
    """Every annotation of a task, by track (AH: by video) in name order.

    Args:
        root: AU, EXPR, VA: the annotations' root; MTL: that, or MTL lists; AH: lists of videos.
        task: the task.

    Raises:
        UserError: no annotation is found, or something in one is wrong.
    """
    if task is MTL:
        return read_multitask(root)
    if task is AH:
        return read_video_labels(root)
    return read_annotation_set(root, task)
