"""MTL as a task of a run: from the corpus to a checked multi-task file."""

import json
import zipfile

import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.mtl import read_mtl, write_mtl
from abaw_submit.corpus.tracklists import read_tracks
from abaw_submit.errors import UserError


@pytest.fixture
def multitask(place):
    """The finished run's folder with a config for all tasks at once."""
    tests = {
        key: place.folder / f"the data/test_sets/CVPR_6th_ABAW_{name}_test_set_sample.txt"
        for key, name in (("au", "AU"), ("expr", "Expr"), ("va", "VA"))
    }
    rows = {track: count for path in tests.values() for track, count in read_tracks(path).items()}
    # the organisers' list names some rows of the test tracks
    wanted = ((track, row, []) for track in sorted(rows) for row in range(1, rows[track] + 1, 4))
    write_mtl(place.folder / "wanted.txt", wanted)
    lists = [f'template_{key} = "{path.relative_to(place.folder)}"' for key, path in tests.items()]
    place.change('tasks = "VA"', 'tasks = "MTL"\ntemplate_mtl = "wanted.txt"\naudio_mtl = "logmel"')
    template_va = next(
        line for line in place.config.read_text().splitlines() if line.startswith("template_va")
    )
    place.change(template_va, "\n".join(lists))
    return place


def test_a_run_of_all_three_tasks_ends_in_a_checked_file(multitask, monkeypatch):
    place = multitask
    place.run("submission")
    assert "\nOK" in place("check", "submissions/my rün/MTL.zip", "--task", "MTL", "--template", "wanted.txt")
    out = place.folder / "submissions/my rün"
    assert read_mtl(out / "MTL.txt").locations == read_mtl(place.folder / "wanted.txt").locations
    assert zipfile.ZipFile(out / "MTL.zip").read("MTL.txt") == (out / "MTL.txt").read_bytes()
    made = {job for job, state in place.status().items() if state["state"] == "done"}
    folds = {f"{stage}_mtl_{k}" for stage in ("finetune", "train") for k in range(2)}
    assert folds | {"split_mtl", "features_mtl", "submit_mtl"} <= made
    assert not {job for job in made if job.startswith(("select", "apply"))}
    splits = json.loads((place.folder / "splits/my rün_mtl.json").read_text())
    tests = {t for path in place.folder.glob("the data/test_sets/*_sample.txt") for t in read_tracks(path)}
    assert not tests & {t for fold in splits["folds"] for t in (*fold["train"], *fold["validation"])}
    assert place.plan(target="submission") == {}  # a second run does nothing
    # the folds' scores are no single task's, unless the rules allow it
    monkeypatch.chdir(place.folder)
    scores = [w for k in range(2) for w in ("--scores", f"checkpoints/my rün/mtl/fold_{k}/scores_test_va.h5")]
    template = "the data/test_sets/CVPR_6th_ABAW_VA_test_set_sample.txt"
    words = ["format", "--task", "VA", *scores, "--template", template, "--out", "va.txt"]
    refused = CliRunner().invoke(cli, words, standalone_mode=False).exception
    assert isinstance(refused, UserError)
    assert "uni-task" in str(refused)


def test_a_run_without_the_test_lists_of_all_tasks_does_not_start(multitask):
    place = multitask
    au = next(line for line in place.config.read_text().splitlines() if line.startswith("template_au"))
    place.change(au, "")
    said = place.run("submission", code=2)
    assert "MTL test tracks: test lists of 2 tasks" in said
    assert "template_au" in said


def test_a_report_is_of_single_tasks(multitask):
    assert "no report" in multitask.run("report", "--dry-run", code=2)
