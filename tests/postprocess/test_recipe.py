"""Recipes: written, read, refused, and applied so that the default decision is the chosen one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.recipe import Column, Processing, Recipe, identity_recipe
from abaw_submit.postprocess.recipe_json import SCHEMA, read_recipe, to_json, write_recipe
from abaw_submit.postprocess.smoothing import FilterPair, parse_filter, smooth
from abaw_submit.postprocess.stack import grow
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
    return Recipe(task.name, members, (Processing((column,) * task.outputs),), **more)


def pair(before: str = "none", after: str = "none") -> FilterPair:
    return FilterPair(parse_filter(before), parse_filter(after))


def test_a_recipe_survives_its_file(tmp_path):
    r = np.random.default_rng(0)
    stack = grow(r.normal(size=(30, 4)), r.normal(size=(30, 2)))
    bent = Column(
        (0.25, 0.75), pair("median:5", "gaussian:2.5"), stacked=0.3, pool="f", pooled=0.5, offset=0.1
    )
    ranked = Column((0.5, 0.5), knots=((0.0, 0.5, 1.0), (0.1, 0.2, 0.3)))
    averaged = (Processing((bent, ranked), stack), Processing((ranked, ranked)))
    recipe = Recipe("VA", ("a", "b"), averaged, steps=("smooth",), min_run_rows=3, notes={"score": 0.5})
    write_recipe(tmp_path / "recipe.json", recipe)
    assert read_recipe(tmp_path) == recipe
    first = (tmp_path / "recipe.json").read_bytes()
    write_recipe(tmp_path / "recipe.json", read_recipe(tmp_path))
    assert (tmp_path / "recipe.json").read_bytes() == first
    assert b'"median:5"' in first


def test_a_recipe_is_the_mean_of_its_processings():
    a = Scores(VA, {t: v / 2 for t, v in scores(VA, 1).items()})  # away from where values are clipped
    columns = [Column((1.0,), offset=0.05), Column((1.0,), level_gain=0.5, movement_gain=0.5)]
    each = [apply_recipe(one(VA, c, ("a",)), {"a": a})["t1"] for c in columns]
    both = Recipe("VA", ("a",), tuple(Processing((c, c)) for c in columns))
    np.testing.assert_allclose(apply_recipe(both, {"a": a})["t1"], np.mean(each, axis=0), atol=2e-6)


def test_a_stacked_member_adds_its_level_to_each_track():
    a, b = scores(VA, 1), scores(VA, 2)
    r = np.random.default_rng(3)
    stack = grow(r.normal(size=(40, 4)), r.normal(size=(40, 2)))
    column = Column((0.5, 0.5), stacked=0.25)
    got = apply_recipe(Recipe("VA", ("a", "b"), (Processing((column, column), stack),)), {"a": a, "b": b})
    for track in a:
        levels = np.concatenate([a[track].mean(axis=0), b[track].mean(axis=0)]).astype(np.float64)
        expected = (a[track] + b[track]) / 2 + 0.25 * stack.predict(levels[None])
        np.testing.assert_allclose(got[track], np.clip(expected, -1, 1), atol=1e-5)


def test_doing_nothing_is_the_plain_mean():
    a, b = scores(VA, 1), scores(VA, 2)
    got = apply_recipe(identity_recipe(VA, ["a", "b"]), {"a": a, "b": b})
    np.testing.assert_allclose(got["t1"], (a["t1"] + b["t1"]) / 2, atol=1e-6)


def test_the_order_of_work_is_smooth_weigh_scale_clip():
    a, b = scores(VA, 1), scores(VA, 2)
    column = Column((0.25, 0.75), pair("median:5", "mean:7"), offset=0.1, level_gain=3.0, movement_gain=3.0)
    got = apply_recipe(one(VA, column), {"a": a, "b": b})["t2"]
    before = 0.25 * smooth(a["t2"], parse_filter("median:5")) + 0.75 * smooth(
        b["t2"], parse_filter("median:5")
    )
    expected = np.clip(3 * smooth(before, parse_filter("mean:7")) + 0.1, -1, 1)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_level_and_movement_have_gains_of_their_own():
    a = scores(VA, 1)
    column = Column((1.0,), offset=-0.1, level_gain=2.0, movement_gain=0.5)
    got = apply_recipe(one(VA, column, ("a",)), {"a": a})["t0"]
    level = a["t0"].mean(axis=0)
    np.testing.assert_allclose(got, np.clip(-0.1 + 2 * level + 0.5 * (a["t0"] - level), -1, 1), atol=1e-6)


def test_a_rank_mean_does_not_care_about_monotone_distortions_of_a_member():
    """Two independent members, so that a mean of scores follows the one that is spread out more."""
    r = np.random.default_rng(0)
    x, y = (np.repeat(r.uniform(0.05, 0.95, (4000, 1)), 12, axis=1).astype(np.float32) for _ in range(2))
    order = {}
    for name, ranked, bent in (("ranks", True, y), ("bent ranks", True, y**8), ("bent scores", False, y**8)):
        knots = tuple(tuple(np.quantile(v[:, 0], np.linspace(0, 1, 101)).tolist()) for v in (x, bent))
        column = Column((0.5, 0.5), knots=knots if ranked else ())
        both = {"a": Scores(AU, {"t": x}), "b": Scores(AU, {"t": bent})}
        order[name] = np.argsort(np.argsort(apply_recipe(one(AU, column), both)["t"][:, 0]))
    assert np.corrcoef(order["ranks"], order["bent ranks"])[0, 1] > 0.97
    assert np.corrcoef(order["ranks"], order["bent scores"])[0, 1] < 0.95


@pytest.mark.parametrize("threshold", [0.07, 0.5, 0.93])
def test_au_scores_come_out_so_that_a_half_is_the_threshold(threshold):
    a = scores(AU, 1)
    got = apply_recipe(one(AU, Column((1.0,), threshold=threshold), ("a",)), {"a": a})
    for track in a:
        np.testing.assert_array_equal(decide(AU, got[track]), a[track] >= threshold)
        assert ((got[track] >= 0) & (got[track] <= 1)).all()


def test_expr_scores_come_out_so_that_argmax_is_the_biased_decision():
    a = scores(EXPR, 1)
    bias = np.linspace(-1, 1, 8)
    columns = tuple(Column((1.0,), bias=float(b)) for b in bias)
    got = apply_recipe(Recipe("EXPR", ("a",), (Processing(columns),)), {"a": a})
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
    got = apply_recipe(identity_recipe(VA, ["a", "b"]), {"a": torn, "b": b})
    assert all(np.isfinite(v).all() for v in got.values())
    np.testing.assert_allclose(got["t1"], b["t1"], atol=1e-6)  # the other member stands in
    line = a["t0"][9] + (a["t0"][20] - a["t0"][9]) * 5 / 11
    np.testing.assert_allclose(got["t0"][14], (line + b["t0"][14]) / 2, atol=1e-5)
    gone = Scores(VA, {**b.tracks, "t1": empty})
    with pytest.raises(UserError, match="Track t1: an output has no score"):
        apply_recipe(identity_recipe(VA, ["a", "b"]), {"a": torn, "b": gone})


def test_a_track_is_processed_alone():
    a = scores(VA, 1)
    recipe = one(VA, Column((1.0,), pair(after="gaussian:9")), ("a",))
    whole = apply_recipe(recipe, {"a": a})
    alone = apply_recipe(recipe, {"a": Scores(VA, {"t1": a["t1"]})})
    np.testing.assert_array_equal(whole["t1"], alone["t1"])


def test_members_without_weight_need_not_be_given_but_others_must():
    a, b = scores(VA, 1), scores(VA, 2)
    only_a = one(VA, Column((1.0, 0.0)))
    np.testing.assert_allclose(apply_recipe(only_a, {"a": a})["t0"], a["t0"], atol=1e-6)
    with pytest.raises(UserError, match="The recipe is for a, b; found b"):
        apply_recipe(only_a, {"b": b})
    with pytest.raises(UserError, match="found a, b, c"):
        apply_recipe(only_a, {"a": a, "b": b, "c": b})


def test_other_tasks_tracks_and_rows_are_refused():
    a, both = scores(VA, 1), identity_recipe(VA, ["a", "b"])
    with pytest.raises(UserError, match="Member b holds AU scores; expected VA"):
        apply_recipe(both, {"a": a, "b": scores(AU, 1)})
    with pytest.raises(UserError, match=r"1 tracks are not in every member, the first t2 \(not in b\)"):
        apply_recipe(both, {"a": a, "b": scores(VA, 2, tracks=2)})
    short = Scores(VA, {t: v[:-1] for t, v in a.items()})
    with pytest.raises(UserError, match="Track t0: 40 rows in a, 39 in b"):
        apply_recipe(both, {"a": a, "b": short})


def broken(key: str, value: object) -> dict:
    data = {"schema": SCHEMA, **to_json(identity_recipe(VA, ["a", "b"]))}
    data = json.loads(json.dumps(data))
    column = data["averaged"][0]["columns"]["valence"]
    (column if key in (*column, "stacked", "blur", "pool") else data)[key] = value
    return data


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("schema", "other/1", "not a recipe of schema"),
        ("schema", "abaw_submit.recipe/1", "older version"),
        ("task", "AU", "columns"),
        ("weights", [0.5], "weights"),
        ("weights", [0.9, 0.9], "sum to 1.8"),
        ("weights", [1.5, -0.5], "weights"),
        ("before", "blur:3", 'Unknown filter "blur"'),
        ("stacked", 0.5, "holds none"),
        ("blur", 0.5, "malformed recipe"),
        ("pool", "(", "not a regular expression"),
        ("averaged", [], "no processing"),
        ("members", ["a", "a"], "no name twice"),
        ("surprise", 1, "malformed recipe"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(tmp_path, key, value, words):
    (tmp_path / "recipe.json").write_text(json.dumps(broken(key, value)))
    with pytest.raises(UserError, match=words):
        read_recipe(tmp_path)


def test_no_recipe_and_no_json_are_said(tmp_path):
    with pytest.raises(UserError, match="No recipe at"):
        read_recipe(tmp_path)
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        read_recipe(tmp_path)
