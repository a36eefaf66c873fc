"""The choice of a recipe on simulations with known truth."""

from __future__ import annotations

import numpy as np
import pytest

from abaw_submit import metrics
from abaw_submit.errors import UserError
from abaw_submit.postprocess import recipe as recipes
from abaw_submit.postprocess.engine import Option, held_out, one_standard_error
from abaw_submit.postprocess.score_table import build, divide, grouping
from abaw_submit.postprocess.selection import Rule, Selector, row_statistics
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import choose, make_engine
from abaw_submit.progress import quiet
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, EXPR, VA

QUICK = SelectSettings(filters=8, longest_rows=41, resamples=200, group=".*")


def total(selector, scores) -> float:
    return float(metrics.total(scores.task, row_statistics(selector.table, scores).sum(axis=0)))


# ---- what is chosen ------------------------------------------------------------------------------------


def test_the_useful_steps_are_kept_and_pure_noise_gets_no_weight(corpus):
    members, truth = corpus(VA, {"good": 0.8, "fair": 1.2, "noise": None}, tracks=24)
    selector, selection = choose(VA, members, truth, QUICK)
    assert set(selection.recipe.steps) == {"ensemble", "smooth", "calibrate"}
    weights = {
        m: [c.weights[k] for c in selection.recipe.columns.values()]
        for k, m in enumerate(selection.recipe.members)
    }
    assert weights["noise"] == [0, 0]
    assert weights["good"] > weights["fair"]
    plain = total(selector, recipes.apply_recipe(recipes.nothing(VA, sorted(members)), members))
    assert total(selector, selection.crossfit) > plain + 0.2


def test_thresholds_repair_scores_that_are_right_but_for_their_threshold(corpus):
    members, truth = corpus(AU, {"m": 0.4})
    selector, selection = choose(AU, members, truth, QUICK)
    assert {"threshold", "calibrate"} & set(selection.recipe.steps)
    plain = total(selector, members["m"])
    assert total(selector, selection.crossfit) > plain + 0.05
    for step in selection.recipe.steps:
        assert step in ("smooth", "calibrate", "threshold")


def test_expressions_take_one_filter_and_one_weighting_for_all_classes(corpus):
    members, truth = corpus(EXPR, {"good": 0.5, "noise": None}, tracks=24)
    selector, selection = choose(EXPR, members, truth, QUICK)
    columns = list(selection.recipe.columns.values())
    assert len({(c.weights, c.before, c.after) for c in columns}) == 1
    assert "ensemble" in selection.recipe.steps
    assert columns[0].weights == (1.0, 0.0)
    plain = recipes.apply_recipe(recipes.nothing(EXPR, sorted(members)), members)
    assert total(selector, selection.crossfit) > total(selector, plain) + 0.1


def test_nothing_is_kept_over_many_corpora_without_anything_to_gain(noise_corpus):
    rate, kept, tried = 0.05, 0, 0
    for seed in range(20):
        members, truth = noise_corpus(seed)
        table = build(VA, members, truth, group=lambda t: t, rate_hz=30)
        selector = Selector(make_engine(table, 8, 21, quiet), QUICK.step_names(), Rule(rate, resamples=200))
        steps, _ = selector.choose(selector.all_folds)
        kept, tried = kept + len(steps), tried + len(selector.steps)
    assert tried == 60
    assert kept <= rate * tried


def test_cross_fitted_scores_are_unbiased_and_optimistic_ones_are_not(noise_corpus):
    """Nothing can be learnt here, so the true score of any recipe is 0."""
    fair, fooled = [], []
    for seed in range(100, 110):
        members, truth = noise_corpus(seed)
        selector, selection = choose(VA, members, truth, QUICK)
        fair.append(total(selector, selection.crossfit))
        steps = frozenset(selector.steps)
        fooled.append(
            np.mean([selector.engine.score(selector.optimistic(steps, p).sum(axis=0)) for p in (0, 1)])
        )
    error = np.std(fair, ddof=1) / np.sqrt(len(fair))
    assert abs(np.mean(fair)) < 3 * error
    assert np.mean(fooled) > 3 * np.std(fooled, ddof=1) / np.sqrt(len(fooled))
    assert np.mean(fooled) > 0.03


def test_cross_fitted_scores_foretell_the_score_on_new_tracks(corpus):
    noises = {"a": 1.0, "b": 1.5, "c": None, "d": None}
    difference = []
    for seed in range(5):
        members, truth = corpus(VA, noises, tracks=16, seed=seed)
        selector, selection = choose(VA, members, truth, QUICK)
        fresh, labels = corpus(VA, noises, tracks=100, seed=seed + 1000)
        result = recipes.apply_recipe(selection.recipe, fresh)
        there = metrics.score(VA, {t: v for t, (v, _) in labels.items()}, result.tracks).total
        difference.append(total(selector, selection.crossfit) - there)
    error = np.std(difference, ddof=1) / np.sqrt(len(difference))
    assert abs(np.mean(difference)) < 3 * error + 0.01


# ---- how it is chosen ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [AU, EXPR, VA])
def test_sums_give_what_the_rows_give(corpus, task):
    """The search never touches rows again; a recipe applied to rows must agree with it."""
    members, truth = corpus(task, {"a": 0.6, "b": 1.0}, tracks=9)
    table = build(task, members, truth, folds=3, group=lambda t: t, rate_hz=30)
    selector = Selector(make_engine(table, 8, 21, quiet), QUICK.step_names(), Rule(resamples=100))
    for steps in selector.every_set():
        recipe = selector.recipe(selector.all_folds, steps)
        rows = metrics.total(task, row_statistics(table, recipes.apply_recipe(recipe, members)).sum(axis=0))
        parts = range(selector.engine.parts)
        sums = np.mean([selector.engine.score(selector.optimistic(steps, p).sum(axis=0)) for p in parts])
        # AU thresholds lie on the edges of bins, VA is clipped only when applied
        assert float(rows) == pytest.approx(float(sums), abs=0.02 if task is AU else 0.01), sorted(steps)


def test_a_held_out_fold_has_no_say(corpus):
    """Whatever the truth of a fold is, the recipe for that fold stays the same."""
    members, truth = corpus(VA, {"a": 0.6, "b": 1.0}, tracks=12)
    _, before = choose(VA, members, truth, QUICK)
    table = build(VA, members, truth, group=grouping(".*"), rate_hz=30)
    changed = {t: (-v if table.fold[table.names.index(t)] == 2 else v, ok) for t, (v, ok) in truth.items()}
    _, after = choose(VA, members, changed, QUICK)
    assert after.fold_recipes[2] == before.fold_recipes[2]
    assert after.recipe != before.recipe
    mine = [t for t, k in zip(table.names, table.fold, strict=True) if k == 2]
    for track in mine:
        np.testing.assert_array_equal(after.crossfit[track], before.crossfit[track])


def test_neither_the_order_of_tracks_nor_of_members_matters(corpus):
    members, truth = corpus(VA, {"a": 0.6, "b": 1.0}, tracks=10)
    backwards = {
        m: Scores(VA, dict(reversed(list(s.tracks.items())))) for m, s in reversed(list(members.items()))
    }
    _, one = choose(VA, members, truth, QUICK)
    _, two = choose(VA, backwards, dict(reversed(list(truth.items()))), QUICK)
    assert one.recipe == two.recipe
    assert all((one.crossfit[t] == two.crossfit[t]).all() for t in one.crossfit)


def test_only_the_steps_asked_for_are_tried(corpus):
    members, truth = corpus(VA, {"a": 0.6, "b": 1.0}, tracks=10)
    settings = SelectSettings(filters=8, longest_rows=41, resamples=200, group=".*", steps="ensemble")
    selector, selection = choose(VA, members, truth, settings)
    assert selector.steps == ("ensemble",)
    assert all(
        c.after == "none" and c.calibration["kind"] == "none" for c in selection.recipe.columns.values()
    )
    single = choose(VA, {"a": members["a"]}, truth, settings)
    assert single[0].steps == ()
    assert single[1].recipe.columns["valence"].weights == (1.0,)


def test_a_wanted_gain_that_nothing_reaches_leaves_everything_as_it_is(corpus):
    members, truth = corpus(VA, {"a": 0.6, "b": 1.0}, tracks=10)
    settings = SelectSettings(filters=8, longest_rows=41, resamples=200, group=".*", min_gain=2.0)
    _, selection = choose(VA, members, truth, settings)
    assert selection.recipe.steps == ()
    plain = recipes.apply_recipe(recipes.nothing(VA, sorted(members)), members)
    for track in plain:
        np.testing.assert_array_equal(selection.crossfit[track], plain[track])


def test_the_cheapest_option_within_one_standard_error_wins():
    best = Option("many", 3, 0.50, (0.4, 0.6))
    near = Option("one", 1, 0.49, (0.35, 0.63))
    far = Option("none", 0, 0.30, (0.29, 0.31))
    assert one_standard_error([best, near, far]).value == "one"
    assert one_standard_error([best, Option("one", 1, 0.49, (0.39, 0.59))]).value == "many"


# ---- folds and groups ----------------------------------------------------------------------------------


def test_groups_are_never_divided_and_folds_are_even():
    groups = [f"g{k % 7}" for k in range(40)]
    fold, number = divide(groups, [10] * 40, 5)
    assert number == 5
    assert all(len({f for f, g in zip(fold, groups, strict=True) if g == name}) == 1 for name in set(groups))
    assert held_out((0, 2, 4)) == [((2, 4), 0), ((0, 4), 2), ((0, 2), 4)]


def test_left_and_right_of_a_recording_stay_together_by_default():
    key = grouping(None)
    assert key("135-24-1920x1080_left") == key("135-24-1920x1080_right")
    assert key("102") != key("102-30-640x360")


@pytest.mark.parametrize(("pattern", "words"), [("(", "not a regular expression"), ("^x", "does not match")])
def test_a_wrong_group_is_said(pattern, words):
    with pytest.raises(UserError, match=words):
        grouping(pattern)("t1")


def test_too_few_groups_and_other_rows_are_refused(corpus):
    members, truth = corpus(VA, {"a": 0.6}, tracks=4)
    with pytest.raises(UserError, match="2 groups of tracks; at least 3"):
        build(VA, members, truth, group=lambda t: str(int(t[1:]) % 2), rate_hz=30)
    with pytest.raises(UserError, match="No track has both"):
        build(VA, members, {}, group=lambda t: t, rate_hz=30)
    short = {**truth, "t001": (truth["t001"][0][:-1], truth["t001"][1][:-1])}
    with pytest.raises(UserError, match="Track t001: truth has 59 rows, scores 60"):
        build(VA, members, short, group=lambda t: t, rate_hz=30)
