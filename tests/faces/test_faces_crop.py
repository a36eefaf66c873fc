"""Cropping a corpus: right place, right person, the same bytes whoever does the work and however often."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.errors import UserError
from abaw_submit.faces import crop as crop_module
from abaw_submit.faces.choice import find_detector
from abaw_submit.faces.crop import CropTask, crop_video
from abaw_submit.faces.detect import DetectorSpec
from abaw_submit.faces.jobs import VideoJob, plan_jobs, wanted_tracks
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.stage import Workers, crop_corpus
from abaw_submit.faces.video import follow_video

HAAR = DetectorSpec("haar")
SETTINGS = CropSettings()
CENTRE, SCALE, ROWS = 0.10, 0.20, 0.95  # of the face's size; on so many of the rows


def sources(corpus):
    """Everything that names tracks: the annotations and one template per task."""
    return [corpus / "annotations", *sorted((corpus / "test_sets").glob("*_sample.txt"))]


def run(corpus, out, jobs=1, detector=HAAR, **more):
    more.setdefault("rows_from", sources(corpus))
    return crop_corpus([corpus / "videos"], out, detector, SETTINGS, workers=Workers(jobs=jobs), **more)


def tree(folder):
    """Every file's bytes by its path, apart from the stage record, which tells seconds and memory."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "record.json")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def crops(demo_corpus, tmp_path_factory):
    """The demo corpus cropped with Haar in this process."""
    out = tmp_path_factory.mktemp("crop") / "crops"
    report = run(demo_corpus, out)
    assert not report.failures
    return out


def compare_with_truth(corpus, crops):
    """Recall, precision, and per found row the distance and the ratio of size to the true face."""
    visible, found, both, distance, ratio = 0, 0, 0, [], []
    for path in sorted((corpus / "truth").glob("*.csv")):
        ledger = read_ledger(crops / path.stem)
        truth = pd.read_csv(path).iloc[: len(ledger)]
        seen, got = truth["visible"].to_numpy() == 1, ledger.found[: len(truth)]
        rows = np.flatnonzero(seen & got)
        visible, found, both = visible + seen.sum(), found + got.sum(), both + len(rows)
        true = truth.iloc[rows]
        size = np.asarray(np.sqrt(true.w * true.h))
        dx = ledger.x[rows] + ledger.w[rows] / 2 - (true.x + true.w / 2)
        dy = ledger.y[rows] + ledger.h[rows] / 2 - (true.y + true.h / 2)
        distance += list(np.asarray(np.hypot(dx, dy)) / size)
        ratio += list(np.sqrt(ledger.w[rows] * ledger.h[rows]) / size)
    return both / visible, both / found, np.array(distance), np.array(ratio)


def check_truth(corpus, crops, name):
    recall, precision, distance, ratio = compare_with_truth(corpus, crops)
    print(
        f"{name}: recall {recall:.3f}, precision {precision:.3f}, median distance {np.median(distance):.3f}"
    )
    assert recall >= 0.95
    assert precision >= 0.98
    assert (distance <= CENTRE).mean() >= ROWS
    assert (np.abs(ratio - 1) <= SCALE).mean() >= ROWS


def test_faces_are_found_where_they_are(demo_corpus, crops):
    check_truth(demo_corpus, crops, "haar")


def test_yunet_too(demo_corpus, tmp_path, yunet_model):
    run(demo_corpus, tmp_path / "crops", detector=find_detector("yunet", yunet_model)[0])
    check_truth(demo_corpus, tmp_path / "crops", "yunet")


def test_left_and_right_are_never_swapped(demo_corpus, crops):
    for left in sorted(crops.glob("*_left/ledger.csv")):
        name = left.parent.name.removesuffix("_left")
        for side, other in (("left", "right"), ("right", "left")):
            ledger = read_ledger(crops / f"{name}_{side}")
            own, foreign = (pd.read_csv(demo_corpus / "truth" / f"{name}_{s}.csv") for s in (side, other))
            rows = np.flatnonzero(ledger.found[: len(own)])
            centre = ledger.x[rows] + ledger.w[rows] / 2
            to_own = np.abs(centre - (own.x + own.w / 2).to_numpy()[rows])
            to_other = np.abs(centre - (foreign.x + foreign.w / 2).to_numpy()[rows])
            alone = foreign.visible.to_numpy()[rows] == 0
            assert len(rows) > 0
            assert (alone | (to_own < to_other)).all()


def test_one_line_per_official_row_and_one_jpg_per_found_row(demo_corpus, crops):
    rows = wanted_tracks(sources(demo_corpus))
    assert sorted(rows) == sorted(p.parent.name for p in crops.glob("*/ledger.csv"))
    for track, count in rows.items():
        ledger = read_ledger(crops / track)
        assert len(ledger) == count
        jpgs = sorted(p.name for p in (crops / track).glob("*.jpg"))
        assert jpgs == [f"{row:05d}.jpg" for row in ledger.row[ledger.found]]
        assert cv2.imread(str(crops / track / jpgs[0])).shape == (224, 224, 3)
        assert (np.diff(ledger.time_s) > 0).all()
    summary = pd.read_csv(crops / "summary.csv").set_index("track")
    assert summary.loc["total", "official"] == sum(rows.values())
    assert summary.loc["total", "found"] + summary.loc["total", "filled"] == sum(rows.values())


def test_a_second_run_does_nothing(demo_corpus, crops):
    record = (crops / "record.json").read_bytes()
    dates = {p: p.stat().st_mtime_ns for p in crops.glob("*/*")}
    assert not run(demo_corpus, crops).fresh
    assert {p: p.stat().st_mtime_ns for p in crops.glob("*/*")} == dates
    assert (crops / "record.json").read_bytes() == record


def test_two_workers_give_the_same_bytes(demo_corpus, crops, tmp_path):
    run(demo_corpus, tmp_path / "crops", jobs=2)
    assert tree(tmp_path / "crops") == tree(crops)


def test_a_killed_run_goes_on_with_the_next_video(demo_corpus, crops, tmp_path, monkeypatch):
    out = tmp_path / "crops"
    done = []

    def dies_at_the_third(path, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(path)
        return original(path, *rest)

    original = follow_video
    monkeypatch.setattr(crop_module, "follow_video", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(demo_corpus, out)
    assert not (out / "record.json").exists()
    kept = {p: p.stat().st_mtime_ns for p in out.glob("*/*.jpg")}
    assert kept
    leftover = out / ".video9.123.tmp"
    leftover.mkdir()
    monkeypatch.setattr(crop_module, "follow_video", original)
    run(demo_corpus, out)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert not leftover.exists()
    assert tree(out) == tree(crops)


def test_a_lost_picture_or_other_settings_are_done_again(demo_corpus, crops, tmp_path):
    out = tmp_path / "crops"
    job = VideoJob(demo_corpus / "videos" / "102.avi", {"102": None})
    task = CropTask(job, out, HAAR, SETTINGS)
    first = crop_video(task).tracks["102"]
    picture = next(out.glob("102/*.jpg"))
    data = picture.read_bytes()
    picture.unlink()
    assert crop_video(task).tracks["102"] == first
    assert picture.read_bytes() == data
    other = CropTask(job, out, HAAR, CropSettings(size_px=64))
    assert crop_video(other).tracks["102"]["fingerprint"] != first["fingerprint"]
    assert cv2.imread(str(picture)).shape == (64, 64, 3)


def test_shards_together_are_the_whole(demo_corpus, crops, tmp_path):
    out = tmp_path / "crops"
    for shard in ("2/3", "1/3", "3/3"):
        assert run(demo_corpus, out, shard=shard).tracks
        assert not (out / "record.json").exists()
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/*.jpg")}
    run(demo_corpus, out)
    assert {p: p.stat().st_mtime_ns for p in out.glob("*/*.jpg")} == before
    assert tree(out) == tree(crops)
    with pytest.raises(UserError, match="expected i/n"):
        run(demo_corpus, tmp_path / "other", shard="4/3")


def test_a_missing_and_a_broken_video_are_listed_and_the_rest_is_done(demo_corpus, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(demo_corpus / "videos" / "102.avi", videos)
    (videos / "broken.mp4").write_bytes(b"nothing")
    names = tmp_path / "names.txt"
    names.write_text("102\nbroken\nabsent_left\n")
    report = crop_corpus([videos], tmp_path / "crops", HAAR, SETTINGS, rows_from=[names], workers=Workers(1))
    assert list(report.tracks) == ["102"]
    assert [item for item, _ in report.failures] == ["absent_left", "broken.mp4"]
    assert "cannot be opened" in report.failures[1][1]


def test_a_video_without_faces_gives_a_ledger_of_none(tmp_path, write_video):
    video = write_video(tmp_path / "empty.mp4", [90] * 12, size=(160, 120))
    report = crop_corpus([video], tmp_path / "crops", HAAR, SETTINGS, workers=Workers(1))
    assert report.tracks["empty"]["found"] == 0
    assert report.tracks["empty"]["longest_gap"] == 12
    assert set(read_ledger(tmp_path / "crops" / "empty").source.tolist()) == {"none"}


def test_one_job_serves_all_tracks_of_a_video(tmp_path):
    videos = [tmp_path / "v.mp4", tmp_path / "v_left.mp4", tmp_path / "w.mp4"]
    tracks = {"v": 5, "v_left": 6, "v_right": 7, "x_left": None}
    jobs, missing = plan_jobs(videos, tracks)
    assert jobs == [VideoJob(videos[0], {"v": 5, "v_right": 7}), VideoJob(videos[1], {"v_left": 6})]
    assert missing == ["x_left"]


@pytest.mark.parametrize(
    ("name", "value"), [("every", 0), ("size_px", 223), ("margin", -0.1), ("quality", 101), ("min_score", 2)]
)
def test_settings_that_cannot_work_are_refused(name, value):
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')} {value}: expected"):
        CropSettings(**{name: value})
