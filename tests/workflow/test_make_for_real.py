"""`make` itself, in a folder with a space and an umlaut: what a team types, through to the files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import abaw_submit

ROOT = Path(abaw_submit.__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(place):
    """make in a clone that has a finished run; its abaw-submit is the package that is tested."""
    (place.folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, place.folder / name)
    script = place.folder / ".venv/bin/abaw-submit"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m abaw_submit "$@"\n')
    script.chmod(0o755)
    (place.folder / ".venv/.ready").touch()

    def call(*words, code=0):
        outer = (
            "MAKELEVEL",
            "MAKEFLAGS",
            "MFLAGS",
        )  # of the `make test` that runs this: another person's make
        env = {name: value for name, value in os.environ.items() if name not in outer}
        env |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            ["make", *words, f"CONFIG={place.config.name}"],
            cwd=place.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    return call


def test_a_finished_run_has_nothing_to_do_and_says_its_scores(make, place):
    said = make("demo")
    table = (place.folder / "submissions/my rün/scores.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert said.splitlines()[: len(table)] == table
    assert table[0].startswith("VA: mean CCC, out of fold, ")
    assert said.splitlines()[len(table)].startswith("Nothing to do: report of run my rün is complete")
    assert make("-n", "demo").endswith("\n# Nothing to do for report.\n")


def test_what_changed_is_made_and_the_submission_knows_nothing_of_the_runs_before(make, place):
    wanted = place.zip()
    place.change("[train]\nepochs = 1", "[train]\nepochs = 2")
    make("submission")
    other = place.zip()
    place.change("[train]\nepochs = 2", "[train]\nepochs = 1")
    make("submission")
    assert place.zip() == wanted
    assert other != wanted


def test_a_folder_of_videos_with_a_space_on_the_command_line(make, place):
    (place.folder / "the data/videos").rename(place.folder / "my other videos ü")
    assert "no folder the data/videos" in make("crop", code=2)
    said = make("crop", "VIDEOS=my other videos ü")
    assert "Nothing to do" in said or " crop " in said
    assert "Nothing to do" in make("crop", "VIDEOS=my other videos ü")


def test_a_submission_that_was_broken_by_hand_is_not_shipped(make, place):
    """`check` found it and exited 0: make went on."""
    path = place.folder / "submissions/my rün/VA.zip"
    wanted = path.read_bytes()
    path.write_bytes(wanted[:-30])
    said = make("check")
    assert "\nOK\n" in said
    assert path.read_bytes() == wanted


def test_clean_takes_the_run_that_it_names_and_no_other(make, place):
    """With name = "my rün" it once deleted what was called "my"; RUN= deleted everything."""
    other = place.folder / "work/my/notes.txt"
    other.parent.mkdir()
    other.write_text("mine")
    assert "expected letters" in make("clean", "RUN=", code=2)
    assert (place.folder / "submissions/my rün/VA.zip").is_file()
    assert "removed 0 files" in make("clean", "RUN=another")
    make("clean")
    assert other.read_text() == "mine"
    assert not (place.folder / "submissions/my rün/VA.zip").exists()
    assert "missing" in make("status")
