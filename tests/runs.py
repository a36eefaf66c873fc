"""A finished run of the tiny corpus, in a folder with a space and an umlaut; each test works on a copy.

A `conftest.py` takes the fixtures it wants from here.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

# networks that train in a second
NETWORKS = """
[pretrain]
img_size_px = 32
dim = 24
depth = 1
heads = 3
decoder_dim = 24
decoder_depth = 1
decoder_heads = 2
epochs = 1

[finetune]
epochs = 1
frame_step = 5

[train]
epochs = 1
clip_rows = 30
conv_dim = 8
model_dim = 8
feedforward_dim = 8
head_dim = 8
layers = 1

[select]
folds = 3
resamples = 100
filters = 8
"""


# and a run of the whole method with them
CONFIG = """
[run]
name = "my rün"
tasks = "VA"
folds = 2
jobs = 2
videos = "the data/videos"
annotations = "the data/annotations"
faces = "the data/faces"
template_va = "the data/test_sets/CVPR_6th_ABAW_VA_test_set_sample.txt"
audio_va = "logmel"

[crop]
margin = 0.0
"""


# the events of Python's own auditing, such as opened files and imported modules
WRITE_DOWN = """
import os, sys
def note(event, arguments):
    if event == "{event}" and isinstance(arguments[0], str) and {wanted}:
        with os.fdopen(os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "w") as log:
            log.write(f"{{os.getpid()}} {{arguments[0]}}\\n")
sys.addaudithook(note)
"""


class Place:
    """A folder with a config and what runs have made in it."""

    def __init__(self, folder):
        self.folder, self.config = folder, folder / "my run.toml"

    def __call__(self, *words, env=None, code=0):
        """Run abaw-submit here in a process of its own; its output."""
        done = self.start(*words, env=env)
        out, _ = done.communicate(timeout=1500)  # through Slurm each job waits its turn
        assert done.returncode == code, out
        assert "Traceback" not in out, out
        return out

    def start(self, *words, env=None):
        command = [sys.executable, "-m", "abaw_submit", *map(str, words)]
        more = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **(env or {})}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, target, *words, **more):
        return self("run", target, "-c", self.config.name, *words, **more)

    def plan(self, *words, target="report", env=None):
        """The jobs that would run, by name, each with the reason."""
        lines = self.run(target, "--dry-run", *words, env=env).splitlines()
        return dict(line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line)

    def change(self, old, new):
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new), encoding="utf-8")

    def status(self):
        return {j["job"]: j for j in json.loads(self("status", "-c", self.config.name, "--json"))["jobs"]}

    def hooked(self, text):
        """The environment in which every process runs some code before anything else."""
        folder = self.folder / "hooks"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
        return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}

    def written_down(self, event, wanted):
        """Such an environment, and its log: process and first argument of an event where `wanted` is true."""
        log = self.folder / "events"
        log.touch()
        return self.hooked(WRITE_DOWN.format(event=event, wanted=wanted, log=str(log))), log

    @property
    def work(self):
        return self.folder / "work" / "my rün"

    def zip(self, name="my rün"):
        return (self.folder / "submissions" / name / "VA.zip").read_bytes()


def make_place(folder):
    place = Place(folder)
    folder.mkdir(parents=True)
    place.config.write_text(CONFIG + NETWORKS, encoding="utf-8")
    return place


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The finished run; made once, whatever the number of test processes. Not to be changed."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = base / "finished run ü"
    with FileLock(base / "finished.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            place = make_place(folder)
            place("demo-data", "the data", "--size", "tiny")
            (folder / "first output").write_text(place.run("report"), encoding="utf-8")
            (folder / "done").touch()
    return Place(folder)


@pytest.fixture
def place(finished, tmp_path):
    """A copy of the finished run, with its dates."""
    folder = Path(tmp_path) / "a copy ü"
    shutil.copytree(finished.folder, folder)
    return Place(folder)


@pytest.fixture
def fresh(finished, tmp_path):
    """The corpus and the config, and nothing made yet."""
    place = make_place(Path(tmp_path) / "fresh ü")
    shutil.copytree(finished.folder / "the data", place.folder / "the data")
    return place
