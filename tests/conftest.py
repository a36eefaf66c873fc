"""Small media files and crops with known contents."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from abaw_submit.corpus.ledger import Ledger, write_ledger


def write_video(path, frames=30, fps=30, sound=None, rate_hz=16000, sound_start_s=0.0, cuts=()):
    """A grey video; its sound is PCM, so that samples come back as they were.

    Args:
        path: .mkv.
        frames: pictures.
        fps: pictures per second.
        sound: (n,) or (2, n) float in [-1, 1], or None for no sound track.
        rate_hz: of the sound.
        sound_start_s: time of its first sample.
        cuts: (sample, seconds): from this sample on the timestamps are later by so much: a hole.
    """
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=Fraction(fps))
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = None
        if sound is not None:
            sound = np.atleast_2d(np.asarray(sound, np.float32))
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = out.add_stream("pcm_s16le", rate=rate_hz, layout=layout)
        for i in range(frames):
            picture = np.full((48, 64, 3), 40 + i % 100, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(video.encode(None))
        if audio is None:
            return path
        step = rate_hz // 50
        for at in range(0, sound.shape[1], step):
            piece = np.round(sound[:, at : at + step] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(piece.T.reshape(1, -1).copy(), format="s16", layout=layout)
            frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
            later_s = sum(seconds for sample, seconds in cuts if at >= sample)
            frame.pts = at + round((sound_start_s + later_s) * rate_hz)
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))
    return path


def write_crops(folder, rows=10, found=None, fps=30.0, size_px=64, seed=0, start_s=0.0):
    """A track's crops and ledger: picture k is one colour that depends on k and the seed."""
    found = np.ones(rows, bool) if found is None else np.asarray(found, bool)
    folder.mkdir(parents=True, exist_ok=True)
    for row in np.flatnonzero(found) + 1:
        rng = np.random.default_rng([seed, int(row)])
        picture = np.full((size_px, size_px, 3), rng.integers(0, 255, 3), np.uint8)
        cv2.imwrite(str(folder / f"{row:05d}.jpg"), picture)
    zeros = np.zeros(rows)
    source = np.where(found, "detected", "nearest" if found.any() else "none").astype("<U8")
    time_s = start_s + np.arange(rows) / fps
    write_ledger(
        folder, Ledger(np.arange(1, rows + 1), time_s, found, zeros, zeros, zeros, zeros, zeros, source)
    )
    return folder


@pytest.fixture
def make_video():
    return write_video


@pytest.fixture
def make_crops():
    return write_crops
