"""A README among the tracks is not a track; videos further down are pointed at."""

import pytest

from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.corpus.junk import is_junk
from abaw_submit.corpus.rows import official_rows
from abaw_submit.corpus.tracks import list_videos
from abaw_submit.errors import UserError


@pytest.mark.parametrize(
    "name", ["README.txt", "readme_va.txt", "LICENSE.txt", ".DS_Store", "._102.txt", "Thumbs.db"]
)
def test_junk(name):
    assert is_junk(name)


@pytest.mark.parametrize("name", ["102.txt", "video45_1_left.txt", "24-30-1920x1080-1.csv", "readings.npy"])
def test_tracks(name):
    assert not is_junk(name)


def test_a_readme_among_annotations_is_no_track(tmp_path):
    (tmp_path / "102.txt").write_text("valence,arousal\n0.1,0.2\n")
    (tmp_path / "README.txt").write_text("Annotations of the challenge\n\nPlease read.\n")
    assert list(read_annotation_set(tmp_path, "VA")) == ["102"]
    assert official_rows(tmp_path) == {"102": 1}


def test_no_videos_says_what_was_looked_for_and_what_is_there(tmp_path):
    (tmp_path / "batch1").mkdir()
    (tmp_path / "batch1" / "a.txt").write_bytes(b"")
    with pytest.raises(UserError, match=r"Looked for \.mp4 .*, in sub-folders too; found a\.txt"):
        list_videos([tmp_path])
