"""`logmel`: statistics of the log-mel spectrum, loudness and pitch around each row's time; no weights.

136 numbers a row. For each of 40 mel bands: mean and standard deviation over 0.5 s, and how much the mean
of the 0.5 s after the row's time is above that of the 0.5 s before. For loudness, voicing, pitch and onset
strength: mean and standard deviation over 0.5 s and over 2 s, which hears rhythm.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.fft

from abaw_submit.arrays import F32, F64
from abaw_submit.audio.align import Window
from abaw_submit.audio.mel import frames_of, mel_spectrum, periodic_hann
from abaw_submit.audio.sound import RATE_HZ, Samples
from abaw_submit.store import VERSIONS, fingerprint

VERSION = VERSIONS["extract logmel"]
HOP = 160  # 10 ms
FRAME = 400  # 25 ms
PITCH_FRAME = 1024  # 64 ms: four periods of the lowest pitch
BANDS = 40
LOW_HZ, HIGH_HZ = 60.0, 7600.0
PITCH_LOW_HZ, PITCH_HIGH_HZ = 65.0, 500.0
FLOOR_DB = -90.0  # below that is silence; keeps a digitally silent sound finite
QUIET_DB = -60.0  # nothing softer has a pitch
STEP = 2  # vectors every 20 ms
SHORT_S, LONG_S = 0.5, 2.0
SCALARS = 4


class LogMel:
    """The extractor; see the module for its 136 numbers."""

    kind: ClassVar[str] = "audio"
    dim = 3 * BANDS + SCALARS * 4
    core_samples = 10 * RATE_HZ
    context_samples = round((LONG_S / 2 + 0.1) * RATE_HZ)
    identity = fingerprint("logmel", VERSION, BANDS, LOW_HZ, HIGH_HZ, SHORT_S, LONG_S)

    def vectors(self, window: Window) -> tuple[F64, F32]:
        """Vectors of a window's core, every 20 ms.

        Returns:
            times (n,) in seconds and vectors (n, 136), each number roughly within -3..3.
        """
        # frame k is centred on sample k * HOP of the whole sound, whatever the window
        skip = -window.first % HOP
        samples = window.samples[skip:]
        level, scalars = _frames(samples)
        centres = window.first + skip + HOP * np.arange(len(level))
        keep = np.flatnonzero(
            (centres >= window.core[0])
            & ((centres < window.core[1]) | window.is_last)
            & (centres % (HOP * STEP) == 0)
        )
        short, long = (round(s / 2 * RATE_HZ / HOP) for s in (SHORT_S, LONG_S))
        bands, all_scalars = _Running(level), _Running(scalars)
        mean, deviation = bands.around(keep, short, short)
        before, _ = bands.around(keep, 2 * short, 0)
        after, _ = bands.around(keep, 0, 2 * short)
        parts = [mean, deviation, after - before]
        for half in (short, long):
            parts += all_scalars.around(keep, half, half)
        return window.time_of(centres[keep]), np.concatenate(parts, axis=1).astype(np.float32)


def _frames(samples: Samples) -> tuple[F32, F32]:
    """Band levels (frames, 40) and loudness, voicing, pitch, onset (frames, 4), every 10 ms."""
    count = len(samples) // HOP + 1
    padded = np.concatenate([np.zeros(PITCH_FRAME // 2, np.float32), samples])
    padded = np.pad(padded, (0, count * HOP + PITCH_FRAME - len(padded)))
    inner = padded[(PITCH_FRAME - FRAME) // 2 :]
    energy = mel_spectrum(
        inner, bands=BANDS, low_hz=LOW_HZ, high_hz=HIGH_HZ, window=FRAME, hop=HOP, fft_size=512, power=2
    )[:count]
    level = _decibel(energy / FRAME**2)
    loud = np.square(frames_of(inner, FRAME, HOP)[:count], dtype=np.float32).mean(axis=1)
    loudness = _decibel(loud)
    voicing, pitch = (np.repeat(v, STEP)[:count] for v in _pitch(padded, loudness))
    onset = np.maximum(0, np.diff(level, axis=0, prepend=level[:1])).mean(axis=1)
    # scaled so that ordinary speech is within about -1 .. 1
    scalars = np.stack([loudness / 20 + 1.5, voicing, pitch, onset / 5], axis=1)
    return np.asarray(level / 20 + 3.0, np.float32), scalars.astype(np.float32)


def _decibel(power: npt.NDArray[np.floating]) -> F32:
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10))), np.float32)


def _pitch(padded: Samples, loudness: F32) -> tuple[F32, F32]:
    """Voicing (0..1) and pitch (octaves above 150 Hz; 0 where unvoiced) every 20 ms, by autocorrelation.

    The autocorrelation is divided by the window's own, which removes its fall towards long lags
    (Boersma 1993).
    """
    shape = periodic_hann(PITCH_FRAME)
    size = 2 * PITCH_FRAME
    own = scipy.fft.irfft(np.abs(scipy.fft.rfft(shape, n=size)) ** 2)
    low, high = int(RATE_HZ / PITCH_HIGH_HZ), int(RATE_HZ / PITCH_LOW_HZ)
    frames = frames_of(padded, PITCH_FRAME, HOP * STEP)
    loud = np.flatnonzero(loudness[::STEP] > QUIET_DB)
    voicing = np.zeros(len(loudness[::STEP]), np.float32)
    pitch = np.zeros_like(voicing)
    for at in range(0, len(loud), 1024):
        rows = loud[at : at + 1024]
        centred = frames[rows] - frames[rows].mean(axis=1, keepdims=True)
        power = np.abs(scipy.fft.rfft(centred * shape, n=size, axis=1)) ** 2
        r = scipy.fft.irfft(power, axis=1)[:, : high + 2]
        r = r / np.maximum(r[:, :1], 1e-12) * (own[0] / own[: high + 2])
        inside = r[:, low : high + 1]
        # a small price on long lags, or twice the period would win as often as the period
        lag = low + np.argmax(inside - 0.0004 * np.arange(low, high + 1), axis=1)
        here = np.arange(len(rows))
        left, top, right = (r[here, lag + d] for d in (-1, 0, 1))
        bend = left - 2 * top + right
        shift = np.where(np.abs(bend) > 1e-6, 0.5 * (left - right) / np.where(bend == 0, 1, bend), 0.0)
        voicing[rows] = np.clip(top, 0, 1)
        hz = RATE_HZ / (lag + np.clip(shift, -1, 1))
        pitch[rows] = np.where(top > 0.5, np.log2(hz / 150.0), 0.0)
    return voicing, pitch


class _Running:
    """Means and deviations over any stretch of frames, by sums from the start."""

    def __init__(self, values: F32) -> None:
        exact = values.astype(np.float64)
        zero = np.zeros((1, values.shape[1]))
        self.count = len(values)
        self.sums = np.concatenate([zero, exact.cumsum(axis=0)])
        self.squares = np.concatenate([zero, (exact**2).cumsum(axis=0)])

    def around(
        self, centres: npt.NDArray[np.int_], before: int, after: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Mean and standard deviation of frames [c - before, c + after], as far as there are frames."""
        begin = np.clip(centres - before, 0, self.count)
        end = np.clip(centres + after + 1, 0, self.count)
        n = (end - begin)[:, None]
        mean = (self.sums[end] - self.sums[begin]) / n
        variance = (self.squares[end] - self.squares[begin]) / n - mean**2
        return mean, np.sqrt(np.maximum(variance, 0))
