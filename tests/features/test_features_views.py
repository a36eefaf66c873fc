"""Further views of a crop: the same every time, averaged into the row or kept beside it."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from abaw_submit.errors import UserError
from abaw_submit.features.cache import read_features
from abaw_submit.features.extract import extract
from abaw_submit.features.job import Extraction
from abaw_submit.features.views import view_of
from abaw_submit.features.visual import EncoderFeatures, visual_features
from abaw_submit.models.checkpoint import write_config
from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.settings import VitSize


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    encoder = new_encoder(VitSize(img_size_px=32, patch_px=8, dim=24, depth=1, heads=2))
    save_file(encoder.backbone.state_dict(), folder / "model.safetensors")
    write_config(folder, {"encoder": encoder.config})
    return folder


def picture():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)


def test_views_are_the_crop_its_mirror_image_and_small_changes():
    image = picture()
    assert view_of(image, 1, 7) is image
    np.testing.assert_array_equal(view_of(image, 2, 7), image[:, ::-1])
    smooth = np.repeat(np.linspace(40, 210, 32)[:, None, None], 32, 1).repeat(3, 2).astype(np.uint8)
    jittered = view_of(smooth, 3, 7)
    np.testing.assert_array_equal(jittered, view_of(smooth, 3, 7))
    assert not np.array_equal(jittered, view_of(smooth, 3, 8))
    assert not np.array_equal(jittered, view_of(smooth, 4, 7))
    assert 0 < np.abs(jittered.astype(int) - smooth).mean() < 50


@pytest.mark.parametrize("jobs", [1, 2])
def test_mean_and_kept_views(weights, tmp_path, make_crops, jobs):
    """The same from one and two workers, which also holds what their processes load."""
    for name in ("102", "103"):
        make_crops(tmp_path / "crops" / name, rows=4, found=[True, True, False, True])
    extractor = EncoderFeatures(str(weights))
    views = visual_features(tmp_path / "crops" / "102", [(extractor, 3)])[0][0]
    for merge in ("mean", "keep"):
        job = Extraction("mae", tmp_path / merge, str(weights), device="cpu", views=3, merge=merge)
        assert not extract(job, tmp_path / "crops", jobs=jobs).failures
    mean = read_features(tmp_path / "mean" / "102.h5")
    np.testing.assert_array_equal(mean.values, np.mean(views, axis=0, dtype=np.float32).astype(np.float16))
    kept = read_features(tmp_path / "keep" / "102.h5")
    np.testing.assert_array_equal(kept.values, views[0])
    np.testing.assert_array_equal(kept.views, views[1:])
    assert mean.views is None
    assert not kept.views[:, 2].any()


def test_another_number_of_views_is_extracted_again(weights, tmp_path, make_crops):
    make_crops(tmp_path / "crops" / "102", rows=3)
    marks = set()
    for views, merge in ((1, "mean"), (2, "mean"), (2, "keep")):
        job = Extraction("mae", tmp_path / "out", str(weights), device="cpu", views=views, merge=merge)
        assert extract(job, tmp_path / "crops", jobs=1).results[0].written
        marks.add(read_features(tmp_path / "out" / "102.h5").attributes["fingerprint"])
    assert len(marks) == 3
    with pytest.raises(UserError, match="Unknown --merge-views"):
        extract(Extraction("mae", tmp_path / "o", str(weights), views=2, merge="add"), tmp_path / "crops")
