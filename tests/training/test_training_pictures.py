"""Pictures and their augmentation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from abaw_submit.errors import UserError
from abaw_submit.training.augment import augment, random_crop
from abaw_submit.training.pictures import Pictures, list_pictures, to_tensor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("b/00002.jpg", "b/00010.jpg", "a/x.png", ".hidden/y.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 255, (40, 40, 3), np.uint8))
    (tmp_path / "b" / "ledger.csv").write_text("row\n")
    return tmp_path


def test_pictures_are_found_at_any_depth_in_name_order(folder: Path) -> None:
    names = [p.relative_to(folder).as_posix() for p in list_pictures(folder)]
    assert names == ["a/x.png", "b/00002.jpg", "b/00010.jpg"]


def test_the_cache_changes_no_pixel(folder: Path) -> None:
    paths = list_pictures(folder)
    cached, decoded = Pictures(paths, 16), Pictures(paths, 16, cache_gib=0)
    assert cached.batch([2, 0, 2]).shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(cached.batch([2, 0, 2]), decoded.batch([2, 0, 2]))
    np.testing.assert_array_equal(np.concatenate(list(decoded.chunks(2))), cached.batch(range(3)))


def test_channels_are_red_green_blue_in_zero_to_one(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 2] = 255  # OpenCV writes blue, green, red
    cv2.imwrite(str(tmp_path / "red.png"), red)
    tensor = to_tensor(Pictures([tmp_path / "red.png"], 8).batch([0]))
    assert tensor[0, :, 3, 3].tolist() == [1.0, 0.0, 0.0]


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"x\.jpg cannot be decoded"):
        Pictures([tmp_path / "x.jpg"], 8)


def smooth_faces(count: int) -> torch.Tensor:
    ramp = torch.linspace(0.2, 0.8, 16)
    return ramp.view(1, 1, 1, 16).expand(count, 3, 16, 16).clone()


def test_augmentation_is_drawn_per_picture_from_the_seed_and_stays_in_range() -> None:
    images = smooth_faces(32)
    changed = augment(images, 1.0, seed=5)
    assert torch.equal(changed, augment(images, 1.0, seed=5))
    assert not torch.equal(changed, augment(images, 1.0, seed=6))
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({tuple(row.tolist()) for row in changed[:, 0, 8]}) == 32
    assert torch.equal(augment(images, 0.0, seed=5), images)


def test_about_half_of_the_pictures_are_mirrored_and_the_rest_only_mildly_changed() -> None:
    changed = augment(smooth_faces(200), 0.01, seed=1)
    rising = changed[:, 0, 8, -1] > changed[:, 0, 8, 0]
    assert 70 < int(rising.sum()) < 130
    assert torch.allclose(changed[rising], smooth_faces(int(rising.sum())), atol=0.02)
    assert torch.allclose(changed[~rising], smooth_faces(int((~rising).sum())).flip(3), atol=0.02)


def test_a_random_part_of_the_whole_is_the_picture_or_its_mirror_image() -> None:
    images = smooth_faces(40)
    whole = random_crop(images, 16, 1.0, seed=2)
    rising = whole[:, 0, 8, -1] > whole[:, 0, 8, 0]
    assert 8 < int(rising.sum()) < 32
    assert torch.allclose(torch.where(rising.view(-1, 1, 1, 1), whole, whole.flip(3)), images, atol=1e-5)


def test_random_parts_are_of_the_size_asked_for_and_differ() -> None:
    parts = random_crop(smooth_faces(40), 12, 0.5, seed=2)
    assert parts.shape == (40, 3, 12, 12)
    spans = (parts[:, 0, 6, -1] - parts[:, 0, 6, 0]).abs() / 0.6
    assert 0.4 < spans.min() < 0.65
    assert 0.75 < spans.max() <= 1
