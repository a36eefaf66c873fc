"""The parts of the page against numbers worked out another way."""

import base64
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import confusion_matrix, f1_score

from abaw_submit.cli import cli
from abaw_submit.corpus.annotations import Annotation, read_annotation_set
from abaw_submit.metrics import ccc
from abaw_submit.report.blocks import Chart, Table
from abaw_submit.report.confusion_part import confusion_section
from abaw_submit.report.drift_part import drift_section, outlying
from abaw_submit.report.find import selection
from abaw_submit.report.results import Results, read_results
from abaw_submit.report.scoreboard import board, crossfitted
from abaw_submit.report.scores_part import (
    ablation_section,
    folds_section,
    official_section,
    scores_section,
)
from abaw_submit.report.timeline import BUDGET_BYTES, MAX_POINTS, player_data
from abaw_submit.report.tracks_part import tracks_section, weight_in_total
from abaw_submit.scores.files import Scores, read_scores
from abaw_submit.tasks import AU, VA


def part(run, task):
    return next(t for t in run.tasks if t.task is task)


@pytest.fixture
def results(whole_run, found):
    return {t.task.name: read_results(t, whole_run / "annotations") for t in found.tasks}


def test_the_confusion_matrix_is_that_of_scikit_learn(results):
    r = results["EXPR"]
    truth = np.concatenate([r.truth[t].values[3:, 0] for t in r.tracks]).astype(int)
    said = np.concatenate([r.processed[t][3:].argmax(axis=1) for t in r.tracks])
    expected = confusion_matrix(truth, said, labels=range(8))
    chart = confusion_section(r).blocks[0]
    assert isinstance(chart, Chart)
    counts = np.array([c["count"] for c in chart.spec["data"]["values"]]).reshape(8, 8)
    assert counts.tolist() == expected.tolist()


def test_each_action_units_f1_is_that_of_scikit_learn(results):
    r = results["AU"]
    truth = np.concatenate([r.truth[t].values[3:] for t in r.tracks])
    said = np.concatenate([r.processed[t][3:] >= 0.5 for t in r.tracks])
    table = confusion_section(r).blocks[0]
    assert isinstance(table, Table)
    for k, row in enumerate(table.rows):
        assert row[0] == AU.columns[k]
        assert float(row[1]) == pytest.approx(f1_score(truth[:, k], said[:, k]), abs=6e-4)


def test_the_official_validation_set_is_scored_by_its_own_model_and_out_of_fold(whole_run, found, results):
    section = official_section(part(found, VA), results["VA"])
    rows = {(row[0], row[1]): row for row in section.blocks[1].rows}
    own = read_scores(whole_run / "checkpoints/one/va/fold_official/scores_validation.h5", VA)
    truth = read_annotation_set(whole_run / "annotations", VA)
    for scores, key in ((own, "trained on the official training set"), (results["VA"].raw, "out of fold")):
        x = np.concatenate([truth[t].values[3:] for t in ("video7", "video8")])
        y = np.concatenate([scores[t][3:] for t in ("video7", "video8")])
        expected = (ccc(x[:, 0], y[:, 0]) + ccc(x[:, 1], y[:, 1])) / 2
        row = rows["TMF", key]
        assert float(row[2]) == pytest.approx(expected, abs=6e-4)
        assert row[4] == "2"


def test_each_fold_is_scored_on_the_tracks_it_held_out(results):
    r = results["EXPR"]
    rows = folds_section(r).blocks[0].rows
    assert [row[0] for row in rows] == ["fold 0", "fold 1", "all, pooled", "all, with the recipe"]
    tracks = [f"video{k}" for k in (1, 3, 5, 7)]
    truth = np.concatenate([r.truth[t].values[3:, 0] for t in tracks])
    said = np.concatenate([r.raw[t][3:].argmax(axis=1) for t in tracks])
    expected = f1_score(truth, said, labels=range(8), average="macro", zero_division=0)
    assert float(rows[0][9]) == pytest.approx(expected, abs=6e-4)


def test_a_tracks_worth_is_what_the_total_loses_without_it(results):
    r = results["VA"]
    rest = r.tracks[1:]
    without = Results(r.task, r.truth, r.raw, r.processed, r.has_recipe, r.fold_of, rest)
    x, y = r.pooled(r.processed)
    u, v = without.pooled(r.processed)
    expected = np.mean([ccc(x[:, k], y[:, k]) - ccc(u[:, k], v[:, k]) for k in (0, 1)])
    assert weight_in_total(r)[r.tracks[0]] == pytest.approx(expected)
    table = tracks_section(r, {}).blocks[0]
    worth = [float(row[2]) for row in table.rows]
    assert worth == sorted(worth)  # the worst first


def test_published_scores_are_beside_and_not_called_comparable_on_another_corpus(whole_run, found, results):
    task = part(found, AU)
    section = scores_section(board(task, whole_run / "annotations", crossfitted(task)), results["AU"])
    text = json.dumps([b.rows if isinstance(b, Table) else b.spec for b in section.blocks])
    drawn = json.dumps(section.blocks[0].spec)
    assert "published" not in drawn
    assert "this run" in drawn
    assert "0.365" in text  # the organisers' baseline on the test set
    assert "not scores to be compared" in " ".join(b.caption for b in section.blocks)


def test_the_ablation_table_has_the_papers_rows(whole_run, found):
    task = part(found, VA)
    table = ablation_section(
        board(task, whole_run / "annotations", crossfitted(task)), selection(task)
    ).blocks[0]
    names = " ".join(row[0] for row in table.rows)
    for word in ("single-frame", "no smoothing", "median", "mean", "gaussian", "chosen recipe"):
        assert word in names


def test_drift_tells_rates_and_names_a_track_that_stands_out(whole_run, found, results):
    r, task = results["AU"], part(found, AU)
    odd = Scores(AU, {"video11": np.full((50, 12), 0.999, np.float32), "video12": r.raw["video1"]})
    assert task.test is not None
    section = drift_section(task, r)
    rates = [v for v in section.blocks[0].spec["data"]["values"] if v["series"] == "truth"]
    truth = np.concatenate([r.truth[t].values[3:] for t in r.tracks])
    assert [v["value"] for v in rates] == pytest.approx(truth.mean(axis=0).tolist())
    table = outlying(r, odd)[0]
    assert table.rows[0][0] == "video11"


def test_a_players_bytes_are_the_scores(whole_run, results):
    r = results["VA"]
    data = player_data(r, whole_run / "work/one/crops", r.tracks)
    track = data["tracks"][2]
    raw = np.frombuffer(base64.b64decode(track["raw"]), np.uint8).reshape(-1, 2)
    assert -1 + raw / 250 * 2 == pytest.approx(r.raw[track["name"]], abs=0.0041)
    truth = np.frombuffer(base64.b64decode(track["truth"]), np.uint8).reshape(-1, 2)
    assert (truth[:3] == 255).all()  # rows without a label
    state = np.frombuffer(base64.b64decode(track["state"]), np.uint8)
    assert (state & 2 == 0).nonzero()[0].tolist() == list(range(10, 20))  # rows without a face
    assert track["time"][1] == pytest.approx(0.1)


def test_the_players_of_an_official_size_stay_within_their_share_of_the_page(tmp_path):
    rng = np.random.default_rng(0)
    tracks = [f"video{k}" for k in range(400)]
    rows = 1500
    values = np.ones((rows, 12), np.float32)
    truth = {t: Annotation(t, AU, values, np.ones(rows, bool), "train", None) for t in tracks}
    scores = Scores(AU, {t: rng.random((rows, 12), np.float32) for t in tracks})
    r = Results(AU, truth, scores, scores, True, {}, tracks)
    data = player_data(r, tmp_path, tracks)
    names = [t["name"] for t in data["tracks"]]
    assert {tracks[0], tracks[-1]} <= set(names)  # the worst and the best are there
    assert 10 < len(names) < 400
    assert data["tracks"][0]["step"] == -(-rows // MAX_POINTS)
    assert len(json.dumps(data)) < 1.2 * BUDGET_BYTES


def test_the_command_writes_one_file_with_everything_and_nothing_from_outside(whole_run, tmp_path):
    out = tmp_path / "report.html"
    write = ["report", "--run", str(whole_run / "work/one"), "--annotations", str(whole_run / "annotations")]
    config = tmp_path / "mine.toml"
    config.write_text('[run]\nname = "one"  # as I left it\n', encoding="utf-8")
    done = CliRunner().invoke(cli, [*write, "--out", str(out), "-c", str(config)], catch_exceptions=False)
    assert done.exit_code == 0
    html = out.read_text(encoding="utf-8")
    assert out.stat().st_size < 5e6
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html)  # nothing from outside
    assert "the official split&#39;s model alone" in html  # the plan
    for title in (
        "Per fold",
        "Ablations",
        "Reliability",
        "Faces",
        "Methods paragraph",
        "How to make it again",
    ):
        assert f">{title}</h" in html
    assert _faces(html) == {}  # only on request


def _players(html):
    return re.findall(
        r'<figure class="player"[^>]*><script type="application/json">(.*?)</script>', html, re.S
    )


def _faces(html):
    return json.loads(re.search(r'<script id="face-strips" type="application/json">(.*?)</script>', html)[1])


def test_faces_come_only_on_request(whole_run, tmp_path):
    out = tmp_path / "report.html"
    write = ["report", "--run", str(whole_run / "work/one"), "--annotations", str(whole_run / "annotations")]
    CliRunner().invoke(cli, [*write, "--out", str(out), "--faces"], catch_exceptions=False)
    html = out.read_text(encoding="utf-8")
    strip = _faces(html)["video1"]
    assert strip["faces"].startswith("data:image/webp;base64,")
    assert strip["at"] == [0, 1, 2, 3, 4, 5]  # one a second
    assert "The faces are one a second." in html
    assert "do not pass it on" in html


def test_the_annotations_are_those_the_recipes_were_chosen_by(whole_run, tmp_path, monkeypatch):
    """The run by its name, from the folder it lies in."""
    monkeypatch.chdir(whole_run)
    out = tmp_path / "report.html"
    done = CliRunner().invoke(cli, ["report", "--run", "one", "--out", str(out)], catch_exceptions=False)
    assert "Nothing is scored here" not in out.read_text(encoding="utf-8")
    assert "No annotations" not in done.output


def test_the_page_of_a_run_without_annotations_says_so(whole_run, tmp_path, monkeypatch):
    monkeypatch.setattr("abaw_submit.report.find.annotations_of", lambda run: None)
    out = tmp_path / "report.html"
    args = ["report", "--run", str(whole_run / "work/one"), "--out", str(out)]
    done = CliRunner().invoke(cli, args, catch_exceptions=False)
    assert "Nothing is scored here" in out.read_text(encoding="utf-8")
    assert "No annotations are known (--annotations)" in done.output


def test_a_run_that_is_not_there_is_refused_with_those_that_are(whole_run, tmp_path, monkeypatch):
    monkeypatch.chdir(whole_run)
    done = CliRunner().invoke(cli, ["report", "--run", "two", "--out", str(tmp_path / "x.html")])
    assert done.exit_code != 0
    assert "Runs there: one" in str(done.exception)
