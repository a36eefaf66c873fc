"""Detectors by name, their model, and what counts as a face."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.errors import UserError
from abaw_submit.faces import yunet
from abaw_submit.faces.choice import find_detector
from abaw_submit.faces.detect import DetectorSpec, iou, keep_plausible, make_detector
from abaw_submit.faces.haar import Haar
from abaw_submit.faces.settings import CropSettings


@pytest.fixture
def no_model(tmp_path, monkeypatch):
    """A machine without YuNet."""
    monkeypatch.delenv("ABAW_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


BOXES = st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2)


@given(BOXES, BOXES)
def test_iou_agrees_with_counting_pixels(a, b):
    pictures = []
    for x, y, w, h in (a, b):
        picture = np.zeros((30, 30), bool)
        picture[y : y + h, x : x + w] = True
        pictures.append(picture)
    counted = (pictures[0] & pictures[1]).sum() / (pictures[0] | pictures[1]).sum()
    assert iou(np.array([a]), np.array([b]))[0, 0] == pytest.approx(counted)


def face(x, y, w, h, score=0.9):
    return np.array([x, y, w, h, *[np.nan] * 10, score], np.float32)


def test_small_and_outside_faces_go_and_the_largest_come_first():
    faces = np.stack([face(10, 10, 20, 25), face(5, 5, 60, 70), face(40, 40, 5, 6), face(-50, 0, 60, 60)])
    kept = keep_plausible(faces, 320, 180, CropSettings(min_face=0.1))
    assert kept[:, 2].tolist() == [60, 20]
    assert len(keep_plausible(faces, 320, 180, CropSettings(people=1))) == 1
    assert keep_plausible(faces[:0], 320, 180, CropSettings()).shape == (0, 15)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UserError, match='Did you mean "haar"'):
        make_detector(DetectorSpec("harr"), CropSettings())


def test_auto_falls_back_to_haar_with_one_line(no_model):
    spec, remark = find_detector("auto")
    assert spec == DetectorSpec("haar")
    assert "using haar" in remark
    assert "\n" not in remark


def test_the_model_is_found_by_path_by_variable_and_in_the_cache(no_model, monkeypatch):
    model = no_model / "some.onnx"
    model.write_bytes(b"weights")
    spec, remark = find_detector("auto", model)
    assert (spec.name, spec.model, remark) == ("yunet", model, "")
    assert spec.identity == hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setenv("ABAW_YUNET", str(model))
    assert find_detector("yunet")[0].model == model
    monkeypatch.setenv("ABAW_YUNET", str(no_model / "missing.onnx"))
    with pytest.raises(UserError, match=r"ABAW_YUNET: no YuNet model at .*missing\.onnx"):
        find_detector("auto")
    monkeypatch.delenv("ABAW_YUNET")
    yunet.cache_file().parent.mkdir(parents=True)
    yunet.cache_file().write_bytes(b"weights")
    assert find_detector("auto")[0].name == "haar"  # other bytes than the known model are not trusted
    monkeypatch.setattr(yunet, "SHA256", hashlib.sha256(b"weights").hexdigest())
    assert find_detector("auto")[0].model == yunet.cache_file()


def test_a_download_is_checked_before_it_is_kept(no_model, monkeypatch):
    source = no_model / "download.onnx"
    source.write_bytes(b"weights")
    with pytest.raises(UserError, match="expected ebafce"):
        yunet.download_model(source.as_uri())
    assert not yunet.cache_file().exists()
    monkeypatch.setattr(yunet, "SHA256", hashlib.sha256(b"weights").hexdigest())
    assert yunet.download_model(source.as_uri()).read_bytes() == b"weights"


def test_no_network_is_one_clear_line(no_model):
    with pytest.raises(UserError, match=r"cannot be downloaded .* --detector haar") as caught:
        yunet.download_model((no_model / "nothing").as_uri())
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_model_is_refused(no_model):
    (no_model / "some.onnx").write_bytes(b"weights")
    spec, _ = find_detector("yunet", no_model / "some.onnx")
    with pytest.raises(UserError, match="is not a YuNet model"):
        make_detector(spec, CropSettings())


def test_haar_takes_no_model(no_model):
    with pytest.raises(UserError, match="haar detector takes none"):
        find_detector("haar", no_model)


def test_opencv_without_cascades_is_said(monkeypatch):
    monkeypatch.delattr("cv2.CascadeClassifier")
    with pytest.raises(UserError, match=r"has no Haar cascades; 4\.x has"):
        Haar(CropSettings())
