"""A monotone curve on top of a recipe for valence and arousal: isotonic regression, then the truth's spread.

It follows the truth where a straight line does not, and learns more of the tracks that it is fitted on. On
new films it does worse than gains alone (docs/explanation/honest-selection.md): it has to be asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from abaw_submit.arrays import F64
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.recipe import Processing, Recipe
from abaw_submit.postprocess.score_table import Folds, ScoreTable
from abaw_submit.scores.files import Scores

KNOTS = 33
DECIMALS = 6
FIT_ROWS = 40_000


def bend(processing: Processing, table: ScoreTable, folds: Folds) -> Processing:
    """The processing with a curve for each output, fitted on the tracks of some folds."""
    tracks = np.flatnonzero(table.tracks_in(folds))
    rows = {int(t): slice(table.starts[t], table.starts[t + 1]) for t in tracks}
    members = {
        name: Scores(table.task, {table.names[t]: table.scores[m][:, r].T for t, r in rows.items()})
        for m, name in enumerate(table.members)
    }
    recipe = Recipe(table.task.name, table.members, (processing,), rate_hz=table.rate_hz)
    said = apply_recipe(recipe, members)
    x = np.concatenate([said[table.names[t]][table.valid[r]] for t, r in rows.items()])
    y = np.concatenate([table.truth[r][table.valid[r]] for r in rows.values()])
    step = max(len(x) // FIT_ROWS, 1)
    columns = tuple(
        replace(c, curve=curve(x[::step, k].astype(np.float64), y[::step, k].astype(np.float64)))
        for k, c in enumerate(processing.columns)
    )
    return replace(processing, columns=columns)


def curve(scores: F64, truth: F64) -> tuple[tuple[float, ...], ...]:
    """Knots (scores, values) of the rising curve closest to the truth, widened to the truth's spread.

    The closest curve has less spread than the truth, which costs CCC. Empty where nothing rises.

    >>> x, y = curve(np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 0.0, 0.8, 0.8]))
    >>> x, y
    ((0.0, 0.1, 0.2, 0.3), (0.0, 0.0, 0.8, 0.8))
    """
    from sklearn.isotonic import IsotonicRegression

    inputs = np.unique(np.round(np.quantile(scores, np.linspace(0, 1, KNOTS)), DECIMALS))
    if len(scores) <= KNOTS:
        inputs = np.unique(np.round(scores, DECIMALS))
    values = IsotonicRegression(out_of_bounds="clip").fit(scores, truth).predict(inputs)
    fitted = np.interp(scores, inputs, values)
    spread = fitted.std()
    if spread < 1e-9:
        return ()
    values = truth.mean() + (values - fitted.mean()) * truth.std() / spread
    return tuple(inputs.tolist()), tuple((np.round(values, DECIMALS) + 0.0).tolist())  # never -0.0
