"""`import-scores` as a user types it, and what the other commands read without it."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.errors import UserError
from abaw_submit.scores.files import read_scores
from abaw_submit.tasks import TASKS

_spec = importlib.util.spec_from_file_location("layouts", Path(__file__).with_name("layouts.py"))
layouts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(layouts)
ROWS = {"102": 17, "video2_left": 15, "10-60-1280x720": 19}


def run(*words, code=0):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if isinstance(result.exception, UserError):
        assert result.exception.exit_code == code, str(result.exception)
        return str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def corpus(tmp_path):
    """Scores of three tracks, annotations and a template that fit them."""
    tracks = layouts.make_scores("VA", ROWS)
    folder = tmp_path / "annotations" / "VA_Estimation_Challenge" / "Validation_Set"
    folder.mkdir(parents=True)
    template = ["image_location,valence,arousal"]
    for track, rows in ROWS.items():
        truth = np.clip(tracks[track] * 0.9 + 0.01, -1, 1)
        lines = "".join(f"{v:.3f},{a:.3f}\n" for v, a in truth)
        (folder / f"{track}.txt").write_text("valence,arousal\n" + lines)
        template += [f"{track}/{k + 1:05d}.jpg," for k in range(rows)]
    (tmp_path / "template.txt").write_text("\n".join(template) + "\n")
    return tmp_path, tracks


def test_shown_and_written(corpus):
    root, tracks = corpus
    source = layouts.LAYOUTS["one_csv_video_frame_0_times_index"](root / "mine", tracks, "VA")
    words = ("import-scores", source, "--task", "VA", "--out", root / "mine.h5")
    dry = run(*words, "--dry-run")
    assert "Nothing was written" in dry
    assert not (root / "mine.h5").exists()
    text = run(*words, "--rows-from", root / "annotations")
    for part in ("one table for all tracks", "counted from 0", '"valence", "arousal"', "51 (15 to 19 a track)",  # noqa: E501
                 "checked: all 3 tracks fit", "first rows"):  # fmt: skip
        assert part in text
    assert "NOT CHECKED" in dry
    np.testing.assert_array_equal(read_scores(root / "mine.h5")["102"], tracks["102"])
    assert "up to date" in run(*words, "--rows-from", root / "annotations")


def test_the_template_and_another_tasks_annotations_give_rows_too(corpus):
    root, _ = corpus
    expr = layouts.make_scores("EXPR", ROWS)
    source = layouts.LAYOUTS["npy_per_video"](root / "expr", expr, "EXPR")
    for rows in ("template.txt", "annotations"):
        words = ("--task", "EXPR", "--rows-from", root / rows, "--out", root / f"{rows}.h5")
        assert "checked: all 3 tracks" in run("import-scores", source, *words)


def test_metrics_select_and_format_read_foreign_scores(corpus):
    root, tracks = corpus
    source = layouts.LAYOUTS["one_csv_locations_0"](root / "mine", tracks, "VA")
    own = layouts.LAYOUTS["own_h5"](root / "own", tracks, "VA")
    truth = ("--truth", root / "annotations", "--resamples", "0")
    read = json.loads(run("metrics", "--task", "VA", "--scores", own, *truth, "--json"))
    words = ("metrics", "--task", "VA", "--scores", source, *truth, "--json")
    result = CliRunner().invoke(cli, [str(w) for w in words])
    assert json.loads(result.stdout) == read
    assert "one table for all tracks" in result.stderr
    for name, scores in (("a", own), ("b", source)):
        words = ("--template", root / "template.txt", "--out", root / f"{name}.txt")
        run("format", "--task", "VA", "--scores", scores, *words)
    assert (root / "a.txt").read_bytes() == (root / "b.txt").read_bytes()


def test_what_is_open_names_the_option_and_the_command(corpus):
    root, _ = corpus
    (root / "102.csv").write_text("frame,valence,arousal\n5,0.1,0.2\n6,0.3,0.4\n")
    words = ("--truth", root / "annotations")
    text = run("metrics", "--task", "VA", "--scores", root / "102.csv", *words, code=2)
    assert "--first-frame 0" in text
    assert "import-scores" in text


def test_out_must_be_an_h5_file_outside_of_the_source(corpus):
    root, tracks = corpus
    source = layouts.LAYOUTS["npy_per_video"](root / "mine", tracks, "VA")
    words = ("import-scores", source, "--task", "VA", "--out")
    assert "ends in .h5" in run(*words, root / "mine.csv", code=2)
    run(*words, source / "x.h5", code=2)
    assert not (source / "x.h5").exists()


def test_check_says_what_scores_are_and_what_to_do(corpus):
    root, _ = corpus
    tracks = layouts.make_scores("EXPR", ROWS)
    blank = (root / "template.txt").read_text().replace("valence,arousal", TASKS["EXPR"].header())
    (root / "blank.txt").write_text(blank)
    words = ("--task", "EXPR", "--template", root / "blank.txt")
    for name in ("one_csv_locations", "npz_keyed", "csv_per_video"):
        source = layouts.LAYOUTS[name](root / name, tracks, "EXPR")
        assert f"abaw-submit format --task EXPR --scores {source}" in run("check", source, *words, code=1)


def test_select_shows_the_best_member_alone(corpus):
    root, tracks = corpus
    own = layouts.LAYOUTS["own_h5"](root / "own", tracks, "VA")
    rng = np.random.default_rng(0)
    noisy = {t: np.clip(v + rng.normal(0, 0.3, v.shape), -1, 1) for t, v in tracks.items()}
    other = layouts.LAYOUTS["csv_per_video"](root / "other", noisy, "VA")
    words = (
        "--scores",
        f"a={own}",
        "--scores",
        f"b={other}",
        "--truth",
        root / "annotations",
        "--no-pictures",
    )
    text = run("select", "--task", "VA", *words, "--steps", "ensemble", "--out", root / "recipe")
    line = next(line for line in text.splitlines() if line.startswith("best member alone: a"))
    assert float(line.split()[-1]) > 0.9
