"""Visual features: the encoder's vector of each row's crop, and nothing where there is none."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from abaw_submit.corpus.crops import load_crop
from abaw_submit.errors import UserError
from abaw_submit.features.visual import EncoderFeatures
from abaw_submit.features.visual import visual_features as several
from abaw_submit.models.checkpoint import write_config
from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.settings import VitSize
from abaw_submit.models.weights.encoders import load_encoder
from abaw_submit.models.weights.options import WeightOptions

SIZE = VitSize(img_size_px=32, patch_px=8, dim=24, depth=1, heads=2)


def visual_features(folder, extractor, **more):
    """Of one extractor: (rows, dim) and the ledger."""
    made, ledger = several(folder, [(extractor, 1)], **more)
    return made[0][0], ledger


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small random encoder of this project."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    encoder = new_encoder(SIZE)
    save_file(encoder.backbone.state_dict(), folder / "model.safetensors")
    write_config(folder, {"encoder": encoder.config})
    return folder / "model.safetensors"


def test_each_found_row_has_the_encoders_vector_of_its_crop(weights, tmp_path, make_crops):
    found = [True, False, True, True, False]
    folder = make_crops(tmp_path / "102", rows=5, found=found)
    values, ledger = visual_features(folder, EncoderFeatures(str(weights)), batch=2)
    assert values.shape == (5, 24)
    assert values.dtype == np.float16
    assert ledger.found.tolist() == found
    assert not values[[1, 4]].any()
    encoder = load_encoder(weights)
    for row in (1, 3, 4):
        pixels = torch.from_numpy(load_crop(folder / f"{row:05d}.jpg", 32) / 255).float().permute(2, 0, 1)
        with torch.no_grad():
            expected = encoder(pixels[None])[0].numpy()
        np.testing.assert_allclose(values[row - 1], expected, atol=2e-3)


class Slow:
    """An extractor on a device of its own: what it is given comes back when it is asked for."""

    kind, dim, size_px, identity = "visual", 1, 32, "slow"

    def __init__(self):
        self.events = []

    def __call__(self, images):
        raise AssertionError("the next batch could not be given before this one is back")

    def later(self, images):
        number = sum(what == "given" for what, _ in self.events)
        self.events.append(("given", number))
        means = images.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]

        def get():
            self.events.append(("asked", number))
            return torch.from_numpy(means)

        return SimpleNamespace(get=get)


def test_a_device_has_its_next_batch_before_it_is_asked_for_the_last(tmp_path, make_crops):
    folder, slow = make_crops(tmp_path / "102", rows=5), Slow()
    values, _ = visual_features(folder, slow, batch=2)
    order = [("given", 0), ("given", 1), ("asked", 0), ("given", 2), ("asked", 1), ("asked", 2)]
    assert slow.events == order
    expected = [load_crop(folder / f"{row:05d}.jpg", 32).mean() for row in range(1, 6)]
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-3)


@pytest.mark.parametrize(("batch", "threads"), [(1, 1), (3, 2), (64, 4)])
def test_batches_and_threads_do_not_show(weights, tmp_path, make_crops, batch, threads):
    folder = make_crops(tmp_path / "102", rows=7)
    extractor = EncoderFeatures(str(weights))
    values, _ = visual_features(folder, extractor, batch=batch, threads=threads)
    expected, _ = visual_features(folder, extractor, batch=7)
    np.testing.assert_allclose(values, expected, atol=2e-3)


def test_a_track_without_any_face_is_zeros(weights, tmp_path, make_crops):
    folder = make_crops(tmp_path / "102", rows=4, found=[False] * 4)
    values, ledger = visual_features(folder, EncoderFeatures(str(weights)))
    assert values.shape == (4, 24)
    assert not values.any()
    assert not ledger.found.any()


def test_a_crop_that_the_ledger_promises_must_be_there(weights, tmp_path, make_crops):
    folder = make_crops(tmp_path / "102", rows=4)
    (folder / "00003.jpg").unlink()
    with pytest.raises(UserError, match=r"No picture at .*00003\.jpg"):
        visual_features(folder, EncoderFeatures(str(weights)))


def test_identity_changes_with_whatever_changes_the_numbers(weights, tmp_path):
    """Weights, resolved precision, heads, pooling, normalisation: two of them never share a cache."""
    state = new_encoder(SIZE).backbone.state_dict()
    save_file(state, tmp_path / "other.safetensors")
    two_heads = {"options": WeightOptions(heads=2)}
    made = [
        EncoderFeatures(str(weights)),
        EncoderFeatures(str(weights), precision="bf16"),
        EncoderFeatures(str(tmp_path / "other.safetensors"), **two_heads),
        *(
            EncoderFeatures(str(weights), options=options)
            for options in (
                WeightOptions(heads=4),
                WeightOptions(pool="cls"),
                WeightOptions(pool="grid:2"),
                WeightOptions(mean=(0.5, 0.5, 0.5)),
                WeightOptions(std=(0.5, 0.5, 0.5)),
                WeightOptions(size_px=40),
                WeightOptions(activation="quickgelu"),
            )
        ),
    ]
    assert len({e.identity for e in made}) == len(made)
    assert EncoderFeatures(str(weights), precision="no", **two_heads).identity == made[0].identity


def test_mixed_precision_is_close(weights, tmp_path, make_crops):
    folder = make_crops(tmp_path / "102", rows=5)
    plain, _ = visual_features(folder, EncoderFeatures(str(weights), precision="no"))
    mixed, _ = visual_features(folder, EncoderFeatures(str(weights), precision="bf16"))
    np.testing.assert_allclose(mixed, plain, atol=0.05)


@pytest.mark.parametrize(
    ("option", "message"), [("device", "Unknown device"), ("precision", "Unknown precision")]
)
def test_unknown_words(weights, tmp_path, make_crops, option, message):
    folder = make_crops(tmp_path / "102", rows=2)
    with pytest.raises(UserError, match=message):
        visual_features(folder, EncoderFeatures(str(weights), **{option: "quantum"}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(weights):
    with pytest.raises(UserError, match="No GPU"):
        EncoderFeatures(str(weights), "cuda")
