"""Recipes: written, read, refused, and applied so that the default decision is the chosen one."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.postprocess import recipe as recipes
from abaw_submit.postprocess.recipe import Column, Recipe
from abaw_submit.postprocess.smoothing import parse_filter, smooth
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, EXPR, VA, Task


def scores(task: Task, seed: int, tracks: int = 3) -> Scores:
    r = np.random.default_rng(seed)
    out = {}
    for t in range(tracks):
        x = r.random((40 + t, task.outputs))
        if task is VA:
            x = x * 2 - 1
        if task is EXPR:
            x /= x.sum(axis=1, keepdims=True)
        out[f"t{t}"] = x.astype(np.float32)
    return Scores(task, out)


def one(task: Task, column: Column, members: tuple[str, ...] = ("a", "b"), **more) -> Recipe:
    return Recipe(task.name, members, dict.fromkeys(task.columns, column), **more)


def test_a_recipe_survives_its_file(tmp_path):
    column = Column(
        (0.25, 0.75), "median:5", "gaussian:2.5", calibration={"kind": "platt", "slope": 2.0, "bias": 0.1}
    )
    recipe = one(AU, column, steps=("smooth",), min_run_rows=3, notes={"score": 0.5})
    recipes.write_recipe(tmp_path / "recipe.json", recipe)
    assert recipes.read_recipe(tmp_path) == recipe
    first = (tmp_path / "recipe.json").read_bytes()
    recipes.write_recipe(tmp_path / "recipe.json", recipes.read_recipe(tmp_path))
    assert (tmp_path / "recipe.json").read_bytes() == first


def test_doing_nothing_is_the_plain_mean():
    a, b = scores(VA, 1), scores(VA, 2)
    got = recipes.apply_recipe(recipes.nothing(VA, ["a", "b"]), {"a": a, "b": b})
    np.testing.assert_allclose(got["t1"], (a["t1"] + b["t1"]) / 2, atol=1e-6)


def test_the_order_of_work_is_smooth_weigh_smooth_calibrate_clip():
    a, b = scores(VA, 1), scores(VA, 2)
    column = Column(
        (0.25, 0.75), "median:5", "mean:7", calibration={"kind": "affine", "scale": 3.0, "offset": 0.1}
    )
    got = recipes.apply_recipe(one(VA, column), {"a": a, "b": b})["t2"]
    before = 0.25 * smooth(a["t2"], parse_filter("median:5")) + 0.75 * smooth(
        b["t2"], parse_filter("median:5")
    )
    expected = np.clip(3 * smooth(before, parse_filter("mean:7")) + 0.1, -1, 1)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_widening_keeps_the_centre():
    a = scores(VA, 1)
    column = Column((1.0,), centre=0.1, gain=1.5)
    got = recipes.apply_recipe(one(VA, column, ("a",)), {"a": a})["t0"]
    np.testing.assert_allclose(got, np.clip(0.1 + (a["t0"] - 0.1) * 1.5, -1, 1), atol=1e-6)


def test_a_rank_mean_does_not_care_about_monotone_distortions_of_a_member():
    r = np.random.default_rng(0)
    x = np.sort(r.uniform(0.05, 0.95, 4000))
    member = np.repeat(x[:, None], 12, axis=1).astype(np.float32)
    results = []
    for distort in (lambda v: v, lambda v: v**3):
        bent = distort(member)
        knots = tuple(tuple(np.quantile(v[:, 0], np.linspace(0, 1, 101)).tolist()) for v in (member, bent))
        column = Column((0.5, 0.5), knots=knots)
        both = {"a": Scores(AU, {"t": member}), "b": Scores(AU, {"t": bent})}
        results.append(recipes.apply_recipe(one(AU, column), both)["t"][:, 0])
    assert np.corrcoef(np.argsort(np.argsort(results[0])), np.argsort(np.argsort(results[1])))[0, 1] > 0.999


@pytest.mark.parametrize("threshold", [0.07, 0.5, 0.93])
@pytest.mark.parametrize("kind", ["none", "platt"])
def test_au_scores_come_out_so_that_a_half_is_the_threshold(threshold, kind):
    a = scores(AU, 1)
    calibration = {"kind": "none"} if kind == "none" else {"kind": "platt", "slope": 1.0, "bias": 0.0}
    got = recipes.apply_recipe(
        one(AU, Column((1.0,), threshold=threshold, calibration=calibration), ("a",)), {"a": a}
    )
    for track in a:
        np.testing.assert_array_equal(decide(AU, got[track]), a[track] >= threshold)
        assert ((got[track] >= 0) & (got[track] <= 1)).all()


def test_expr_scores_come_out_so_that_argmax_is_the_biased_decision():
    a = scores(EXPR, 1)
    bias = np.linspace(-1, 1, 8)
    columns = {n: Column((1.0,), bias=float(b)) for n, b in zip(EXPR.columns, bias, strict=True)}
    got = recipes.apply_recipe(Recipe("EXPR", ("a",), columns), {"a": a})
    for track in a:
        expected = (np.log(a[track]) + bias).argmax(axis=1)
        np.testing.assert_array_equal(decide(EXPR, got[track])[:, 0], expected)
        np.testing.assert_allclose(got[track].sum(axis=1), 1, atol=1e-5)


def test_missing_rows_and_a_member_without_a_track_are_bridged():
    a, b = scores(VA, 1), scores(VA, 2)
    holes = a["t0"].copy()
    holes[10:20] = np.nan
    empty = np.full_like(a["t1"], np.nan)
    torn = Scores(VA, {**a.tracks, "t0": holes, "t1": empty})
    got = recipes.apply_recipe(recipes.nothing(VA, ["a", "b"]), {"a": torn, "b": b})
    assert all(np.isfinite(v).all() for v in got.values())
    np.testing.assert_allclose(got["t1"], b["t1"], atol=1e-6)  # the other member stands in
    line = a["t0"][9] + (a["t0"][20] - a["t0"][9]) * 5 / 11
    np.testing.assert_allclose(got["t0"][14], (line + b["t0"][14]) / 2, atol=1e-5)
    gone = Scores(VA, {**b.tracks, "t1": empty})
    with pytest.raises(UserError, match="Track t1: an output has no score"):
        recipes.apply_recipe(recipes.nothing(VA, ["a", "b"]), {"a": torn, "b": gone})


def test_a_track_is_processed_alone():
    a = scores(VA, 1)
    recipe = one(VA, Column((1.0,), after="gaussian:9"), ("a",))
    whole = recipes.apply_recipe(recipe, {"a": a})
    alone = recipes.apply_recipe(recipe, {"a": Scores(VA, {"t1": a["t1"]})})
    np.testing.assert_array_equal(whole["t1"], alone["t1"])


def test_members_without_weight_need_not_be_given_but_others_must():
    a, b = scores(VA, 1), scores(VA, 2)
    only_a = one(VA, Column((1.0, 0.0)))
    np.testing.assert_allclose(recipes.apply_recipe(only_a, {"a": a})["t0"], a["t0"], atol=1e-6)
    with pytest.raises(UserError, match="The recipe is for a, b; found b"):
        recipes.apply_recipe(only_a, {"b": b})
    with pytest.raises(UserError, match="found a, b, c"):
        recipes.apply_recipe(only_a, {"a": a, "b": b, "c": b})


def test_other_tasks_tracks_and_rows_are_refused():
    a, both = scores(VA, 1), recipes.nothing(VA, ["a", "b"])
    with pytest.raises(UserError, match="Member b holds AU scores; expected VA"):
        recipes.apply_recipe(both, {"a": a, "b": scores(AU, 1)})
    with pytest.raises(UserError, match=r"1 tracks are not in every member, the first t2 \(not in b\)"):
        recipes.apply_recipe(both, {"a": a, "b": scores(VA, 2, tracks=2)})
    short = Scores(VA, {t: v[:-1] for t, v in a.items()})
    with pytest.raises(UserError, match="Track t0: 40 rows in a, 39 in b"):
        recipes.apply_recipe(both, {"a": a, "b": short})


def broken(key: str, value: object) -> dict:
    data = {"schema": recipes.SCHEMA, **dataclasses.asdict(recipes.nothing(VA, ["a", "b"]))}
    data = json.loads(json.dumps(data))
    if key in data["columns"]["valence"]:
        data["columns"]["valence"][key] = value
    else:
        data[key] = value
    return data


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("schema", "other/1", "not a recipe of schema"),
        ("task", "AU", "columns"),
        ("weights", [0.5], "weights"),
        ("weights", [0.9, 0.9], "sum to 1.8"),
        ("weights", [1.5, -0.5], "weights"),
        ("before", "blur:3", 'Unknown filter "blur"'),
        ("calibration", {"kind": "affine"}, "not known or not complete"),
        ("members", ["a", "a"], "no name twice"),
        ("surprise", 1, "malformed recipe"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(tmp_path, key, value, words):
    (tmp_path / "recipe.json").write_text(json.dumps(broken(key, value)))
    with pytest.raises(UserError, match=words):
        recipes.read_recipe(tmp_path)


def test_no_recipe_and_no_json_are_said(tmp_path):
    with pytest.raises(UserError, match="No recipe at"):
        recipes.read_recipe(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        recipes.read_recipe(tmp_path)
