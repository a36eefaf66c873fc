"""The table of scores: what each stage is worth, out of fold, with paired intervals over tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.corpus.annotations import Annotation, read_annotation_set
from abaw_submit.corpus.tracks import sibling_group
from abaw_submit.metrics import (
    RESAMPLES,
    Score,
    bootstrap,
    interval,
    score_of_statistics,
    statistics,
    total,
)
from abaw_submit.report.find import TaskRun, selection
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_member
from abaw_submit.tasks import Task


@dataclass(frozen=True)
class Line:
    """One system: its name, score, and the gain over another line with its 95 % interval.

    Attributes:
        name: what was scored.
        score: pooled over the tracks that every line of the board has.
        against: the line it is compared with, or None.
        gain: difference of the totals.
        gain_interval: over resampled recordings, the same resamples for both.
    """

    name: str
    score: Score
    against: str | None = None
    gain: float = 0.0
    gain_interval: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class StepGain:
    """One post-processing step alone: its cross-fitted total and its gain over the TMF as it is."""

    name: str
    total: float
    gain: float
    gain_interval: tuple[float, float]


@dataclass(frozen=True)
class Board:
    """All lines of one task. Every row was scored by a model that did not train on its recording."""

    task: Task
    lines: list[Line]
    tracks: int
    rows: int
    smoothing: StepGain | None = None


def board(run: TaskRun, annotations: Path, smoothed: Sequence[tuple[str, Path]] = ()) -> Board | None:
    """Score what the run has for one task, or None if it has no out-of-fold scores.

    Args:
        run: the task's files.
        annotations: root of the official annotations.
        smoothed: further (name, scores) to compare with the TMF, such as cross-fitted recipes.
    """
    if not run.tmf:
        return None
    truth = read_annotation_set(annotations, run.task)
    systems: list[tuple[str, Scores, str | None]] = []
    if run.frame:
        systems.append(("single-frame head", read_member(run.frame, run.task), "constant"))
    if run.visual:
        systems.append(("TMF, picture only", read_member(run.visual, run.task), "single-frame head"))
    against = "TMF, picture only" if run.visual else "single-frame head" if run.frame else "constant"
    systems.append(("TMF", read_member(run.tmf, run.task), against))
    systems += [(name, read_member([path], run.task), "TMF") for name, path in smoothed]

    tracks = sorted(set(truth).intersection(*(set(s) for _, s, _ in systems)))
    groups = [sibling_group(t) for t in tracks]
    sums = {"constant": _constant(run.task, truth, tracks)}
    for name, scores, _ in systems:
        sums[name] = np.stack([_track(run.task, truth[t], scores[t]) for t in tracks])
    names: list[tuple[str, str | None]] = [("constant", None), *((n, a) for n, _, a in systems)]
    lines = [_line(run.task, name, sums, other, groups) for name, other in names]
    return Board(run.task, lines, len(tracks), lines[0].score.rows, smoothing_gain(run))


def _line(task: Task, name: str, sums: dict[str, F64], against: str | None, groups: list[str]) -> Line:
    score = score_of_statistics(task, sums[name], resamples=RESAMPLES, groups=groups)
    if against is None:
        return Line(name, score)
    mine = total(task, bootstrap(sums[name], groups=groups))
    theirs = total(task, bootstrap(sums[against], groups=groups))
    gain = float(total(task, sums[name].sum(axis=0)) - total(task, sums[against].sum(axis=0)))
    return Line(name, score, against, gain, interval(mine - theirs))


def _track(task: Task, truth: Annotation, scores: npt.NDArray[Any]) -> F64:
    rows = min(len(truth.values), len(scores))
    labels = decide(task, scores[:rows])
    return statistics(task, truth.values[:rows], labels, truth.valid[:rows])


def _constant(task: Task, truth: dict[str, Annotation], tracks: list[str]) -> F64:
    """The best constant: all AUs present, the most frequent expression, the mean of V and A."""
    label = task.kind.constant(np.concatenate([truth[t].values[truth[t].valid] for t in tracks]))
    return np.stack(
        [
            statistics(task, a.values, np.broadcast_to(label, a.values.shape), a.valid)
            for a in (truth[t] for t in tracks)
        ]
    )


def board_text(board: Board) -> str:
    """A board as lines for a terminal."""
    head = (
        f"{board.task.name}: {board.task.metric}, out of fold, {board.tracks} tracks, {board.rows} valid rows"
    )
    lines = [head]
    for line in board.lines:
        low, high = line.score.intervals["total"]
        text = f"  {line.name:<34} {line.score.total:.3f} [{low:.3f}, {high:.3f}]"
        if line.against:
            low, high = line.gain_interval
            text += f"   {line.gain:+.3f} [{low:+.3f}, {high:+.3f}] against {line.against}"
        lines.append(text)
    if board.smoothing:
        low, high = board.smoothing.gain_interval
        text = f"  {board.smoothing.name:<34} {board.smoothing.total:.3f} {'':<14}"
        lines.append(f"{text}   {board.smoothing.gain:+.3f} [{low:+.3f}, {high:+.3f}] against TMF")
    return "\n".join(lines)


def crossfitted(run: TaskRun) -> list[tuple[str, Path]]:
    """The cross-fitted scores of the recipe that is submitted."""
    if run.recipe is None or not (run.recipe / "crossfit").exists():
        return []
    return [("TMF + recipe", run.recipe / "crossfit")]


def smoothing_gain(run: TaskRun) -> StepGain | None:
    """What smoothing alone is worth, cross-fitted, as `select` found it; None if it did not look."""
    found = selection(run)
    for entry in found["step_sets"] if found else []:
        if entry["steps"] == ["smooth"]:
            low, high = entry["gain_interval"]
            return StepGain("smoothing alone", entry["cross_fitted"], entry["gain"], (low, high))
    return None
