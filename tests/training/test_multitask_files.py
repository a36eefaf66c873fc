"""Multi-task and video-level folds, and MTL files from single-task annotations to a checked zip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.tasks import AU, EXPR, VA


def run(*words: object) -> str:
    result = CliRunner().invoke(cli, [str(w) for w in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = {
        VA: lambda: "0.5,-0.25" if rng.random() < 0.8 else "-5,-5",
        EXPR: lambda: str(rng.integers(-1, 8)),
        AU: lambda: ",".join(str(v) for v in rng.integers(0, 2, 12)),
    }
    for at, (task, row) in enumerate(rows.items()):
        for track in range(6):
            if track % 3 == at:
                continue  # each track lacks one task
            subset = "Validation_Set" if track == 5 else "Train_Set"
            folder = tmp_path / "annotations" / task.challenge_folder() / subset
            folder.mkdir(parents=True, exist_ok=True)
            lines = [task.header(), *(row() for _ in range(20))]
            (folder / f"20{track}.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "annotations"


def test_folds_of_all_tasks_leave_out_the_test_tracks_of_every_one(annotations: Path, tmp_path: Path) -> None:
    (tmp_path / "va_test.txt").write_text("201\n")
    (tmp_path / "au_test.txt").write_text("203\n999\n")
    out = tmp_path / "mtl.json"
    said = run("split", "--task", "MTL", "--annotations", annotations, "--folds", 2, "--out", out,
               "--test", tmp_path / "va_test.txt", "--test", tmp_path / "au_test.txt")  # fmt: skip
    assert "test split: 201 left out" in said
    folds = json.loads(out.read_text())["folds"]
    assert [f["name"] for f in folds] == ["0", "1", "official"]
    assert {t for f in folds for t in (*f["train"], *f["validation"])} == {"200", "202", "204", "205"}
    header = (tmp_path / "mtl.balance.csv").read_text().splitlines()[0].split(",")
    assert len(header) == 4 + 10 + 8 + 12
    run("split-check", out, "--annotations", annotations, "--test", tmp_path / "va_test.txt")


def test_a_list_of_the_demo_layout_becomes_a_checked_zip(annotations: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "test_release.txt"
    run("mtl-list", "--annotations", annotations, "--blank", "--step", 3, "--out", wanted)
    assert "is up to date" in run(
        "mtl-list", "--annotations", annotations, "--blank", "--step", 3, "--out", wanted
    )
    rng = np.random.default_rng(1)
    words: list[object] = []
    for task in (VA, EXPR, AU):
        tracks = {f"20{k}": rng.random((20, task.outputs)).astype(np.float32) for k in range(6)}
        write_scores(tmp_path / f"{task.key}.h5", Scores(task, tracks))
        words += ["--scores", tmp_path / f"{task.key}.h5"]
    out = tmp_path / "mtl.txt"
    run("format", "--task", "MTL", *words, "--template", wanted, "--out", out)
    assert run("check", out, "--task", "MTL", "--template", wanted).endswith("OK\n")
    run("pack", out, "--out", tmp_path / "mtl.zip")
    lines = out.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        line.split(",")[0] for line in wanted.read_text().splitlines()
    ]


def test_folds_of_videos(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("".join(f"P{k}_Q1.mp4,{k % 2}\n" for k in range(10)))
    out = tmp_path / "ah.json"
    run("split", "--task", "AH", "--annotations", tmp_path / "labels.txt", "--folds", 5, "--out", out)
    balance = (tmp_path / "ah.balance.csv").read_text().splitlines()
    assert balance[0] == "fold,tracks,rows,valid_rows,AH"
    assert {line.split(",")[4] for line in balance[1:]} == {"1"}
