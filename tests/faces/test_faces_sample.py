"""Detecting on every n-th frame: straight movement is interpolated, anything else is looked at."""

import numpy as np
import pytest

from abaw_submit.faces.decode import Frame
from abaw_submit.faces.detect import NO_FACES
from abaw_submit.faces.sample import CutFinder, match, see
from abaw_submit.faces.settings import CropSettings

GREY = np.full((24, 32), 128, np.uint8)


def make_frames(pictures):
    return [Frame(row, row / 25, picture, GREY, GREY) for row, picture in enumerate(pictures, start=1)]


class Truth:
    """A detector that knows where the faces are; the row is written into the picture's first pixels."""

    def __init__(self, places):
        self.places, self.looked = places, []

    def detect(self, image, near=None):
        row = self.row_of(image)
        self.looked.append(row)
        places = self.places.get(row, [])
        faces = [np.array([x, y, s, s, *[np.nan] * 10, 0.9], np.float32) for x, y, s in places]
        return np.stack(faces) if faces else NO_FACES

    @staticmethod
    def row_of(image):
        return round((float(image[:8, :8].mean()) - 30) / 4)


def picture_of(row, background=128):
    """A picture whose corner says which row it is, as a grey level that survives the conversion."""
    picture = np.full((48, 64), background, np.uint8)
    picture[:8, :8] = round(16 + (30 + 4 * row) * 219 / 255)
    return picture


def run(places, rows, every, cuts=()):
    detector = Truth(places)
    background, pictures = 60, []
    for row in range(1, rows + 1):
        if row in cuts:
            background = 220 if background == 60 else 60
        pictures.append(picture_of(row, background))
    settings = CropSettings(every=every, min_face=0.05)
    return list(see(make_frames(pictures), detector, settings)), detector.looked


@pytest.mark.parametrize("every", [1, 2, 4, 7])
def test_straight_movement_is_exact_and_saves_looks(every):
    places = {row: [(5 + row * 0.5, 10, 20)] for row in range(1, 31)}
    seen, looked = run(places, 30, every)
    assert [s.frame.row for s in seen] == list(range(1, 31))
    for s in seen:
        np.testing.assert_allclose(s.faces[0, :3], (5 + s.frame.row * 0.5, 10, 20), atol=1e-4)
    assert len(looked) <= 30 / every + 2
    assert [s.frame.row for s in seen if s.looked] == sorted(looked)


def test_a_jump_is_looked_at_frame_by_frame():
    places = {row: [(5, 10, 20) if row < 11 else (35, 20, 20)] for row in range(1, 25)}
    seen, looked = run(places, 24, 8)
    for s in seen:
        assert s.faces[0, 0] == (5 if s.frame.row < 11 else 35)
    assert {10, 11} <= set(looked)
    assert len(looked) < 12


def test_a_face_that_comes_and_goes_is_dated_exactly():
    places = {row: [(5, 10, 20)] for row in range(7, 18)}
    seen, _ = run(places, 30, 4)
    assert [s.frame.row for s in seen if len(s.faces)] == list(range(7, 18))


def test_a_cut_is_not_interpolated_over():
    places = {row: [(5, 10, 20)] for row in range(1, 31)}
    places |= {row: [(8, 12, 20)] for row in range(14, 31)}
    seen, looked = run(places, 30, 10, cuts=(14,))
    assert [s.frame.row for s in seen if s.cut] == [14]
    assert {13, 14} <= set(looked)
    assert [s.faces[0, 0] for s in seen] == [5] * 13 + [8] * 17


def test_a_pan_is_no_cut_but_a_jump_in_it_is():
    y, x = np.mgrid[0:48, 0:400]
    scenery = (128 + 100 * np.sin(x / 17 + y / 30)).astype(np.uint8)
    finder = CutFinder()
    pan = [finder.step(f) for f in make_frames([scenery[:, 2 * k : 2 * k + 64] for k in range(40)])]
    assert not any(pan)
    assert finder.step(make_frames([255 - scenery[:, 80:144]])[0])


def test_match_refuses_ambiguous_pairs():
    two = np.stack([np.array([x, 0, 10, 10, *[0] * 11], np.float32) for x in (0, 50)])
    assert match(two, two[::-1]).tolist() == [1, 0]
    assert match(two, two[:1]) is None
    assert match(two, np.stack([two[0], two[0]])) is None
    assert match(NO_FACES, NO_FACES).tolist() == []
