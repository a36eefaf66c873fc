"""Filmed clips: truth boxes, gaps and hands are where the plan puts them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pandas as pd

from abaw_submit.demo.clip import cast, draw_episodes
from abaw_submit.demo.clips import SMALL, TINY
from abaw_submit.demo.people import rng_for
from abaw_submit.demo.scene import film
from abaw_submit.demo.stills import make_stills


def test_truth_has_a_line_a_row_and_boxes_inside_the_picture(tiny: Path) -> None:
    for clip in TINY:
        for track in clip.tracks:
            truth = pd.read_csv(tiny / "truth" / f"{clip.track_name(track)}.csv")
            assert truth.row.tolist() == list(range(1, clip.frames + track.extra_rows + 1))
            seen = truth[truth.visible == 1]
            assert (seen.w > 70).all()
            assert (seen.x > -10).all()
            assert (seen.x + seen.w < clip.size[0] + 10).all()
            assert (truth[truth.visible == 0].w == 0).all()
            assert truth.expression.between(0, 7).all()


def test_left_is_left_and_right_is_right(tiny: Path) -> None:
    left, right = (pd.read_csv(tiny / "truth" / f"7-24-426x240_{side}.csv") for side in ("left", "right"))
    n = min(len(left), len(right)) - 1
    assert (left.x[:n] + left.w[:n] < right.x[:n]).all()


def test_frames_without_the_person_show_a_still_room(tiny: Path) -> None:
    truth = pd.read_csv(tiny / "truth" / "24-30-320x240-1.csv")
    with av.open(str(tiny / "videos" / "24-30-320x240-1.mp4")) as container:
        grey = [f.to_ndarray(format="gray").astype(float) for f in container.decode(video=0)]
    gone = [g for g, seen in zip(grey, truth.visible, strict=False) if not seen]
    here = [g for g, seen in zip(grey, truth.visible, strict=False) if seen]
    assert len(gone) > 5
    room = np.mean(gone, axis=0)
    centre = np.s_[60:180, 110:210]
    apart_here = np.mean([np.abs(g - room)[centre].mean() for g in here])
    apart_gone = np.mean([np.abs(g - room)[centre].mean() for g in gone])
    assert apart_here > 4 * apart_gone


def test_hands_cover_the_face_in_the_occluded_clip_more_than_elsewhere() -> None:
    episodes = draw_episodes(SMALL, 0)
    covered = {}
    for clip, drawn in zip(SMALL, episodes, strict=True):
        _, actors = cast(clip, drawn, 0)
        for track, actor in zip(clip.tracks, actors, strict=True):
            covered[clip.track_name(track)] = (actor.hands[:, 2].mean(), track.occluded)
    rates = [share for share, occluded in covered.values() if not occluded]
    assert min(share for share, occluded in covered.values() if occluded) > 2 * np.mean(rates)
    assert 0.01 < np.mean(rates) < 0.2


def test_a_clip_is_filmed_the_same_every_time() -> None:
    clip = TINY[4]
    shown_s, actors = cast(clip, draw_episodes(TINY, 0)[4], 0)
    once, again = (list(film(rng_for(0, "x"), actors, shown_s, clip.size)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once[0].shape == (240, 320, 3)


def test_a_still_depends_on_its_number_only(tmp_path: Path) -> None:
    batch = make_stills(tmp_path / "a", 0, 5, 4)
    (alone,) = make_stills(tmp_path / "b", 0, 7, 1)
    assert alone.name == "00007.jpg"
    assert alone.read_bytes() == batch[2].read_bytes()
