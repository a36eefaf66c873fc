"""timm's augmentations: seeded, nothing leaks into other generators, labels mixed as pictures are."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.auto_augment import RandAugment
from timm.data.random_erasing import RandomErasing
from timm.data.transforms_factory import create_transform

from abaw_submit.errors import UserError
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD
from abaw_submit.training.mixing import mix_pictures, rand_augment, rand_policy, random_erase, seeded

MAE = "rand-m9-mstd0.5-inc1"  # the official MAE fine-tuning's


def pixels(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, 24, 24, 3)).astype(np.uint8)


def test_rand_augment_of_full_strength_keeps_something_to_see() -> None:
    """At the end of its scale timm keeps no bit of a colour, which Pillow refuses."""
    policy = "rand-m10-mstd0.5-inc1"
    for change in rand_policy(policy, 32).ops:
        if change.name == "PosterizeIncreasing":
            change.prob = 1.0
            seen = np.asarray(change(Image.fromarray(pixels()[0])))
            assert set(np.unique(seen)) == {0, 128}
    for seed in range(20):
        rand_augment(pixels(), policy, seed)


def test_rand_augment_depends_on_the_seed_alone_and_changes_pictures() -> None:
    random.seed(5)
    expected = random.random()
    random.seed(5)
    a, b, c = (rand_augment(pixels(), MAE, seed) for seed in (1, 1, 2))
    assert random.random() == expected  # the generators are as they were
    assert a.shape == pixels().shape
    assert a.dtype == np.uint8
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert (a != pixels()).any(axis=(1, 2, 3)).sum() >= 4
    assert rand_augment(pixels(), "", 1) is not None
    with pytest.raises(UserError, match="not a policy of timm"):
        rand_augment(pixels(), "random", 1)


def test_augmentations_are_those_of_the_official_fine_tuning() -> None:
    """facebookresearch/mae builds its transform with these arguments of timm's create_transform."""
    official = create_transform(
        224, is_training=True, color_jitter=None, auto_augment=MAE, interpolation="bicubic", re_prob=0.25,
        re_mode="pixel", re_count=1, mean=IMAGENET_MEAN, std=IMAGENET_STD,
    )  # fmt: skip
    theirs = next(t for t in official.transforms if isinstance(t, RandAugment))
    ours = rand_policy(MAE, 224)
    assert (ours.num_layers, ours.choice_weights) == (theirs.num_layers, theirs.choice_weights)
    for a, b in zip(ours.ops, theirs.ops, strict=True):
        assert (a.name, a.prob, a.magnitude, a.magnitude_std) == (
            b.name,
            b.prob,
            b.magnitude,
            b.magnitude_std,
        )
        assert (a.kwargs, a.hparams) == (b.kwargs, b.hparams)
    eraser = next(t for t in official.transforms if isinstance(t, RandomErasing))
    images = torch.rand(8, 3, 16, 16)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    with seeded(3):
        expected = eraser((images - mean) / std)
    assert torch.allclose((random_erase(images, 0.25, 3) - mean) / std, expected, atol=1e-5)


def test_erasing_takes_a_rectangle_from_about_so_many_pictures() -> None:
    images = torch.full((400, 3, 16, 16), 0.5)
    erased = random_erase(images, 0.25, 3)
    changed = (erased - images).abs().amax((1, 2, 3)) > 1e-5
    assert 0.15 < changed.float().mean() < 0.35
    one = (erased[changed][0] - 0.5).abs().amax(0) > 1e-5
    rows, columns = one.any(1).nonzero()[:, 0], one.any(0).nonzero()[:, 0]
    assert one.sum() >= 0.95 * len(rows) * len(columns)  # a whole rectangle
    assert torch.equal(random_erase(images, 0.25, 3), erased)
    assert random_erase(images, 0.0, 3) is images


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_mixup_gives_labels_the_shares_that_pictures_have(count: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(count, 3, 4, 4)
    mixed, shares = mix_pictures(images.clone(), 0.8, 7)
    assert torch.allclose(shares.sum(1), torch.ones(count))
    # what was done to the labels, done to the pictures
    assert torch.allclose(torch.einsum("ij,jchw->ichw", shares, images), mixed, atol=1e-6)
    if count > 1:
        assert not torch.equal(shares, torch.eye(count))
    same, eye = mix_pictures(images, 0.0, 7)
    assert same is images
    assert torch.equal(eye, torch.eye(count))
