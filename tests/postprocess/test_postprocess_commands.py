"""`select`, `apply` and `metrics` from the command line, on files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from abaw_submit import metrics
from abaw_submit.cli import cli
from abaw_submit.cli.postprocess import parse_members
from abaw_submit.errors import UserError
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_scores, write_scores
from abaw_submit.tasks import AU, EXPR, VA, Task

FAST = ["--filters", "8", "--longest-rows", "41", "--resamples", "200", "--group", ".*"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=True)


def write_truth(folder: Path, task: Task, truth: dict) -> Path:
    folder.mkdir(parents=True)
    for track, (values, valid) in truth.items():
        rows = np.where(valid[:, None], values, task.invalid)
        form = "%.6f" if task is VA else "%d"
        np.savetxt(folder / f"{track}.txt", rows, fmt=form, delimiter=",", header=task.header(), comments="")
    return folder


@pytest.fixture
def va_files(tmp_path, corpus):
    """Two members in two files each (folds), and the truth of some more tracks."""
    members, truth = corpus(VA, {"a": 0.7, "b": 1.2}, tracks=15)
    extra = {"t900": truth["t000"]}
    write_truth(tmp_path / "truth", VA, {**truth, **extra})
    for name, scores in members.items():
        for k in range(2):
            part = {t: v for n, (t, v) in enumerate(scores.items()) if n % 2 == k}
            write_scores(tmp_path / f"{name}_{k}.h5", Scores(VA, part))
    return tmp_path, members, truth


def select_va(folder: Path, out: str, *more: object) -> Result:
    files = [f"a={folder}/a_0.h5", f"a={folder}/a_1.h5", f"b={folder}/b_0.h5", f"b={folder}/b_1.h5"]
    given = [x for f in files for x in ("--scores", f)]
    return run(
        "select", "--task", "VA", *given, "--truth", folder / "truth", "--out", folder / out, *FAST, *more
    )


def test_select_writes_recipe_crossfit_selection_and_pictures(va_files):
    folder, _, truth = va_files
    result = select_va(folder, "recipe")
    assert result.exit_code == 0, result.output
    assert "1 annotated tracks have no scores and do not count: t900" in result.output
    assert "optimistic" in result.output
    out = folder / "recipe"
    pictures = {p.name for p in out.glob("*.svg")}
    assert pictures == {"windows.svg", "reliability.svg", "weights.svg", "timelines.svg", "steps.svg"}
    summary = json.loads((out / "selection.json").read_text())
    assert sorted(read_scores(out / "crossfit")) == sorted(truth)
    assert len(summary["filters"]) == len({(f["before"], f["after"]) for f in summary["filters"]})
    for row in [*summary["step_sets"], *summary["filters"], summary["chosen"]]:
        assert row["difference"] == pytest.approx(row["optimistic"] - row["cross_fitted"])
        assert row["gain_interval"][0] <= row["gain_interval"][1]
    # the reported score is that of the files in crossfit/
    again = run(
        "metrics", "--task", "VA", "--scores", out / "crossfit", "--truth", folder / "truth", "--json"
    )
    assert json.loads(again.stdout)["total"] == pytest.approx(summary["chosen"]["cross_fitted"], abs=1e-6)


def test_select_again_does_nothing_and_elsewhere_gives_the_same_bytes(va_files):
    folder, *_ = va_files
    select_va(folder, "one")
    assert "Nothing to do" in select_va(folder, "one").output
    select_va(folder, "two")
    for name in ("recipe.json", "selection.json", "windows.svg", "crossfit/t000.txt"):
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes()


def test_apply_needs_the_recipe_alone_and_repeats_its_bytes(va_files):
    folder, members, truth = va_files
    select_va(folder, "recipe", "--no-pictures")
    for name, scores in members.items():
        write_scores(folder / f"{name}.h5", scores)
    given = ["--scores", f"a={folder}/a.h5", "--scores", f"b={folder}/b.h5"]
    alone = folder / "elsewhere.json"
    alone.write_bytes((folder / "recipe" / "recipe.json").read_bytes())
    for recipe, out in ((folder / "recipe", "x.h5"), (alone, "y.h5")):
        result = run("apply", "--recipe", recipe, *given, "--out", folder / out)
        assert result.exit_code == 0, result.output
    assert (folder / "x.h5").read_bytes() == (folder / "y.h5").read_bytes()
    final = read_scores(folder / "x.h5", VA)
    summary = json.loads((folder / "recipe" / "selection.json").read_text())
    labels = {t: v for t, (v, _) in truth.items()}
    valid = {t: ok for t, (_, ok) in truth.items()}
    got = metrics.score(VA, labels, {t: decide(VA, final[t]) for t in labels}, valid)
    assert got.total == pytest.approx(summary["chosen"]["optimistic"], abs=1e-4)
    wrong = run("apply", "--recipe", alone, "--scores", f"c={folder}/a.h5", "--out", folder / "z.h5")
    assert isinstance(wrong.exception, UserError)
    assert not (folder / "z.h5").exists()


@pytest.mark.parametrize("task", [AU, EXPR])
def test_applied_scores_of_one_member_carry_the_decision(tmp_path, corpus, task):
    members, truth = corpus(task, {"m": 0.4}, tracks=12)
    write_truth(tmp_path / "truth", task, truth)
    write_scores(tmp_path / "m", members["m"])  # the text form
    paths = ["--scores", tmp_path / "m", "--truth", tmp_path / "truth"]
    result = run(
        "select", "--task", task.name, *paths, "--out", tmp_path / "r", *FAST, "--json", "--no-pictures"
    )
    summary = json.loads(result.stdout)
    result = run("apply", "--recipe", tmp_path / "r", "--scores", tmp_path / "m", "--out", tmp_path / "done")
    assert result.exit_code == 0, result.output
    after = run(
        "metrics", "--task", task.name, "--scores", tmp_path / "done", "--truth", tmp_path / "truth", "--json"
    )
    assert json.loads(after.stdout)["total"] == pytest.approx(summary["chosen"]["optimistic"], abs=1e-4)
    assert summary["chosen"]["optimistic"] > summary["nothing"]["score"]


def test_test_scores_of_folds_are_averaged_and_their_spread_restored(tmp_path):
    r = np.random.default_rng(0)
    y = r.normal(0, 0.3, (800, 2))
    for k in range(3):
        noisy = (y + r.normal(0, 0.3, y.shape)).astype(np.float32)
        write_scores(tmp_path / f"{k}.h5", Scores(VA, {"t": np.clip(noisy, -1, 1)}))
    from abaw_submit.postprocess.recipe import identity_recipe
    from abaw_submit.postprocess.recipe_json import write_recipe

    write_recipe(tmp_path / "recipe.json", identity_recipe(VA, ["m"]))
    files = [x for k in (2, 0, 1) for x in ("--scores", f"m={tmp_path}/{k}.h5")]
    for out, more in (("full", []), ("none", ["--restore", "0"])):
        result = run("apply", "--recipe", tmp_path, *files, "--out", tmp_path / f"{out}.h5", *more)
        assert result.exit_code == 0, result.output
    full, none = (read_scores(tmp_path / f"{n}.h5")["t"].std() for n in ("full", "none"))
    single = np.mean([read_scores(tmp_path / f"{k}.h5")["t"].std() for k in range(3)])
    assert none < 0.9 * single
    assert full == pytest.approx(single, rel=0.02)


def test_metrics_prints_every_output_and_the_total(va_files):
    folder, members, truth = va_files
    paths = ["--scores", folder / "a_0.h5", "--scores", folder / "a_1.h5"]
    shown = run("metrics", "--task", "VA", *paths, "--truth", folder / "truth", "--resamples", "100").stdout
    assert [line.split()[0] for line in shown.splitlines()[:3]] == ["valence", "arousal", "mean"]
    answer = run("metrics", "--task", "VA", *paths, "--truth", folder / "truth", "--resamples", "0", "--json")
    labels = {t: v for t, (v, _) in truth.items()}
    expected = metrics.score(VA, labels, members["a"].tracks, {t: ok for t, (_, ok) in truth.items()})
    assert json.loads(answer.stdout)["total"] == pytest.approx(expected.total, abs=1e-5)


def test_mistakes_are_one_line_and_write_nothing(va_files):
    folder, *_ = va_files
    wrong = select_va(folder, "recipe", "--steps", "smoth")
    assert isinstance(wrong.exception, UserError)
    assert 'Unknown step "smoth". Did you mean "smooth"?' in str(wrong.exception)
    other = run("metrics", "--task", "AU", "--scores", folder / "a_0.h5", "--truth", folder / "truth")
    assert isinstance(other.exception, UserError)
    assert not (folder / "recipe").exists()


def test_names_of_members_come_from_the_first_telling_part_of_the_path():
    given = (
        "x=1.h5",
        "runs/big/fold_0/scores_validation.h5",
        "runs/big/fold_1/scores_validation.h5",
        "small.h5",
    )
    assert {k: len(v) for k, v in parse_members(given).items()} == {"x": 1, "big": 2, "small": 1}
    with pytest.raises(UserError, match="expected NAME=PATH"):
        parse_members(("a=",))


@pytest.mark.skipif("ABAW_SHARED" not in os.environ, reason="the real predictions are in $ABAW_SHARED/epic")
def test_real_predictions_grouped_by_person_reach_0605(tmp_path):
    epic = Path(os.environ["ABAW_SHARED"]) / "epic"
    members = sorted(p for p in (epic / "predictions").iterdir() if p.is_dir())
    given = [x for p in members for x in ("--scores", f"{p.name}={p}")]
    paths = ["--truth", epic / "truth", "--out", tmp_path / "recipe"]
    more = ["--group", r"^(sub\d+)", "--filters", "40", "--no-pictures", "--json"]
    result = run("select", "--task", "VA", *given, *paths, *more)
    summary = json.loads(result.stdout)
    assert summary["groups"] == 30
    assert summary["nothing"]["score"] == pytest.approx(0.254, abs=0.001)
    assert max(m["score"] for m in summary["members"]) == pytest.approx(0.542, abs=0.001)
    assert summary["chosen"]["cross_fitted"] >= 0.605
