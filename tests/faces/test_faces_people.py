"""Whose face it is: main person and bystanders, left and right, false detections."""

import numpy as np
import pytest

from abaw_submit.faces.follow import Tracklet
from abaw_submit.faces.people import choose

RNG = np.random.default_rng(0)
ALICE, BOB = RNG.normal(size=48), RNG.normal(size=48)


class Cast:
    """Builds tracklets: `add(first, xs, size, appearance)` puts a face at each x, row after row."""

    def __init__(self):
        self.tracklets = []

    def add(self, first, xs, size=60, appearance=None, y=50):
        tracklet = Tracklet(len(self.tracklets), first)
        for x in np.atleast_1d(xs):
            face = np.zeros(15, np.float32)
            face[:4], face[14] = (x - size / 2, y, size, size), 0.9
            tracklet.append(tracklet.last + 1, face, True)
        if appearance is not None:
            tracklet.appearance = len(tracklet) * (appearance + 0.2 * RNG.normal(size=48))
        self.tracklets.append(tracklet)
        return tracklet

    def choose(self, *tracks, min_rows=8):
        chosen = choose(tracks, self.tracklets, min_rows)
        return {track: sorted(t.number for t in of) for track, of in chosen.items()}


def still(x, rows):
    return np.full(rows, float(x))


def test_the_large_lasting_face_is_the_main_person():
    cast = Cast()
    cast.add(1, still(100, 200), size=60)
    cast.add(50, still(250, 100), size=30)  # a smaller one beside
    cast.add(1, still(300, 20), size=70)  # a larger one who soon leaves
    assert cast.choose("video1") == {"video1": [0]}


def test_the_main_person_comes_back_and_a_bystander_does_not_stand_in():
    cast = Cast()
    cast.add(1, still(100, 100))
    cast.add(150, still(180, 100))
    cast.add(105, still(250, 40), size=20)  # in the background while the person is away
    assert cast.choose("7-24-320x240") == {"7-24-320x240": [0, 1]}


def test_false_detections_are_removed_but_pieces_of_a_face_are_kept():
    cast = Cast()
    cast.add(1, still(100, 60))
    cast.add(63, still(101, 3))  # the same face after a short loss
    cast.add(80, still(280, 3))  # short and elsewhere
    cast.add(90, still(30, 12), size=200)  # somewhat longer, far off in size
    assert cast.choose("v") == {"v": [0, 1]}


def test_nobody_at_all():
    assert Cast().choose("v") == {"v": []}
    assert Cast().choose("v_left", "v_right") == {"v_left": [], "v_right": []}


def test_left_and_right_by_side_of_the_screen():
    cast = Cast()
    cast.add(1, still(220, 100), appearance=BOB)
    cast.add(1, still(80, 100), appearance=ALICE)
    assert cast.choose("v_left", "v_right") == {"v_left": [1], "v_right": [0]}
    assert cast.choose("v_right") == {"v_right": [0]}


def test_the_one_who_stays_keeps_the_name_even_in_the_middle():
    cast = Cast()
    cast.add(1, still(80, 60), appearance=ALICE)
    cast.add(1, np.concatenate([still(220, 60), np.linspace(220, 110, 60)]), appearance=BOB)
    cast.add(130, still(120, 60), appearance=BOB)  # after a cut, alone, on the left half
    assert cast.choose("v_left", "v_right") == {"v_left": [0], "v_right": [1, 2]}


def test_a_piece_after_crossing_goes_to_the_person_it_looks_like():
    cast = Cast()
    cast.add(1, still(80, 150), appearance=ALICE)
    cast.add(1, still(220, 150), appearance=BOB)
    cast.add(160, still(210, 30), appearance=ALICE)  # they have changed places
    cast.add(160, still(90, 30), appearance=BOB)
    assert cast.choose("v_left", "v_right") == {"v_left": [0, 2], "v_right": [1, 3]}


@pytest.mark.parametrize(("side", "guest_x"), [("left", 60), ("right", 260)])
def test_a_main_person_and_a_guest_of_one_side(side, guest_x):
    cast = Cast()
    cast.add(1, still(160, 300), appearance=ALICE)
    cast.add(100, still(guest_x, 40), appearance=BOB)
    cast.add(320, still(guest_x, 50), appearance=ALICE)  # the main person alone, where the guest was
    assert cast.choose("video2", f"video2_{side}") == {"video2": [0, 2], f"video2_{side}": [1]}


def test_the_order_of_tracks_and_small_bystanders_change_nothing():
    cast = Cast()
    cast.add(1, still(220, 100), appearance=BOB)
    cast.add(1, still(80, 100), appearance=ALICE)
    cast.add(20, still(300, 60), size=15)
    assert cast.choose("v_right", "v_left") == {"v_left": [1], "v_right": [0]}
