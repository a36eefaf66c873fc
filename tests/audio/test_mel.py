"""The spectral front-end against a second implementation."""

import numpy as np
import pytest
from transformers.audio_utils import mel_filter_bank, spectrogram

from abaw_submit.audio.mel import CHUNK_FRAMES, frames_of, mel_filters, mel_spectrum, periodic_hann


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)


@pytest.mark.parametrize(("bands", "low_hz", "high_hz"), [(64, 125.0, 7500.0), (40, 60.0, 7600.0)])
def test_filters_are_those_of_transformers(bands, low_hz, high_hz):
    oracle = mel_filter_bank(
        257, bands, low_hz, high_hz, 16000, norm=None, mel_scale="kaldi", triangularize_in_mel_space=True
    )
    np.testing.assert_allclose(mel_filters(bands, 512, low_hz, high_hz), oracle, atol=2e-5)


@pytest.mark.parametrize("power", [1, 2])
def test_spectrum_is_that_of_transformers(power):
    samples = noise(9000)
    oracle = spectrogram(
        samples.astype(np.float64),
        periodic_hann(400).astype(np.float64),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=power,
        center=False,
        mel_filters=mel_filters(64, 512, 125.0, 7500.0).astype(np.float64),
        mel_floor=0.0,
    ).T
    found = mel_spectrum(
        samples, bands=64, low_hz=125.0, high_hz=7500.0, window=400, hop=160, fft_size=512, power=power
    )
    np.testing.assert_allclose(found, oracle, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("bands", "low_hz", "high_hz", "power"), [(64, 125.0, 7500.0, 1), (40, 60.0, 7600.0, 2)]
)
def test_spectrum_is_that_of_numpy_to_1e_4(bands, low_hz, high_hz, power):
    """The front end before torchaudio's: numpy's transform and triangles written out."""
    samples = noise(40_000)
    mel = 1127.0 * np.log1p(np.arange(257) * 16_000 / 512 / 700.0)[:, None]
    ends = 1127.0 * np.log1p(np.array([low_hz, high_hz]) / 700.0)
    edges = np.linspace(*ends, bands + 2)
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    frames = frames_of(samples, 400, 160) * periodic_hann(400)
    oracle = (np.abs(np.fft.rfft(frames, n=512, axis=1)) ** power) @ filters
    found = mel_spectrum(
        samples, bands=bands, low_hz=low_hz, high_hz=high_hz, window=400, hop=160, fft_size=512, power=power
    )
    assert found.shape == oracle.shape
    np.testing.assert_allclose(found, oracle, rtol=1e-4)


def test_long_sound_is_the_same_in_pieces():
    samples = noise(160 * (CHUNK_FRAMES + 50))
    whole = {
        "bands": 8,
        "low_hz": 60.0,
        "high_hz": 7000.0,
        "window": 400,
        "hop": 160,
        "fft_size": 512,
        "power": 2,
    }
    found = mel_spectrum(samples, **whole)
    tail = mel_spectrum(samples[160 * CHUNK_FRAMES :], **whole)
    np.testing.assert_allclose(found[CHUNK_FRAMES:], tail, rtol=1e-5)


def test_a_sound_shorter_than_a_frame_has_none():
    assert frames_of(np.zeros(5, np.float32), 6, 2).shape == (0, 6)
    sizes = {"bands": 8, "low_hz": 60.0, "high_hz": 7000.0, "window": 400, "hop": 160, "fft_size": 512}
    assert mel_spectrum(np.zeros(399, np.float32), power=2, **sizes).shape == (0, 8)
    assert mel_spectrum(np.zeros(400, np.float32), power=2, **sizes).shape == (1, 8)
