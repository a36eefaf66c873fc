"""The five candidates of a plan: from one model as it is to the widest filter, each a recipe of its own.

Each recipe is fitted on the out-of-fold scores of all tracks, and once more without each fold of tracks,
so that its score is cross-fitted: every track is scored by a recipe that did not see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from abaw_submit.arrays import F32
from abaw_submit.postprocess.engine import Columns, Engine, Folds
from abaw_submit.postprocess.recipe import Column, Recipe, apply_recipe, nothing
from abaw_submit.postprocess.score_table import ScoreTable
from abaw_submit.postprocess.search_au import SearchAU
from abaw_submit.postprocess.search_expr import SearchEXPR
from abaw_submit.postprocess.search_va import SearchVA
from abaw_submit.postprocess.smoothing import Filter, parse_filter
from abaw_submit.scores.files import Scores

MEMBER = "folds"
WIDER = 2.0  # the wide candidate's filters are at least this much wider
Pair = tuple[Filter, Filter]


@dataclass(frozen=True)
class Idea:
    """What a candidate is.

    Attributes:
        name: its short name, used in file names.
        what: what it is, in a line.
        steps: the steps its recipe fits; none: the scores as they are.
        wide: take only filters at least twice as wide as the best.
        restore: how far the folds' spread is restored after averaging (VA).
        lesson: what its test score tells beside that of the one before.
    """

    name: str
    what: str
    steps: frozenset[str] = frozenset()
    wide: bool = False
    restore: float = 0.0
    lesson: str = ""


IDEAS = (
    Idea(
        "official",
        "the model of the official split alone",
        lesson="how far a validation score can be trusted: the only candidate whose validation and test score"
        " come from the same model",
    ),
    Idea(
        "mean",
        "mean of the folds",
        lesson="what averaging the folds is worth; out-of-fold scores cannot show it",
    ),
    Idea(
        "smooth",
        "mean of the folds, smoothed",
        frozenset({"smooth"}),
        lesson="whether the filter chosen on validation tracks fits the test tracks",
    ),
    Idea(
        "tuned",
        "mean of the folds, smoothed, calibrated, thresholds moved",
        frozenset({"smooth", "calibrate", "threshold"}),
        restore=1.0,
        lesson="whether labels are distributed on the test set as on the validation set; if it loses, the"
        " calibration is what did not transfer",
    ),
    Idea(
        "wide",
        "as tuned, with filters at least twice as wide",
        frozenset({"smooth", "calibrate", "threshold"}),
        wide=True,
        restore=1.0,
        lesson="whether more smoothing than validation asks for pays on the test set, as it often has",
    ),
)


def engine_for(table: ScoreTable, pairs: list[Pair]) -> Engine:
    """The search of a task."""
    search = {"AU": SearchAU, "EXPR": SearchEXPR, "VA": SearchVA}[table.task.name]
    return cast(Engine, search(table, pairs))


def width_rows(before: str, after: str, rate_hz: float) -> float:
    """The width of a pair of filters in rows: the window, or four sigmas; both together.

    >>> width_rows("median:5", "gaussian:25", 30)
    105.0
    """
    total = 0.0
    for text in (before, after):
        one = parse_filter(text).in_rows(rate_hz)
        total += {"none": 0.0, "gaussian": 4 * one.size}.get(one.kind, one.size)
    return total


def fit(engine: Engine, folds: Folds, idea: Idea) -> Recipe:
    """The recipe of an idea from the tracks of some folds."""
    table = engine.table
    if not idea.steps:
        return nothing(table.task, table.members)
    steps = frozenset(idea.steps & set(engine.steps()))
    columns: list[Column] = []
    for part in range(engine.parts):
        fitted = engine.fit(part, folds, steps, None)
        if idea.wide:
            fitted = engine.fit(part, folds, steps, _wider(engine, fitted))
        columns += fitted
    by_name = dict(zip(table.task.columns, columns, strict=True))
    kept = tuple(step for step in engine.steps() if step in steps)
    return Recipe(
        table.task.name,
        table.members,
        by_name,
        kept,
        restore=idea.restore,
        rate_hz=table.rate_hz,
        notes={"candidate": idea.name},
    )


def _wider(engine: Engine, fitted: Columns) -> tuple[int, ...]:
    """The filters at least twice as wide as the fitted ones; the widest one if there are none."""
    rate_hz = engine.table.rate_hz
    widths = np.array([width_rows(str(before), str(after), rate_hz) for before, after in engine.pairs])
    wanted = WIDER * max(max(width_rows(c.before, c.after, rate_hz) for c in fitted), 1.0)
    found = tuple(np.flatnonzero(widths >= wanted).tolist())
    return found or (int(np.argmax(widths)),)


def cross_fit(engine: Engine, idea: Idea, out_of_fold: Scores) -> Scores:
    """Each track's scores under the recipe fitted without its fold."""
    table = engine.table
    tracks: dict[str, F32] = {}
    everything: Folds = tuple(range(table.folds))
    for k in everything:
        recipe = fit(engine, tuple(j for j in everything if j != k), idea)
        mine = [t for t, fold in zip(table.names, table.fold, strict=True) if fold == k]
        part = Scores(table.task, {track: out_of_fold[track] for track in mine})
        tracks.update(apply_recipe(recipe, {MEMBER: part}).tracks)
    return Scores(table.task, {track: tracks[track] for track in sorted(tracks)})


def apply_to_test(recipe: Recipe, test: Scores) -> Scores:
    """A recipe on averaged test scores."""
    return apply_recipe(recipe, {MEMBER: test})
