"""The scoreboard and the page, on a run made by hand whose answers are known."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import UserError
from abaw_submit.metrics import ccc
from abaw_submit.report.find import find_run
from abaw_submit.report.scoreboard import board, board_text
from abaw_submit.report.tables_part import ablation_tables, balance_table_of
from abaw_submit.scores.files import Scores, write_scores
from abaw_submit.store import Stage, write_text
from abaw_submit.tasks import VA

TRACKS = [f"video{k}" for k in range(1, 9)]


@pytest.fixture
def run(tmp_path):
    """A VA run with two folds: the TMF is nearer to the truth than the single-frame head."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "annotations" / "VA_Estimation_Challenge" / "Train_Set"
    truth = {}
    for track in TRACKS:
        values = np.tanh(np.cumsum(rng.normal(0, 0.2, (50, 2)), axis=0)).round(3)
        values[:3] = -5
        truth[track] = values
        text = "valence,arousal\n" + "".join(f"{v:g},{a:g}\n" for v, a in values)
        write_text(folder / f"{track}.txt", text)
    for kind, noise in (("encoder", 0.8), ("fold", 0.2)):
        for fold in (0, 1):
            part = {t: truth[t] + rng.normal(0, noise, (50, 2)) for t in TRACKS[fold::2]}
            path = tmp_path / "checkpoints" / "one" / "va" / f"{kind}_{fold}" / "scores_validation.h5"
            path.parent.mkdir(parents=True)
            write_scores(path, Scores(VA, {t: np.clip(v, -1, 1) for t, v in part.items()}))
    crops = tmp_path / "work" / "one" / "crops"
    with Stage("crop", crops, settings={}, inputs=[]) as stage:
        stage.count("rows", 400)
        stage.fail("video<9>", "cannot be decoded")
    return tmp_path


def test_the_board_scores_pooled_valid_rows_and_pairs_its_lines(run):
    task = find_run(run / "work" / "one").tasks[0]
    found = board(task, run / "annotations")
    assert [line.name for line in found.lines] == ["constant", "single-frame head", "TMF"]
    assert (found.tracks, found.rows) == (8, 8 * 47)
    constant, frame, tmf = found.lines
    assert constant.score.total == pytest.approx(0, abs=0.02)
    assert tmf.score.total > frame.score.total > constant.score.total
    assert tmf.gain == pytest.approx(tmf.score.total - frame.score.total)
    assert tmf.gain_interval[0] > 0
    assert "TMF" in board_text(found)


def test_the_total_is_the_mean_of_two_pooled_cccs(run):
    from abaw_submit.corpus.annotations import read_annotation_set
    from abaw_submit.scores.files import read_member

    task = find_run(run / "work" / "one").tasks[0]
    truth = read_annotation_set(run / "annotations", VA)
    scores = read_member(task.tmf)
    x = np.concatenate([truth[t].values[3:] for t in TRACKS])
    y = np.concatenate([scores[t][3:] for t in TRACKS])
    expected = (ccc(x[:, 0], y[:, 0]) + ccc(x[:, 1], y[:, 1])) / 2
    assert board(task, run / "annotations").lines[-1].score.total == pytest.approx(expected)


def test_the_page_is_one_file_with_scores_and_escaped_failures(run):
    out = run / "report.html"
    args = ["--run", str(run / "work/one"), "--annotations", str(run / "annotations"), "--out", str(out)]
    result = CliRunner().invoke(cli, ["report", *args], catch_exceptions=False)
    assert result.exit_code == 0
    html = out.read_text()
    assert CliRunner().invoke(cli, ["report", *args]).exit_code == 0  # its own page is made again
    assert "video&lt;9&gt;" in html
    assert re.search(r"<b>0\.\d{3}</b>", html)
    assert not re.search(r"""(src|href)=["'](https?:)?//""", html)  # nothing from outside


def test_a_page_of_somebody_else_stays(run):
    out = run / "thesis.html"
    out.write_text("<!doctype html><title>Thesis</title>")
    result = CliRunner().invoke(cli, ["report", "--run", str(run / "work/one"), "--out", str(out)])
    assert isinstance(result.exception, UserError)
    assert "thesis.html is there already" in str(result.exception)
    assert out.read_text() == "<!doctype html><title>Thesis</title>"


def test_an_empty_run_is_named(tmp_path):
    (tmp_path / "work" / "x").mkdir(parents=True)
    with pytest.raises(UserError, match="Nothing of run x"):
        find_run(tmp_path / "work" / "x")


def test_tables_that_other_commands_left_are_shown(run):
    assert ablation_tables(run / "work" / "one", VA) is None
    write_text(
        run / "work/one/ablations/va_models.csv", "name,total,low\nfull model,0.5000,0.4\ngru,0.51,0.4\n"
    )
    write_text(run / "splits/one_va.balance.csv", "fold,tracks\n0,4\n")
    section = ablation_tables(run / "work" / "one", VA)
    assert section.blocks[0].head == ["name", "total", "95 % from"]
    assert section.blocks[0].rows[1][0] == "gru"
    assert balance_table_of(find_run(run / "work" / "one"), VA).blocks[0].rows == [["0", "4"]]
