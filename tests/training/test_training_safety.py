"""Stopped, resumed and refused trainings, with real processes and files."""

import dataclasses
import os
import select
import signal
import subprocess
import sys

import numpy as np
import pytest

from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import LAST_NAME, read_last, write_config, write_last, write_weights
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.sequence.streams import Stream
from abaw_submit.models.settings import SequenceSize
from abaw_submit.scratch import scratch_array
from abaw_submit.tasks import VA
from abaw_submit.training.folds import Fold, make_splits, write_splits
from abaw_submit.training.tmf import load_sequence
from abaw_submit.training.tracks import read_division

TMF = (
    "--conv-dim 16 --model-dim 16 --feedforward-dim 16 --layers 1 --heads 2 --head-dim 8 --clip-rows 16"
    " --batch 2"
)


STEPS = """
import abaw_submit.training.loop as loop
from abaw_submit.cli import main
step = loop._Run.one_step
def told(self, *rest):
    loss = step(self, *rest)
    print("step", flush=True)
    return loss
loop._Run.one_step = told
main()
"""


def start(corpus, out):
    words = [
        *[sys.executable, "-c", STEPS, "train", "--task", "VA", "--annotations", corpus.annotations],
        *["--features", corpus.features("visual"), "--splits", corpus.splits("VA"), "--fold", "0"],
        *["--out", out, "--epochs", "8", *TMF.split()],
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_sigterm_saves_the_state_and_the_run_goes_on_to_the_same_bytes(corpus, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    told = start(corpus, whole).communicate()[0]
    steps = told.count("step\n")
    worker = start(corpus, stopped)
    for _ in range(steps // 2):
        worker.stdout.readline()
    worker.send_signal(signal.SIGTERM)
    more, words = worker.communicate(timeout=30)
    assert worker.returncode == 128 + signal.SIGTERM
    assert words.splitlines()[-1] == "Stopped by SIGTERM. Run the same command again to go on."
    assert "Traceback" not in words
    assert not (stopped / "record.json").exists()
    done = steps // 2 + more.count("step\n")
    assert start(corpus, stopped).communicate()[0].count("step\n") == steps - done
    for name in ("model.safetensors", "history.csv", "scores_validation.h5"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


@pytest.mark.parametrize("cut", [0, 1, 40, 500])
def test_a_truncated_state_is_a_fresh_start_said_aloud(tmp_path, capsys, cut):
    import torch

    write_last(tmp_path, {"fingerprint": "run", "model": {"w": torch.ones(50)}})
    data = (tmp_path / LAST_NAME).read_bytes()
    (tmp_path / LAST_NAME).write_bytes(data[: len(data) - cut])
    state = read_last(tmp_path, "run")
    assert (state is None) == bool(cut)
    assert ("is damaged or of an earlier version: training starts afresh" in capsys.readouterr().err) == bool(
        cut
    )


def test_no_flipped_bit_is_resumed(tmp_path, capsys):
    import torch

    write_last(tmp_path, {"fingerprint": "run", "model": {"w": torch.ones(500)}})
    data = (tmp_path / LAST_NAME).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(250):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (tmp_path / LAST_NAME).write_bytes(damaged)
        assert read_last(tmp_path, "run") is None
    assert capsys.readouterr().err.count("starts afresh") == 250


@pytest.fixture
def folds(corpus, tmp_path):
    """A function: change the folds, write them, and try to train on fold 0."""
    annotations = read_annotation_set(corpus.annotations, VA)
    made = make_splits(annotations, VA, folds=2, seed=0, official=False)

    def run(change=lambda splits: splits):
        write_splits(tmp_path / "folds.json", change(made))
        return read_division(VA, corpus.annotations, tmp_path / "folds.json", "0")

    return run


def first(splits, train=None, validation=None):
    fold = splits.folds[0]
    one = Fold(fold.name, train or fold.train, validation or fold.validation)
    return dataclasses.replace(splits, folds=[one, *splits.folds[1:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: first(s, train=[*s.folds[0].train, s.folds[0].validation[0]]),
            "in training and in validation",
        ),
        (lambda s: first(s, train=[*s.folds[0].train, s.folds[0].train[0]]), "twice in training"),
        (lambda s: first(s, train=s.folds[0].train[1:]), "missing"),
        (lambda s: dataclasses.replace(s, folds=[*s.folds, s.folds[0]]), 'fold name "0" twice'),
        (lambda s: dataclasses.replace(s, source="0123456789abcdef"), "labels or tracks differ"),
    ],
)
def test_bad_folds_are_refused(folds, change, message):
    assert folds().fold.name == "0"
    with pytest.raises(UserError, match=message):
        folds(change)


def test_a_temporary_folder_without_room_is_an_error_and_no_bus_error(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    code = (
        "import tempfile, sys; tempfile.tempdir = sys.argv[1]\n"
        "from abaw_submit.scratch import scratch_array\n"
        "from abaw_submit.errors import UserError\n"
        "try:\n    scratch_array((1 << 22,), 'f4', 'pictures')[:] = 1\n"
        "except UserError as error:\n    print(error)\n"
    )
    script = f'mount -t tmpfs -o size=1m tmpfs {small} && exec "$@"'
    words = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, small]
    if os.geteuid() or subprocess.run([*words[:5], "sh", "true"], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    answer = subprocess.run(words, capture_output=True, text=True)
    assert "The pictures need 0.0 GiB in" in answer.stdout
    assert (answer.returncode, answer.stderr) == (0, "")
    assert scratch_array((3, 2), np.uint8, "x").sum() == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_stop_or_a_kill_ends_the_workers_of_extract_too(corpus, tmp_path, how):
    told = tmp_path / "told"
    os.mkfifo(told)
    (tmp_path / "slow.py").write_text(
        "import os, time\nclass Slow:\n    kind, needs_weights, identity = 'visual', False, 'slow'\n"
        "    dim, size_px = 1, 8\n"
        f"    def __call__(self, images):\n        open({str(told)!r}, 'w').write(f'{{os.getpid()}} ')\n"
        "        time.sleep(60)\n"
    )
    words = [*[sys.executable, "-m", "abaw_submit", "extract"], "--extractor", "slow:Slow"]
    words += ["--crops", corpus.crops, "--out", tmp_path / "out", "--jobs", "2"]
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    worker = subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True)
    busy = [os.pidfd_open(int(pid)) for pid in told.read_text().split()]
    assert busy
    worker.send_signal(how)
    said = worker.communicate(timeout=20)[1]
    if how == signal.SIGTERM:
        assert worker.returncode == 143, said
        assert said.endswith("Stopped by SIGTERM. Run the same command again to go on.\n")
    assert "Traceback" not in said
    ended, _, _ = select.select(busy, [], [], 10)  # a process's file descriptor is ready when it has ended
    assert set(ended) == set(busy)


WRONG = {
    "clip_rows of the wrong type": {"train": {"clip_rows": "16"}},
    "clips of no rows": {"train": {"clip_rows": 0}},
    "a fraction of a row": {"train": {"stride_rows": 0.5}},
    "an unknown setting": {"sequence": {"nonsense": 1}},
    "a size that does not fit the weights": {"sequence": {"model_dim": 8}},
    "a setting of the wrong type": {"sequence": {"layers": "two"}},
    "dims of the wrong type": {"features": {"dims": "4"}},
    "features without dims": {"features": {"extractors": 7}},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_checkpoint_with_a_damaged_config_is_refused_in_words(tmp_path, change):
    size = SequenceSize(model="gru", model_dim=16, layers=1)
    sections = {
        "train": {"task": "VA", "clip_rows": 16},
        "sequence": dataclasses.asdict(size),
        "features": {"extractors": ["x"], "dims": [4]},
    }
    write_weights(tmp_path, build_model([Stream("x", 4, "picture")], VA, size).state_dict())
    write_config(tmp_path, sections)
    assert load_sequence(tmp_path)[1]["train"]["stride_rows"] == 0
    write_config(tmp_path, {name: {**sections[name], **change.get(name, {})} for name in sections})
    with pytest.raises(UserError, match=str(tmp_path)) as told:
        load_sequence(tmp_path)
    assert len(str(told.value).splitlines()) <= 3


def test_a_finished_training_without_a_state_is_up_to_date_on_a_read_only_disk(tmp_path, monkeypatch):
    """There even what is not there cannot be removed: the system says "Read-only file system"."""
    import errno

    from abaw_submit.training.stage import _drop_state

    def read_only(path, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("pathlib.Path.unlink", read_only)
    _drop_state(tmp_path)
