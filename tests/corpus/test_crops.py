"""One decoder for training and extraction: the right size, the right colours, the same every time."""

import cv2
import numpy as np
import pytest

from abaw_submit.corpus.crops import jpeg_size, load_crop
from abaw_submit.errors import UserError


@pytest.fixture
def picture():
    """A smooth face-like picture, 224 px: a bright disc on a red to blue slope (BGR)."""
    y, x = np.mgrid[0:224, 0:224] / 223
    disc = ((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.1)[..., None] * 60
    slope = np.stack([255 * x * 0.7, 90 + 0 * x, 255 * (1 - x) * 0.7], axis=-1)
    return np.clip(cv2.GaussianBlur(slope + disc, (0, 0), 3), 0, 255).astype(np.uint8)


def save(path, image):
    assert cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return path


@pytest.mark.parametrize("size_px", [224, 112, 100, 64, 56, 28])
def test_a_reduced_decode_is_close_to_the_full_one(tmp_path, picture, size_px):
    """The oracle decodes everything, then shrinks by an area filter."""
    path = save(tmp_path / "00001.jpg", picture)
    full = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    expected = cv2.resize(full, (size_px, size_px), interpolation=cv2.INTER_AREA)
    found = load_crop(path, size_px)
    assert found.shape == (size_px, size_px, 3)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).mean() < 1.5
    np.testing.assert_array_equal(found, load_crop(path, size_px))


def test_colours_are_rgb(tmp_path):
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 2] = 250  # OpenCV writes BGR
    pixel = load_crop(save(tmp_path / "a.jpg", red), 32)[16, 16]
    assert pixel[0] > 240
    assert pixel[1] < 10
    assert pixel[2] < 10


def test_an_official_crop_of_112_px_grows_to_the_encoders_size(tmp_path, picture):
    small = save(tmp_path / "small.jpg", cv2.resize(picture, (112, 112), interpolation=cv2.INTER_AREA))
    large = save(tmp_path / "large.jpg", picture)
    assert np.abs(load_crop(small, 224).astype(int) - load_crop(large, 224)).mean() < 3


def test_other_formats_and_shapes_do(tmp_path):
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 60, 3), 7, np.uint8))
    assert (load_crop(tmp_path / "a.png", 32) == 7).all()


def test_jpeg_size_is_height_then_width(tmp_path):
    path = save(tmp_path / "a.jpg", np.zeros((40, 60, 3), np.uint8))
    assert jpeg_size(path.read_bytes()) == (40, 60)
    assert jpeg_size(path.read_bytes()[:20]) is None


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0", b"text"])
def test_a_broken_picture_is_named(tmp_path, data):
    (tmp_path / "00003.jpg").write_bytes(data)
    with pytest.raises(UserError, match=r"00003\.jpg cannot be decoded"):
        load_crop(tmp_path / "00003.jpg", 56)


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(UserError, match="No picture at"):
        load_crop(tmp_path / "00001.jpg", 56)
