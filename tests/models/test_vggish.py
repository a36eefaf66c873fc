"""VGGish: the published architecture, front-end and weight names."""

import numpy as np
import pytest
import scipy.signal
import torch

from abaw_submit.errors import UserError
from abaw_submit.models.vggish import (
    PATCH_SAMPLES,
    VGGish,
    load_vggish,
    log_mel,
    log_mel_patches,
    vggish_from_state,
)

WIDTHS, HIDDEN, DIM = (4, 6, 8, 8), 16, 10


def noise(n):
    return np.random.default_rng(0).normal(0, 0.1, n).astype(np.float32)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return VGGish(WIDTHS, HIDDEN, DIM).eval()


def test_the_published_architecture():
    """Names, shapes and the number of weights of the released model, without allocating it."""
    with torch.device("meta"):
        state = VGGish().state_dict()
    shapes = {name: tuple(t.shape) for name, t in state.items()}
    assert {n: s for n, s in shapes.items() if n.endswith("weight")} == {
        "features.0.weight": (64, 1, 3, 3),
        "features.3.weight": (128, 64, 3, 3),
        "features.6.weight": (256, 128, 3, 3),
        "features.8.weight": (256, 256, 3, 3),
        "features.11.weight": (512, 256, 3, 3),
        "features.13.weight": (512, 512, 3, 3),
        "embeddings.0.weight": (4096, 512 * 4 * 6),
        "embeddings.2.weight": (4096, 4096),
        "embeddings.4.weight": (128, 4096),
    }
    assert sum(t.numel() for t in state.values()) == 72_141_184


def test_front_end_against_scipy():
    """A second implementation: scipy's spectrogram and filters written as sums over bins."""
    samples = noise(16000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    _, _, spectrum = scipy.signal.stft(
        samples, 16000, window, 400, 240, 512, boundary=None, padded=False, scaling="spectrum"
    )
    magnitude = np.abs(spectrum) * window.sum()

    def mel(hz):
        return 1127 * np.log(1 + hz / 700)

    edges = np.linspace(mel(125), mel(7500), 66)
    expected = np.empty((magnitude.shape[1], 64))
    for band in range(64):
        low, peak, high = edges[band : band + 3]
        total = 0
        for k in range(1, 257):
            m = mel(k * 16000 / 512)
            if low < m < high:
                total = total + magnitude[k] * (
                    (m - low) / (peak - low) if m < peak else (high - m) / (high - peak)
                )
        expected[:, band] = np.log(total + 0.01)
    np.testing.assert_allclose(log_mel(samples), expected, atol=2e-3)


def test_patches_are_096_s_and_short_sound_is_filled_up():
    assert PATCH_SAMPLES == 15600
    samples = noise(2 * 16000)
    patches = log_mel_patches(samples)
    assert patches.shape == (2, 96, 64)
    np.testing.assert_array_equal(patches[1], log_mel(samples)[96:192])
    assert log_mel_patches(samples, hop_frames=24).shape == (5, 96, 64)
    np.testing.assert_array_equal(log_mel_patches(samples, 24)[4], patches[1])
    short = log_mel_patches(noise(8000))
    assert short.shape == (1, 96, 64)
    assert short[0, 60:] == pytest.approx(np.log(0.01))


def test_flattening_is_channels_last_as_in_the_published_weights(model):
    patches = torch.from_numpy(log_mel_patches(noise(32000)))
    with torch.no_grad():
        maps = model.features(patches[:, None]).numpy()  # (batch, channels, time, band)
        flat = np.stack([[m[c, t, b] for t in range(6) for b in range(4) for c in range(8)] for m in maps])
        expected = model.embeddings(torch.from_numpy(flat))
        np.testing.assert_allclose(model(patches), expected, atol=1e-6)
    assert (expected >= 0).all()


def test_official_weights_load_and_round_trip(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "vggish.pth")
    loaded = load_vggish(tmp_path / "vggish.pth")
    patches = torch.from_numpy(log_mel_patches(noise(16000)))
    with torch.no_grad():
        np.testing.assert_array_equal(loaded(patches), model(patches))
    assert not loaded.training


def test_postprocessing_is_pca_clipped_and_quantised(model, tmp_path):
    rng = np.random.default_rng(1)
    rotation, means = rng.normal(size=(DIM, DIM)), rng.normal(size=(DIM, 1))
    pca = {"pca_eigen_vectors": torch.tensor(rotation), "pca_means": torch.tensor(means)}
    torch.save(model.state_dict(), tmp_path / "vggish.pth")
    torch.save(pca, tmp_path / "vggish_pca_params.pth")
    embeddings = rng.normal(size=(5, DIM)).astype(np.float32)
    found = load_vggish(tmp_path).postprocess(torch.from_numpy(embeddings)).numpy()
    expected = np.stack([rotation @ (e[:, None] - means) for e in embeddings])[:, :, 0]
    expected = np.round((np.clip(expected, -2, 2) + 2) * 255 / 4)
    np.testing.assert_array_equal(found, expected)


def test_without_pca_parameters_postprocessing_is_refused(model):
    with pytest.raises(UserError, match="no PCA parameters"):
        model.postprocess(torch.zeros(1, DIM))


class TestRefused:
    def test_no_file(self, tmp_path):
        with pytest.raises(UserError, match="No VGGish weights at"):
            load_vggish(tmp_path / "a.pth")
        with pytest.raises(UserError, match="No VGGish weights at"):
            load_vggish(tmp_path)

    def test_other_weights(self):
        with pytest.raises(UserError, match=r"features\.0\.weight is missing"):
            vggish_from_state({"cls_token": torch.zeros(1)}, "a.pth")

    def test_a_weight_that_does_not_fit(self, model):
        state = dict(model.state_dict())
        state["embeddings.2.bias"] = torch.zeros(3)
        with pytest.raises(UserError, match=r"embeddings\.2\.bias is \(3,\); expected \(16,\)"):
            vggish_from_state(state, "a.pth")

    def test_a_pickle_that_runs_code(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "ran"), "w"))

        torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
        with pytest.raises(UserError, match="cannot be loaded as plain weights"):
            load_vggish(tmp_path / "evil.pth")
        assert not (tmp_path / "ran").exists()
