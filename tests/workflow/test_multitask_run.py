"""From the demo corpus to a checked multi-task file: what a team would type, beside a finished run."""

import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.mtl import read_mtl, write_mtl
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.errors import UserError

SMALL = ["--clip-rows", 30, "--layers", 1, "--heads", 2]
SMALL += [w for name in ("conv", "model", "feedforward", "head") for w in (f"--{name}-dim", 8)]


@pytest.fixture
def run(finished, monkeypatch):
    """A command in the finished run's folder; what it makes goes elsewhere."""
    monkeypatch.chdir(finished.folder)

    def call(*words):
        given = [str(word) for word in words]
        done = CliRunner().invoke(cli, given, catch_exceptions=False, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done.output

    return call


def test_all_three_tasks_from_the_corpus_to_a_checked_file(run, tmp_path):
    data, crops = Path("the data"), ["--crops", "work/my rün/crops"]
    tests = sorted((data / "test_sets").glob("*_sample.txt"))
    assert len(tests) == 3
    task, labels = ["--task", "MTL"], ["--annotations", data / "annotations"]
    splits, wanted, out = tmp_path / "mtl.json", tmp_path / "wanted.txt", tmp_path / "mtl.txt"
    lists = [word for path in tests for word in ("--test", path)]
    run("split", *task, *labels, "--folds", 2, "--out", splits, *lists)
    # the organisers' list names some rows of the test tracks
    rows = {track: count for path in tests for track, count in read_tracks(path).items()}
    write_mtl(wanted, ((track, row, []) for track in sorted(rows) for row in range(1, rows[track] + 1, 4)))
    fold = ["--splits", splits, "--fold", 0]
    encoder, seen, model = tmp_path / "encoder", tmp_path / "mae", tmp_path / "fold_0"
    frames = ["--epochs", 1, "--frame-step", 20, "--batch", 16, "--encoder", "checkpoints/my rün/mae"]
    run("finetune", *task, *labels, *fold, *crops, *frames, "--out", encoder)
    run("extract", "--extractor", "mae", "--checkpoint", encoder, *crops, "--out", seen)
    features = ["--features", seen, "--features", "work/my rün/features/logmel"]
    run("train", *task, *labels, *fold, *features, *SMALL, "--epochs", 1, "--out", model)
    run("predict", "--checkpoint", model, *features, "--tracks", wanted, "--out", tmp_path / "test.h5")
    scores = [w for key in ("va", "expr", "au") for w in ("--scores", tmp_path / f"test_{key}.h5")]
    run("format", *task, *scores, "--template", wanted, "--out", out)
    assert "\nOK" in run("check", out, *task, "--template", wanted)
    run("pack", out, "--out", tmp_path / "mtl.zip")
    assert zipfile.ZipFile(tmp_path / "mtl.zip").read("mtl.txt") == out.read_bytes()
    assert read_mtl(out).locations == read_mtl(wanted).locations
    # the same scores are no single task's, unless the rules allow it
    single = ["format", "--task", "VA", *scores[:2], "--template", tests[-1], "--out", tmp_path / "va.txt"]
    with pytest.raises(UserError, match="uni-task"):
        run(*single)
