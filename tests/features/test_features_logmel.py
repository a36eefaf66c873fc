"""logmel: what each group of numbers hears, and that windows do not show."""

import numpy as np
import pytest

from abaw_submit.audio.align import Window, windows
from abaw_submit.audio.sound import RATE_HZ, Block
from abaw_submit.features.logmel import BANDS, LogMel

LOUDNESS, VOICING, PITCH, ONSET = range(3 * BANDS, 3 * BANDS + 4)  # means over 0.5 s


def vectors_of(samples, start_s=0.0):
    window = Window(start_s, samples.astype(np.float32), 0, (0, len(samples)), True)
    return LogMel().vectors(window)


def tone(seconds, hz, level=0.3):
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


def harmonic(seconds, hz, level=0.1):
    return sum(tone(seconds, hz * k, level / k) for k in range(1, 8))


def test_shape_times_and_range():
    times, vectors = vectors_of(tone(2.0, 300), start_s=5.0)
    assert vectors.shape == (101, LogMel.dim) == (101, 136)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(times, 5.0 + np.arange(101) * 0.02)
    assert np.abs(vectors).max() < 4


@pytest.mark.parametrize("hz", [80, 120, 220, 400])
def test_pitch_in_octaves_above_150_hz(hz):
    _, vectors = vectors_of(harmonic(1.5, hz))
    middle = vectors[len(vectors) // 2]
    assert middle[PITCH] == pytest.approx(np.log2(hz / 150), abs=0.03)
    assert middle[VOICING] > 0.95


def test_noise_is_not_voiced():
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ)
    _, vectors = vectors_of(noise)
    assert vectors[50, VOICING] < 0.4


def test_ten_times_louder_is_20_db_more():
    soft, loud = (vectors_of(tone(1.0, 500, level))[1][25, LOUDNESS] for level in (0.05, 0.5))
    assert loud - soft == pytest.approx(20 / 20, abs=0.01)


def test_the_band_of_a_tone_stands_out():
    _, vectors = vectors_of(tone(1.0, 1000))
    bands = vectors[25, :BANDS]
    centres = 700 * np.expm1(np.linspace(*(np.log1p(np.array([60, 7600]) / 700)), BANDS + 2)[1:-1])
    assert abs(centres[np.argmax(bands)] - 1000) < 100


def test_silence_is_finite_and_flat():
    _, vectors = vectors_of(np.zeros(RATE_HZ))
    assert np.isfinite(vectors).all()
    assert vectors.std(axis=0).max() == 0


def test_what_comes_and_goes_is_heard_at_its_time():
    """Silence, then a tone from 2.0 s on: the change is largest at 2.0 s, and rhythm sees pulses."""
    times, vectors = vectors_of(np.concatenate([np.zeros(2 * RATE_HZ), tone(2.0, 500)]))
    change = vectors[:, 2 * BANDS : 3 * BANDS].mean(axis=1)
    inside = times < 3.9  # the sound's hard end is a click of its own
    assert times[inside][np.argmax(change[inside])] == pytest.approx(2.0, abs=0.03)
    steady = vectors_of(tone(4.0, 500))[1]
    pulses = vectors_of(tone(4.0, 500) * (np.sin(2 * np.pi * 4 * np.arange(4 * RATE_HZ) / RATE_HZ) > 0))[1]
    assert pulses[100, ONSET] > 3 * steady[100, ONSET] + 0.05


def test_windows_do_not_show():
    """A long sound cut into windows gives the numbers of the sound as a whole."""
    rng = np.random.default_rng(1)
    sound = (harmonic(25.0, 140) * np.repeat(rng.uniform(0, 1, 50), RATE_HZ // 2)).astype(np.float32)
    extractor = LogMel()
    parts = [
        extractor.vectors(w)
        for w in windows([Block(0.0, sound)], extractor.core_samples, extractor.context_samples)
    ]
    assert len(parts) == 3
    times, vectors = vectors_of(sound)
    np.testing.assert_allclose(np.concatenate([t for t, _ in parts]), times, atol=1e-9)
    np.testing.assert_allclose(np.concatenate([v for _, v in parts]), vectors, atol=2e-4)


@pytest.mark.parametrize("samples", [1, 100, 399, 1000])
def test_a_very_short_sound_has_a_vector(samples):
    times, vectors = vectors_of(np.full(samples, 0.1))
    assert len(times) >= 1
    assert np.isfinite(vectors).all()
