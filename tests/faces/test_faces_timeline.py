"""Damaged videos: time stamps decide the row, and the damage is told."""

import subprocess
import sys

import av
import numpy as np
import pytest

from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.faces.timeline import by_order, timeline

RATE = 25
WHOLE = [k / RATE for k in range(20)]


def without(lost, times=WHOLE):
    return [t for k, t in enumerate(times) if k not in lost]


@pytest.mark.parametrize("official", [20, 21, None])
@pytest.mark.parametrize("lost", [{4}, {0, 1}, {18, 19}, set(range(3, 15)), {0, 7, 8, 19}])
def test_lost_pictures_leave_holes_not_shifts(lost, official):
    found = timeline(without(lost), WHOLE, RATE, official)
    assert found.rows.tolist() == [k + 1 for k in range(20) if k not in lost]
    np.testing.assert_allclose(found.times_s[found.rows - 1], without(lost))
    assert len(found.times_s) == 20


def test_lost_packets_are_found_by_the_official_number_and_the_rate():
    lost = set(range(5, 12))
    assert timeline(without(lost), without(lost), RATE, 20).rows.tolist() == [
        k + 1 for k in range(20) if k not in lost
    ]
    # the same times where the official number says that nothing is lost: a video of variable rate
    assert timeline(without(lost), without(lost), RATE, 13).rows.tolist() == list(range(1, 14))


def test_packets_that_are_no_pictures_of_their_own_make_no_rows():
    fields = sorted(WHOLE + [t + 0.3 / RATE for t in WHOLE])
    assert timeline(WHOLE, fields, RATE, None).rows.tolist() == by_order(WHOLE).rows.tolist()


def test_a_range_of_rows_in_pictures():
    found = timeline(without({4, 5}), WHOLE, RATE, 20)
    assert found.pictures_of(3, 8) == (3, 6)
    assert found.pictures_of(5, 6) == (5, 5)


def crop(video, out, *more):
    command = [sys.executable, "-m", "abaw_submit", "crop", video, "--out", out, "--detector", "haar", *more]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_damaged_video_keeps_its_later_rows_and_says_so(demo_corpus, tmp_path):
    source = demo_corpus / "videos" / "102.avi"
    whole = tmp_path / "whole" / "102.avi"
    broken = tmp_path / "broken" / "102.avi"
    for path in (whole, broken):
        path.parent.mkdir()
        path.write_bytes(source.read_bytes())
    with av.open(str(source)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    data = source.read_bytes()
    lost = range(10, 14)
    for at in lost:
        data = data.replace(packets[at], bytes(len(packets[at])))
    broken.write_bytes(data)
    assert crop(whole, tmp_path / "a").stderr == ""
    answer = crop(broken, tmp_path / "b")
    assert answer.returncode == 0
    good, bad = (read_ledger(tmp_path / name / "102") for name in "ab")
    missing = len(good) - (len(packets) - len(lost))
    line = (
        f"Damaged: 102: {len(packets) - missing} pictures decode; {missing} bad packets, {missing} rows lost"
    )
    assert line in answer.stderr
    assert len(bad) == len(good)
    np.testing.assert_allclose(bad.time_s, good.time_s, atol=1e-3)
    assert not bad.found[list(lost)].any()
    later = slice(20, None)
    both = good.found[later] & bad.found[later]
    assert both.sum() > 0.8 * good.found[later].sum()
    assert np.abs(good.x[later] - bad.x[later])[both].mean() < 2


def test_odd_names_and_a_broken_video_do_not_stop_the_others(demo_corpus, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    whole = (demo_corpus / "videos" / "102.avi").read_bytes()
    for name in ("102", "a,b", "a\nb", " lead", "n" * 210, "$x$"):
        (videos / f"{name}.avi").write_bytes(whole)
    (videos / "\udcff.avi").write_bytes(whole)
    (videos / "broken.avi").write_bytes(whole[:300])
    answer = crop(videos, tmp_path / "out", "--jobs", "1")
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert sorted(p.parent.name for p in (tmp_path / "out").glob("*/ledger.csv")) == ["$x$", "102"]
    assert answer.stderr.count("rename it") == 5
    assert "6 items could not be cropped; the rest is done." in answer.stderr
    again = crop(videos, tmp_path / "out", "--jobs", "1")  # the record with the failures is kept
    assert again.returncode == 1
    assert (tmp_path / "out" / "record.json").is_file()
