"""Sound to rows by time: late starts, early ends, no sound, any frame rate; and the real clips."""

import os
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.features.audio import audio_features
from abaw_submit.features.logmel import BANDS, LogMel
from abaw_submit.prefetch import prefetched

SHARED = os.environ.get("ABAW_SHARED")
LOUDNESS = 3 * BANDS


class Clock:
    """An extractor that hears one thing: the mean of the samples in each 10 ms."""

    kind = "audio"
    dim = 1
    identity = "clock"
    core_samples = 3200
    context_samples = 160

    def vectors(self, window):
        begin = np.arange(window.core[0], window.core[1] - 159, 160)
        means = [window.samples[b - window.first : b - window.first + 160].mean() for b in begin]
        return window.time_of(begin + 80), np.array(means, np.float32).reshape(-1, 1)


def ramp(seconds):
    """Sound whose value is its own time, a tenth of it per second."""
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ / 10


@pytest.mark.parametrize("fps", [7.5, 23.976, 25, 60])
def test_each_row_hears_its_own_time(tmp_path, make_video, fps):
    path = make_video(tmp_path / "a.mkv", sound=ramp(4.0))
    times = np.arange(int(3.9 * fps)) / fps
    values, valid = audio_features(path, times, Clock())
    assert valid.all()
    np.testing.assert_allclose(values[:, 0] * 10, np.clip(times, 0.005, None), atol=0.005)


def test_sound_that_starts_after_the_picture_is_not_pulled_to_its_start(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", frames=90, sound=ramp(2.0), sound_start_s=0.8)
    times = np.arange(90) / 30
    values, valid = audio_features(path, times, Clock())
    assert times[valid][0] == pytest.approx(0.8, abs=0.06)
    assert times[valid][-1] == pytest.approx(2.8, abs=0.06)
    inside = valid & (times > 0.81) & (times < 2.79)
    np.testing.assert_allclose(values[inside, 0] * 10, times[inside] - 0.8, atol=0.005)
    assert (values[~valid] == 0).all()


def test_sound_shorter_than_the_picture_is_not_stretched(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", frames=120, sound=ramp(2.5))
    times = np.arange(120) / 30
    values, valid = audio_features(path, times, Clock())
    assert valid.sum() == pytest.approx(2.5 * 30, abs=2.5)
    np.testing.assert_allclose(values[valid, 0][:70] * 10, np.clip(times[:70], 0.005, None), atol=0.005)


def test_no_sound_track_means_no_valid_row(tmp_path, make_video):
    values, valid = audio_features(make_video(tmp_path / "a.mkv"), np.arange(30) / 30, LogMel())
    assert values.shape == (30, LogMel.dim)
    assert not valid.any()
    assert not values.any()


def test_logmel_of_a_file_follows_its_loudness(tmp_path, make_video):
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    sound = np.sin(2 * np.pi * 300 * t) * np.where(t < 2, 0.02, 0.4)
    path = make_video(tmp_path / "a.mkv", frames=120, sound=sound)
    values, valid = audio_features(path, np.arange(118) / 30, LogMel())
    assert valid.all()
    assert values[100, LOUDNESS] - values[20, LOUDNESS] == pytest.approx(20 * np.log10(20) / 20, abs=0.02)


def test_an_error_while_decoding_ahead_reaches_the_caller():
    def items():
        yield 1
        raise ValueError("broken")

    found = prefetched(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


@pytest.mark.skipif(SHARED is None, reason="$ABAW_SHARED is not set: no real clips")
@pytest.mark.parametrize(
    ("name", "first_s", "last_s"),
    [
        ("hamilton.mp4", 0.0, 10.0),  # the picture starts 0.852 s after the sound
        ("face_noface.mov", 2.43, 6.396),  # 3.99 s of sound, at the end of 6.40 s of picture
        ("portrait_noaudio.mp4", None, None),
        ("single_face.mp4", 0.0, 2.4185),
    ],
)
def test_real_clips(name, first_s, last_s):
    times = np.arange(0, 12, 0.01)
    values, valid = audio_features(Path(SHARED) / "videos" / name, times, LogMel())
    if first_s is None:
        assert not valid.any()
        return
    assert times[valid][0] == pytest.approx(first_s, abs=0.07)
    assert times[valid][-1] == pytest.approx(last_s, abs=0.07)
    assert np.isfinite(values).all()


def test_the_level_of_the_whole_sound_comes_with_every_window_where_it_is_asked_for(tmp_path, make_video):
    class Listener:
        kind, dim, identity, wants_level = "audio", 1, "x", True
        core_samples, context_samples = 8000, 100

        def __init__(self):
            self.levels = []

        def vectors(self, window):
            self.levels.append(window.level)
            return window.time_of([window.core[0]]), np.zeros((1, 1), np.float32)

    sound = np.concatenate([np.full(16000, 0.1), np.full(16000, 0.5)])
    listener = Listener()
    audio_features(make_video(tmp_path / "a.mkv", sound=sound), [0.5, 1.5], listener)
    assert len(listener.levels) == 4
    for level in listener.levels:
        assert level == pytest.approx((0.3, 0.04), abs=1e-3)
