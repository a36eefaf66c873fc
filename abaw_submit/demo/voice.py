"""A synthetic voice: pitch, energy and rhythm follow arousal, timbre follows valence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import F64
from abaw_submit.demo.dynamics import Behaviour, at_times
from abaw_submit.demo.people import Character

RATE_HZ = 16_000


def speak(rng: np.random.Generator, person: Character, behaviour: Behaviour, times_s: F64) -> F64:
    """(samples,) sound of one person at `RATE_HZ`, about -1..1, before room and microphone.

    Args:
        rng: chance in phases and pitch jitter.
        person: whose voice.
        behaviour: what the voice carries.
        times_s: (samples,) times of the samples on the behaviour's clock.
    """
    coarse = times_s[:: RATE_HZ // 200] if len(times_s) > 100 else times_s

    def read(series: F64) -> F64:
        return np.interp(times_s, coarse, at_times(series, coarse))

    valence, arousal, talking = (
        read(s) for s in (behaviour.voice_valence, behaviour.voice_arousal, behaviour.speech)
    )
    pitch = person.voice_hz * 2 ** (0.75 * arousal + 0.04 * np.sin(2 * np.pi * 5.5 * times_s))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    syllables = 2 * np.pi * np.cumsum(3.2 + 2.6 * arousal) / RATE_HZ
    rhythm = 0.35 + 0.65 * np.clip(0.5 + 0.5 * np.sin(syllables + rng.uniform(0, 6)), 0, 1)
    tilt = 1.45 - 0.75 * valence  # a bright voice for high valence
    voiced = np.zeros_like(times_s)
    for k in range(1, 15):
        voiced += k ** (-tilt) * np.sin(k * phase + rng.uniform(0, 6))
    breath = 0.05 * rng.normal(size=len(times_s)) * (1 + 0.8 * arousal)
    loudness = 10 ** ((-21 + 13 * arousal) / 20)
    return np.asarray(talking * rhythm * loudness * (voiced + breath))


def record(rng: np.random.Generator, voices: F64) -> npt.NDArray[np.float32]:
    """Add the room and the microphone: level, hum, hiss. (samples,) float32 in -1..1."""
    gain = 10 ** (rng.normal(0, 1.5) / 20)
    hiss = 10 ** (rng.uniform(-52, -44) / 20) * rng.normal(size=len(voices))
    hum = 0.002 * np.sin(2 * np.pi * 50 * np.arange(len(voices)) / RATE_HZ)
    return np.clip(gain * voices + hiss + hum, -0.99, 0.99).astype(np.float32)
