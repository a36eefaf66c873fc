"""Mild random changes of face pictures that leave expression and action units as they are.

Mirroring is one of them: all twelve AUs, the expressions, valence and arousal are symmetric by definition.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

# at strength 1
SHIFT = 0.06  # of the side
ZOOM = 0.10
TURN_DEG = 8.0
BRIGHTNESS = 0.20
CONTRAST = 0.25
SATURATION = 0.25


def random_crop(images: Tensor, size_px: int, smallest: float, seed: int) -> Tensor:
    """A random square part of each picture, mirrored half of the time: MAE's only augmentation.

    Args:
        images: (batch, 3, side, side).
        size_px: side of the result.
        smallest: smallest side of the part, as a share of the picture's; 1 keeps the whole.
        seed: of the draws.

    Returns:
        (batch, 3, size_px, size_px).
    """
    count = len(images)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(4, count, generator=generator).to(images)
    part = smallest + (1 - smallest) * draws[0]
    flip = torch.where(draws[1] < 0.5, -1.0, 1.0)
    x, y = (1 - part) * (2 * draws[2] - 1), (1 - part) * (2 * draws[3] - 1)
    # a part that is not turned: the places of its columns and of its rows (affine_grid multiplies matrices)
    line = (2 * torch.arange(size_px).to(images) + 1) / size_px - 1
    columns = (flip * part)[:, None] * line + x[:, None]
    lines = part[:, None] * line + y[:, None]
    shape = (count, size_px, size_px)
    grid = torch.stack([columns[:, None, :].expand(shape), lines[:, :, None].expand(shape)], -1)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def augment(images: Tensor, strength: float, seed: int) -> Tensor:
    """Flip, shift, zoom, turn, brightness, contrast and saturation, each drawn per picture.

    Args:
        images: (batch, 3, side, side) in [0, 1].
        strength: 0 gives the pictures back; 1 is mild; flips do not depend on it.
        seed: of the draws; the same seed gives the same changes on every device.

    Returns:
        (batch, 3, side, side) in [0, 1].
    """
    if strength <= 0:
        return images
    count = len(images)
    generator = torch.Generator().manual_seed(seed)
    draws = (torch.rand(8, count, generator=generator) * 2 - 1).to(images)
    flip = torch.where(draws[0] < 0, -1.0, 1.0)
    zoom = 1 + ZOOM * strength * draws[1]
    angle = math.radians(TURN_DEG) * strength * draws[2]
    shift_x, shift_y = 2 * SHIFT * strength * draws[3], 2 * SHIFT * strength * draws[4]
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    rows = torch.stack(
        [torch.stack([flip * cosine, -sine, shift_x], 1), torch.stack([flip * sine, cosine, shift_y], 1)], 1
    )
    grid = functional.affine_grid(rows, list(images.shape), align_corners=False)
    moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)

    def each(values: Tensor) -> Tensor:
        return values.view(-1, 1, 1, 1)

    moved = moved * each(1 + BRIGHTNESS * strength * draws[5])
    mean = moved.mean((1, 2, 3), keepdim=True)
    moved = mean + (moved - mean) * each(1 + CONTRAST * strength * draws[6])
    grey = moved.mean(1, keepdim=True)
    moved = grey + (moved - grey) * each(1 + SATURATION * strength * draws[7])
    return moved.clamp(0, 1)
