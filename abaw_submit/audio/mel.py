"""Short-time spectra and mel filters, in numpy: the front-end of `logmel` and `vggish`."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from abaw_submit.arrays import F32
from abaw_submit.audio.sound import RATE_HZ, Samples

CHUNK_FRAMES = 4096  # spectra are made in pieces, so that their memory does not grow


def hz_to_mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The mel scale of O'Shaughnessy (1987), as HTK and VGGish use it.

    >>> float(hz_to_mel(1000.0).round(1))
    1000.0
    """
    return 1127.0 * np.log1p(np.asarray(hz, np.float64) / 700.0)


@cache
def mel_filters(bands: int, fft_size: int, low_hz: float, high_hz: float) -> F32:
    """Triangular filters, linear in mel, with peaks of 1 and half overlap; the DC bin is left out.

    Args:
        bands: number of filters.
        fft_size: length of the transform at 16 kHz.
        low_hz: lower edge of the first filter.
        high_hz: upper edge of the last filter.

    Returns:
        (fft_size / 2 + 1, bands) weights of the bins of a spectrum.
    """
    bins = hz_to_mel(np.arange(fft_size // 2 + 1) * RATE_HZ / fft_size)[:, None]
    edges = np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), bands + 2)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling))
    weights[0] = 0.0
    return weights.astype(np.float32)


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
    filters = mel_filters(bands, fft_size, low_hz, high_hz)
    shape = periodic_hann(window)
    frames = frames_of(samples, window, hop)
    out = np.empty((len(frames), bands), np.float32)
    for at in range(0, len(frames), CHUNK_FRAMES):
        spectrum = np.abs(scipy.fft.rfft(frames[at : at + CHUNK_FRAMES] * shape, n=fft_size, axis=1))
        out[at : at + CHUNK_FRAMES] = (spectrum**power) @ filters
    return out
