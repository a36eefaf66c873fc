"""Tracks find their videos, and siblings their group."""

import pytest

from abaw_submit.corpus.tracks import find_video, list_videos, sibling_group, split_track
from abaw_submit.errors import UserError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("track", "expected"),
    [
        ("video49_left", ("video49", "left")),
        ("10-60-1280x720_right", ("10-60-1280x720", "right")),
        ("video45_1", ("video45_1", None)),
        ("24-30-1920x1080-1", ("24-30-1920x1080-1", None)),
        ("left", ("left", None)),
        ("_left", ("_left", None)),
    ],
)
def test_split_track(track, expected):
    assert split_track(track) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("135-24-1920x1080_left", "135-24-1920x1080_right", True),
        ("10-60-1280x720", "10-60-1280x720_right", True),
        ("24-30-1920x1080-1", "24-30-1920x1080-2", True),
        ("video45_1", "video45_7", True),
        ("video45_1", "video45_1_left", True),
        ("102", "102-30-640x360", False),
        ("108", "5-30-1920x1080", False),
        ("video4", "video45", False),
        ("sub0_vid0_part3", "sub0_vid10_part3", False),
    ],
)
def test_siblings_share_a_group(one, other, same):
    assert (sibling_group(one) == sibling_group(other)) is same


def test_a_track_finds_its_video_by_the_suffix_rule(tmp_path):
    touch(
        tmp_path,
        "102.avi",
        "102-30-640x360.mp4",
        "video2.mp4",
        "video2_left.mp4",
        "clip.mov",
        "both.avi",
        "both.mp4",
    )
    assert find_video("102", tmp_path).name == "102.avi"
    assert find_video("102-30-640x360_right", tmp_path).name == "102-30-640x360.mp4"
    assert find_video("video2_left", tmp_path).name == "video2_left.mp4"  # the exact name first
    assert find_video("video2_right", tmp_path).name == "video2.mp4"
    assert find_video("clip", tmp_path).name == "clip.mov"
    assert find_video("both_left", tmp_path).name == "both.mp4"  # mp4 before avi
    with pytest.raises(UserError, match=r"No video for track video3_left .*\n.*video3_left and video3"):
        find_video("video3_left", tmp_path)


def test_a_track_finds_its_video_in_several_folders(tmp_path):
    touch(tmp_path, "batch1/a.avi", "batch2/a.mp4", "batch2/b.mp4")
    folders = [tmp_path / "batch1", tmp_path / "batch2"]
    assert find_video("a", folders) == tmp_path / "batch2/a.mp4"  # the suffix decides before the folder
    assert find_video("b_right", folders) == tmp_path / "batch2/b.mp4"


def test_list_videos_sorts_by_name_and_refuses_doubles(tmp_path):
    touch(tmp_path, "b/2.mp4", "a/10.avi", "a/notes.txt", "a/.hidden.mp4", "c/2.avi")
    assert [p.name for p in list_videos([tmp_path / "b", tmp_path / "a"])] == ["10.avi", "2.mp4"]
    with pytest.raises(UserError, match="Two videos named 2"):
        list_videos([tmp_path / "b", tmp_path / "c"])
    with pytest.raises(UserError, match="is not a video"):
        list_videos([tmp_path / "a/notes.txt"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No videos"):
        list_videos([tmp_path / "empty"])


def test_batches_in_sub_folders_are_searched(tmp_path):
    for name in ("batch1/a.mp4", "batch2/more/b.avi", ".hidden/c.mp4", "d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [p.name for p in list_videos([tmp_path])] == ["a.mp4", "b.avi", "d.mp4"]
    assert find_video("b_left", tmp_path) == tmp_path / "batch2/more/b.avi"
    with pytest.raises(UserError, match="No video for track c"):
        find_video("c", tmp_path)
