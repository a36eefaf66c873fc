"""The small corpus's plan and labels, looked at without drawing a picture."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from abaw_submit.corpus.tracks import sibling_group, split_track
from abaw_submit.demo.annotate import Labels
from abaw_submit.demo.clip import cast, draw_episodes, track_labels
from abaw_submit.demo.clips import NTSC_24, NTSC_30, SMALL, TINY, Clip, TrackPlan, clips_of, release_order
from abaw_submit.errors import UserError
from abaw_submit.tasks import AU, EXPR, TASKS, VA, Task

TRACKS = [(clip, track) for clip in SMALL for track in clip.tracks]
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@cache
def labels() -> Mapping[tuple[str, str], Labels]:
    """Labels of every track of the small corpus, by clip name and side."""
    made = {}
    for clip, episodes in zip(SMALL, draw_episodes(SMALL, 0), strict=True):
        shown_s, actors = cast(clip, episodes, 0)
        for track, actor in zip(clip.tracks, actors, strict=True):
            made[clip.name, track.side] = track_labels(clip, track, actor, shown_s, 0)[0]
    return made


def of_subsets(task: Task, *subsets: str) -> list[Labels]:
    return [labels()[c.name, t.side] for c, t in TRACKS if t.subset(task) in subsets]


def test_names_are_official_and_unique() -> None:
    names = [clip.track_name(track) for clip, track in TRACKS]
    assert len(set(names)) == len(names)
    for clip, track in TRACKS:
        assert split_track(clip.track_name(track)) == (clip.name, track.side or None)
    assert {"102", "102-30-426x240", "108"} <= set(names)  # a name inside another's


def test_every_awkward_case_is_there() -> None:
    rates = {clip.rate for clip in SMALL}
    assert {Fraction(15), NTSC_24, Fraction(25), NTSC_30} <= rates
    assert {t.extra_rows for _, t in TRACKS} >= {-1, 0, 1, 2}
    assert {t.side for _, t in TRACKS} == {"", "left", "right"}
    side_people = [t for _, t in TRACKS if t.side and t.visible != (0.0, 1.0)]
    assert len(side_people) == 2
    assert any(clip.name.endswith("-1") for clip in SMALL)
    assert any(clip.variable for clip in SMALL)
    assert any(t.away for _, t in TRACKS)
    assert any(t.occluded for _, t in TRACKS)
    assert any(not clip.sound for clip in SMALL)
    assert min(clip.sound_extra_s for clip in SMALL) < -2
    assert max(clip.sound_extra_s for clip in SMALL) > 1
    assert any(clip.picture_start_s for clip in SMALL)
    assert any(clip.sound_start_s for clip in SMALL)
    assert any(clip.frames + t.extra_rows < 100 for clip, t in TRACKS)
    assert {clip.suffix for clip in SMALL} == {".mp4", ".avi"}
    assert all(clip.suffix == ".mp4" for clip in SMALL if clip.variable or clip.picture_start_s)


def test_siblings_lie_across_subsets_as_in_the_real_lists() -> None:
    subsets: dict[str, set[str | None]] = {}
    for clip, track in TRACKS:
        subsets.setdefault(sibling_group(clip.track_name(track)), set()).add(track.subset(VA))
    assert {"Train_Set", "Validation_Set"} in subsets.values()
    assert {"Train_Set", "Test_Set"} in subsets.values()


@each_task
def test_subsets_have_their_sizes_and_tasks_differ(task: Task) -> None:
    count = {
        s: sum(t.subset(task) == s for _, t in TRACKS) for s in ("Train_Set", "Validation_Set", "Test_Set")
    }
    assert count["Train_Set"] >= 25
    assert 6 <= count["Validation_Set"] <= 13
    assert 8 <= count["Test_Set"] <= 10
    test = {clip.track_name(track) for clip, track in TRACKS if track.subset(task) == "Test_Set"}
    assert {name for name, _ in release_order(SMALL, task)} == test
    assert [name for name, _ in release_order(SMALL, task)] != sorted(test)


def test_some_test_tracks_are_training_tracks_of_another_task() -> None:
    assert any(t.subset(VA) == "Test_Set" and t.subset(EXPR) == "Train_Set" for _, t in TRACKS)
    assert any(t.subset(AU) == "Test_Set" and t.subset(VA) == "Train_Set" for _, t in TRACKS)


def test_every_expression_and_action_unit_has_enough_rows() -> None:
    expressions = np.concatenate([x.expr for x in of_subsets(EXPR, "Train_Set", "Validation_Set")])
    share = np.bincount(expressions, minlength=8) / len(expressions)
    assert share.min() > 0.04
    assert share.max() < 0.30
    units = np.concatenate([x.au for x in of_subsets(AU, "Train_Set", "Validation_Set")]).mean(axis=0)
    assert units.min() > 0.08
    assert units.max() < 0.50


def test_valence_and_arousal_spread_and_stay_inside() -> None:
    va = np.concatenate([x.va for x in of_subsets(VA, "Train_Set", "Validation_Set")])
    assert np.abs(va).max() <= 1
    assert (va.std(axis=0) > 0.3).all()
    step = np.abs(np.diff(of_subsets(VA, "Train_Set")[0].va, axis=0))
    assert step.max() < 0.15  # slow, as raters with a joystick are


def test_an_unknown_size_is_named() -> None:
    assert clips_of("tiny") is TINY
    with pytest.raises(UserError, match='Did you mean "small"'):
        clips_of("smal")


def test_a_track_without_a_role_is_in_no_subset() -> None:
    track = TrackPlan("T-E")
    assert (track.subset(AU), track.subset(EXPR), track.subset(VA)) == ("Train_Set", None, "Test_Set")
    assert Clip("video2", (track,), 10, Fraction(25)).track_name(track) == "video2"
