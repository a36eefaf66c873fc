"""Crops and landmarks made elsewhere: the official folders, OpenFace."""

import cv2
import numpy as np
import pytest

from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.errors import UserError
from abaw_submit.faces.detect import BOX, LANDMARKS, DetectorSpec
from abaw_submit.faces.openface import read_openface
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.stage import Workers, crop_corpus

ONE = Workers(jobs=1)


def adopt(detector, paths, out, **more):
    return crop_corpus(paths, out, DetectorSpec(detector), CropSettings(), workers=ONE, **more)


def official_folder(root, track, rows):
    folder = root / track
    folder.mkdir(parents=True)
    for row in rows:
        cv2.imwrite(str(folder / f"{row:05d}.jpg"), np.full((112, 112, 3), row * 10, np.uint8))
    return folder


def test_official_crops_of_two_zips_are_taken_byte_for_byte(tmp_path, write_video):
    one = official_folder(tmp_path / "zip1", "video2", [2, 3, 5])
    official_folder(tmp_path / "zip2", "video2_left", [1])
    write_video(tmp_path / "video2.mp4", [50] * 6, [0.1 * k for k in range(6)])
    template = tmp_path / "template.txt"
    template.write_text(
        "image_location,valence,arousal\n"
        + "".join(f"video2/{k:05d}.jpg,\n" for k in range(1, 8))
        + "".join(f"video2_left/{k:05d}.jpg,\n" for k in range(1, 8))
    )
    paths = [tmp_path / "zip1", tmp_path / "zip2", tmp_path / "video2.mp4"]
    out = tmp_path / "crops"
    report = adopt("official", paths, out, rows_from=[template])
    assert not report.failures
    ledger = read_ledger(out / "video2")
    assert ledger.found.tolist() == [False, True, True, False, True, False, False]
    assert ledger.source.tolist()[:2] == ["nearest", "detected"]
    np.testing.assert_allclose(ledger.time_s, [0.1 * k for k in range(7)], atol=1e-4)
    assert (out / "video2" / "00003.jpg").read_bytes() == (one / "00003.jpg").read_bytes()
    assert read_ledger(out / "video2_left").picture_rows().tolist() == [1] * 7
    assert not adopt("official", paths, out, rows_from=[template]).fresh
    official_folder(tmp_path / "zip2", "other", [1])
    (one / "00004.jpg").write_bytes((one / "00003.jpg").read_bytes())
    adopt("official", paths, out, rows_from=[template])
    assert read_ledger(out / "video2").found.sum() == 4


def test_without_the_video_rows_are_counted_at_30_per_second(tmp_path):
    official_folder(tmp_path / "zip", "102", [2, 4])
    adopt("official", [tmp_path / "zip"], tmp_path / "crops")
    ledger = read_ledger(tmp_path / "crops" / "102")
    np.testing.assert_allclose(ledger.time_s, np.arange(4) / 30, atol=1e-6)


def test_a_track_in_both_zips_and_a_missing_one_are_named(tmp_path):
    official_folder(tmp_path / "zip1", "102", [1])
    official_folder(tmp_path / "zip2", "102", [1])
    with pytest.raises(UserError, match="102 twice"):
        adopt("official", [tmp_path / "zip1", tmp_path / "zip2"], tmp_path / "crops")
    names = tmp_path / "names.txt"
    names.write_text("102\n103\n")
    report = adopt("official", [tmp_path / "zip1"], tmp_path / "crops", rows_from=[names])
    assert report.failures == [("103", "no folder of crops was given")]
    assert list(report.tracks) == ["102"]


def landmarks(cx, cy, size):
    """68 points: brows to chin, both eyes, nose tip and mouth corners where OpenFace numbers them."""
    points = np.full((68, 2), (cx, cy), np.float64)
    points[0], points[16] = (cx - size / 2, cy), (cx + size / 2, cy)
    points[8], points[17:27] = (cx, cy + size / 2), (cx, cy - size / 2)
    points[36:42], points[42:48] = (cx - 0.2 * size, cy - 0.2 * size), (cx + 0.2 * size, cy - 0.2 * size)
    points[48], points[54] = (cx - 0.15 * size, cy + 0.25 * size), (cx + 0.15 * size, cy + 0.25 * size)
    return points


def write_openface(path, rows):
    """Rows of (frame, success, points), with OpenFace's blanks in the header."""
    names = ["frame", "face_id", "timestamp", "confidence", "success"]
    names += [f"{axis}_{k}" for axis in "xy" for k in range(68)]
    lines = [", ".join(names)]
    for frame, success, points in rows:
        values = [frame, 0, frame / 25, 0.98, success, *points[:, 0], *points[:, 1]]
        lines.append(", ".join(f"{v:g}" for v in values))
    path.write_text("\n".join(lines) + "\n")


def test_openface_landmarks_become_boxes_and_five_points(tmp_path):
    write_openface(tmp_path / "v.csv", [(1, 1, landmarks(100, 80, 60)), (2, 0, landmarks(0, 0, 1))])
    table = read_openface(tmp_path / "v.csv")
    assert list(table) == [1]
    face = table[1][0]
    np.testing.assert_allclose(face[BOX], (70, 50 - 7.2, 60, 67.2), rtol=1e-4)
    eyes = face[LANDMARKS].reshape(5, 2)[:2]
    np.testing.assert_allclose(eyes, [(88, 68), (112, 68)], rtol=1e-4)


def test_openface_table_crops_from_the_video(tmp_path, write_video):
    write_video(tmp_path / "v.mp4", [100] * 20, size=(320, 240))
    rows = [(k, int(k <= 12), landmarks(100 + k, 80, 60)) for k in range(1, 21)]
    write_openface(tmp_path / "v.csv", rows)
    report = adopt("openface", [tmp_path / "v.mp4", tmp_path / "v.csv"], tmp_path / "crops")
    assert report.tracks["v"]["found"] == 12
    ledger = read_ledger(tmp_path / "crops" / "v")
    np.testing.assert_allclose(ledger.x[:12], 70 + np.arange(1, 13), atol=0.1)
    assert cv2.imread(str(tmp_path / "crops" / "v" / "00001.jpg")).shape == (224, 224, 3)


def test_openface_aligned_folder_stands_in(tmp_path):
    folder = tmp_path / "openface" / "v_aligned"
    folder.mkdir(parents=True)
    for row in (1, 3):
        cv2.imwrite(str(folder / f"frame_det_00_{row:06d}.bmp"), np.full((112, 112, 3), 50, np.uint8))
    adopt("openface", [tmp_path / "openface"], tmp_path / "crops")
    assert read_ledger(tmp_path / "crops" / "v").found.tolist() == [True, False, True]
    assert cv2.imread(str(tmp_path / "crops" / "v" / "00003.jpg")).shape == (112, 112, 3)


def test_a_csv_that_is_not_openface_is_refused(tmp_path):
    (tmp_path / "v.csv").write_text("frame,confidence\n1,2\n")
    with pytest.raises(UserError, match=r"v\.csv, line 1: no column success"):
        read_openface(tmp_path / "v.csv")
