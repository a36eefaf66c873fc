"""Walks "From the demo to Aff-Wild2": every command of the page, in order, on a corpus packed like theirs.

Two batches of videos, annotations in a folder with spaces, crops in two archives, templates. Only the
networks are small and the epochs few.
"""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from abaw_submit.demo.corpus import write_corpus
from tests.runs import NETWORKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/affwild2.md"
# what a real run takes from published weights and a GPU, the walk takes from tiny networks
SMALL = """
tasks = "VA"
folds = 2
faces = "faces"
encoder = ""
"""


def packed(files, path):
    """A zip of (file, name in the zip)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file, name in files:
            archive.write(file, name)


def below(folder, start=""):
    return [(p, f"{start}{p.relative_to(folder)}") for p in sorted(folder.rglob("*")) if p.is_file()]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder as of someone who has downloaded everything and cloned the project."""
    place = tmp_path_factory.mktemp("walk")
    corpus = place / "made"
    write_corpus(corpus, size="tiny", seed=0, jobs=2)
    downloads = place / "downloads"
    videos = [(p, p.name) for p in sorted((corpus / "videos").iterdir()) if p.suffix in (".mp4", ".avi")]
    packed(videos[::2], downloads / "batch1.zip")
    packed(videos[1::2], downloads / "batch2.zip")
    packed(below(corpus / "annotations", "6th ABAW Annotations/"), downloads / "annotations.zip")
    packed(below(corpus / "test_sets"), downloads / "test_set.zip")
    words = [sys.executable, "-m", "abaw_submit", "crop", "made/videos", "--out", "own", "--size-px", "112"]
    rows = [
        "--rows-from",
        "made/annotations",
        "--rows-from",
        next((corpus / "test_sets").glob("*VA*sample.txt")),
    ]
    run([*words, *rows, "--detector", "haar", "--jobs", "2"], place)
    crops = [(p, name) for p, name in below(place / "own") if p.suffix == ".jpg" and "sheets" not in name]
    names = sorted({name.split("/")[0] for _, name in crops})
    first = set(names[: len(names) * 3 // 4])
    for archive, wanted in (("cropped_aligned.zip", first), ("cropped_aligned_new.zip", set(names) - first)):
        packed([c for c in crops if c[1].split("/")[0] in wanted], downloads / archive)
    (corpus / "faces").rename(place / "faces")
    (place / "configs").mkdir()
    (place / "configs/affwild2.toml").write_bytes((ROOT / "configs/affwild2.toml").read_bytes())
    return place


def run(command, folder, shell=False):
    """A command in a process of its own, `abaw-submit` and `python` being this environment's."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        command, cwd=folder, shell=shell, env=env, capture_output=True, text=True, check=False
    )


def blocks():
    """(language, text) of the page's blocks, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


def test_every_command_of_the_page_works_in_its_order(place):
    tools = place / "bin"
    tools.mkdir()
    for name, words in (("abaw-submit", "-m abaw_submit"), ("python", "")):
        script = tools / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        script.chmod(0o755)
    said = ""
    for language, text in blocks():
        if language == "toml":
            head, _, rest = text.partition("\n\n")
            (place / "configs/mine.toml").write_text(f"{head}\n{SMALL}\n{NETWORKS}\n{rest}")
            continue
        for line in text.strip().splitlines():
            done = run(line, place, shell=True)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr
            said += done.stdout
    assert "MISSING" not in said
    assert (place / "submissions/mine/VA.zip").is_file()
    assert "Official validation set" in (place / "submissions/mine/report.html").read_text(encoding="utf-8")
    assert len(list((place / "submissions/plan_va").glob("*.zip"))) == 5
    ledger = next((place / "work/mine/crops").glob("*/ledger.csv"))
    assert ledger.read_text().startswith("row,time_s,found")
