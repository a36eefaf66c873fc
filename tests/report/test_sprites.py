"""Strips of faces: one a second where they fit, fewer of long tracks where not, and the page says so."""

import base64

import cv2
import numpy as np
import pytest

from abaw_submit.corpus.ledger import Ledger, write_ledger
from abaw_submit.report.sprites import COLUMNS, TILE_PX, face_strips

SECONDS = {"short": 6, "middle": 30, "long": 300}


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Tracks of one row a second; row k of a track is a picture of brightness k, with noise in it."""
    root = tmp_path_factory.mktemp("crops")
    rng = np.random.default_rng(0)
    for track, count in SECONDS.items():
        (root / track).mkdir()
        zeros, rows = np.zeros(count), np.arange(1, count + 1)
        found = rows > 0
        ledger = Ledger(
            rows, np.arange(count) * 1.0, found, zeros, zeros, zeros, zeros, zeros, np.full(count, "detected")
        )
        write_ledger(root / track, ledger)
        for row in rows:
            face = np.clip(rng.normal(min(row * 8, 240), 10, (64, 64, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / track / f"{row:05d}.jpg"), face)
    return root


def picture(strip):
    return cv2.imdecode(np.frombuffer(base64.b64decode(strip["faces"].partition(",")[2]), np.uint8), 1)


def test_a_face_a_second_where_they_fit(crops):
    faces = face_strips(["short", "middle", "short"], crops, budget_bytes=1_000_000)
    assert faces.note == "The faces are one a second."
    assert {t: len(s["at"]) for t, s in faces.strips.items()} == {"short": 6, "middle": 30}
    assert faces.strips["middle"]["at"][:3] == [0, 1, 2]


def test_the_tile_under_the_cursor_is_the_face_of_that_second(crops):
    strip = face_strips(["middle"], crops, budget_bytes=1_000_000).strips["middle"]
    whole, columns = picture(strip), strip["columns"]
    assert columns == COLUMNS
    for second in (0, 5, 19, 20, 29):
        x, y = second % columns * TILE_PX, second // columns * TILE_PX
        mean = whole[y : y + TILE_PX, x : x + TILE_PX].mean()
        assert abs(mean - min((second + 1) * 8, 240)) < 6, second


@pytest.mark.parametrize("budget", [60_000, 20_000])
def test_long_tracks_are_thinned_until_all_fit_and_it_is_said(crops, budget):
    faces = face_strips(list(SECONDS), crops, budget_bytes=budget)
    assert sum(len(strip["faces"]) for strip in faces.strips.values()) <= budget
    number = {track: len(strip["at"]) for track, strip in faces.strips.items()}
    assert number["short"] <= number["middle"] <= number["long"] < 300
    assert f"show {number['long']} faces each" in faces.note
    assert faces.strips["long"]["at"][-1] > 240  # still over the whole track


def test_tracks_without_crops_have_no_strip(crops):
    assert face_strips(["nobody"], crops).strips == {}
