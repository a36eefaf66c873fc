"""Film a clip: background, slow head motion, and what spoils single frames.

Blur, flicker, noise, twitches of the face and passing hands make one frame ambiguous; its
neighbours help. That is what temporal models and smoothing are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.demo.dynamics import Behaviour, at_times, drift
from abaw_submit.demo.face import Image, Pose, draw_face
from abaw_submit.demo.people import Character


@dataclass(frozen=True)
class Actor:
    """One person in front of the camera.

    Attributes:
        person: appearance.
        behaviour: what the person does.
        poses: one for each frame.
        visible: (frames,) whether the person is in the picture.
        twitch: (frames, 12) what the frame shows beside the true AU intensities.
        hands: (frames, 3) a hand's place in face coordinates and whether it is there.
    """

    person: Character
    behaviour: Behaviour
    poses: list[Pose]
    visible: npt.NDArray[np.bool_]
    twitch: F64
    hands: F64


def film_actor(
    rng: np.random.Generator,
    person: Character,
    behaviour: Behaviour,
    times_s: F64,
    place: tuple[float, float, float],
    visible: npt.NDArray[np.bool_],
    occluded: bool,
) -> Actor:
    """Decide how a person moves and what gets in the way.

    Args:
        place: centre x, y and half face width, px.
        occluded: hands come up often, and once for long.
    """
    n = len(behaviour.valence)
    x, y, size = place
    sway = [drift(rng, n, seconds) for seconds in (1.2, 1.2, 2.5, 0.9, 1.0, 1.0)]
    nod = 0.5 * np.clip(behaviour.arousal, -0.5, 1) * drift(rng, n, 0.15)
    curves = np.stack(
        [
            x + 0.07 * size * sway[0],
            y + 0.05 * size * (sway[1] + nod),
            size * (1 + 0.025 * np.clip(sway[2], -2, 2)),
            0.035 * sway[3],
            0.08 * np.clip(sway[4], -2, 2),
            0.05 * np.clip(sway[5], -2, 2),
        ],
        axis=1,
    )
    poses = [Pose(*map(float, row)) for row in at_times(curves, times_s)]
    frames = len(times_s)
    slow = np.stack([drift(rng, n, 0.12) for _ in range(12)], axis=1)
    twitch = 0.12 * at_times(slow, times_s) + 0.30 * rng.normal(size=(frames, 12))
    return Actor(person, behaviour, poses, visible, twitch, _hands(rng, times_s, occluded))


def _hands(rng: np.random.Generator, times_s: F64, occluded: bool) -> F64:
    hands = np.zeros((len(times_s), 3))
    every_s, long_s = (1.2, 0.6) if occluded else (4.0, 0.3)
    at = rng.uniform(0, every_s)
    while at < times_s[-1]:
        until = at + rng.uniform(0.5, 1.5) * long_s
        there = (times_s >= at) & (times_s < until)
        hands[there] = (rng.uniform(-0.5, 0.5), rng.choice([-0.35, 0.65, 0.8]), 1)
        at = until + rng.exponential(every_s)
    return hands


def film(
    rng: np.random.Generator, actors: list[Actor], times_s: F64, size: tuple[int, int]
) -> Iterator[Image]:
    """The pictures of a clip, (height, width, 3) RGB, one for each time.

    Args:
        rng: chance of background, light and camera.
        actors: the people, farthest first.
        times_s: (frames,) when each picture is taken.
        size: width and height, px.
    """
    room = backdrop(rng, size)
    light = np.array([rng.uniform(0.90, 1.04), rng.uniform(-0.08, 0.08), rng.uniform(-0.08, 0.04)])
    frames = len(times_s)
    flicker = 1 + 0.05 * rng.normal(size=frames)
    blur = np.where(rng.random(frames) < 0.20, rng.uniform(1.2, 2.6, frames), 0.55)
    grain = rng.normal(0, 5, (size[1] + 64, size[0] + 64)).astype(np.int16)
    action = [at_times(a.behaviour.action + a.behaviour.mood, times_s) + a.twitch for a in actors]
    lids = [at_times(a.behaviour.lids, times_s) for a in actors]
    for k in range(frames):
        image = room.copy()
        lit = light * (flicker[k], 1, 1)
        for i, actor in enumerate(actors):
            if actor.visible[k]:
                draw_face(image, actor.person, actor.poses[k], action[i][k], float(lids[i][k]), lit)
                if actor.hands[k, 2]:
                    _draw_hand(image, actor, k, lit)
        soft = cv2.GaussianBlur(image, (0, 0), blur[k])
        dy, dx = rng.integers(0, 64, 2)
        noise = grain[dy : dy + size[1], dx : dx + size[0], None]
        yield np.clip(soft + noise, 0, 255).astype(np.uint8)


def _draw_hand(image: Image, actor: Actor, k: int, light: F64) -> None:
    pose, (x, y, _) = actor.poses[k], actor.hands[k]
    red, green, blue = (min(255.0, c * 0.86 * light[0]) for c in actor.person.skin)
    thick = max(2, round(0.17 * pose.size))
    for finger in range(4):
        line = pose.place([(x - 0.30 + 0.19 * finger, y + 0.15), (x - 0.34 + 0.22 * finger, y - 0.38)])
        ends = np.round(line).astype(int)
        cv2.line(image, ends[0].tolist(), ends[1].tolist(), (red, green, blue), thick, cv2.LINE_AA)
    palm = pose.place(
        [
            (x - 0.38, y + 0.1),
            (x + 0.38, y + 0.1),
            (x + 0.3, y + 0.7),
            (x + 0.25, 4),
            (x - 0.2, 4),
            (x - 0.3, y + 0.7),
        ]
    )
    cv2.fillPoly(
        image, [np.round(palm).astype(np.int32)], (red * 0.95, green * 0.93, blue * 0.93), cv2.LINE_AA
    )


def backdrop(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """A blurred room: a wall, some furniture, no faces."""
    width, height = size
    wall = rng.uniform(105, 160) + rng.normal(0, 6, 3)
    image = np.empty((height, width, 3), np.float32)
    image[:] = wall * np.linspace(1.05, 0.8, height)[:, None, None]
    for _ in range(rng.integers(3, 8)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.1, 0.4) * width, rng.uniform(0.1, 0.5) * height
        colour = np.clip(wall + rng.normal(0, 20) + rng.normal(0, 6, 3), 20, 235).tolist()
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), colour, -1)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 4.0), 0, 255).astype(np.uint8)
