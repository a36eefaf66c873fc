"""The people of the synthetic corpus: what differs from face to face and from voice to voice."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from abaw_submit.arrays import F64

Colour = tuple[float, float, float]

_SKIN: tuple[Colour, ...] = (
    (230, 192, 168),
    (220, 180, 152),
    (208, 166, 138),
    (196, 152, 124),
    (180, 136, 108),
)
_HAIR: tuple[Colour, ...] = ((38, 30, 28), (52, 40, 33), (72, 52, 38), (98, 72, 46), (84, 80, 80))
_IRIS: tuple[Colour, ...] = ((70, 48, 32), (88, 66, 40), (70, 96, 110), (84, 104, 70))


def rng_for(seed: int, *keys: str | int) -> np.random.Generator:
    """A random generator that depends on the seed and the keys only, never on what ran before.

    >>> a, b = rng_for(0, "face", 3), rng_for(0, "face", 3)
    >>> bool(a.random() == b.random())
    True
    """
    return np.random.default_rng([seed, *(zlib.crc32(str(key).encode()) for key in keys)])


@dataclass(frozen=True)
class Character:
    """One person. Lengths are in half face widths, colours are RGB 0..255.

    Attributes:
        resting: (12,) what the face at rest looks like, as AU intensities around 0.
        voice_hz: the pitch of the calm voice.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    long_hair: bool
    beard: bool
    jaw: float
    chin: float
    eye_x: float
    eye_size: float
    brow_y: float
    brow_width: float
    nose: float
    mouth_width: float
    lip: float
    resting: F64
    voice_hz: float


def make_person(seed: int, number: int | str) -> Character:
    """Draw a person. The same seed and number give the same person."""
    rng = rng_for(seed, "person", number)
    skin = np.array(_SKIN[rng.integers(len(_SKIN))]) + rng.normal(0, 4, 3)
    hair = np.array(_HAIR[rng.integers(len(_HAIR))]) + rng.normal(0, 4, 3)
    lips = skin * (0.80, 0.58, 0.60) + rng.normal(0, 5, 3)
    long_hair = bool(rng.random() < 0.45)

    def about(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.normal(), -1.8, 1.8))

    return Character(
        skin=_colour(skin),
        hair=_colour(hair),
        iris=_IRIS[rng.integers(len(_IRIS))],
        lips=_colour(lips),
        long_hair=long_hair,
        beard=bool(not long_hair and rng.random() < 0.2),
        jaw=about(0.74, 0.03),
        chin=about(1.36, 0.03),
        eye_x=about(0.43, 0.012),
        eye_size=about(0.205, 0.012),
        brow_y=about(-0.47, 0.012),
        brow_width=about(0.075, 0.009),
        nose=about(0.17, 0.02),
        mouth_width=about(0.40, 0.016),
        lip=about(0.085, 0.009),
        resting=np.clip(rng.normal(0, 0.05, 12), -0.12, 0.12),
        voice_hz=about(190 if long_hair else 135, 14),
    )


def _colour(values: F64) -> Colour:
    red, green, blue = np.clip(values, 15, 245)
    return float(red), float(green), float(blue)
