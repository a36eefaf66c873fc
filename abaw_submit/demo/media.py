"""Write a video file: pictures with their own timestamps, sound with its own start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from abaw_submit.store import atomic_path


@dataclass(frozen=True)
class Sound:
    """A sound track: (samples,) float32, its rate (Hz), and when it starts on the file's clock (s)."""

    samples: npt.NDArray[np.float32]
    rate_hz: int
    start_s: float = 0.0


def write_video(
    path: Path,
    frames: Iterable[npt.NDArray[np.uint8]],
    times_s: npt.NDArray[np.float64],
    size: tuple[int, int],
    rate: Fraction,
    sound: Sound | None = None,
    constant_rate: bool = True,
) -> None:
    """Encode one file, the same bytes every time with the same libraries (one thread).

    Args:
        path: `.mp4` (H.264, AAC) or `.avi` (MPEG-4, PCM). AVI has no timestamps: constant rate only.
        frames: (height, width, 3) RGB pictures.
        times_s: (frames,) when each is shown, increasing.
        size: width and height, px, even.
        rate: frames a second, or the nominal rate of a variable-rate file.
        sound: the sound track, if there is one.
        constant_rate: time stamps are whole frames; else they are kept to 1/90000 s.
    """
    avi = path.suffix == ".avi"
    with atomic_path(path) as temporary, av.open(str(temporary), "w") as container:
        picture = container.add_stream("mpeg4" if avi else "libx264", rate=rate)
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        picture.codec_context.thread_count = 1
        picture.codec_context.gop_size = 48
        if avi:
            picture.codec_context.bit_rate, picture.codec_context.max_b_frames = 900_000, 0
        else:
            # x264 gives other bytes from run to run with its macroblock tree on, even in one thread
            picture.options = {"preset": "veryfast", "crf": "24", "x264-params": "mbtree=0"}
        base = 1 / rate if constant_rate else Fraction(1, 90_000)
        picture.codec_context.time_base = base
        voice = None
        if sound is not None:
            voice = container.add_stream("pcm_s16le" if avi else "aac", rate=sound.rate_hz, layout="mono")
            if not avi:
                voice.codec_context.bit_rate = 64_000
        ticks = np.round(times_s / float(base)).astype(int)
        for image, tick in zip(frames, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = int(tick), base
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        if sound is not None and voice is not None:
            _encode_sound(container, voice, sound)


def _encode_sound(container: av.container.OutputContainer, stream: av.AudioStream, sound: Sound) -> None:
    block = 1024
    first = round(sound.start_s * sound.rate_hz)
    for at in range(0, len(sound.samples), block):
        part = sound.samples[at : at + block]
        frame = _sound_frame(part, stream.codec_context.format.name)
        frame.sample_rate, frame.pts = sound.rate_hz, first + at
        frame.time_base = Fraction(1, sound.rate_hz)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _sound_frame(samples: npt.NDArray[np.float32], form: str) -> av.AudioFrame:
    if form == "s16":
        whole = np.round(samples * 32_767).astype(np.int16)
        return av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
    return av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
