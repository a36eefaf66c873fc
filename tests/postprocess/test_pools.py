"""Tracks that share something share a level: found by name, judged on held-out people, applied to others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from abaw_submit import metrics
from abaw_submit.errors import UserError
from abaw_submit.postprocess.apply import apply_recipe, batches
from abaw_submit.postprocess.pools import candidates, name_fields, pool_means, pool_of
from abaw_submit.postprocess.recipe import Column, Processing, Recipe
from abaw_submit.postprocess.search_va import AdapterVA
from abaw_submit.postprocess.selection import Gain
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.smoothing import Filter, FilterPair
from abaw_submit.postprocess.stages import choose
from abaw_submit.postprocess.summary import verdicts
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import VA

QUICK = SelectSettings(filters=4, longest_rows=21, resamples=200, group=(r"^(p\d+)",))


def cinema(people: int, films: int, seed: int, first: int = 0):
    """Everybody's truth is mostly the film's level; the member sees it through noise of its own per track."""
    r = np.random.default_rng(seed)
    level = r.normal(0, 0.4, (films, 2))
    truth, scores = {}, {}
    for p in range(people):
        for f in range(films):
            y = np.clip(level[f] + r.normal(0, 0.1, 2) + np.zeros((30, 2)), -1, 1).astype(np.float32)
            truth[f"p{p}_f{first + f}"] = (y, np.ones(30, bool))
            seen = level[f] + r.normal(0, 0.5, 2) + r.normal(0, 0.05, (30, 2))
            scores[f"p{p}_f{first + f}"] = (0.5 * seen).astype(np.float32)
    return {"m": Scores(VA, scores)}, truth


def total(truth, scores) -> float:
    return metrics.score(VA, {t: v for t, (v, _) in truth.items()}, scores.tracks).total


def test_a_shared_film_is_found_in_the_names_and_helps_with_new_films_and_people():
    members, truth = cinema(12, 6, seed=0)
    selection = choose(VA, members, truth, QUICK)[1]
    assert "pool" in selection.recipe.steps
    columns = selection.recipe.columns().values()
    assert {tuple(pool_of(["p1_f1", "p2_f1", "p1_f2"], c.pool)) for c in columns} == {(0, 0, 1)}
    new, labels = cinema(12, 6, seed=1, first=20)
    without = choose(VA, members, truth, replace(QUICK, pool="none"))[1]
    assert "pool" not in without.recipe.steps
    pooled, alone = (total(labels, apply_recipe(s.recipe, new)) for s in (selection, without))
    assert pooled > alone + 0.1
    # what was promised is not more than what came
    nested = total(truth, selection.crossfit)
    assert nested < pooled + 0.1


def test_no_level_is_shared_where_tracks_share_none():
    members, truth = cinema(12, 6, seed=0)
    r = np.random.default_rng(2)
    names = list(truth)
    other = dict(zip(names, r.permutation(names), strict=True))
    shuffled = {"m": Scores(VA, {t: members["m"][other[t]] for t in names})}
    labels = {t: truth[other[t]] for t in names}
    plain = choose(VA, shuffled, labels, replace(QUICK, pool="none"))[1]
    found = choose(VA, shuffled, labels, QUICK)[1]
    assert abs(total(labels, found.crossfit) - total(labels, plain.crossfit)) < 0.02


def test_levels_are_drawn_to_their_pools_and_movement_stays():
    r = np.random.default_rng(0)
    a = Scores(VA, {t: r.uniform(-0.3, 0.3, (20, 2)).astype(np.float32) for t in ("x_1", "y_1", "x_2")})
    column = Column((1.0,), pool=r"_(\d)", pooled=1.0)
    got = apply_recipe(Recipe("VA", ("a",), (Processing((column, column)),)), {"a": a})
    shared = (a["x_1"].mean(axis=0) + a["y_1"].mean(axis=0)) / 2
    for track in ("x_1", "y_1"):
        np.testing.assert_allclose(got[track], a[track] - a[track].mean(axis=0) + shared, atol=1e-5)
    np.testing.assert_allclose(got["x_2"], a["x_2"], atol=1e-5)  # it shares with none


def test_a_set_that_is_gone_through_in_batches_gives_the_same(monkeypatch):
    """Pools reach across batches, and a track without a member stands beside others that have it."""
    r = np.random.default_rng(3)
    names = [f"p{p}_f{f}" for p in range(4) for f in range(3)]
    a, b = (
        {t: r.uniform(-0.5, 0.5, (20 + k, 2)).astype(np.float32) for k, t in enumerate(names)} for _ in "ab"
    )
    b["p1_f1"][:] = np.nan
    a["p2_f2"][3:6] = np.nan
    smooth = FilterPair(Filter("median", 3), Filter("gaussian", 2))
    columns = (Column((0.3, 0.7), smooth, pool=r"_(f\d)", pooled=0.5), Column((0.5, 0.5), smooth))
    recipe = Recipe("VA", ("a", "b"), (Processing(columns), Processing((columns[1], columns[0]))))
    members = {"a": Scores(VA, a), "b": Scores(VA, b)}
    whole = apply_recipe(recipe, members)
    monkeypatch.setattr("abaw_submit.postprocess.apply.BATCH_ROWS", 25)
    parted = apply_recipe(recipe, members)
    for track in names:
        np.testing.assert_array_equal(parted[track], whole[track])
    # the track that b lacks is a alone, as far as its movement goes
    alone = smooth.run(a["p1_f1"][:, 1].astype(float), 30)
    got = (whole["p1_f1"][:, 1] - whole["p1_f1"][:, 1].mean(), alone - alone.mean())
    np.testing.assert_allclose(*got, atol=2e-6)


def test_tracks_are_put_into_batches_in_order_and_none_is_lost():
    rows = {f"t{k}": n for k, n in enumerate([5, 50, 3, 3, 3, 1])}
    parts = batches(rows, 8)
    assert [t for part in parts for t in part] == list(rows)
    assert all(sum(rows[t] for t in part) <= 8 for part in parts if len(part) > 1)


def test_a_step_whose_place_a_pool_took_is_not_said_to_be_dropped():
    def gain(step, measured):
        return Gain(step, gain=measured, error=0.01, wanted=0.0, low=-0.1, high=0.1)

    recipe = Recipe("VA", ("a",), (Processing((Column((1.0,)),) * 2),), steps=("calibrate", "pool"))
    search = SimpleNamespace(late_steps=AdapterVA.late_steps)
    tests = [gain("smooth", -0.2), gain("calibrate", 0.1), gain("stack", 0.1), gain("pool", 0.2)]
    told = verdicts(SimpleNamespace(search=search), SimpleNamespace(recipe=recipe, tests=tests))
    assert told == {"smooth": "dropped", "calibrate": "kept", "stack": "replaced by pool", "pool": "kept"}
    tests[2] = gain("stack", -0.1)  # it had failed by itself
    told = verdicts(SimpleNamespace(search=search), SimpleNamespace(recipe=recipe, tests=tests))
    assert told["stack"] == "dropped"


def test_pools_and_their_means():
    pools = pool_of(["p1_f1", "p2_f1", "p1_f2", "other"], r"_f(\d)")
    assert pools.tolist() == [0, 0, 1, 2]
    assert pool_means(np.array([1.0, 3.0, 5.0, 7.0]), pools).tolist() == [2.0, 2.0, 5.0, 7.0]


def test_only_names_of_one_form_have_fields():
    assert name_fields(["t1", "t2"]) == []
    assert name_fields(["10-60-1280x720_right", "video3"]) == []


def test_candidates_are_what_divides_the_tracks_into_pools_of_several():
    tracks = [f"p{p}_f{f}_x" for p in range(4) for f in range(4)]
    found = candidates("auto", [r"^(p\d+)"], tracks)
    assert len(found) == 2  # the person as it was given, and the film; what all share is no pool
    assert found[0] == r"^(p\d+)"
    assert candidates("none", [r"^(p\d+)"], tracks) == ()
    assert candidates(r"(f\d)", [], tracks) == (r"(f\d)",)
    with pytest.raises(UserError, match="not a regular expression"):
        candidates("(", [], tracks)
