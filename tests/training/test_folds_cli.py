"""`split` and `split-check`, as a user types them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import ProblemsFound


@pytest.fixture
def annotations(tmp_path):
    rng = np.random.default_rng(0)
    names = {
        "Train_Set": ["102", "102-30-640x360", "108", "135-24-1920x1080_left", "video49_left", "201", "202"],
        "Validation_Set": ["135-24-1920x1080_right", "203"],
    }
    for subset, tracks in names.items():
        folder = tmp_path / "annotations" / "EXPR_Recognition_Challenge" / subset
        folder.mkdir(parents=True)
        for track in tracks:
            lines = ["Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"]
            lines += [str(v) for v in rng.integers(-1, 8, 30)]
            (folder / f"{track}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "annotations"


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def split(annotations, out, *more):
    return run("split", "--task", "EXPR", "--annotations", annotations, "--folds", 3, "--out", out, *more)


def test_split_then_check(annotations, tmp_path):
    out = tmp_path / "splits" / "expr.json"
    result = split(annotations, out)
    assert result.exit_code == 0, result.output
    assert (
        "official split: 135-24-1920x1080_left left out of training, sibling of 135-24-1920x1080_right"
        in result.output
    )
    assert [f["name"] for f in json.loads(out.read_text())["folds"]] == ["0", "1", "2", "official"]
    first = out.read_bytes()
    assert "is up to date" in split(annotations, out).output
    out.unlink()
    split(annotations, out)
    assert out.read_bytes() == first
    checked = run("split-check", out, "--annotations", annotations)
    assert checked.exit_code == 0, checked.output
    assert "4 folds of 9 tracks, no leak" in checked.output


def test_a_leak_into_the_test_set_is_listed_with_exit_1(annotations, tmp_path):
    (tmp_path / "test.txt").write_text("video49_right\n301\n")
    out = tmp_path / "expr.json"
    split(annotations, out)
    result = run("split-check", out, "--test", tmp_path / "test.txt")
    assert isinstance(result.exception, ProblemsFound)
    assert result.exception.exit_code == 1
    assert "test track video49_right: sibling video49_left is in training" in result.output
    answer = json.loads(run("split-check", out, "--test", tmp_path / "test.txt", "--json").output)
    assert answer["ok"] is False
    assert len(answer["problems"]) == 1

    split(annotations, out, "--test", tmp_path / "test.txt")
    template = tmp_path / "template.txt"
    template.write_text(
        "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\nvideo49_right/00001.jpg,\n"
    )
    checked = run("split-check", out, "--annotations", annotations, "--test", template, "--json")
    assert json.loads(checked.output) == {"ok": True, "problems": []}


def test_without_official_parts(annotations, tmp_path):
    flat = annotations / "EXPR_Recognition_Challenge" / "Train_Set"
    result = split(flat.rename(tmp_path / "flat"), tmp_path / "a.json")
    assert 'No fold "official"' in result.output
    result = split(tmp_path / "flat", tmp_path / "b.json", "--no-official")
    assert "official" not in result.output
