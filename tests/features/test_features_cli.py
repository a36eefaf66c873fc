"""The commands, as a user types them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import ProblemsFound, UserError
from abaw_submit.features.cache import list_tracks
from abaw_submit.features.registry import EXTRACTORS


def run(*arguments):
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit | UserError):
        raise result.exception
    return result


@pytest.fixture
def corpus(tmp_path, make_crops, make_video):
    for name, rows in (("102", 6), ("video2_left", 4)):
        make_crops(tmp_path / "crops" / name, rows=rows)
    (tmp_path / "videos").mkdir()
    for name in ("102", "video2"):
        make_video(tmp_path / "videos" / f"{name}.mkv", sound=np.zeros(8000))
    return tmp_path


def test_extractors_lists_all_of_them():
    text = run("extractors").output
    assert all(name in text for name in EXTRACTORS)
    table = json.loads(run("extractors", "--json").output)
    assert [e["name"] for e in table] == list(EXTRACTORS)
    assert {e["name"]: e["dim"] for e in table}["hubert"] == 768


def test_extract_says_what_it_made_and_then_that_it_is_there(corpus):
    line = ["extract", "--extractor", "logmel", "--crops", corpus / "crops", "--videos", corpus / "videos"]
    line += ["--out", corpus / "logmel", "--jobs", "1"]
    assert "2 tracks (2 new), 10 rows, 10 of them valid" in run(*line).output
    assert "is up to date" in run(*line).output


@pytest.mark.parametrize("form", ["list", "template", "annotations", "name"])
def test_tracks_in_any_form(corpus, form):
    given = {"list": "list.txt", "template": "template.txt", "annotations": "AU", "name": None}[form]
    (corpus / "list.txt").write_text("102\n")
    (corpus / "template.txt").write_text("image_location,valence,arousal\n102/00001.jpg,,\n")
    (corpus / "AU").mkdir()
    (corpus / "AU" / "102.txt").write_text("")
    tracks = corpus / given if given else "102"
    result = run(
        *("extract", "--extractor", "logmel", "--crops", corpus / "crops", "--videos", corpus / "videos"),
        *("--out", corpus / "out", "--tracks", tracks, "--jobs", "1"),
    )
    assert result.exit_code == 0, result.output
    assert list_tracks(corpus / "out") == ["102"]


def test_a_failed_track_is_exit_1_and_named(corpus):
    result = run(
        *("extract", "--extractor", "logmel", "--crops", corpus / "crops", "--videos", corpus / "videos"),
        *("--out", corpus / "out", "--tracks", "ghost", "--tracks", "102", "--jobs", "1"),
    )
    assert isinstance(result.exception, ProblemsFound)
    assert "ghost: no ledger.csv in" in result.output
    assert list_tracks(corpus / "out") == ["102"]


def test_import_features(corpus):
    (corpus / "given").mkdir()
    for track, rows in (("102", 6), ("video2_left", 4)):
        np.save(corpus / "given" / f"{track}.npy", np.ones((rows, 2)))
    line = ["import-features", corpus / "given", "--name", "mine", "--crops", corpus / "crops"]
    assert "2 tracks, 10 rows" in run(*line, "--out", corpus / "out").output
    assert "up to date" in run(*line, "--out", corpus / "out").output
    np.save(corpus / "given" / "102.npy", np.ones((20, 2)))
    result = run(*line, "--out", corpus / "out")
    assert isinstance(result.exception, ProblemsFound)
    assert "102" in result.output


@pytest.mark.parametrize("command", ["extract", "extractors", "import-features", "split", "split-check"])
def test_help_has_an_example(command):
    assert "Example: abaw-submit " + command in run(command, "-h").output
