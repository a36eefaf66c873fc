"""What every training leaves behind: history, curves, scores with their attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.charts import lines
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.multitask import part_of
from abaw_submit.decisions import Decision
from abaw_submit.draw import draw
from abaw_submit.metrics import f1_of_confusion, score
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.store import Stage, write_text
from abaw_submit.tasks import AH, Task, part_slices


def official_score(
    task: Task, annotations: Mapping[str, Annotation], scores: Mapping[str, npt.NDArray[np.float32]]
) -> float:
    """The official score of undecided scores over all valid rows pooled; 0 where no row is valid.

    MTL: the sum of the three. AH: the mean of the two classes' F1, over videos.
    """
    if task.decision is Decision.PARTS:
        return sum(
            official_score(
                part,
                {track: part_of(a, at) for track, a in annotations.items()},
                # a list may end before its track does
                {t: values[: annotations[t].rows, columns] for t, values in scores.items()},
            )
            for at, (part, columns, _) in enumerate(part_slices(task))
        )
    truth = {t: a.values for t, a in annotations.items()}
    valid = {t: a.valid for t, a in annotations.items()}
    if not any(v.any() for v in valid.values()):
        return 0.0
    if task is AH:
        true = np.concatenate([truth[t][valid[t]] for t in truth]).astype(np.int64).ravel()
        said = np.concatenate([decide(task, scores[t])[valid[t]] for t in truth]).astype(np.int64).ravel()
        confusion = np.bincount(2 * true + said, minlength=4).reshape(2, 2).astype(np.float64)
        return float(f1_of_confusion(confusion).mean())
    return score(task, truth, {t: decide(task, scores[t]) for t in truth}, valid).total


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> Path:
    """`history.csv`: one line per epoch. No times, so that the same training gives the same bytes."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    lines = [",".join(columns)]
    lines += [",".join(_number(row.get(c)) for c in columns) for row in history]
    write_text(folder / "history.csv", "\n".join(lines) + "\n")
    return folder / "history.csv"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"


def draw_curves(folder: Path, history: Sequence[Mapping[str, float]], title: str) -> Path:
    """`curves.svg`: loss and, where there is one, validation score over epochs."""
    drawn = []
    for key, name in (("loss", "training loss"), ("validation", "validation score")):
        points = [{"x": row["epoch"], "y": row[key], "series": name} for row in history if key in row]
        if points:
            drawn.append((name, {**lines(points, "epoch", name), "height": 160}))
    caption = f"{title}: the loss on the training tracks after every epoch"
    scored = " and the score on the held-out tracks, by which nothing is chosen" if len(drawn) > 1 else ""
    return draw(folder / "curves.svg", drawn, f"{caption}{scored}.")


def save_scores(
    stage: Stage,
    path: Path,
    task: Task,
    tracks: Mapping[str, npt.NDArray[np.float32]],
    **attributes: Any,
) -> None:
    """Write scores with the run's fingerprint and note them in the stage."""
    write_scores(path, Scores(task, dict(tracks), {**attributes, "fingerprint": stage.fingerprint}))
    stage.output(path)
    stage.count(f"rows in {path.name}", sum(len(values) for values in tracks.values()))
