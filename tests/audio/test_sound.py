"""Sound on the container's clock: where it starts, how long it is, what a hole becomes."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
import scipy.signal

from abaw_submit.audio.sound import BROKEN_CLOCK_S, RATE_HZ, TimeLine, read_sound
from abaw_submit.errors import UserError


def tone(seconds, hz=440.0, rate_hz=RATE_HZ, level=0.5):
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def whole(path, **more):
    """Start, end and all samples; checks that blocks follow each other without a hole."""
    blocks = list(read_sound(path, **more))
    for before, after in itertools.pairwise(blocks):
        assert after.start_s == pytest.approx(before.end_s, abs=1e-9)
    return blocks[0].start_s, blocks[-1].end_s, np.concatenate([b.samples for b in blocks])


def test_samples_come_back_as_they_were(tmp_path, make_video):
    sound = tone(1.3)
    start_s, end_s, samples = whole(make_video(tmp_path / "a.mkv", sound=sound))
    assert (start_s, end_s) == (0.0, pytest.approx(1.3))
    np.testing.assert_allclose(samples, sound, atol=2e-4)
    assert samples.dtype == np.float32


def test_the_first_sample_has_the_streams_own_time(tmp_path, make_video):
    start_s, end_s, _ = whole(make_video(tmp_path / "a.mkv", sound=tone(1.0), sound_start_s=0.852))
    assert start_s == pytest.approx(0.852, abs=0.001)
    assert end_s == pytest.approx(1.852, abs=0.001)


@pytest.mark.parametrize("block_samples", [100, 4096, 7777, 10**6])
def test_the_length_of_blocks_does_not_change_the_samples(tmp_path, make_video, block_samples):
    path = make_video(tmp_path / "a.mkv", sound=np.random.default_rng(0).uniform(-0.5, 0.5, 20000))
    blocks = list(read_sound(path, block_samples))
    assert all(len(b.samples) == block_samples for b in blocks[:-1])
    np.testing.assert_array_equal(whole(path, block_samples=block_samples)[2], whole(path)[2])


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, make_video, rate_hz):
    """scipy's polyphase filter is the oracle; the ends differ by the filters' lengths."""
    sound = tone(1.0, 300, rate_hz) + tone(1.0, 1100, rate_hz, 0.2)
    _, end_s, samples = whole(make_video(tmp_path / "a.mkv", sound=sound, rate_hz=rate_hz))
    oracle = scipy.signal.resample_poly(sound, RATE_HZ, rate_hz)
    assert end_s == pytest.approx(1.0, abs=0.01)
    inner = slice(400, 15400)
    np.testing.assert_allclose(samples[inner], oracle[inner], atol=0.01)


def test_stereo_becomes_the_mean_of_both_sides(tmp_path, make_video):
    left, right = tone(0.5, 400, level=0.6), tone(0.5, 900, level=0.2)
    _, _, samples = whole(make_video(tmp_path / "a.mkv", sound=np.stack([left, right])))
    np.testing.assert_allclose(samples, (left + right) / 2, atol=1e-3)


def test_a_hole_in_the_timestamps_is_silence(tmp_path, make_video):
    sound = tone(2.0, level=0.5)
    path = make_video(tmp_path / "a.mkv", sound=sound, cuts=[(RATE_HZ, 0.5)])
    _, end_s, samples = whole(path)
    assert end_s == pytest.approx(2.5, abs=0.002)
    np.testing.assert_allclose(samples[:RATE_HZ], sound[:RATE_HZ], atol=2e-4)
    assert np.abs(samples[RATE_HZ + 40 : RATE_HZ + 7960]).max() == 0
    np.testing.assert_allclose(samples[-15000:], sound[-15000:], atol=2e-4)


def test_an_overlap_is_dropped():
    """Timestamps that fall back by 0.25 s: the later sound still lies where its timestamps say."""
    sound = np.concatenate([tone(1.0, 300), tone(1.0, 700)]).astype(np.float32)
    line, pieces = TimeLine(), []
    for at in range(0, len(sound), 1000):  # no container writes such a stream, but some hold one
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + 1000], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
        frame.pts = at - 4000 * (at >= RATE_HZ)
        pieces += line.add(frame)
    pieces += line.end()
    samples = np.concatenate([samples for _, samples in pieces])
    assert len(samples) == 28000
    np.testing.assert_allclose(samples[:16000], sound[:16000])
    np.testing.assert_allclose(samples[16000:], sound[20000:])


def test_a_video_without_sound_has_no_block(tmp_path, make_video):
    assert list(read_sound(make_video(tmp_path / "a.mkv"))) == []


def test_a_file_cut_short_gives_what_there_is(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", sound=tone(2.0))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    _, end_s, _ = whole(path)
    assert 0.3 < end_s < 2.0


def test_no_media_file_is_a_users_mistake(tmp_path):
    (tmp_path / "a.mp4").write_text("not a video")
    with pytest.raises(UserError, match=r"a\.mp4 cannot be opened"):
        list(read_sound(tmp_path / "a.mp4"))
    with pytest.raises(UserError, match=r"b\.mp4 cannot be opened"):
        list(read_sound(tmp_path / "b.mp4"))


def test_an_unknown_codec_is_said_and_not_taken_for_silence(tmp_path, make_video):
    path = make_video(tmp_path / "a.mkv", sound=tone(0.5))
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT"))
    with pytest.raises(UserError, match=r"a\.mkv: its sound track has an unknown codec"):
        list(read_sound(path))


def test_packets_that_do_not_decode_become_silence(tmp_path, make_video):
    """Damaged bytes anywhere end in sound of about the same length, or in a message; never in a crash."""
    whole_file = make_video(tmp_path / "a.mkv", sound=tone(1.0)).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(whole_file)
        for at in rng.integers(200, len(damaged), 30):
            damaged[at] = rng.integers(256)
        (tmp_path / "b.mkv").write_bytes(damaged)
        try:
            samples = sum(len(block.samples) for block in read_sound(tmp_path / "b.mkv"))
        except UserError:
            continue
        assert samples < 2 * BROKEN_CLOCK_S * RATE_HZ
