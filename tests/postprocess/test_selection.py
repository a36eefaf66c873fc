"""The choice of a recipe on simulations with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from abaw_submit import metrics
from abaw_submit.errors import UserError
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.recipe import Column, identity_recipe
from abaw_submit.postprocess.score_table import build, divide, grouping
from abaw_submit.postprocess.selection import Rule, Selector, row_statistics
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import choose, make_search
from abaw_submit.postprocess.ways import Option, best_of
from abaw_submit.scores.files import Scores
from abaw_submit.tasks import AU, EXPR, VA

QUICK = SelectSettings(filters=8, longest_rows=41, resamples=200, group=(".*",))


def total(selector, scores) -> float:
    return float(metrics.total(scores.task, row_statistics(selector.table, scores).sum(axis=0)))


# ---- what is chosen ------------------------------------------------------------------------------------


def test_the_useful_steps_are_kept_and_pure_noise_gets_no_weight(corpus):
    members, truth = corpus(VA, {"good": 0.8, "fair": 1.2, "noise": None}, tracks=24)
    selector, selection = choose(VA, members, truth, QUICK)
    assert {"ensemble", "smooth", "calibrate"} <= set(selection.recipe.steps)
    for column in selection.recipe.columns().values():
        good, noise = (column.weights[selection.recipe.members.index(m)] for m in ("good", "noise"))
        assert noise < 0.05 < 0.3 < good
    plain = total(selector, apply_recipe(identity_recipe(VA, sorted(members)), members))
    assert total(selector, selection.crossfit) > plain + 0.2


def test_thresholds_repair_scores_that_are_right_but_for_their_threshold(corpus):
    members, truth = corpus(AU, {"m": 0.4})
    selector, selection = choose(AU, members, truth, QUICK)
    assert "threshold" in selection.recipe.steps
    plain = total(selector, members["m"])
    assert total(selector, selection.crossfit) > plain + 0.05


def test_expressions_take_one_filter_and_one_weighting_for_all_classes(corpus):
    members, truth = corpus(EXPR, {"good": 0.5, "noise": None}, tracks=24)
    selector, selection = choose(EXPR, members, truth, QUICK)
    columns = list(selection.recipe.columns().values())
    assert len({(c.weights, c.filters) for c in columns}) == 1
    assert "ensemble" in selection.recipe.steps
    assert columns[0].weights[0] > 0.85
    plain = apply_recipe(identity_recipe(EXPR, sorted(members)), members)
    assert total(selector, selection.crossfit) > total(selector, plain) + 0.1


def test_nothing_is_kept_over_many_corpora_without_anything_to_gain_if_it_has_to_be_proven(noise_corpus):
    rate, kept, tried = 0.05, 0, 0
    for seed in range(12):
        members, truth = noise_corpus(seed)
        table = build(VA, members, truth, group=lambda t: t, rate_hz=30)
        selector = Selector(
            make_search(table, 8, 21), QUICK.step_names(), Rule("proven", rate, resamples=200)
        )
        steps, _ = selector.choose(selector.all_folds)
        kept, tried = kept + len(steps), tried + len(selector.steps)
    assert tried == 48
    assert kept <= rate * tried


def test_what_is_kept_where_nothing_can_be_gained_costs_nothing_and_fools_nobody(noise_corpus):
    """Nothing can be learnt here, so the true score of any recipe is 0."""
    fair, fooled = [], []
    for seed in range(100, 112):
        members, truth = noise_corpus(seed)
        selector, selection = choose(VA, members, truth, QUICK)
        fair.append(total(selector, selection.crossfit))
        fooled.append(selector.optimistic(frozenset(selector.steps)))
    error = np.std(fair, ddof=1) / np.sqrt(len(fair))
    assert abs(np.mean(fair)) < 3 * error
    assert np.mean(fooled) > 0.05


def test_cross_fitted_scores_foretell_the_score_on_new_tracks(corpus):
    noises = {"a": 1.0, "b": 1.5, "c": None, "d": None}
    difference = []
    for seed in range(5):
        members, truth = corpus(VA, noises, tracks=16, seed=seed)
        selector, selection = choose(VA, members, truth, QUICK)
        fresh, labels = corpus(VA, noises, tracks=100, seed=seed + 1000)
        result = apply_recipe(selection.recipe, fresh)
        there = metrics.score(VA, {t: v for t, (v, _) in labels.items()}, result.tracks).total
        difference.append(total(selector, selection.crossfit) - there)
    error = np.std(difference, ddof=1) / np.sqrt(len(difference))
    assert abs(np.mean(difference)) < 3 * error + 0.01


# ---- how it is chosen ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [AU, EXPR, VA])
def test_sums_give_what_the_rows_give(corpus, task):
    """The search counts sums; a recipe applied to rows must agree with it."""
    members, truth = corpus(task, {"a": 0.6, "b": 1.0}, tracks=9)
    table = build(task, members, truth, folds=3, group=lambda t: t, rate_hz=30)
    selector = Selector(make_search(table, 8, 21), QUICK.step_names(), Rule(resamples=100), average=False)
    for steps in selector.every_set():
        recipe = selector.recipe(selector.all_folds, steps)
        done = apply_recipe(recipe, members)
        rows = metrics.total(task, row_statistics(table, done).sum(axis=0))
        if any(p.stack for p in recipe.averaged):
            continue  # sums have the stacked member out of fold, as it will be on new tracks
        # VA is clipped only when applied
        assert float(rows) == pytest.approx(selector.optimistic(steps), abs=0.01 if task is VA else 1e-3)


def test_large_corpora_are_thinned_evenly(corpus, monkeypatch):
    members, truth = corpus(VA, {"a": 0.6}, tracks=9, rows=90)
    table = build(VA, members, truth, folds=3, group=lambda t: t, rate_hz=30)
    every = table.sample_rows(1)
    np.testing.assert_array_equal(every, np.flatnonzero(table.valid))
    monkeypatch.setattr("abaw_submit.postprocess.score_table.SAMPLED_ROWS", 100)
    few = table.sample_rows(1)
    assert 80 <= len(few) <= 110
    assert table.valid[few].all()
    tracks = np.searchsorted(table.starts, few, side="right") - 1
    assert np.ptp(np.bincount(tracks)) <= 2


@pytest.mark.parametrize("what", ["truth", "scores"])
@pytest.mark.parametrize("task", [AU, EXPR, VA])
def test_a_held_out_fold_has_no_say(corpus, task, what):
    """Whatever the truth or the scores of a fold are, the recipe for that fold stays the same."""
    members, truth = corpus(task, {"a": 0.6, "b": 1.0}, tracks=12, rows=40)
    settings = replace(QUICK, folds=4, filters=4, resamples=100)
    _, before = choose(task, members, truth, settings)
    table = build(task, members, truth, folds=4, group=grouping(".*"), rate_hz=30)
    held = {t for t, k in zip(table.names, table.fold, strict=True) if k == 2}
    r = np.random.default_rng(1)
    if what == "truth":
        changed = {t: (r.permutation(v) if t in held else v, ok) for t, (v, ok) in truth.items()}
        _, after = choose(task, members, changed, settings)
        for track in held:
            np.testing.assert_array_equal(after.crossfit[track], before.crossfit[track])
    else:
        other = {
            m: Scores(task, {t: (r.permutation(v) ** 2 if t in held else v) for t, v in s.items()})
            for m, s in members.items()
        }
        _, after = choose(task, other, truth, settings)
    assert after.fold_recipes[2] == before.fold_recipes[2]
    assert after.recipe != before.recipe
    assert after.fold_recipes[1] != before.fold_recipes[1]


def test_the_nested_score_runs_the_average_that_is_applied(corpus):
    members, truth = corpus(VA, {"a": 0.6, "b": 1.0}, tracks=12)
    selector, selection = choose(VA, members, truth, replace(QUICK, folds=4))
    assert len(selection.recipe.averaged) == 1 + 4  # all tracks, and without each fold
    assert all(len(r.averaged) == 1 + 3 for r in selection.fold_recipes)
    for k, recipe in enumerate(selection.fold_recipes):
        mine = [t for t, j in zip(selector.table.names, selector.table.fold, strict=True) if j == k]
        part = {m: Scores(VA, {t: s[t] for t in mine}) for m, s in members.items()}
        for track, values in apply_recipe(recipe, part).items():
            np.testing.assert_array_equal(values, selection.crossfit[track])
    one = choose(VA, members, truth, replace(QUICK, folds=4, average=False))[1]
    assert len(one.recipe.averaged) == 1
    assert one.recipe.averaged[0] == selection.recipe.averaged[0]


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
    settings = SelectSettings(filters=8, longest_rows=41, resamples=200, group=(".*",), steps="ensemble")
    selector, selection = choose(VA, members, truth, settings)
    assert selector.steps == ("ensemble",)
    for c in selection.recipe.columns().values():
        assert c == Column(c.weights)
    single = choose(VA, {"a": members["a"]}, truth, settings)
    assert single[0].steps == ()
    assert single[1].recipe.columns()["valence"].weights == (1.0,)


def test_a_wanted_gain_that_nothing_reaches_leaves_everything_as_it_is(corpus):
    members, truth = corpus(VA, {"a": 0.6, "b": 1.0}, tracks=10)
    settings = SelectSettings(filters=8, longest_rows=41, resamples=200, group=(".*",), min_gain=2.0)
    _, selection = choose(VA, members, truth, settings)
    assert selection.recipe.steps == ()
    plain = apply_recipe(identity_recipe(VA, sorted(members)), members)
    for track in plain:
        np.testing.assert_array_equal(selection.crossfit[track], plain[track])


def test_the_simplest_of_equal_options_wins():
    assert best_of([Option("none", 0.3), Option("a little", 0.5), Option("much", 0.5)]) == "a little"


def test_members_as_good_as_each_other_stay_equal_or_nearly(corpus):
    members, truth = corpus(AU, {"a": 1.0, "b": 1.0, "c": 1.0}, tracks=24)
    _, selection = choose(AU, members, truth, QUICK)
    weights = np.array([c.weights for c in selection.recipe.columns().values()])
    assert weights.min() > 0.15


@pytest.mark.parametrize(
    ("tracks", "groups", "tried"),
    [
        (20, (".*",), True),
        (80, (r"(\d)$",), False),
        (80, (r"(\d)$", r"^t0(\d)"), True),
        (40, (r"(\d)$", r"^t0(\d)"), False),  # four films: the choice has to share them
    ],
)
def test_the_stacked_member_is_tried_only_where_held_out_tracks_share_nothing(corpus, tracks, groups, tried):
    """People are the last digit, films the tens: several people may see a film, which it would know again."""
    members, truth = corpus(VA, {"a": 0.6}, tracks=tracks, rows=20)
    table = build(VA, members, truth, folds=4, group=[grouping(g) for g in groups], rate_hz=30)
    assert ("stack" in make_search(table, 2, 11).steps()) is tried


def test_a_step_that_usually_gains_is_dropped_only_if_the_corpus_is_sure():
    rule = Rule()
    assert rule.wanted(None, error=0.01, groups=20, folds=5) == 0.01
    little, much = (rule.wanted(0.005, error, groups=20, folds=5) for error in (0.001, 0.04))
    assert -1e-4 < little < 0
    assert much == pytest.approx(-0.02)
    assert Rule("proven").wanted(0.005, 0.01, 20, 5) > 0.01


# ---- folds and groups ----------------------------------------------------------------------------------


def test_groups_are_never_divided_and_folds_are_even():
    groups = [f"g{k % 7}" for k in range(40)]
    fold, number = divide(groups, [10] * 40, 5)
    assert number == 5
    assert all(len({f for f, g in zip(fold, groups, strict=True) if g == name}) == 1 for name in set(groups))


def test_with_two_groupings_a_held_out_fold_shares_neither(corpus):
    """Tracks t000 to t019: people are the last digit, films the tens."""
    members, truth = corpus(VA, {"a": 0.6}, tracks=40)
    keys = [grouping(r"(\d)$"), grouping(r"^t0(\d)")]
    table = build(VA, members, truth, folds=4, group=keys, rate_hz=30)
    seen = set()
    for inner, j in table.held_out(table.all_folds):
        out = [t for t, k in zip(table.names, table.fold, strict=True) if k == j]
        rest = [t for t, k in zip(table.names, table.fold, strict=True) if k in inner]
        assert rest
        for key in keys:
            assert not {key(t) for t in out} & {key(t) for t in rest}
        seen |= set(out)
    assert seen == set(table.names)
    assert len(table.leave_one(table.all_folds)) == 3 + 4  # the more numerous are divided in three
    selection = choose(VA, members, truth, replace(QUICK, folds=3, group=(r"(\d)$", r"^t0(\d)")))[1]
    assert sorted(selection.crossfit) == sorted(truth)


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
