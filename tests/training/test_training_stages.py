"""The four commands on a tiny corpus: what they write, what they refuse, and that they can be run again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import read_annotation_set
from abaw_submit.corpus.templates import write_template
from abaw_submit.errors import UserError
from abaw_submit.models.weights.encoders import load_encoder
from abaw_submit.scores.files import read_scores
from abaw_submit.store import read_record
from abaw_submit.tasks import AU, EXPR, TASKS, VA
from abaw_submit.training.scoring import predict_tracks
from abaw_submit.training.table import TrackFeatures
from abaw_submit.training.tmf import load_sequence

VIT = ["--img-size-px", "16", "--patch-px", "8", "--dim", "32", "--depth", "1", "--heads", "2"]
DECODER = ["--decoder-dim", "16", "--decoder-depth", "1", "--decoder-heads", "2"]
TMF = [
    "--conv-dim", "16", "--model-dim", "16", "--feedforward-dim", "16", "--layers", "1", "--heads", "2",
    "--head-dim", "8", "--clip-rows", "16", "--batch", "4",
]  # fmt: skip


def run(*words: object) -> str:
    """Run a command; a UserError passes through."""
    result = CliRunner().invoke(cli, [str(w) for w in words], catch_exceptions=False, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def finetune(corpus, task: str, out: Path, *more: object) -> str:
    return run(
        "finetune", "--task", task, "--crops", corpus.crops, "--annotations", corpus.annotations,
        "--splits", corpus.splits(task), "--fold", "0", "--out", out, "--batch", 16, *more,
    )  # fmt: skip


def train(corpus, task: str, out: Path, *more: object, features: tuple[str, ...] = ("visual",)) -> str:
    folders = [word for name in features for word in ("--features", corpus.features(name))]
    return run(
        "train", "--task", task, *folders, "--annotations", corpus.annotations,
        "--splits", corpus.splits(task), "--fold", "0", "--out", out, *TMF, *more,
    )  # fmt: skip


def test_pretrain_then_finetune_writes_everything_and_a_second_run_does_nothing(
    corpus, tmp_path: Path
) -> None:
    mae = tmp_path / "mae"
    told = ("--not-aff-wild2", "--epochs", 2, "--batch", 32)
    run("pretrain", corpus.crops, "--out", mae, *VIT, *DECODER, *told)
    assert read_record(mae)["counts"]["pictures"] == sum((40, 23, 31, 12)) - 8
    assert load_encoder(mae).dim == 32

    template = tmp_path / "template.txt"
    write_template(template, {"video2_left": 23, "102": 31}, VA)
    out = tmp_path / "va"
    words = ("--encoder", mae, "--epochs", 30, "--lr", "3e-3", "--tracks", template)
    assert "validation mean CCC" in finetune(corpus, "VA", out, *words)
    written = {p.name for p in out.iterdir()}
    assert written == {
        "model.safetensors", "config.toml", "history.csv", "curves.svg", "record.json",
        "scores_validation.h5", "scores_test.h5",
    }  # fmt: skip
    scores = read_scores(out / "scores_validation.h5", "VA")
    assert {t: len(v) for t, v in scores.items()} == {"102": 31, "video45_1": 12}
    assert scores.attributes["subset"] == "validation"
    assert scores.attributes["fold"] == "0"
    assert {t: len(v) for t, v in read_scores(out / "scores_test.h5").items()} == {
        "video2_left": 23,
        "102": 31,
    }
    # the labels are plain to see in these pictures
    assert read_history(out)["validation"][-1] > 0.6
    # rows without a face take the scores of the nearest row that has one, the earlier on a tie
    assert np.array_equal(scores["102"][2], scores["102"][1])
    assert np.array_equal(scores["102"][30], scores["102"][29])
    assert load_encoder(out).dim == 32
    assert "is up to date" in finetune(corpus, "VA", out, *words)


def read_history(folder: Path) -> dict[str, list[float]]:
    lines = (folder / "history.csv").read_text().splitlines()
    columns = zip(*(line.split(",") for line in lines[1:]), strict=True)
    return {
        name: [float(v) for v in values if v]
        for name, values in zip(lines[0].split(","), columns, strict=True)
    }


@pytest.mark.parametrize("task", ["AU", "EXPR"])
def test_finetune_from_random_weights_in_the_other_tasks(corpus, tmp_path: Path, task: str) -> None:
    finetune(corpus, task, tmp_path / "x", *VIT, "--epochs", 2)
    scores = read_scores(tmp_path / "x" / "scores_validation.h5", task)
    for values in scores.values():
        assert ((values >= 0) & (values <= 1)).all()
        if task == "EXPR":
            np.testing.assert_allclose(values.sum(1), 1, atol=1e-5)


def test_train_learns_and_its_scores_are_those_of_its_checkpoint(corpus, tmp_path: Path) -> None:
    template = tmp_path / "template.txt"
    write_template(template, {"102": 31}, VA)
    out = tmp_path / "fold_0"
    train(corpus, "VA", out, "--epochs", 150, "--lr", "3e-3", "--dropout", 0, "--tracks", template)
    assert {p.name for p in out.iterdir()} == {
        "model.safetensors", "config.toml", "history.csv", "curves.svg", "record.json",
        "scores_validation.h5", "scores_test.h5",
    }  # fmt: skip
    history = read_history(out)
    assert history["validation"][-1] > 0.8
    assert len(history["loss"]) == 150

    run("predict", "--checkpoint", out, "--features", corpus.features("visual"), "--tracks", template,
        "--out", tmp_path / "again.h5")  # fmt: skip
    test = read_scores(out / "scores_test.h5")
    assert np.array_equal(read_scores(tmp_path / "again.h5")["102"], test["102"])
    # a track may be validation and test at once; its scores are then the same
    assert np.array_equal(read_scores(out / "scores_validation.h5")["102"], test["102"])
    assert "is up to date" in run(
        "predict", "--checkpoint", out, "--features", corpus.features("visual"), "--tracks", template,
        "--out", tmp_path / "again.h5",
    )  # fmt: skip


@pytest.mark.parametrize("task", list(TASKS))
def test_train_gives_the_same_bytes_again_and_scores_of_every_row(corpus, tmp_path: Path, task: str) -> None:
    for name in ("a", "b"):
        train(corpus, task, tmp_path / name, "--epochs", 2, features=("visual", "sound"))
    for file in ("model.safetensors", "scores_validation.h5", "history.csv", "config.toml", "curves.svg"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    scores = read_scores(tmp_path / "a" / "scores_validation.h5", task)
    assert {t: len(v) for t, v in scores.items()} == {"102": 31, "video45_1": 12}
    assert all(np.isfinite(v).all() for v in scores.values())


def test_validation_labels_take_no_part_in_training(corpus, tmp_path: Path) -> None:
    import shutil

    other = tmp_path / "annotations"
    shutil.copytree(corpus.annotations, other)
    for path in other.glob("VA*/Validation_Set/*.txt"):
        rows = path.read_text().splitlines()
        path.write_text("\n".join([rows[0], *["0.9,-0.9"] * (len(rows) - 1)]) + "\n")
    words = ("--epochs", 3)
    train(corpus, "VA", tmp_path / "a", *words)
    spoiled = type(corpus)(corpus.root)
    run("train", "--task", "VA", "--features", spoiled.features("visual"), "--annotations", other,
        "--splits", spoiled.splits("VA"), "--fold", "0", "--out", tmp_path / "b", *TMF, *words)  # fmt: skip
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def test_overlapping_predictions_are_averaged_not_overwritten(corpus, tmp_path: Path) -> None:
    train(corpus, "AU", tmp_path / "x", "--epochs", 1)
    model, config = load_sequence(tmp_path / "x")
    values = TrackFeatures([corpus.features("visual")], "102").read("102", None).values
    got = dict(predict_tracks(model, [("102", values)], 16, torch.device("cpu")))["102"]
    total, divisor = np.zeros((31, 12)), np.zeros((31, 1))
    weight = np.minimum(np.arange(1, 17), np.arange(16, 0, -1))[:, None]
    for start in (0, 8, 15):
        clip = torch.tensor(np.asarray(values[start : start + 16], np.float32))[None]
        with torch.no_grad():
            p = model(clip, torch.ones(1, 16, dtype=torch.bool)).sigmoid()[0].numpy()
        total[start : start + 16] += p * weight
        divisor[start : start + 16] += weight
    np.testing.assert_allclose(got, total / divisor, atol=1e-5)
    assert config["features"] == {"extractors": ["vit"], "dims": [6]}


def test_a_fold_without_splits_is_the_official_one(corpus, tmp_path: Path) -> None:
    run("train", "--task", "EXPR", "--features", corpus.features("visual"), "--annotations",
        corpus.annotations, "--out", tmp_path / "x", *TMF, "--epochs", 1)  # fmt: skip
    official = {
        t for t, a in read_annotation_set(corpus.annotations, EXPR).items() if a.subset == "validation"
    }
    assert set(read_scores(tmp_path / "x" / "scores_validation.h5")) == official


def test_user_mistakes_are_named(corpus, tmp_path: Path) -> None:
    for splits, fold, message in (
        ("AU", "7", 'No fold "7"'),
        ("VA", "0", "divides the tracks of VA; expected AU"),
    ):
        with pytest.raises(UserError, match=message):
            run("train", "--task", "AU", "--features", corpus.features("visual"), "--annotations",
                corpus.annotations, "--splits", corpus.splits(splits), "--fold", fold,
                "--out", tmp_path / "x")  # fmt: skip
    with pytest.raises(UserError, match='Fold "0" needs --splits'):
        run("finetune", "--task", "AU", "--crops", corpus.crops, "--annotations", corpus.annotations,
            "--fold", "0", "--out", tmp_path / "x")  # fmt: skip
    train(corpus, "AU", tmp_path / "fold", "--epochs", 1)
    names = tmp_path / "names.txt"
    names.write_text("102\n")
    with pytest.raises(UserError, match=r"trained on features vit \(6\);\nfound logmel \(3\)"):
        run("predict", "--checkpoint", tmp_path / "fold", "--features", corpus.features("sound"),
            "--tracks", names, "--out", tmp_path / "s.h5")  # fmt: skip
    with pytest.raises(UserError, match="not a checkpoint of `abaw-submit train`"):
        finetune(corpus, "AU", tmp_path / "single", *VIT, "--epochs", 1)
        load_sequence(tmp_path / "single")
    write_template(tmp_path / "long.txt", {"102": 99}, AU)
    with pytest.raises(UserError, match="31 rows; 99 are expected for 102"):
        run("predict", "--checkpoint", tmp_path / "fold", "--features", corpus.features("visual"),
            "--tracks", tmp_path / "long.txt", "--out", tmp_path / "s.h5")  # fmt: skip


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("gru", ()),
        ("tcn", ("--stride-rows", "4")),
        ("transformer", ("--fusion", "gate", "--modality-dropout", "0.3")),
        ("mamba", ()),
    ],
)
def test_every_model_trains_and_predicts_from_its_checkpoint(
    corpus, tmp_path: Path, model: str, more: tuple[str, ...]
) -> None:
    template = tmp_path / "template.txt"
    write_template(template, {"102": 31, "video2_left": 23}, VA)
    out = tmp_path / "fold_0"
    words = ("--model", model, *more, "--epochs", "2", "--tracks", template)
    assert f"VA {model}, fold 0" in train(corpus, "VA", out, *words, features=("visual", "sound"))
    run("predict", "--checkpoint", out, "--features", corpus.features("visual"), "--features",
        corpus.features("sound"), "--tracks", template, "--out", tmp_path / "again.h5")  # fmt: skip
    again, test = read_scores(tmp_path / "again.h5"), read_scores(out / "scores_test.h5")
    assert all(np.array_equal(again[track], test[track]) for track in test)


def test_a_models_own_part_of_a_config_holds_for_it(corpus, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[train]\nclip_rows = 12\n[train.gru]\nclip_rows = 20\nstride_rows = 7\n")
    said = []
    for model in ("tmf", "gru"):
        run("train", "-c", config, "--task", "AU", "--model", model, "--features",
            corpus.features("visual"), "--annotations", corpus.annotations, "--out", tmp_path / model,
            *TMF[:12], "--epochs", 1)  # fmt: skip
        settings = read_record(tmp_path / model)["settings"]
        said.append((settings["clip_rows"], settings["stride_rows"]))
    assert said == [(12, 0), (20, 7)]
    with pytest.raises(UserError, match="--stride-rows 17: expected at most the 16"):
        train(corpus, "AU", tmp_path / "x", "--stride-rows", 17)


def test_fine_tuning_with_everything_on_gives_the_same_bytes_again(corpus, tmp_path: Path) -> None:
    words = (
        *VIT, "--epochs", 2, "--randaugment", "rand-m9-mstd0.5-inc1", "--erasing", 0.25, "--mixup", 0.8,
        "--label-smoothing", 0.1, "--frame-step", 3, "--balance", "both", "--keep", "average",
        "--keep-epochs", 2,
    )  # fmt: skip
    for name in "ab":
        said = finetune(corpus, "EXPR", tmp_path / name, *words)
    assert "class weights" in said
    assert "more than 2 times off the paper's" in said  # the classes of this corpus are equally frequent
    for file in ("model.safetensors", "scores_validation.h5", "class_weights.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    with pytest.raises(UserError, match="not a policy of timm"):
        finetune(corpus, "EXPR", tmp_path / "c", *VIT, "--randaugment", "strong")


@pytest.mark.parametrize("balance", ["video", "class", "both"])
def test_clips_can_be_balanced(corpus, tmp_path: Path, balance: str) -> None:
    words = ("--epochs", 2, "--balance", balance, "--label-smoothing", 0.1)
    for task in ("AU", "VA"):
        train(corpus, task, tmp_path / task, *words)
        scores = read_scores(tmp_path / task / "scores_validation.h5")
        assert all(np.isfinite(values).all() for values in scores.values())


def test_seeds_are_networks_of_their_own_and_members_of_the_ensemble(corpus, tmp_path: Path) -> None:
    train(corpus, "VA", tmp_path / "fold_0", "--epochs", 2, "--seeds", 2)
    train(corpus, "VA", tmp_path / "alone", "--epochs", 2, "--seed", 1)
    one, two, alone = (
        read_scores(tmp_path / name / "scores_validation.h5")["102"]
        for name in ("fold_0", "fold_0_seed1", "alone")
    )
    assert not np.array_equal(one, two)
    assert np.array_equal(two, alone)
