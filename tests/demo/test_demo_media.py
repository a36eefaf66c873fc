"""The tiny corpus's media files: frames, clocks and sound are what the plan says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from abaw_submit.demo.clips import TINY, Clip
from abaw_submit.demo.media import Sound, write_video


def clocks(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Times of the decoded pictures (s), and start and end of the sound (s)."""
    with av.open(str(path)) as container:
        pictures = np.array([float(f.time) for f in container.decode(video=0)])
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return pictures, None
        frames = [(float(f.time), f.samples / f.sample_rate) for f in container.decode(audio=0)]
    return pictures, np.array([frames[0][0], sum(frames[-1])])


@pytest.mark.parametrize("clip", TINY, ids=lambda clip: clip.name)
def test_a_clip_has_the_planned_frames_and_clocks(tiny: Path, clip: Clip) -> None:
    times_s, sound_s = clocks(tiny / "videos" / f"{clip.name}{clip.suffix}")
    assert len(times_s) == clip.frames
    assert times_s[0] == pytest.approx(clip.picture_start_s, abs=0.04)
    steps = np.diff(times_s) * float(clip.rate)
    if clip.variable:
        assert steps.min() < 0.6
        assert steps.max() > 1.5
    else:
        np.testing.assert_allclose(steps, 1, atol=0.01)
    if sound_s is None:
        assert not clip.sound
        return
    end_s = times_s[-1] + 1 / float(clip.rate) + clip.sound_extra_s
    assert sound_s[0] == pytest.approx(clip.sound_start_s, abs=0.1)
    assert sound_s[1] == pytest.approx(end_s, abs=0.15)  # whole blocks of the codec


def test_tiny_has_the_awkward_cases() -> None:
    assert any(c.variable for c in TINY)
    assert any(not c.sound for c in TINY)
    assert any(c.sound_extra_s < 0 for c in TINY)
    assert any(c.sound_extra_s > 0 for c in TINY)
    assert any(c.suffix == ".avi" for c in TINY)
    assert any(t.away for c in TINY for t in c.tracks)
    assert {t.extra_rows for c in TINY for t in c.tracks} == {-1, 0, 1}
    assert any(len(c.tracks) == 2 for c in TINY)


def test_timestamps_and_a_click_come_back_where_they_were_put(tmp_path: Path) -> None:
    times_s = np.array([0.5, 0.52, 0.6, 0.7, 0.9, 1.0])
    pictures = [np.full((48, 64, 3), 40 * k, np.uint8) for k in range(6)]
    click = np.zeros(16_000, np.float32)
    click[4_000:4_200] = 0.9  # 0.25 s after the sound starts, at 0.4 s
    path = tmp_path / "clip.mp4"
    write_video(path, pictures, times_s, (64, 48), Fraction(25), Sound(click, 16_000, 0.4), False)
    with av.open(str(path)) as container:
        decoded = [(float(f.time), f.to_ndarray(format="gray").mean()) for f in container.decode(video=0)]
    np.testing.assert_allclose([t for t, _ in decoded], times_s, atol=1e-4)
    assert np.all(np.diff([grey for _, grey in decoded]) > 10)
    with av.open(str(path)) as container:
        heard = [(float(f.time), f.to_ndarray()[0], f.sample_rate) for f in container.decode(audio=0)]
    at = np.concatenate([t + np.arange(len(x)) / rate for t, x, rate in heard])
    loud = np.abs(np.concatenate([x for _, x, _ in heard])) > 0.45
    assert at[loud].mean() == pytest.approx(0.4 + 4_100 / 16_000, abs=0.005)
