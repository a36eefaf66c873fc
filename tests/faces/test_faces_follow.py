"""Tracklets: one face each, bridged over short misses, ended by cuts."""

import numpy as np

from abaw_submit.faces.decode import Frame
from abaw_submit.faces.follow import Follower
from abaw_submit.faces.sample import Seen

PLANE = np.zeros((2, 2), np.uint8)


def follow(rows, bridge_rows=5, cuts=()):
    """Tracklets of faces given as one list of (x, size) per row."""
    follower = Follower(bridge_rows)
    for row, places in enumerate(rows, start=1):
        faces = np.zeros((len(places), 15), np.float32)
        for face, (x, size) in zip(faces, places, strict=True):
            face[:4] = (x, 50, size, size)
        follower.step(Seen(Frame(row, row / 25, PLANE, PLANE, PLANE), faces, True, row in cuts))
    return follower.tracklets


def xs(tracklet):
    return [round(float(f[0]), 3) for f in tracklet.faces]


def test_two_people_keep_their_tracklets_whatever_the_order_of_detections():
    rows = [[(10 + k, 40), (100 - k, 40)][:: 1 if k % 2 else -1] for k in range(10)]
    tracklets = follow(rows)
    assert sorted(map(xs, tracklets)) == [[10 + k for k in range(10)], [100 - k for k in range(10)]]


def test_a_short_miss_is_bridged_along_a_line_and_marked():
    (tracklet,) = follow([[(10, 40)], [(12, 40)], [], [], [(18, 40)]])
    assert xs(tracklet) == [10, 12, 14, 16, 18]
    assert tracklet.looked == [True, True, False, False, True]


def test_a_long_miss_and_a_cut_end_a_tracklet():
    face = [(10, 40)]
    assert [(t.first, t.last) for t in follow([face, face, [], [], [], face], bridge_rows=2)] == [
        (1, 2),
        (6, 6),
    ]
    assert [(t.first, t.last) for t in follow([face, face, face], cuts=(3,))] == [(1, 2), (3, 3)]


def test_a_face_of_another_size_or_place_is_someone_else():
    assert len(follow([[(10, 40)], [(10, 80)]])) == 2
    assert len(follow([[(10, 40)], [(60, 40)]])) == 2


def test_when_one_of_two_leaves_the_other_keeps_its_tracklet():
    rows = [[(10, 40), (45, 40)]] * 3 + [[(44, 40)]] * 3
    tracklets = follow(rows)
    assert [(t.first, t.last, xs(t)[-1]) for t in tracklets] == [(1, 3, 10), (1, 6, 44)]
