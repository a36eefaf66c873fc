"""What a person feels and shows: slow valence and arousal, episodes of expressions, action units.

An episode of one to three seconds draws an expression and, around that expression's usual place, a
point in the valence-arousal plane. Valence and arousal drift towards it. Half of the variance of
arousal and a third of that of valence comes from a second drift that only the voice gives away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import signal

from abaw_submit.arrays import F64
from abaw_submit.demo.people import Character

RATE_HZ = 60.0  # the simulation's own clock; frames and sound are read off it

# (valence, arousal) where each expression usually lies
PLACES = np.array(
    [
        (0.0, -0.15),
        (-0.5, 0.5),
        (-0.6, 0.15),
        (-0.3, 0.7),
        (0.7, 0.3),
        (-0.6, -0.45),
        (0.25, 0.65),
        (0.15, 0.1),
    ]
)
# chance that an episode of an expression shows an AU:
#    AU1   2    4    6    7    10   12   15   23   24   25   26
SHOWS = np.array(
    [
        [.03, .03, .03, .02, .03, .02, .03, .02, .02, .03, .05, .02],  # Neutral
        [.02, .04, .95, .05, .85, .12, .00, .06, .85, .35, .08, .03],  # Anger
        [.02, .02, .40, .20, .30, .96, .00, .20, .04, .04, .30, .03],  # Disgust
        [.95, .50, .60, .02, .12, .05, .00, .04, .03, .00, .88, .35],  # Fear
        [.03, .06, .00, .92, .25, .12, .97, .00, .00, .00, .75, .12],  # Happiness
        [.92, .05, .45, .05, .06, .04, .00, .94, .06, .20, .04, .00],  # Sadness
        [.90, .95, .02, .00, .00, .02, .05, .00, .00, .00, .94, .92],  # Surprise
        [.06, .18, .10, .06, .15, .12, .15, .10, .20, .55, .20, .06],  # Other
    ]
)  # fmt: skip
# what a whole unit of valence and of arousal adds to the look of each AU
_LOOKS = np.zeros((2, 12))
_LOOKS[0, [2, 3, 6, 7]] = -0.20, 0.25, 0.40, -0.40
_LOOKS[1, [0, 1, 11]] = 0.42, 0.45, 0.18
_DECK = (0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 7)  # how often each expression comes up


@dataclass(frozen=True)
class Behaviour:
    """A person over time, on the simulation's clock. All arrays have n samples at `RATE_HZ`.

    Attributes:
        valence, arousal: (n,) the truth, -1..1.
        expression: (n,) int, the truth, 0..7.
        action: (n, 12) AU intensities, 0..1.
        mood: (n, 12) what valence and arousal add to the look of the face, too weak to count as AUs.
        lids: (n,) how far the eyes are open.
        speech: (n,) 0..1, whether the voice sounds.
        voice_valence, voice_arousal: (n,) what the voice carries.
    """

    valence: F64
    arousal: F64
    expression: np.ndarray[tuple[int], np.dtype[np.int64]]
    action: F64
    mood: F64
    lids: F64
    speech: F64
    voice_valence: F64
    voice_arousal: F64


def expression_deck(rng: np.random.Generator) -> Iterator[int]:
    """Expressions in random order, each as often as wanted within every eleven."""
    while True:
        yield from (int(k) for k in rng.permutation(_DECK))


def drift(rng: np.random.Generator, samples: int, seconds: float, start: float | None = None) -> F64:
    """(samples,) Ornstein-Uhlenbeck noise of unit variance with a memory of `seconds`."""
    keep = np.exp(-1 / (RATE_HZ * seconds))
    shocks = rng.normal(0, np.sqrt(1 - keep**2), samples)
    shocks[0] = rng.normal() if start is None else start
    drifted: F64 = signal.lfilter([1.0], [1.0, -keep], shocks)
    return drifted


def follow(target: F64, seconds: float) -> F64:
    """A first-order lag behind `target` along its first axis, starting settled."""
    keep = np.exp(-1 / (RATE_HZ * seconds))
    settled = keep * target[:1]
    lagged, _ = signal.lfilter([1 - keep], [1.0, -keep], target, axis=0, zi=settled)
    result: F64 = lagged
    return result


def behave(rng: np.random.Generator, person: Character, seconds: float, expressions: list[int]) -> Behaviour:
    """Simulate one person.

    Args:
        rng: source of chance, used up in a fixed order.
        person: whose face; only the strength of expressions depends on it.
        seconds: how long.
        expressions: one expression for each episode; their lengths are drawn.
    """
    n = max(2, round(seconds * RATE_HZ))
    lengths = rng.uniform(0.7, 1.3, len(expressions))
    ends = np.round(np.cumsum(lengths) / lengths.sum() * n).astype(int)
    episode = np.minimum(np.searchsorted(ends, np.arange(n), side="right"), len(expressions) - 1)
    kinds = np.array(expressions)
    places = PLACES[kinds] + rng.normal(0, 0.16, (len(kinds), 2))
    face = follow(follow(places[episode], 0.25), 0.25) + 0.10 * np.c_[drift(rng, n, 1.0), drift(rng, n, 1.0)]
    hidden = np.c_[0.28 * drift(rng, n, 2.2), 0.35 * drift(rng, n, 2.2)]
    affect = np.clip(0.85 * face + hidden, -0.98, 0.98)

    shown = rng.random((len(kinds), 12)) < SHOWS[kinds]
    strength = np.where(shown, rng.uniform(0.62, 1.0, shown.shape), rng.uniform(0.0, 0.10, shown.shape))
    action = follow(follow(strength[episode], 0.10), 0.12)
    action *= np.clip(0.85 + 0.35 * face[:, 1:], 0.5, 1.2)
    action[:, 6] += 0.20 * np.clip(face[:, 0], 0, 1)
    action[:, 7] += 0.20 * np.clip(-face[:, 0], 0, 1)
    speech = _speech(rng, n, affect[:, 1])
    chatter = speech * np.clip(0.5 + 0.9 * drift(rng, n, 0.06), 0, 1.5)
    action[:, 10] += 0.20 * chatter
    action[:, 11] += 0.12 * chatter
    mood = face @ _LOOKS
    lids = (1.0 + 0.55 * face[:, 1]) * (1 - _blinks(rng, n))
    slips = 0.22 * np.c_[drift(rng, n, 0.4), drift(rng, n, 0.4)]
    return Behaviour(
        valence=affect[:, 0],
        arousal=affect[:, 1],
        expression=kinds[episode],
        action=np.clip(action, 0, 1),
        mood=mood,
        lids=lids,
        speech=follow(speech, 0.03),
        voice_valence=0.4 * face[:, 0] + 1.3 * hidden[:, 0] + slips[:, 0],
        voice_arousal=0.4 * face[:, 1] + 1.3 * hidden[:, 1] + slips[:, 1],
    )


def _speech(rng: np.random.Generator, n: int, arousal: F64) -> F64:
    """1 while talking, 0 in the pauses between phrases."""
    talking = np.zeros(n)
    at = int(rng.uniform(0, 0.4) * RATE_HZ)
    while at < n:
        phrase = round(rng.uniform(0.9, 2.2) * RATE_HZ)
        talking[at : at + phrase] = 1
        pause = rng.uniform(0.2, 0.6) * (1.2 - 0.5 * arousal[min(at, n - 1)])
        at += phrase + round(pause * RATE_HZ)
    return talking


def _blinks(rng: np.random.Generator, n: int) -> F64:
    shut = np.zeros(n)
    at = int(rng.uniform(0.2, 3.0) * RATE_HZ)
    while at < n:
        shut[at : at + round(0.12 * RATE_HZ)] = 1
        at += round(rng.uniform(1.5, 4.5) * RATE_HZ)
    return follow(shut, 0.02)


def at_times(series: F64, times_s: F64) -> F64:
    """Read a series of the simulation's clock at other times, holding the ends."""
    clock = np.arange(len(series)) / RATE_HZ
    if series.ndim == 1:
        return np.interp(times_s, clock, series)
    return np.stack([np.interp(times_s, clock, column) for column in series.T], axis=1)
