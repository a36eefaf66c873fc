"""Two processes that torchrun starts on a CPU train once, say so once, and compute what one would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from abaw_submit.scores.files import read_scores
from abaw_submit.tasks import TASKS

SCRIPT = """
import sys
from pathlib import Path
from abaw_submit.cli import cli
root, out = Path(sys.argv[1]), Path(sys.argv[2])
VIT = "--img-size-px 16 --patch-px 8 --dim 32 --depth 1 --heads 2 --drop-path 0 --augment 0".split()
TMF = ("--conv-dim 16 --model-dim 16 --feedforward-dim 16 --layers 1 --heads 2 --head-dim 8 --clip-rows 16"
       " --dropout 0").split()
for task in ("AU", "EXPR", "VA"):
    shared = ["--task", task, "--annotations", str(root / "annotations"), "--splits",
              str(root / f"{task}.json"), "--fold", "0", "--epochs", "2", "--lr", "3e-3"]
    cli.main(["train", *shared, "--features", str(root / "features/visual"), "--batch", "4", *TMF,
              "--out", str(out / task / "train")], standalone_mode=False)
    cli.main(["finetune", *shared, "--crops", str(root / "crops"), "--batch", "16", *VIT,
              "--out", str(out / task / "finetune")], standalone_mode=False)
"""


def start(corpus, folder: Path, *launcher: str) -> str:
    script = folder / "work.py"
    script.write_text(SCRIPT)
    words = [*launcher, str(script), str(corpus.root), str(folder / "out")]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Path, str], tuple[Path, str]]:
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return (one / "out", start(corpus, one)), (two / "out", start(corpus, two, *torchrun))


@pytest.mark.parametrize("kind", ["train", "finetune"])
@pytest.mark.parametrize("task", list(TASKS))
def test_two_processes_train_what_one_does(runs, task: str, kind: str) -> None:
    (one, _), (two, _) = runs
    rows = [np.genfromtxt(out / task / kind / "history.csv", delimiter=",", names=True) for out in (one, two)]
    np.testing.assert_allclose(rows[1]["loss"], rows[0]["loss"], rtol=2e-4)
    a, b = (read_scores(out / task / kind / "scores_validation.h5") for out in (one, two))
    for track in a:
        np.testing.assert_allclose(b[track], a[track], atol=5e-3)


def test_the_second_process_is_quiet(runs) -> None:
    (one, said), (two, said_by_two) = runs
    # the last digit of a score may differ with the order of sums
    shown = [
        re.sub(r"0\.\d+\.", "", text.replace(str(out), "")) for text, out in ((said, one), (said_by_two, two))
    ]
    assert shown[0] == shown[1]
    assert said.count("Wrote") == 6
