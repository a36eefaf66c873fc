"""Multi-task models and models of whole videos, from labels to scores that other stages take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from abaw_submit.corpus.templates import write_template
from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, write_features
from abaw_submit.models.sequence.network import AttentionPooling
from abaw_submit.scores.files import read_scores
from abaw_submit.tasks import AU, EXPR, VA


@pytest.fixture
def tests(tmp_path: Path) -> list[object]:
    """A test list for each task, as --tracks."""
    words: list[object] = []
    for task in (VA, EXPR, AU):
        write_template(tmp_path / f"{task.key}.txt", {"102": 31}, task)
        words += ["--tracks", tmp_path / f"{task.key}.txt"]
    return words


def test_a_multi_task_model_writes_members_of_every_task(corpus, run, train, tests, tmp_path: Path) -> None:
    out, seen = tmp_path / "mtl", ["--features", corpus.features("visual")]
    given = ["--annotations", corpus.annotations, *tests, "--epochs", 60, "--lr", "3e-3"]
    assert "validation sum of the three" in train("MTL", out, *seen, *given)
    for task, outputs in (("va", 2), ("expr", 8), ("au", 12)):
        scores = read_scores(out / f"scores_validation_{task}.h5", task)
        assert {t: v.shape for t, v in scores.items()} == {"102": (31, outputs), "video45_1": (12, outputs)}
        assert set(read_scores(out / f"scores_test_{task}.h5")) == {"102"}
    # valence and arousal are plain to see in these features
    truth = ["--truth", corpus.annotations]
    said = run("metrics", "--task", "VA", "--scores", out / "scores_validation_va.h5", *truth)
    assert float(said.split("mean CCC")[1].split()[0]) > 0.7
    run("predict", "--checkpoint", out, *seen, *tests[:2], "--out", tmp_path / "again.h5")
    again, first = read_scores(tmp_path / "again_va.h5"), read_scores(out / "scores_test_va.h5")
    assert np.array_equal(again["102"], first["102"])
    assert again.attributes["labels_of"] == first.attributes["labels_of"] == "VA EXPR AU"


def test_a_single_task_takes_a_multi_task_member_only_where_told(corpus, run, train, tests, tmp_path) -> None:
    out, seen = tmp_path / "mtl", ["--features", corpus.features("visual")]
    train("MTL", out, *seen, "--annotations", corpus.annotations, *tests, "--epochs", 1)
    words = ["--task", "VA", "--scores", out / "scores_test_va.h5"]
    form = ["format", *words, "--template", tmp_path / "va.txt", "--out", tmp_path / "va_filled.txt"]
    pick = ["select", *words, "--truth", corpus.annotations, "--out", tmp_path / "recipe", "--no-pictures"]
    for command in (form, pick):
        with pytest.raises(UserError, match="labels of AU and EXPR too; the VA challenge is uni-task"):
            run(*command)
    run(*form, "--other-labels")
    with pytest.raises(UserError, match="group"):  # it goes on, to what is wrong next: one recording
        run(*pick, "--other-labels")


def test_a_union_of_tasks_is_trained_on_only_with_their_test_lists(
    corpus, run, train, tests, tmp_path
) -> None:
    words = ["--annotations", corpus.annotations, "--features", corpus.features("visual"), "--epochs", 1]
    with pytest.raises(UserError, match="a test track of another; tasks whose test tracks are known: 1"):
        train("MTL", tmp_path / "x", *words, *tests[:2])
    for name, count in (("few", 2), ("all", 3)):
        lists = ["--test" if w == "--tracks" else w for w in tests[: 2 * count]]
        splits = tmp_path / f"{name}.json"
        where = ["--annotations", corpus.annotations, "--folds", 2, "--out", splits]
        run("split", "--task", "MTL", *where, *lists)
    with pytest.raises(UserError, match="test tracks are known: 2"):
        train("MTL", tmp_path / "x", *words, "--splits", tmp_path / "few.json", "--fold", 0)
    # the same task's list three times is the list of one task
    again = [tmp_path / f"{k}.txt" for k in range(2)]
    for path in again:
        path.write_bytes(tests[1].read_bytes())
    more = [word for path in again for word in ("--tracks", path)]
    with pytest.raises(UserError, match="test tracks are known: 1"):
        train("MTL", tmp_path / "x", *words, *tests[:2], *more)
    train("MTL", tmp_path / "x", *words, "--splits", tmp_path / "all.json", "--fold", 0)
    assert "102" not in read_scores(tmp_path / "x" / "scores_validation_va.h5")


def test_a_track_that_is_a_test_track_of_one_task_is_refused(corpus, train, tests, tmp_path: Path) -> None:
    write_template(tmp_path / "au.txt", {"video2_left": 23}, AU)
    words = ["--annotations", corpus.annotations, "--features", corpus.features("visual"), *tests]
    with pytest.raises(UserError, match=r"1 training tracks of fold official are test tracks.*video2_left"):
        train("MTL", tmp_path / "x", *words)


def test_labels_that_a_list_lacks_take_no_part(corpus, run, train, tmp_path: Path) -> None:
    listed = tmp_path / "lists"
    listed.mkdir()
    run("mtl-list", "--annotations", corpus.annotations, "--step", 2, "--out", tmp_path / "all.txt")
    lines = (tmp_path / "all.txt").read_text().splitlines()
    for name, tracks in (("training", ("1-30-64x64", "video2_left")), ("validation", ("102", "video45_1"))):
        own = [line for line in lines[1:] if line.split("/")[0] in tracks]
        (listed / f"{name}_set_annotations.txt").write_text("\n".join([lines[0], *own]) + "\n")
    # the organisers' own lists need no other tasks' test lists
    train(
        "MTL", tmp_path / "a", "--annotations", listed, "--features", corpus.features("visual"), "--epochs", 2
    )
    scores = read_scores(tmp_path / "a" / "scores_validation_expr.h5")
    assert len(scores["102"]) == 31  # all rows are scored, though the list names every other one


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Twelve videos; in those with the label, one short stretch stands out."""
    rng = np.random.default_rng(0)
    lines = []
    for k in range(12):
        rows = int(rng.integers(20, 50))
        values = rng.normal(size=(rows, 5)) * 0.3
        if k % 2:
            values[8:14, 0] += 3
        path = feature_path(tmp_path / "features", f"P{k}_Q1")
        there = np.ones(rows, bool)
        write_features(path, values, there, np.arange(rows) / 30, extractor="vit", fingerprint="f")
        lines.append(f"P{k}_Q1,{k % 2}\n")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "train.txt").write_text("".join(lines[:8]))
    (tmp_path / "labels" / "validation.txt").write_text("".join(lines[8:]))
    (tmp_path / "template.txt").write_text("P9_Q1,\nP8_Q1,\n")
    return tmp_path


@pytest.mark.parametrize("model", ["tmf", "gru"])
def test_whole_videos_are_learned_scored_and_submitted(videos: Path, run, train, model: str) -> None:
    out, template = videos / "ah", videos / "template.txt"
    seen, wanted = ["--features", videos / "features"], ["--tracks", template]
    given = ["--annotations", videos / "labels", "--clip-rows", 64, "--epochs", 40, "--lr", "3e-3"]
    said = train("AH", out, "--model", model, *seen, *wanted, *given)
    assert "validation macro F1 1.000" in said
    scores = read_scores(out / "scores_test.h5", "AH")
    assert {t: v.shape for t, v in scores.items()} == {"P8_Q1": (1, 1), "P9_Q1": (1, 1)}
    assert scores["P9_Q1"] > 0.5 > scores["P8_Q1"]
    run("predict", "--checkpoint", out, *seen, *wanted, "--out", videos / "again.h5")
    assert np.array_equal(read_scores(videos / "again.h5")["P9_Q1"], scores["P9_Q1"])
    submitted, rows = videos / "ah.txt", ["--task", "AH", "--template", template]
    run("format", *rows, "--scores", out / "scores_test.h5", "--probabilities", "--out", submitted)
    assert run("check", submitted, *rows).endswith("OK\n")
    lines = [line.split(",")[::3] for line in submitted.read_text().split()]
    assert lines == [["P9_Q1", "1"], ["P8_Q1", "0"]]


def test_padding_has_no_weight_in_a_pooled_clip() -> None:
    pool, x = AttentionPooling(4), torch.randn(2, 5, 4)
    present = torch.ones(2, 5, dtype=torch.bool)
    padded = torch.cat([x, torch.full((2, 3, 4), float("nan"))], 1)
    more = torch.cat([present, torch.zeros(2, 3, dtype=torch.bool)], 1)
    assert pool(x, present).shape == (2, 1, 4)
    assert torch.allclose(pool(padded, more), pool(x, present), atol=1e-6)


def test_single_frames_of_all_three_tasks_at_once(corpus, run, tmp_path: Path) -> None:
    listed, splits = tmp_path / "all.txt", tmp_path / "s.json"
    run("mtl-list", "--annotations", corpus.annotations, "--step", 2, "--out", listed)
    run("split", "--task", "MTL", "--annotations", listed, "--folds", 2, "--out", splits)
    words = [
        "--crops",
        corpus.crops,
        "--annotations",
        listed,
        "--splits",
        splits,
        "--fold",
        "0",
        "--epochs",
        1,
    ]
    vit = ["--img-size-px", 16, "--patch-px", 8, "--dim", 32, "--depth", 1, "--heads", 2, "--batch", 16]
    run("finetune", "--task", "MTL", *words, *vit, "--out", tmp_path / "x")
    for task, outputs in (("va", 2), ("expr", 8), ("au", 12)):
        scores = read_scores(tmp_path / "x" / f"scores_validation_{task}.h5", task)
        assert {v.shape[1] for v in scores.values()} == {outputs}
    with pytest.raises(UserError, match="labels are of whole videos"):
        run("finetune", "--task", "AH", *words, *vit, "--out", tmp_path / "y")
