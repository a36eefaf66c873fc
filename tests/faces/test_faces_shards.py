"""A shard beside a collecting run, with real processes: whoever has a track keeps it, the other waits."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

# stops with the pictures of a track written and its ledger not, until a line comes in
PAUSED = """
import sys
import abaw_submit.faces.crop as crop
from abaw_submit.cli import main
write = crop.write_ledger
def paused(folder, ledger):
    if not paused.done:
        paused.done = True
        print("paused", flush=True)
        sys.stdin.readline()
    write(folder, ledger)
paused.done = False
crop.write_ledger = paused
main()
"""
TRACKS = ("102", "108", "video45_1")


@pytest.fixture
def official(tmp_path):
    """Crops as the organisers give them, of three tracks."""
    rng = np.random.default_rng(0)
    for track in TRACKS:
        (tmp_path / "official" / track).mkdir(parents=True)
        for row in range(1, 4):
            picture = rng.integers(0, 255, (16, 16, 3), np.uint8)
            cv2.imwrite(str(tmp_path / "official" / track / f"{row:05d}.jpg"), picture)
    return tmp_path / "official"


def crop(official, out, *more, code=None):
    words = ["crop", official, "--detector", "official", "--jobs", "1", "--out", out, *more]
    program = ["-c", code] if code else ["-m", "abaw_submit"]
    return subprocess.Popen(
        [sys.executable, *program, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def tree(out):
    files = (p for p in out.rglob("*") if p.is_file() and p.name != "record.json")
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in files}


@pytest.mark.parametrize(("first", "second"), [(["--shard", "1/3"], []), ([], ["--shard", "1/3"])])
def test_a_shard_and_a_collecting_run_do_not_take_each_others_track(official, tmp_path, first, second):
    assert crop(official, tmp_path / "whole").wait(60) == 0
    out = tmp_path / "out"
    one = crop(official, out, *first, code=PAUSED)
    assert one.stdout.readline() == "paused\n"
    (half,) = out.glob(".tmp-*")
    two = crop(official, out, *second)
    words = next(line for line in two.stderr if "is being made by" in line)
    assert f"process {one.pid} on" in words
    assert half.is_dir()  # nobody removed what the first is about to finish
    assert two.poll() is None
    told = one.communicate("\n", timeout=60)
    assert (one.returncode, two.wait(60)) == (0, 0), told
    two.communicate()
    assert tree(out) == tree(tmp_path / "whole")


def test_a_shard_that_was_killed_leaves_its_track_to_the_collecting_run(official, tmp_path):
    out = tmp_path / "out"
    shard = crop(official, out, "--shard", "1/3", code=PAUSED)
    assert shard.stdout.readline() == "paused\n"
    shard.kill()
    shard.communicate()
    assert list(out.glob(".tmp-*"))
    assert crop(official, out).wait(60) == 0
    assert crop(official, tmp_path / "whole").wait(60) == 0
    assert tree(out) == tree(tmp_path / "whole")
