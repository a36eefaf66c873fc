"""Aligning: the crop is where the face is, upright, and does not jitter."""

import cv2
import numpy as np
import pytest

from abaw_submit.faces.align import TEMPLATE, Square, cut_out, smooth_at, square_of
from abaw_submit.faces.decode import Frame


def frame_of(bgr):
    """A frame from a BGR picture with even sides, by OpenCV's conversion."""
    height, width = bgr.shape[:2]
    packed = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    chroma = packed[height:].reshape(2, height // 2, width // 2)
    return Frame(1, 0.0, packed[:height], chroma[0], chroma[1])


def scene():
    """Smooth colours, so that half-resolution chroma loses nothing."""
    y, x = np.mgrid[0:240, 0:320].astype(np.float64)
    channels = [128 + 90 * np.sin(x / 41 + k) * np.cos(y / 37 - k) for k in range(3)]
    return np.clip(np.stack(channels, 2), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "square",
    [
        Square(160, 120, 112, 0),
        Square(150.3, 99.7, 80, 0.4),
        Square(170, 130, 180, -1.2),
        Square(8, 8, 90, 0.2),
    ],
)
def test_the_crop_is_the_warped_picture(square):
    """Second implementation: convert the whole picture to colour, then warp it."""
    picture = scene()
    size = 64
    crop = cut_out(frame_of(picture), square, size)
    angle, step = square.angle, square.side / size
    offsets = (np.arange(size) - (size - 1) / 2) * step
    right, down = np.meshgrid(offsets, offsets)
    map_x = square.cx + np.cos(angle) * right - np.sin(angle) * down
    map_y = square.cy + np.sin(angle) * right + np.cos(angle) * down
    expected = cv2.remap(
        picture, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderValue=(0, 0, 0)
    )
    inside = (map_x > 2) & (map_x < 317) & (map_y > 2) & (map_y < 237)
    difference = np.abs(crop.astype(int) - expected)[inside]
    assert difference.mean() < 3
    outside = (map_x < -3) | (map_y < -3)
    assert crop[outside].max(initial=0) < 8


def test_a_large_face_is_averaged_not_picked():
    stripes = np.zeros((240, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut_out(frame_of(stripes), Square(160, 120, 192, 0), 32)
    assert np.abs(crop.astype(int) - 127).max() < 12


def face_of(cx, cy, size, angle, landmarks=True):
    """An ideal face of that size and turn."""
    face = np.full(15, np.nan)
    face[:4] = (cx - 0.4 * size, cy - 0.5 * size, 0.8 * size, size)
    if landmarks:
        points = (TEMPLATE @ (1, 1j)) * size * np.exp(1j * angle) + complex(cx, cy)
        face[4:14] = np.stack([points.real, points.imag], 1).ravel()
    face[14] = 0.9
    return face


@pytest.mark.parametrize("angle", [0.0, 0.3, -0.6])
def test_five_landmarks_give_centre_size_and_turn(angle):
    square = square_of(face_of(100, 80, 60, angle), margin=0.25)
    assert (square.cx, square.cy) == pytest.approx((100, 80))
    assert square.side == pytest.approx(60 * 1.5)
    assert square.angle == pytest.approx(angle)


def test_without_landmarks_the_box_counts():
    square = square_of(face_of(100, 80, 60, 0, landmarks=False), margin=0.1)
    assert square == Square(pytest.approx(100), pytest.approx(80), pytest.approx(72), 0.0)


def test_a_turned_head_is_not_cropped_tighter():
    face = face_of(100, 80, 60, 0)
    points = face[4:14].reshape(5, 2)
    points[:, 0] = 100 + 0.2 * (points[:, 0] - 100)
    points[:, 1] = 80 + 0.7 * (points[:, 1] - 80)
    assert square_of(face, margin=0).side >= 0.85 * 60


def test_smoothing_follows_a_straight_movement_exactly_even_at_the_ends():
    faces = [np.float32(face_of(10 + 3 * k, 50 + k, 40 + k, 0)) for k in range(12)]
    for k in range(12):
        np.testing.assert_allclose(smooth_at(faces, k, 2.0), faces[k], rtol=1e-4)


def test_smoothing_takes_jitter_away():
    rng = np.random.default_rng(0)
    xs = 100 + rng.normal(0, 2, 200)
    faces = [np.float32(face_of(x, 50, 40, 0)) for x in xs]
    smooth = np.array([smooth_at(faces, k, 2.0)[0] for k in range(200)])
    assert np.abs(np.diff(smooth)).mean() < 0.2 * np.abs(np.diff(xs)).mean()
    assert np.array_equal(smooth_at(faces, 5, 0), faces[5].astype(np.float64), equal_nan=True)
