"""Small videos with known content, and the synthetic corpus."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from abaw_submit.demo.corpus import write_corpus


@pytest.fixture(scope="session")
def demo_corpus(tmp_path_factory):
    """The tiny synthetic corpus, made once."""
    out = tmp_path_factory.mktemp("faces") / "demo"
    write_corpus(out, size="tiny")
    return out


@pytest.fixture(scope="session")
def shared_videos():
    """The folder of real clips."""
    shared = os.environ.get("ABAW_SHARED")
    if not shared:
        pytest.skip("ABAW_SHARED is not set: the real clips are not there")
    return Path(shared) / "videos"


@pytest.fixture(scope="session")
def yunet_model():
    """YuNet's model file."""
    shared = os.environ.get("ABAW_SHARED")
    if not shared:
        pytest.skip("ABAW_SHARED is not set: YuNet's model is not there")
    return Path(shared) / "models" / "face_detection_yunet_2026may.onnx"


@pytest.fixture(scope="session")
def write_video():
    """A function that writes grey frames with given times: `write_video(path, greys, times_s)`."""

    def write(path, frames, times_s=None, codec="mpeg4", size=(64, 48), gop=4):
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.gop_size = gop
            stream.codec_context.max_b_frames = 0
            stream.codec_context.qmin = stream.codec_context.qmax = 2
            stream.codec_context.time_base = stream.time_base = Fraction(1, 12800)
            for index, content in enumerate(frames):
                image = np.broadcast_to(np.asarray(content, np.uint8), (size[1], size[0]))
                rgb = np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2))
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                time_s = index / 25 if times_s is None else times_s[index]
                frame.pts, frame.time_base = round(time_s * 12800), Fraction(1, 12800)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write
