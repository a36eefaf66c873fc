"""The rising curve of VA: what it fits, how it is kept, and that no held-out fold has a say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from abaw_submit import metrics
from abaw_submit.errors import UserError
from abaw_submit.metrics import ccc
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.monotone import KNOTS, curve
from abaw_submit.postprocess.recipe import Column, Processing, Recipe, validate
from abaw_submit.postprocess.recipe_json import read_recipe, write_recipe
from abaw_submit.postprocess.score_table import build, grouping
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import choose
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, VA

QUICK = SelectSettings(filters=4, longest_rows=21, resamples=100, group=(".*",), folds=4)


def test_a_bent_truth_is_followed_and_keeps_its_spread():
    r = np.random.default_rng(0)
    x = r.uniform(-1, 1, 5000)
    y = np.where(x > 0.3, 0.8, -0.2) + r.normal(0, 0.2, x.size)
    found = np.interp(x, *curve(x, y))
    straight = (x - x.mean()) / x.std() * y.std() + y.mean()
    assert ccc(y, found) > ccc(y, straight) + 0.05
    assert found.mean() == pytest.approx(y.mean(), abs=0.01)
    assert found.std() == pytest.approx(y.std(), rel=0.02)
    assert len(curve(x, y)[0]) <= KNOTS


def test_where_nothing_rises_there_is_no_curve():
    x = np.linspace(0, 1, 100)
    assert curve(x, -x) == ()
    assert curve(x, np.zeros(100)) == ()


def test_a_choice_with_curves_gains_on_bent_scores_and_is_written_and_read(corpus, tmp_path):
    members, truth = corpus(VA, {"a": 0.3}, tracks=16)
    bent = {
        "a": Scores(
            VA, {t: np.where(v > 0, v * 3, v / 3).astype(np.float32) for t, v in members["a"].items()}
        )
    }
    plain, curved = (choose(VA, bent, truth, replace(QUICK, monotone=m))[1] for m in (False, True))
    labels = {t: v for t, (v, _) in truth.items()}
    straight, followed = (metrics.score(VA, labels, s.crossfit.tracks).total for s in (plain, curved))
    assert followed > straight + 0.01
    write_recipe(tmp_path / "recipe.json", curved.recipe)
    assert read_recipe(tmp_path).averaged == curved.recipe.averaged
    assert all(c.curve for p in curved.recipe.averaged for c in p.columns)


@pytest.mark.parametrize("what", ["truth", "scores"])
def test_a_held_out_fold_has_no_say_in_its_curve(corpus, what):
    members, truth = corpus(VA, {"a": 0.6}, tracks=12, rows=40)
    settings = replace(QUICK, monotone=True)
    before = choose(VA, members, truth, settings)[1]
    table = build(VA, members, truth, folds=4, group=grouping(".*"), rate_hz=30)
    held = {t for t, k in zip(table.names, table.fold, strict=True) if k == 1}
    r = np.random.default_rng(1)
    if what == "truth":
        truth = {t: (r.permutation(v) if t in held else v, ok) for t, (v, ok) in truth.items()}
    else:
        members = {"a": Scores(VA, {t: v**2 if t in held else v for t, v in members["a"].items()})}
    after = choose(VA, members, truth, settings)[1]
    assert after.fold_recipes[1] == before.fold_recipes[1]
    assert after.fold_recipes[0] != before.fold_recipes[0]


def test_other_tasks_have_none(corpus):
    members, truth = corpus(AU, {"a": 0.6}, tracks=6, rows=30)
    recipe = choose(AU, members, truth, replace(QUICK, folds=3, monotone=True))[1].recipe
    assert not any(c.curve for p in recipe.averaged for c in p.columns)


@pytest.mark.parametrize("bad", [((0.0, 1.0), (0.0,)), ((1.0, 0.0), (0.0, 1.0)), ((0.0, 1.0), (1.0, 0.0))])
def test_a_curve_that_does_not_rise_is_refused(bad, tmp_path):
    recipe = Recipe("VA", ("a",), (Processing((Column((1.0,), curve=bad),) * 2),))
    with pytest.raises(UserError, match="curve"):
        validate(recipe)
    write_recipe(tmp_path / "recipe.json", recipe)
    assert json.loads((tmp_path / "recipe.json").read_text())["averaged"][0]["columns"]["valence"]["curve"]
    with pytest.raises(UserError, match="curve"):
        read_recipe(tmp_path)


def test_the_curve_comes_last():
    column = Column((1.0,), offset=0.1, level_gain=2.0, movement_gain=2.0, curve=((0.0, 0.5), (-0.5, 0.5)))
    recipe = Recipe("VA", ("a",), (Processing((column, column)),))
    got = apply_recipe(recipe, {"a": Scores(VA, {"t": np.array([[0.0, 0.1], [0.2, 0.9]], np.float32)})})["t"]
    np.testing.assert_allclose(got, [[-0.3, 0.1], [0.5, 0.5]], atol=1e-6)
