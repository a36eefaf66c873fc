"""The crop command: exit codes and messages."""

import json

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import ProblemsFound


@pytest.fixture
def crop(monkeypatch, tmp_path):
    monkeypatch.delenv("ABAW_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*arguments):
        return CliRunner().invoke(cli, ["crop", *map(str, arguments), "--jobs", "1"])

    return call


def test_crop_writes_crops_a_record_and_sheets(crop, demo_corpus, tmp_path):
    out = tmp_path / "crops"
    arguments = [demo_corpus / "videos" / "102.avi", "--out", out, "--sheet"]
    result = crop(*arguments)
    assert result.exit_code == 0, result.output
    assert "using haar" in result.output
    assert (out / "sheets" / "102.png").exists()
    record = json.loads((out / "record.json").read_text())
    assert record["settings"]["detector"] == "haar"
    assert record["counts"]["tracks"] == 1
    assert "nothing to do" in crop(*arguments).output


def test_a_missing_video_is_exit_1_and_the_rest_is_done(crop, demo_corpus, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("102\nabsent\n")
    out = tmp_path / "crops"
    result = crop(demo_corpus / "videos" / "102.avi", "--out", out, "--rows-from", names)
    assert isinstance(result.exception, ProblemsFound)
    assert result.exception.exit_code == 1
    assert "absent: no video of that name" in result.output
    assert (out / "102" / "00001.jpg").exists()


def test_a_track_without_any_face_is_said(crop, demo_corpus, write_video, tmp_path):
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "empty.mp4", [100] * 12, size=(320, 240))
    (tmp_path / "videos" / "102.avi").write_bytes((demo_corpus / "videos" / "102.avi").read_bytes())
    result = crop(tmp_path / "videos", "--out", tmp_path / "crops")
    assert result.exit_code == 0, result.output
    assert "No face in any row of empty: nothing but sound will speak for them." in result.output
    record = json.loads((tmp_path / "crops" / "record.json").read_text())
    assert record["counts"]["tracks without any face"] == 1


def test_help_names_every_setting(crop):
    text = CliRunner().invoke(cli, ["crop", "-h"]).output
    for option in ("--rows-from", "--shard", "--every", "--margin", "--bridge-rows", "Example:"):
        assert option in text
