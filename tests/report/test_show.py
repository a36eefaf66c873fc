"""`show`: the same numbers as the stages one by one, a table of every frame, and a video with its sound."""

import csv
import io
from dataclasses import replace

import av
import click
import numpy as np
import pytest
from click.testing import CliRunner

from abaw_submit.cli import cli
from abaw_submit.corpus.ledger import Ledger
from abaw_submit.errors import UserError
from abaw_submit.report.frame_table import frame_csv
from abaw_submit.report.overlay import draw, write_overlay
from abaw_submit.report.watch import Watched
from abaw_submit.scores.files import read_scores
from abaw_submit.store import write_text
from abaw_submit.tasks import EXPR

VIT = ["--img-size-px", "16", "--patch-px", "8", "--dim", "32", "--depth", "1", "--heads", "2"]
TMF = ["--conv-dim", "16", "--model-dim", "16", "--feedforward-dim", "16", "--layers", "1", "--heads", "2"]
TRACKS = ("video1", "video2", "video3", "video4")


def run(*words):
    result = CliRunner().invoke(cli, [str(w) for w in words], catch_exceptions=False, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def watched_of(video, rows, rate_hz=30.0, found=True):
    """Predictions of all three tasks that move."""
    k = np.arange(rows)
    wave = np.sin(k / 5)
    units = np.clip(0.5 + 0.5 * wave[:, None] * np.linspace(-1, 1, 12), 0, 1)
    classes = np.abs(wave[:, None] * np.arange(1, 9))
    scores = {
        "AU": units.astype(np.float32),
        "EXPR": (classes / np.maximum(classes.sum(1, keepdims=True), 1e-6)).astype(np.float32),
        "VA": np.stack([wave, -wave], axis=1).astype(np.float32),
    }
    ones = np.ones(rows)
    source = np.full(rows, "detected", "<U8")
    box = (10 * ones, 8 * ones, 20 * ones, 20 * ones)
    ledger = Ledger(k + 1, k / rate_hz, np.full(rows, found), ones, *box, source)
    return Watched(video, ledger, scores, [])


@pytest.fixture(scope="module")
def sound():
    """Two seconds of a tone."""
    return 0.3 * np.sin(np.arange(32000) / 16000 * 2 * np.pi * 440)


def test_the_overlay_keeps_length_and_sound(make_video, sound, tmp_path):
    video = make_video(tmp_path / "in.mkv", frames=60, sound=sound)
    frames, has_sound = write_overlay(watched_of(video, 60), tmp_path / "out.mp4")
    assert (frames, has_sound) == (60, True)
    with av.open(str(tmp_path / "out.mp4")) as out:
        assert {s.type for s in out.streams} == {"video", "audio"}
        assert sum(1 for _ in out.decode(video=0)) == 60
    with av.open(str(tmp_path / "out.mp4")) as out:
        samples = np.concatenate([f.to_ndarray()[0] for f in out.decode(audio=0)])
        assert len(samples) / out.streams.audio[0].rate == pytest.approx(2.0, abs=0.1)
        assert np.abs(samples).max() > 0.1  # the tone, not silence
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_video_without_sound_gets_none(make_video, tmp_path):
    video = make_video(tmp_path / "in.mkv", frames=20)
    assert write_overlay(watched_of(video, 20), tmp_path / "out.mp4") == (20, False)


def test_the_drawing_follows_the_scores():
    grey = np.full((360, 640, 3), 128, np.uint8)
    watched = watched_of(None, 40)
    one, other = draw(grey.copy(), watched, 10, 1.0), draw(grey.copy(), watched, 30, 1.0)
    assert (one != grey).any()
    assert (one[:, :120] != other[:, :120]).any()  # bars of the action units
    assert (one[230:, 500:] != other[230:, 500:]).any()  # valence and arousal


def test_the_table_has_a_line_per_frame_with_labels_and_scores():
    watched = watched_of(None, 25)
    rows = list(csv.DictReader(io.StringIO(frame_csv(watched))))
    assert len(rows) == 25
    assert [int(r["frame"]) for r in rows] == list(range(1, 26))
    best = watched.scores["EXPR"].argmax(axis=1)
    assert [r["expression"] for r in rows] == [EXPR.columns[k] for k in best]
    assert [r["AU1_present"] for r in rows] == [str(int(v >= 0.5)) for v in watched.scores["AU"][:, 0]]
    assert [float(r["valence"]) for r in rows] == pytest.approx(watched.scores["VA"][:, 0].tolist(), abs=1e-4)


def test_a_frame_without_a_face_has_no_box():
    row = next(csv.DictReader(io.StringIO(frame_csv(watched_of(None, 3, found=False)))))
    assert (row["face"], row["x"], row["w"]) == ("0", "", "")


def train_a_run(root, make_video, make_crops):
    """A VA run of one fold, trained on coloured squares and noise."""
    rng = np.random.default_rng(1)
    (root / "videos").mkdir()
    for k, track in enumerate(TRACKS):
        make_crops(root / "work/tiny/crops" / track, rows=24, size_px=32, seed=k)
        make_video(root / "videos" / f"{track}.mkv", frames=24, sound=rng.normal(0, 0.1, 16000))
        subset = "Validation_Set" if k == 3 else "Train_Set"
        values = "".join(f"{v:.3f},{a:.3f}\n" for v, a in np.tanh(rng.normal(0, 0.5, (24, 2))))
        write_text(
            root / "annotations/VA_Estimation_Challenge" / subset / f"{track}.txt",
            f"valence,arousal\n{values}",
        )
    here, truth = root / "checkpoints/tiny/va", ["--annotations", "annotations", "--epochs", 1, "--batch", 4]
    crops = "work/tiny/crops"
    run("finetune", "--task", "VA", "--crops", crops, *truth, "--out", here / "encoder_0", *VIT)
    visual, audio = "work/tiny/features/mae_va_0", "work/tiny/features/logmel"
    extract = ["extract", "--jobs", 1, "--crops", crops]  # workers of earlier tests stand in another folder
    run(*extract, "--extractor", "mae", "--checkpoint", here / "encoder_0", "--out", visual)
    run(*extract, "--extractor", "logmel", "--videos", "videos", "--out", audio)
    features = ["--features", visual, "--features", audio]
    run("train", "--task", "VA", *features, *truth, "--out", here / "fold_0", "--clip-rows", 16, *TMF)


def test_show_says_what_the_stages_say_one_by_one(make_video, make_crops, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train_a_run(tmp_path, make_video, make_crops)
    video = make_video(tmp_path / "new.mkv", frames=40, sound=sound)
    before = {p.name for p in tmp_path.iterdir()}
    said = run("show", video, "--run", "tiny", "--csv", "new.csv", "--out", "new.mp4", "--detector", "haar")
    assert "new.csv: 40 frames, 0 with a face" in said
    assert "with its sound" in said
    assert {p.name for p in tmp_path.iterdir()} == {*before, "new.csv", "new.mp4"}

    run("crop", video, "--out", "own/crops", "--detector", "haar", "--jobs", 1)
    encoder = "checkpoints/tiny/va/encoder_0"
    run(
        "extract",
        "--jobs",
        1,
        "--extractor",
        "mae",
        "--checkpoint",
        encoder,
        "--crops",
        "own/crops",
        "--out",
        "own/mae",
    )
    run(
        "extract",
        "--jobs",
        1,
        "--extractor",
        "logmel",
        "--videos",
        video,
        "--crops",
        "own/crops",
        "--out",
        "own/logmel",
    )
    features = ["--features", "own/mae", "--features", "own/logmel"]
    write_text("own/tracks.txt", "new\n")
    fold = "checkpoints/tiny/va/fold_0"
    run("predict", "--checkpoint", fold, *features, "--tracks", "own/tracks.txt", "--out", "own/scores.h5")
    expected = read_scores("own/scores.h5", "VA")["new"]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "new.csv").read_text())))
    shown = np.array([[float(r["valence"]), float(r["arousal"])] for r in rows])
    assert shown == pytest.approx(expected, abs=6e-5)  # four decimals


def test_without_a_face_the_words_stand_below_each_other(monkeypatch):
    placed = {}
    monkeypatch.setattr(
        "abaw_submit.report.overlay._label", lambda image, text, x, y, unit: placed.setdefault(text, (x, y))
    )
    watched = watched_of("x.mp4", 5, found=False)
    nowhere = np.zeros(5)
    ledger = replace(watched.ledger, x=nowhere, y=nowhere, w=nowhere, h=nowhere)
    draw(np.zeros((360, 640, 3), np.uint8), replace(watched, ledger=ledger), 3, 1.0)
    (x, y), (other_x, other_y) = placed.values()
    assert "no face" in placed
    assert len(placed) == 2
    assert x == other_x
    assert abs(y - other_y) >= 16


def test_what_cannot_be_shown_is_said(make_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    video = make_video(tmp_path / "in.mkv", frames=5)
    with pytest.raises(click.UsageError, match="Give --out"):
        run("show", video, "--run", "tiny")
    with pytest.raises(click.UsageError, match="is the video itself"):
        run("show", video, "--run", "tiny", "--out", video)
    (tmp_path / "mine.csv").write_text("my own table\n")
    for option in ("--csv", "--out"):
        with pytest.raises(UserError, match=rf"{option} mine\.csv is there already.*--overwrite"):
            run("show", video, "--run", "tiny", option, "mine.csv")
    with pytest.raises(UserError, match="Nothing of run nothere"):
        run("show", video, "--run", "nothere", "--csv", "mine.csv", "--overwrite")
    assert (tmp_path / "mine.csv").read_text() == "my own table\n"
    with pytest.raises(UserError, match="Nothing of run nothere"):
        run("show", video, "--run", "nothere", "--csv", "x.csv")
