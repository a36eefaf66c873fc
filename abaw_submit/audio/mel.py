"""Short-time spectra and mel filters, by torchaudio: the front-end of `logmel` and `vggish`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from abaw_submit.arrays import F32
from abaw_submit.audio.sound import RATE_HZ, Samples

CHUNK_FRAMES = 4096  # spectra are made in pieces, so that their memory does not grow


@cache
def mel_filters(bands: int, fft_size: int, low_hz: float, high_hz: float) -> F32:
    """Triangular filters, linear in mel, with peaks of 1 and half overlap; DC and Nyquist are left out.

    torchaudio's Kaldi filter banks, on the mel scale of O'Shaughnessy (1987), as HTK and VGGish use it.

    Args:
        bands: number of filters.
        fft_size: length of the transform at 16 kHz.
        low_hz: lower edge of the first filter.
        high_hz: upper edge of the last filter.

    Returns:
        (fft_size / 2 + 1, bands) weights of the bins of a spectrum.
    """
    kaldi: Any = import_module("torchaudio.compliance.kaldi")
    # the two numbers before the last belong to the warping of voices, which a factor of 1 switches off
    weights, _ = kaldi.get_mel_banks(bands, fft_size, float(RATE_HZ), low_hz, high_hz, 100.0, -500.0, 1.0)
    return np.pad(np.asarray(weights.numpy(), np.float32).T, ((0, 1), (0, 0)))


@cache
def periodic_hann(length: int) -> F32:
    """A Hann window whose period is its length."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


def frames_of(samples: Samples, length: int, hop: int) -> F32:
    """Frames that lie wholly inside the sound, as a view: (frames, length), frame k starting at k * hop.

    >>> frames_of(np.arange(5, dtype=np.float32), 3, 2).tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    if len(samples) < length:
        return np.zeros((0, length), np.float32)
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]


def mel_spectrum(
    samples: Samples,
    *,
    bands: int,
    low_hz: float,
    high_hz: float,
    window: int,
    hop: int,
    fft_size: int,
    power: int,
) -> F32:
    """Mel energies of a sound, before any logarithm.

    Args:
        samples: (n,) at 16 kHz.
        bands: number of mel bands.
        low_hz: lower edge.
        high_hz: upper edge.
        window: samples per frame, Hann.
        hop: samples between frames.
        fft_size: length of the transform.
        power: 1 for magnitudes, 2 for energies.

    Returns:
        (frames, bands), frames as in `frames_of`.
    """
    torch: Any = import_module("torch")
    functional: Any = import_module("torchaudio.functional")
    filters = torch.from_numpy(mel_filters(bands, fft_size, low_hz, high_hz))
    shape = torch.from_numpy(periodic_hann(window))
    count = max(0, (len(samples) - window) // hop + 1)
    out = np.empty((count, bands), np.float32)
    side = (fft_size - window) // 2  # torchaudio centres a short window in the transform
    for at in range(0, count, CHUNK_FRAMES):
        stop = min(count, at + CHUNK_FRAMES)
        piece = torch.from_numpy(
            np.ascontiguousarray(samples[at * hop : (stop - 1) * hop + window], np.float32)
        )
        padded = torch.nn.functional.pad(piece, (side, fft_size - window - side))
        spectrum = functional.spectrogram(
            padded, 0, shape, fft_size, hop, window, float(power), normalized=False, center=False
        )
        out[at:stop] = (spectrum.T @ filters).numpy()
    return out
