"""Real clips: what is known about them must come out."""

import cv2
import numpy as np
import pytest

from abaw_submit.corpus.ledger import read_ledger
from abaw_submit.faces.choice import find_detector
from abaw_submit.faces.settings import CropSettings
from abaw_submit.faces.stage import Workers, crop_corpus


@pytest.fixture(scope="module")
def crops(shared_videos, yunet_model, tmp_path_factory):
    """The clips cropped with YuNet."""
    out = tmp_path_factory.mktemp("real") / "crops"
    spec, _ = find_detector("yunet", yunet_model)
    names = ("face_noface.mov", "hamilton.mp4", "no_face.mp4", "portrait_noaudio.mp4")
    crop_corpus([shared_videos / n for n in names], out, spec, CropSettings(), workers=Workers(2))
    return out


def test_a_face_in_72_rows_and_then_none(crops):
    ledger = read_ledger(crops / "face_noface")
    assert len(ledger) == 169
    assert 69 <= ledger.found.sum() <= 75
    assert not ledger.found[-94:].any()
    assert set(ledger.source[-94:].tolist()) == {"nearest"}
    steps = np.diff(ledger.time_s)
    assert 0.0136 < steps.min() < 0.0138
    assert 0.0416 < steps.max() < 0.0418


def test_no_face_in_any_of_95_rows(crops):
    ledger = read_ledger(crops / "no_face")
    assert len(ledger) == 95
    assert not ledger.found.any()


def test_275_rows_from_the_pictures_start(crops):
    ledger = read_ledger(crops / "hamilton")
    assert len(ledger) == 275
    assert ledger.time_s[0] == pytest.approx(0.852, abs=1e-3)


def test_portrait_is_upright(crops):
    """OpenCV's own detector of upright faces agrees with the crops, and would not if they lay on a side."""
    ledger = read_ledger(crops / "portrait_noaudio")
    assert ledger.found.all()
    assert (ledger.y + ledger.h).max() > 800  # px of the 720 x 1280 frame
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")  # type: ignore[attr-defined]
    upright = lying = 0
    for row in range(1, 353, 25):
        grey = cv2.imread(str(crops / "portrait_noaudio" / f"{row:05d}.jpg"), cv2.IMREAD_GRAYSCALE)
        upright += len(cascade.detectMultiScale(grey, 1.1, 4, minSize=(100, 100))) == 1
        lying += len(cascade.detectMultiScale(cv2.rotate(grey, 0), 1.1, 4, minSize=(100, 100))) == 1
    assert upright >= 13
    assert lying <= 2


def test_skipping_frames_hardly_moves_the_boxes(shared_videos, yunet_model, crops, tmp_path):
    spec, _ = find_detector("yunet", yunet_model)
    crop_corpus([shared_videos / "hamilton.mp4"], tmp_path, spec, CropSettings(every=1), workers=Workers(1))
    a, b = read_ledger(crops / "hamilton"), read_ledger(tmp_path / "hamilton")
    rows = a.found & b.found
    left, top = np.maximum(a.x, b.x), np.maximum(a.y, b.y)
    right, bottom = np.minimum(a.x + a.w, b.x + b.w), np.minimum(a.y + a.h, b.y + b.h)
    common = (right - left).clip(0) * (bottom - top).clip(0)
    overlap = common / (a.w * a.h + b.w * b.h - common)
    assert (overlap[rows] >= 0.9).mean() >= 0.95
    assert (a.found == b.found).mean() >= 0.98
