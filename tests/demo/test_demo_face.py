"""Rendered faces: a detector finds them, and every action unit can be read off them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from abaw_submit.demo.face import Pose, draw_face
from abaw_submit.demo.people import make_person, rng_for
from abaw_submit.demo.scene import backdrop
from abaw_submit.tasks import AU_COLUMNS

DAYLIGHT = np.array([1.0, 0.0, 0.0])
STRAIGHT = Pose(80, 75, 44)


def portrait(number: int, action: np.ndarray, pose: Pose = STRAIGHT, lids: float = 1.0) -> np.ndarray:
    image = np.full((160, 160, 3), 120, np.uint8)
    draw_face(image, make_person(0, number), pose, action, lids, DAYLIGHT)
    return image


def test_the_haar_cascade_finds_the_face_where_the_truth_says() -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")  # type: ignore[attr-defined]
    found = 0
    for number in range(60):
        rng = rng_for(1, "test", number)
        image = backdrop(rng, (320, 240))
        pose = Pose(
            rng.uniform(110, 210), 112, 48, rng.normal(0, 0.04), rng.normal(0, 0.11), rng.normal(0, 0.08)
        )
        draw_face(image, make_person(0, number), pose, rng.uniform(0, 0.8, 12), 1.0, DAYLIGHT)
        grey = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.0), cv2.COLOR_RGB2GRAY)
        x, y, w, h = pose.box()
        for bx, by, bw, bh in cascade.detectMultiScale(grey, 1.1, 3, minSize=(48, 48)):
            if abs(bx + bw / 2 - x - w / 2) < 0.2 * w and abs(by + bh / 2 - y - h / 2) < 0.2 * h:
                found += 1
                break
    assert found >= 57


@pytest.mark.parametrize("unit", range(12), ids=AU_COLUMNS)
def test_an_action_unit_changes_its_own_part_of_the_face(unit: int) -> None:
    change = np.zeros((160, 160))
    for number in range(4):
        full = np.eye(12)[unit]
        change += np.abs(portrait(number, full).astype(float) - portrait(number, np.zeros(12))).mean(axis=2)
    upper = change[: int(STRAIGHT.y + 0.22 * STRAIGHT.size)].sum()
    lower = change[int(STRAIGHT.y + 0.22 * STRAIGHT.size) :].sum()
    assert change.max() > 40  # grey levels, over four people
    if AU_COLUMNS[unit] in ("AU1", "AU2", "AU4", "AU7"):
        assert upper > 5 * lower
    elif AU_COLUMNS[unit] != "AU6":  # cheeks lie between
        assert lower > 3 * upper


def test_action_units_are_learnable_across_people() -> None:
    """A linear reading of small grey pictures, fitted on some people, works on others."""
    rng = np.random.default_rng(0)

    def sample(people: range, each: int) -> tuple[np.ndarray, np.ndarray]:
        pictures, actions = [], []
        for number in people:
            for _ in range(each):
                action = rng.uniform(0, 1, 12) * (rng.random(12) < 0.4)
                grey = cv2.cvtColor(portrait(number, action), cv2.COLOR_RGB2GRAY)[28:140, 30:130]
                small = cv2.resize(grey, (40, 44), interpolation=cv2.INTER_AREA).astype(float).ravel()
                pictures.append((small - small.mean()) / small.std())
                actions.append(action)
        return np.array(pictures), np.array(actions)

    x, y = sample(range(20), 30)
    x_new, y_new = sample(range(100, 106), 30)
    mean, centre = x.mean(0), y.mean(0)
    kernel = (x - mean) @ (x - mean).T
    weights = np.linalg.solve(kernel + 300 * np.eye(len(x)), y - centre)
    guess = (x_new - mean) @ (x - mean).T @ weights + centre
    for unit, name in enumerate(AU_COLUMNS):
        assert np.corrcoef(guess[:, unit], y_new[:, unit])[0, 1] > 0.4, name


def test_people_differ_and_stay_themselves() -> None:
    neutral = np.zeros(12)
    np.testing.assert_array_equal(portrait(1, neutral), portrait(1, neutral))
    assert np.abs(portrait(1, neutral).astype(float) - portrait(2, neutral)).mean() > 3
    assert make_person(0, "24").skin == make_person(0, "24").skin
    assert make_person(0, "24").skin != make_person(1, "24").skin


def test_a_blink_shuts_the_eyes() -> None:
    person = make_person(0, 3)
    eyes = np.s_[60:76, 50:110]
    dark_open = portrait(3, np.zeros(12), lids=1.0)[eyes].min(axis=2)
    dark_shut = portrait(3, np.zeros(12), lids=0.0)[eyes].min(axis=2)
    assert (dark_open < 25).sum() > (dark_shut < 25).sum()
    assert person.eye_size > 0


def test_a_pose_moves_turns_and_scales_points() -> None:
    pose = Pose(100, 50, 10, roll=np.pi / 2)
    np.testing.assert_allclose(pose.place([(1, 0), (0, 1)]), [(100, 60), (90, 50)], atol=1e-9)
    near = Pose(0, 0, 10, yaw=0.1).place([(0, 0)], depth=0.3)[0, 0]
    assert near == pytest.approx(10 * 0.3 * np.sin(0.1))
    assert Pose(100, 100, 50).box() == pytest.approx((51, 61, 98, 100))


def test_a_face_outside_the_picture_is_cut_off_quietly() -> None:
    for x, y in ((-200, 75), (400, 75), (0, 0), (80, 500)):
        image = portrait(0, np.zeros(12), Pose(x, y, 44))
        assert image.shape == (160, 160, 3)
