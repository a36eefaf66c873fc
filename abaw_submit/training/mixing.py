"""RandAugment, random erasing and mixup of fine-tuning: timm's own, which the official MAE fine-tuning uses.

timm draws from the global generators of Python, NumPy and torch. Here they are set from a seed for the call
and put back afterwards, so that a step's pictures depend on (seed, step, process) only, as all else does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from abaw_submit.arrays import U8
from abaw_submit.errors import UserError
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators from a seed; afterwards they are as they were before."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def rand_augment(pixels: U8, policy: str, seed: int) -> U8:
    """RandAugment (Cubuk et al. 2020) of each picture.

    Args:
        pixels: (batch, side, side, 3) uint8.
        policy: timm's words, such as "rand-m9-mstd0.5-inc1", the official MAE fine-tuning's; "" does nothing.
        seed: of the draws.

    Returns:
        (batch, side, side, 3) uint8.

    Raises:
        UserError: timm does not know the policy.
    """
    if not policy:
        return pixels
    from PIL import Image

    change = rand_policy(policy, pixels.shape[1])
    with seeded(seed):
        return np.stack([np.asarray(change(Image.fromarray(picture))) for picture in pixels])


@lru_cache(maxsize=4)
def rand_policy(policy: str, side_px: int) -> Any:
    """timm's RandAugment of a policy, as the official MAE fine-tuning has it: shifts are shares of the side,
    filled with the mean colour; pictures are resampled bicubically.

    Raises:
        UserError: timm does not know the policy.
    """
    from PIL import Image

    augment: Any = import_module("timm.data.auto_augment")
    mean = tuple(round(255 * value) for value in IMAGENET_MEAN)
    try:
        if not policy.startswith("rand"):
            raise ValueError(policy)
        more = {"translate_const": int(side_px * 0.45), "img_mean": mean}
        made = augment.rand_augment_transform(policy, {**more, "interpolation": Image.Resampling.BICUBIC})
    except (AssertionError, ValueError, KeyError, TypeError):
        raise UserError(
            f'randaugment "{policy}" is not a policy of timm; expected such as rand-m9-mstd0.5-inc1.'
        ) from None
    for change in made.ops:
        if change.name.startswith("Posterize"):
            change.aug_fn = _posterize
    return made


def _posterize(picture: Any, bits: int, **_: object) -> Any:
    """Keeps so many bits of each colour, one at least: at full strength timm asks for none, a black picture,
    which Pillow refuses."""
    from PIL import ImageOps

    return picture if bits >= 8 else ImageOps.posterize(picture, max(bits, 1))


def random_erase(images: Tensor, probability: float, seed: int) -> Tensor:
    """Random erasing (Zhong et al. 2020): a rectangle of noise of the ImageNet deviation in some pictures.

    Args:
        images: (batch, 3, side, side) in [0, 1].
        probability: of each picture; 0 does nothing.
        seed: of the draws.
    """
    if probability <= 0:
        return images
    erasing: Any = import_module("timm.data.random_erasing")
    mean = torch.tensor(IMAGENET_MEAN, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=images.device).view(1, 3, 1, 1)
    normal = (images - mean) / std
    with seeded(seed):
        erased: Tensor = erasing.RandomErasing(probability, mode="pixel", device=images.device)(normal)
    return erased * std + mean


def mix_pictures(images: Tensor, alpha: float, seed: int) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018) of a batch with itself turned round, one share for the whole batch.

    timm mixes pairs, so the last of an odd batch stays as it is.

    Args:
        images: (batch, 3, side, side); changed in place.
        alpha: of the Beta distribution that the share is drawn from; 0 does nothing.
        seed: of the draw.

    Returns:
        The pictures, and (batch, batch) how much of each picture's label each mixed one has; rows sum to 1.
    """
    batch, even = len(images), len(images) // 2 * 2
    shares = torch.eye(batch, device=images.device)
    if alpha <= 0 or even == 0:
        return images, shares
    mixing: Any = import_module("timm.data.mixup")
    with seeded(seed):
        mix = mixing.Mixup(mixup_alpha=alpha, cutmix_alpha=0.0, label_smoothing=0.0, num_classes=even)
        mixed, shares[:even, :even] = mix(images[:even], torch.arange(even, device=images.device))
    images[:even] = mixed
    return images, shares
