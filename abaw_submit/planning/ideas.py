"""What the five submissions of a plan are: good tries that differ, each a recipe from the same `Selector`.

Each recipe is chosen on the out-of-fold scores of all tracks, and once more without each fold of tracks, so
that its score is cross-fitted: every track is scored by a recipe that did not see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abaw_submit.postprocess.recipe import Recipe, identity_recipe
from abaw_submit.postprocess.score_table import Folds
from abaw_submit.postprocess.selection import CHEAP, Selector

WIDER = 2.0  # the wide candidate's filters are at least this much wider


@dataclass(frozen=True)
class Idea:
    """What a candidate is.

    Attributes:
        name: its short name, used in file names.
        what: what it is, in a line.
        lesson: what its test score tells beside that of the first.
        steps: "chosen": as the rule keeps them; "cheap": those that can hardly do harm; "all"; "none".
        wide: take only filters at least twice as wide as the best.
    """

    name: str
    what: str
    lesson: str
    steps: str = "chosen"
    wide: bool = False


IDEAS = (
    Idea("chosen", "the recipe that `select` chooses", "what the whole post-processing is worth"),
    Idea(
        "safe",
        "weighted and smoothed; no calibration, no thresholds",
        "whether labels are distributed on the test set as on the validation set; if it wins, the calibration"
        " is what did not transfer",
        steps="cheap",
    ),
    Idea(
        "full",
        "every step, whether it was kept or not",
        "whether a step that validation could not prove pays on more tracks",
        steps="all",
    ),
    Idea(
        "wide",
        "as chosen, with filters at least twice as wide",
        "whether more smoothing than validation asks for pays on the test set, as it often has",
        wide=True,
    ),
    Idea("mean", "the plain mean of all members and folds", "what averaging alone is worth", steps="none"),
)
DIAGNOSIS = Idea(
    "official",
    "the model of the official split alone",
    "how far a validation score can be trusted: the only candidate whose validation and test score come from"
    " the same model",
    steps="none",
)


def steps_of(selector: Selector, idea: Idea, folds: Folds) -> frozenset[str]:
    """The steps of an idea, as far as some folds can tell."""
    if idea.steps == "chosen":
        return selector.choose(folds)[0]
    return frozenset(
        {"cheap": CHEAP & set(selector.steps), "all": set(selector.steps), "none": set()}[idea.steps]
    )


def recipe_of(selector: Selector, idea: Idea, folds: Folds) -> Recipe:
    """The recipe of an idea from the tracks of some folds."""
    table, steps = selector.table, steps_of(selector, idea, folds)
    if not steps and not idea.wide:
        return identity_recipe(table.task, table.members, table.rate_hz)
    allowed = None
    if idea.wide and "smooth" in selector.steps:
        steps = steps | {"smooth"}
        allowed = _wider(selector, selector.search.choose(folds, steps).filters)
    return selector.recipe(folds, steps, allowed, notes={"candidate": idea.name})


def _wider(selector: Selector, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """Filters at least twice as wide as the widest chosen one; the widest one if there are none."""
    search, rate_hz = selector.search, selector.table.rate_hz
    widths = np.array([pair.width_rows(rate_hz) for pair in search.filters])
    wanted = WIDER * max(widths[list(chosen)].max(), 1.0)
    found = tuple(np.flatnonzero(widths >= wanted).tolist())
    return found or (int(np.argmax(widths)),)
