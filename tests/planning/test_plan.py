"""The plan: five candidates, honest scores, agreement, and files that pass the check."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.ndimage import uniform_filter1d

from abaw_submit import metrics
from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import Annotation
from abaw_submit.corpus.templates import write_template
from abaw_submit.errors import UserError
from abaw_submit.metrics import ccc
from abaw_submit.planning.agreement import agreement, agreement_table, rows_changed
from abaw_submit.planning.compare import build_plan
from abaw_submit.planning.fold_scores import FoldScores, read_fold_scores
from abaw_submit.planning.report import plan_lines, teaching
from abaw_submit.planning.settings import PlanSettings
from abaw_submit.postprocess.apply import apply_recipe
from abaw_submit.postprocess.ensemble import average_folds
from abaw_submit.postprocess.settings import SelectSettings
from abaw_submit.postprocess.stages import choose
from abaw_submit.scores.decide import decide
from abaw_submit.scores.files import Scores, read_scores, write_scores
from abaw_submit.submission.check import check
from abaw_submit.submission.expected import expected_rows
from abaw_submit.tasks import AU, EXPR, TASKS, VA

SETTINGS = PlanSettings(crossfit_folds=3, filters=12, resamples=100)
TEST = {"test2": 90, "test1": 60}


def slow(rng, rows, columns, width=30):
    walk = uniform_filter1d(rng.normal(size=(rows, columns)), width, axis=0)
    return walk / walk.std()


def world(task, seed=0, noise=1.0):
    """Annotations of 9 tracks, and scores of 3 folds and the official split: truth and much noise."""
    rng = np.random.default_rng(seed)
    truth, clean = {}, {}
    for name in [f"video{k}" for k in range(9)] + list(TEST):
        rows = TEST.get(name, int(rng.integers(80, 160)))
        hidden = slow(rng, rows, task.outputs)
        clean[name] = hidden
        if task is VA:
            truth[name] = np.clip(hidden * 0.4, -1, 1)
        elif task is EXPR:
            truth[name] = hidden.argmax(axis=1)[:, None]
        else:
            truth[name] = (hidden > 0.8).astype(int)

    def scores(name):
        seen = clean[name] + rng.normal(0, noise, clean[name].shape)
        if task is VA:
            values = 0.2 * seen
        elif task is EXPR:
            values = np.exp(seen) / np.exp(seen).sum(axis=1, keepdims=True)
        else:
            values = 1 / (1 + np.exp(-2 * (seen - 0.8)))
        return values.astype(np.float32)

    def fold(name, validation):
        parts = [Scores(task, {t: scores(t) for t in tracks}) for tracks in (validation, TEST)]
        return FoldScores(name, *parts, paths=(None, None))

    tracks = [f"video{k}" for k in range(9)]
    folds = [*(fold(str(k), tracks[k::3]) for k in range(3)), fold("official", tracks[:4])]
    annotations = {
        t: Annotation(t, task, truth[t].astype(np.float32), np.ones(len(truth[t]), bool), None, None)
        for t in tracks
    }
    return {"m": folds}, annotations


@pytest.mark.parametrize("task", [AU, EXPR, VA])
def test_five_candidates_with_cross_fitted_scores(task):
    members, annotations = world(task)
    plan = build_plan(task, members, annotations, TEST, SETTINGS)
    assert [c.idea.name for c in plan.candidates] == ["chosen", "safe", "full", "wide", "mean"]
    by_name = {c.idea.name: c for c in plan.candidates}
    for c in plan.candidates:
        low, high = c.score.intervals["total"]
        assert low <= c.score.total <= high
        assert list(c.test) == list(TEST)
        assert c.score.tracks == 9
    assert by_name["mean"].gain.high < 0  # the noise is independent from row to row
    assert by_name["chosen"].rows_changed == 0
    assert by_name["mean"].rows_changed > 0
    assert plan.rows == 150
    np.testing.assert_array_equal(plan.agreement, plan.agreement.T)
    np.testing.assert_array_equal(np.diag(plan.agreement), 1)
    widths = {
        name: max(c.filters.width_rows(30) for c in by_name[name].recipe.columns().values())
        for name in ("chosen", "wide")
    }
    assert widths["wide"] >= widths["chosen"]
    assert by_name["chosen"].recipe.steps == choose_alone(task, members, annotations)


def choose_alone(task, members, annotations):
    """What `select` keeps on the same scores."""
    scores = {"m": average_folds([f.validation for f in members["m"][:3]])}
    truth = {t: (a.values, a.valid) for t, a in annotations.items()}
    settings = SelectSettings(folds=3, filters=12, resamples=100)
    return choose(task, scores, truth, settings)[1].recipe.steps


def test_a_diagnosis_is_the_official_model_alone_and_only_when_asked_for():
    members, annotations = world(VA)
    plan = build_plan(VA, members, annotations, TEST, replace(SETTINGS, diagnose=True))
    last = plan.candidates[-1]
    assert last.idea.name == "official"
    assert last.score.tracks == 4
    np.testing.assert_array_equal(last.test["test1"], members["m"][-1].test["test1"])
    with pytest.raises(UserError, match="no member has fold_official"):
        build_plan(VA, {"m": members["m"][:3]}, annotations, TEST, replace(SETTINGS, diagnose=True))


def test_the_mean_is_the_mean_of_all_folds():
    members, annotations = world(EXPR)
    plan = build_plan(EXPR, members, annotations, TEST, SETTINGS)
    expected = np.mean([f.test["test2"] for f in members["m"]], axis=0)
    np.testing.assert_allclose(plan.candidates[-1].test["test2"], expected, atol=2e-6)
    whole = {t: values for fold in members["m"][:3] for t, values in fold.validation.items()}
    truth = np.concatenate([annotations[t].values[:, 0] for t in whole])
    found = np.concatenate([decide(EXPR, whole[t])[:, 0] for t in whole])
    from sklearn.metrics import f1_score

    expected_score = f1_score(truth, found, average="macro", labels=range(8), zero_division=0)
    assert plan.candidates[-1].score.total == pytest.approx(expected_score)


def test_all_members_are_used():
    members, annotations = world(VA)
    other, _ = world(VA, seed=0, noise=2.0)
    plan = build_plan(VA, {"m": members["m"], "n": other["m"]}, annotations, TEST, SETTINGS)
    assert plan.candidates[0].recipe.members == ("m", "n")
    mean = [np.mean([f.test["test2"] for f in x["m"]], axis=0) for x in (members, other)]
    assert np.corrcoef(plan.candidates[-1].test["test2"][:, 0], np.mean(mean, axis=0)[:, 0])[0, 1] > 0.999


def test_the_score_of_a_candidate_does_not_use_its_own_tracks():
    """Truth without any sense: with every step, a fit on all tracks scores well on them, a cross-fitted one
    not."""
    fooled, fair = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        members, annotations = world(VA, seed)
        nonsense = {
            t: Annotation(
                t,
                VA,
                np.tile(rng.uniform(-1, 1, 2), (len(a.values), 1)).astype(np.float32),
                a.valid,
                None,
                None,
            )
            for t, a in annotations.items()
        }
        plan = build_plan(VA, members, nonsense, TEST, SETTINGS)
        full = next(c for c in plan.candidates if c.idea.name == "full")
        fair.append(full.score.total)
        scores = {"m": average_folds([f.validation for f in members["m"][:3]])}
        labels = {t: (a.values, a.valid) for t, a in nonsense.items()}
        own = apply_recipe(full.recipe, scores)
        fooled.append(
            metrics.score(VA, {t: v for t, (v, _) in labels.items()}, {t: own[t] for t in labels}).total
        )
    assert np.mean(fooled) > 0.1
    assert np.mean(fair) < 0.05


def test_candidates_that_change_nothing_are_named():
    members, annotations = world(AU)
    constant = {t: np.full_like(v, 0.9) for t, v in members["m"][0].test.items()}
    same = [FoldScores(f.name, f.validation, Scores(AU, constant), f.paths) for f in members["m"]]
    plan = build_plan(AU, {"m": same}, annotations, TEST, SETTINGS)
    assert plan.candidates[-1].same_as in ("chosen", "safe")
    assert teaching(plan.candidates[-1]).startswith("nothing: on the test rows it is the same")


def test_agreement_and_rows_changed():
    a, b = np.array([[0.0, 0.5], [0.5, 0.0], [1.0, -0.5]]), np.array([[0.1, 0.5], [0.52, 0.0], [0.9, -0.4]])
    expected = (ccc(a[:, 0], b[:, 0]) + ccc(a[:, 1], b[:, 1])) / 2
    assert agreement(VA, a, b) == pytest.approx(expected)
    assert rows_changed(VA, a, b) == 2
    units = np.array([[0, 1], [1, 1], [0, 0]])
    other = np.array([[0, 1], [1, 0], [1, 1]])
    assert agreement(AU, units, other) == pytest.approx(3 / 6)
    assert rows_changed(AU, units, other) == 2
    np.testing.assert_allclose(agreement_table(AU, [units, other]), [[1, 0.5], [0.5, 1]])


def test_the_text_says_what_is_expected():
    members, annotations = world(VA)
    plan = build_plan(VA, members, annotations, TEST, SETTINGS)
    lines = plan_lines(plan)
    text = "\n".join(lines)
    assert lines[0] == "# Five submissions for VA"
    assert "Agreement on the test rows (mean CCC)" in text
    assert "over chosen" in teaching(plan.candidates[1])
    assert "expects" not in teaching(plan.candidates[-1])  # out of fold says nothing about averaging


@pytest.fixture
def run_folder(tmp_path):
    """Checkpoints, annotations and a template as the other stages leave them."""

    def make(task):
        members, annotations = world(task)
        for fold in members["m"]:
            place = tmp_path / "checkpoints" / f"fold_{fold.name}"
            write_scores(place / "scores_validation.h5", fold.validation)
            write_scores(place / "scores_test.h5", fold.test)
        truth = tmp_path / "annotations" / task.challenge_folder() / "Validation_Set"
        truth.mkdir(parents=True)
        for track, a in annotations.items():
            rows = "\n".join(",".join(f"{v:g}" for v in row) for row in a.values)
            (truth / f"{track}.txt").write_text(f"{task.header()}\n{rows}\n")
        write_template(tmp_path / "template.txt", TEST, task)
        return tmp_path

    return make


def plan_command(task, folder, *more):
    args = [
        "plan",
        "--task",
        task,
        "--fold-scores",
        folder / "checkpoints",
        "--truth",
        folder / "annotations",
    ]
    fast = ["--crossfit-folds", 3, "--filters", 8, "--resamples", 50]
    return CliRunner().invoke(cli, [str(a) for a in [*args, "--out", folder / "plan", *fast, *more]])


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_all_five_are_written_and_pass_the_check(run_folder, task):
    folder = run_folder(TASKS[task])
    result = plan_command(task, folder, "--template", folder / "template.txt")
    assert result.exit_code == 0, result.exception
    zips = sorted((folder / "plan").glob("*.zip"))
    assert [z.name for z in zips] == [
        "1_chosen.zip",
        "2_safe.zip",
        "3_full.zip",
        "4_wide.zip",
        "5_mean.zip",
    ]
    for path in zips:
        assert check(path, task, expected_rows(task, folder / "template.txt")).ok
        told = json.loads(path.with_name(f"{path.name}.json").read_text())
        scores = told["files"][0]["from"]["inputs"][0]
        assert scores["stage"] == "plan-scores"
        assert len(scores["inputs"]) == 5  # the recipe and four folds' test scores
    plan = json.loads((folder / "plan/plan.json").read_text())
    assert [c["zip"] for c in plan["candidates"]] == [z.name for z in zips]
    labels = [read_scores(folder / f"plan/scores/{z.stem}.h5") for z in zips]
    stack = [np.concatenate([decide(TASKS[task], s[t]) for t in TEST]) for s in labels]
    assert plan["agreement"]["safe"]["mean"] == pytest.approx(agreement(TASKS[task], stack[1], stack[4]))


def test_a_plan_is_the_same_each_time_and_not_made_twice(run_folder):
    folder = run_folder(VA)
    first = plan_command("VA", folder, "--template", folder / "template.txt")
    bytes_ = {p.name: p.read_bytes() for p in (folder / "plan").glob("*.zip")}
    stamps = {p.name: p.stat().st_mtime_ns for p in (folder / "plan").glob("*.zip")}
    again = plan_command("VA", folder, "--template", folder / "template.txt")
    assert again.output == first.output
    assert stamps == {p.name: p.stat().st_mtime_ns for p in (folder / "plan").glob("*.zip")}
    (folder / "plan/record.json").unlink()
    plan_command("VA", folder, "--template", folder / "template.txt")
    assert bytes_ == {p.name: p.read_bytes() for p in (folder / "plan").glob("*.zip")}


def test_per_track_editions(run_folder):
    folder = run_folder(EXPR)
    (folder / "list.txt").write_text("\n".join(TEST) + "\n")
    result = plan_command("EXPR", folder, "--tracks", folder / "list.txt", "--json")
    assert len(json.loads(result.stdout)["candidates"]) == 5
    with zipfile.ZipFile(folder / "plan/4_wide.zip") as archive:
        assert archive.namelist() == ["test1.txt", "test2.txt"]


def test_folds_that_do_not_fit_are_refused(run_folder):
    folder = run_folder(VA)
    checkpoints = folder / "checkpoints"
    with pytest.raises(UserError, match="No folder"):
        read_fold_scores(folder / "none", VA)
    with pytest.raises(UserError, match=r"holds VA scores; expected AU"):
        read_fold_scores(checkpoints, AU)
    write_template(folder / "more.txt", {**TEST, "test3": 5}, VA)
    error = plan_command("VA", folder, "--template", folder / "more.txt").exception
    assert "Track test3 has no test scores in fold 0" in str(error)
    (checkpoints / "fold_1/scores_test.h5").unlink()
    with pytest.raises(UserError, match=r"fold_1 has no scores_test.h5"):
        read_fold_scores(checkpoints, VA)
    (checkpoints / "fold_0").rename(checkpoints / "fold_official_old")
    members, _ = world(VA)
    folds = members["m"]
    for name in ("1", "7"):
        write_scores(checkpoints / f"fold_{name}/scores_validation.h5", folds[1].validation)
        write_scores(checkpoints / f"fold_{name}/scores_test.h5", folds[1].test)
    with pytest.raises(UserError, match="is out of fold in 1 and in 7"):
        read_fold_scores(checkpoints, VA)
