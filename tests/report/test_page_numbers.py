"""The finished page against files read, and numbers worked out, without the package."""

import base64
import html
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import f1_score

from abaw_submit.cli import cli
from abaw_submit.layout import Layout


@pytest.fixture(scope="module")
def text(whole_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    write = ["report", "--run", str(whole_run / "work/one"), "--annotations", str(whole_run / "annotations")]
    CliRunner().invoke(cli, [*write, "--out", str(out)], catch_exceptions=False)
    return out.read_text()


def truth_of(root, task):
    """(rows, columns) by track, straight from the text files."""
    folder = next(p for p in (root / "annotations").iterdir() if p.name.startswith(task))
    return {p.stem: np.loadtxt(p, delimiter=",", skiprows=1, ndmin=2) for p in folder.glob("*/*.txt")}


def scores_of(path):
    """(rows, outputs) by track, straight from HDF5, or from a folder of text."""
    if path.is_dir():
        return {p.stem: np.loadtxt(p, delimiter=",", skiprows=1, ndmin=2) for p in path.glob("*.txt")}
    with h5py.File(path) as file:
        return {name: file[name][:] for name in file}


def pooled(root, task, paths):
    """Truth and scores of all labelled rows."""
    truth, scores = truth_of(root, task), {}
    for path in paths:
        scores |= scores_of(path)
    keep = {t: (v > -1).all(axis=1) if task != "VA" else (v >= -1).all(axis=1) for t, v in truth.items()}
    tracks = sorted(set(truth) & set(scores))
    return (
        np.concatenate([truth[t][keep[t]] for t in tracks]),
        np.concatenate([scores[t][keep[t]] for t in tracks]),
    )


def ccc(x, y):
    return 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def measured(task, truth, scores):
    """Score of each output."""
    if task == "VA":
        scores = np.clip(scores.astype(float), -1, 1)
        return [ccc(truth[:, k], scores[:, k]) for k in (0, 1)]
    if task == "EXPR":
        said = scores.argmax(axis=1)
        return list(f1_score(truth[:, 0], said, labels=range(8), average=None, zero_division=0))
    return [f1_score(truth[:, k], scores[:, k] >= 0.5, zero_division=0) for k in range(12)]


def section(text, anchor):
    return re.search(rf'<section id="{anchor}">(.*?)</section>', text, re.S)[1]


def table(part):
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", part, re.S)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S) for row in rows]
    return {html.unescape(row[0]): [html.unescape(c) for c in row[1:]] for row in cells if row}


SYSTEMS = [("single-frame head", "encoder"), ("TMF", "fold")]
ANCHORS = {"AU": "au-per-action-unit", "EXPR": "expr-per-expression", "VA": "va-per-dimension"}


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
@pytest.mark.parametrize(("system", "kind"), SYSTEMS)
def test_the_scores_of_each_output_are_those_of_scikit_learn(text, whole_run, task, system, kind):
    here = whole_run / "checkpoints/one" / task.lower()
    paths = [here / f"{kind}_{k}" / "scores_validation.h5" for k in (0, 1)]
    expected = measured(task, *pooled(whole_run, task, paths))
    shown = [float(cell) for cell in table(section(text, ANCHORS[task]))[system]]
    assert shown == pytest.approx([*expected, np.mean(expected)], abs=6e-4)


@pytest.mark.parametrize("task", ["EXPR", "VA"])
def test_the_recipes_score_is_that_of_the_files_chosen_without_each_track(text, whole_run, task):
    crossfit = whole_run / "work/one" / task.lower() / "recipe" / "crossfit"
    expected = measured(task, *pooled(whole_run, task, [crossfit]))
    row = table(section(text, f"{task.lower()}-per-fold"))["all, with the recipe"]
    assert [float(c) for c in row[:-1]] == pytest.approx([*expected, np.mean(expected)], abs=6e-4)
    assert row[-1] == "8"


def test_the_likeness_of_two_systems_is_their_correlation(text, whole_run):
    chart = json.loads(
        re.search(r"json\">(.*?)</script>", section(text, "va-how-alike-the-systems-are"), re.S)[1]
    )
    cells = {(c["y"], c["x"]): float(c["text"]) for c in chart["data"]["values"]}
    scores = [{}, {}]
    for one, kind in zip(scores, ("encoder", "fold"), strict=True):
        for k in (0, 1):
            one |= scores_of(whole_run / f"checkpoints/one/va/{kind}_{k}/scores_validation.h5")
    frame, tmf = (np.concatenate([one[t] for t in sorted(one)]) for one in scores)
    expected = np.mean([np.corrcoef(frame[:, k], tmf[:, k])[0, 1] for k in (0, 1)])
    assert cells["single-frame head", "TMF"] == pytest.approx(expected, abs=6e-3)
    assert cells["TMF", "TMF"] == 1


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
def test_the_player_has_every_output_of_every_row_of_every_track(text, whole_run, task):
    data = re.search(
        rf'id="player-{task.lower()}"><script type="application/json">(.*?)</script>', text, re.S
    )
    player = json.loads(data[1])
    truth = truth_of(whole_run, task)
    here = whole_run / "checkpoints/one" / task.lower()
    scores = {
        **scores_of(here / "fold_0/scores_validation.h5"),
        **scores_of(here / "fold_1/scores_validation.h5"),
    }
    assert sorted(t["name"] for t in player["tracks"]) == sorted(scores)
    for track in player["tracks"]:
        raw = np.frombuffer(base64.b64decode(track["raw"]), np.uint8).reshape(-1, len(player["columns"]))
        values = player["low"] + raw / 250 * (1 - player["low"])
        wanted = np.clip(scores[track["name"]], player["low"], 1)
        np.testing.assert_allclose(values, wanted, atol=(1 - player["low"]) / 499)
        labelled = np.frombuffer(base64.b64decode(track["state"]), np.uint8) & 1
        assert labelled.tolist() == [0] * 3 + [1] * (len(truth[track["name"]]) - 3)


def test_every_chart_and_table_has_a_sentence_below_it(text):
    captions = [re.sub(r"<[^>]+>", "", c) for c in re.findall(r"<figcaption>(.*?)</figcaption>", text, re.S)]
    assert len(captions) > 60
    odd = [c for c in captions if not re.fullmatch(r"[A-Z0-9].*[.]", c.strip(), re.S)]
    assert odd == []
    figures = re.findall(r"<figure.*?</figure>", text, re.S)
    assert [f[:300] for f in figures if "<figcaption>" not in f] == []


def test_the_candidates_of_plan_are_shown_and_against_the_first(text):
    part = section(text, "va-submission")
    assert "1. official" in part
    assert "difference to the first candidate" in part
    assert "<code>abaw-submit plan</code>" in part


def test_a_runs_own_plan_is_where_the_report_looks():
    layout = Layout("demo", root=Path("/data"))
    assert layout.submission_plan("va") == Path("/data/submissions/demo/plan_va")
