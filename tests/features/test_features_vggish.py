"""The vggish extractor: embeddings of the 0.96 s around each time, the same in any windows."""

import numpy as np
import pytest
import torch

from abaw_submit.audio.align import Window, windows
from abaw_submit.audio.sound import RATE_HZ, Block
from abaw_submit.errors import UserError
from abaw_submit.features.vggish import VggishEmbeddings, VggishPca
from abaw_submit.models.vggish import VGGish, log_mel_patches


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("vggish") / "vggish.pth"
    torch.manual_seed(0)
    torch.save(VGGish((4, 6, 8, 8), 16, 10).state_dict(), path)
    return path


def noise(seconds):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def test_a_vector_is_the_embedding_of_the_patch_around_its_time(weights):
    samples = noise(3.0)
    extractor = VggishEmbeddings(str(weights))
    times, vectors = extractor.vectors(Window(0.0, samples, 0, (0, len(samples)), True))
    k = 5
    middle = round(times[k] * RATE_HZ)
    patch = log_mel_patches(samples[middle - 7800 : middle + 7800])
    model = VGGish((4, 6, 8, 8), 16, 10)
    model.load_state_dict(torch.load(weights, weights_only=True))
    with torch.no_grad():
        np.testing.assert_allclose(vectors[k], model(torch.from_numpy(patch))[0], atol=1e-5)
    np.testing.assert_allclose(np.diff(times), 0.24)
    assert times[0] == pytest.approx(0.4875)


def test_windows_do_not_show(weights):
    samples = noise(40.0)
    extractor = VggishEmbeddings(str(weights))
    cut = windows([Block(1.0, samples)], extractor.core_samples, extractor.context_samples)
    parts = [extractor.vectors(w) for w in cut]
    times, vectors = extractor.vectors(Window(1.0, samples, 0, (0, len(samples)), True))
    assert len(parts) == 3
    np.testing.assert_allclose(np.concatenate([t for t, _ in parts]), times)
    np.testing.assert_allclose(np.concatenate([v for _, v in parts]), vectors, atol=1e-5)


def test_pca_needs_its_parameters(weights, tmp_path):
    with pytest.raises(UserError, match="no PCA parameters"):
        VggishPca(str(weights))
    both = {**torch.load(weights, weights_only=True)}
    both |= {"pproc.pca_eigen_vectors": torch.eye(10), "pproc.pca_means": torch.zeros(10, 1)}
    torch.save(both, tmp_path / "both.pth")
    extractor = VggishPca(str(tmp_path / "both.pth"))
    samples = noise(2.0)
    _, vectors = extractor.vectors(Window(0.0, samples, 0, (0, len(samples)), True))
    assert ((vectors >= 0) & (vectors <= 255) & (vectors == np.round(vectors))).all()
    assert extractor.identity != VggishEmbeddings(str(weights)).identity
