"""Decoding: every frame that decodes, in order, upright, with the container's times."""

import subprocess
import weakref

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from abaw_submit.errors import UserError
from abaw_submit.faces.decode import VideoReader, packet_times
from abaw_submit.faces.sample import see
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.video import follow_video

GREYS = [20 + 10 * k for k in range(20)]


def grey_of(frame):
    """The grey level that was written: limited-range luma back to 0..255."""
    return (float(frame.y.mean()) - 16) * 255 / 219


def test_rows_times_and_content_of_a_variable_frame_rate(tmp_path, write_video):
    steps = np.array([0.04, 0.02, 0.07, 0.1] * 5)
    times = np.concatenate([[0], np.cumsum(steps)[:-1]])
    path = write_video(tmp_path / "a.mp4", GREYS, times)
    with VideoReader(path) as reader:
        frames = [(f.row, f.time_s, grey_of(f), f.y.shape, f.u.shape) for f in reader]
    assert [row for row, *_ in frames] == list(range(1, 21))
    np.testing.assert_allclose([t for _, t, *_ in frames], times, atol=1e-4)
    np.testing.assert_allclose([g for _, _, g, *_ in frames], GREYS, atol=3)
    assert frames[0][3:] == ((48, 64), (24, 32))
    np.testing.assert_allclose(packet_times(path), times, atol=1e-4)


def test_a_stream_that_starts_late_keeps_the_containers_clock(tmp_path, write_video):
    path = write_video(tmp_path / "late.mkv", GREYS[:5], [0.852 + k / 25 for k in range(5)])
    with VideoReader(path) as reader:
        assert next(iter(reader)).time_s == pytest.approx(0.852, abs=2e-3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_applied_as_opencv_does(tmp_path, write_video, degrees):
    picture = np.zeros((48, 64), np.uint8)
    picture[:12, :16] = 230  # only the top left corner is bright
    plain = write_video(tmp_path / "plain.mp4", [picture] * 3)
    turned = tmp_path / "turned.mp4"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]
    subprocess.run(
        [*ffmpeg, "-display_rotation", str(degrees), "-i", plain, "-c", "copy", turned], check=True
    )
    _, expected = cv2.VideoCapture(str(turned)).read()
    with VideoReader(turned) as reader:
        frame = next(iter(reader))
    assert frame.y.shape == expected.shape[:2]
    bright = frame.y > 128
    assert (bright == (expected[..., 0] > 128)).mean() > 0.98
    assert not bright[:12, :16].all()


def test_a_cut_off_file_gives_what_decodes(tmp_path, write_video):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (48, 64)) for _ in range(20)]
    whole = write_video(tmp_path / "whole.mkv", frames).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    with VideoReader(cut) as reader:
        rows = [frame.row for frame in reader]
    assert rows == list(range(1, len(rows) + 1))
    assert 8 <= len(rows) < 20


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
def test_a_damaged_packet_is_counted_and_the_rest_is_used(tmp_path, write_video, codec):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (48, 64)) for _ in range(20)]
    path = write_video(tmp_path / "a.avi", frames, codec=codec, gop=1)
    with av.open(str(path)) as container:
        fifth = bytes([p for p in container.demux() if p.size][4])
    path.write_bytes(path.read_bytes().replace(fifth, bytes(len(fifth))))
    with VideoReader(path) as reader:
        times = [frame.time_s for frame in reader]
        assert reader.bad_packets == 1
    assert len(times) == 19
    assert times[3:5] == pytest.approx([3 / 25, 5 / 25], abs=1e-3)


def test_packets_that_are_only_referred_to_are_not_missed(shared_videos):
    with VideoReader(shared_videos / "no_face.mp4") as reader:  # its header claims 98 frames
        assert sum(1 for _ in reader) == 95
        assert reader.bad_packets == 0


def test_what_is_no_video_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(UserError, match=r"a\.mp4 cannot be opened"):
        VideoReader(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="cannot be opened"):
        VideoReader(tmp_path / "missing.mp4")
    sound = tmp_path / "sound.wav"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]
    subprocess.run([*ffmpeg, "-f", "lavfi", "-i", "anullsrc", "-t", "0.1", sound], check=True)
    with pytest.raises(UserError, match="only sound"):
        VideoReader(sound)


def test_reduced_keeps_the_shape_and_colours(tmp_path, write_video):
    path = write_video(tmp_path / "a.mp4", [100], size=(640, 360))
    with VideoReader(path) as reader:
        image, scale = next(iter(reader)).reduced(320)
    assert image.shape == (180, 320, 3)
    assert scale == 0.5
    assert abs(float(image.mean()) - 100) < 3


def test_memory_does_not_grow_with_the_length(tmp_path, write_video):
    alive = weakref.WeakSet()
    most = 0
    path = write_video(tmp_path / "a.mp4", [60] * 200)

    class OneFace:
        def detect(self, image, near=None):
            nonlocal most
            most = max(most, len(alive))
            face = np.full((1, 15), np.nan, np.float32)
            face[0, :4], face[0, 14] = (20, 10, 20, 25), 0.9
            return face

    def look(frames):
        def noted():
            for frame in frames:
                alive.add(frame)
                yield frame

        return see(noted(), OneFace(), settings)

    settings = CropSettings(size_px=32)
    with (tmp_path / "spool").open("w+b") as spool:
        faces = follow_video(path, look, settings, spool)
    assert [len(t) for t in faces.tracklets] == [200]
    assert most <= settings.bridge_rows + settings.every + 10
