"""Unlabelled face pictures of other people, to pre-train an encoder on.

The rules forbid pre-training on Aff-Wild2 itself, so the demo does not pre-train on its own crops.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from abaw_submit.demo.dynamics import SHOWS
from abaw_submit.demo.face import Pose, draw_face
from abaw_submit.demo.people import make_person, rng_for
from abaw_submit.demo.scene import backdrop
from abaw_submit.store import atomic_path

SIDE_PX = 112
_PICTURES_A_PERSON = 10


def make_stills(folder: Path, seed: int, first: int, count: int) -> list[Path]:
    """Write pictures number `first` to `first + count - 1`; each depends on its number only."""
    written = []
    for number in range(first, first + count):
        rng = rng_for(seed, "still", number)
        person = make_person(seed, f"still {number // _PICTURES_A_PERSON}")
        image = backdrop(rng, (SIDE_PX, SIDE_PX))
        pose = Pose(
            x=SIDE_PX * rng.uniform(0.47, 0.53),
            y=SIDE_PX * rng.uniform(0.39, 0.45),
            size=SIDE_PX * rng.uniform(0.36, 0.46),
            roll=rng.normal(0, 0.05),
            yaw=rng.normal(0, 0.12),
            pitch=rng.normal(0, 0.09),
        )
        shown = rng.random(12) < SHOWS[rng.integers(len(SHOWS))]
        action = np.where(shown, rng.uniform(0.3, 1.0, 12), 0) + rng.normal(0, 0.08, 12)
        light = np.array([rng.uniform(0.82, 1.06), rng.uniform(-0.12, 0.12), rng.uniform(-0.1, 0.05)])
        draw_face(image, person, pose, action, rng.uniform(0.6, 1.35), light)
        soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
        noisy = np.clip(soft + rng.normal(0, 4, (SIDE_PX, SIDE_PX, 1)), 0, 255).astype(np.uint8)
        path = folder / f"{number:05d}.jpg"
        with atomic_path(path) as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(noisy, cv2.COLOR_RGB2BGR))
        written.append(path)
    return written
