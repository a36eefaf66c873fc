"""hubert and wav2vec2 on small random models saved in the transformers format."""

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from abaw_submit.audio.align import Window, windows
from abaw_submit.audio.sound import RATE_HZ, Block
from abaw_submit.errors import UserError
from abaw_submit.features.extract import extract
from abaw_submit.features.job import Extraction
from abaw_submit.features.speech import Hubert, Wav2Vec2

SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture(scope="module")
def hubert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hubert")
    torch.manual_seed(0)
    HubertModel(HubertConfig(**SIZES)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wav2vec2")
    torch.manual_seed(0)
    Wav2Vec2Model(Wav2Vec2Config(**SIZES)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


def noise(seconds):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def one_window(samples, start_s=0.0):
    return Window(start_s, samples, 0, (0, len(samples)), True)


def test_hubert_gives_the_models_own_states_at_their_times(hubert):
    samples = noise(1.0)
    extractor = Hubert(str(hubert))
    times, vectors = extractor.vectors(one_window(samples, start_s=3.0))
    model = HubertModel.from_pretrained(hubert).eval()
    normal = torch.from_numpy((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7))
    with torch.no_grad():
        oracle = model(normal[None]).last_hidden_state[0].numpy()
    np.testing.assert_allclose(vectors, oracle, atol=1e-4)
    assert extractor.dim == 24
    # 25 ms of sound every 20 ms: the first is centred on 12.5 ms
    np.testing.assert_allclose(times, 3.0 + (np.arange(49) * 320 + 199.5) / RATE_HZ)


def test_wav2vec2_takes_raw_sound_where_its_settings_say_so(wav2vec2):
    samples = noise(0.5)
    _, vectors = Wav2Vec2(str(wav2vec2)).vectors(one_window(samples))
    model = Wav2Vec2Model.from_pretrained(wav2vec2).eval()
    with torch.no_grad():
        oracle = model(torch.from_numpy(samples)[None]).last_hidden_state[0].numpy()
    np.testing.assert_allclose(vectors, oracle, atol=1e-5)


def test_windows_tile_a_long_sound_without_gap_or_overlap(hubert):
    extractor = Hubert(str(hubert))
    parts = [
        extractor.vectors(w)
        for w in windows([Block(0.0, noise(40.0))], extractor.core_samples, extractor.context_samples)
    ]
    times = np.concatenate([t for t, _ in parts])
    assert len(parts) > 1
    np.testing.assert_allclose(np.diff(times), 320 / RATE_HZ, atol=1e-9)
    assert times[-1] > 39.9


def test_less_sound_than_one_vector_needs_gives_none(hubert):
    times, vectors = Hubert(str(hubert)).vectors(one_window(noise(0.02)))
    assert len(times) == 0
    assert vectors.shape == (0, 24)


def test_identity_is_that_of_the_weights_not_of_the_folder(hubert, wav2vec2, tmp_path):
    model = HubertModel.from_pretrained(hubert)
    model.save_pretrained(tmp_path / "same")
    assert Hubert(str(tmp_path / "same")).identity == Hubert(str(hubert)).identity
    with torch.no_grad():
        model.encoder.layer_norm.weight += 0.1
    model.save_pretrained(tmp_path / "other")
    assert Hubert(str(tmp_path / "other")).identity != Hubert(str(hubert)).identity


def test_another_type_of_model_is_refused(wav2vec2):
    with pytest.raises(UserError, match="is a wav2vec2 model; expected hubert"):
        Hubert(str(wav2vec2))


def test_a_folder_without_weights_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        Hubert(str(tmp_path))


def test_one_worker_and_two_write_the_same_bytes(hubert, tmp_path, make_crops, make_video):
    for name in ("102", "103"):
        make_crops(tmp_path / "crops" / name, rows=6)
        make_video(tmp_path / f"{name}.mkv", sound=noise(0.4))
    files = [tmp_path / f"{name}.mkv" for name in ("102", "103")]
    written = []
    for jobs in (1, 2):
        job = Extraction("speech", tmp_path / str(jobs), str(hubert), device="cpu")
        assert not extract(job, tmp_path / "crops", videos=files, jobs=jobs).failures
        written.append([(tmp_path / str(jobs) / f"{name}.h5").read_bytes() for name in ("102", "103")])
    assert written[0] == written[1]
    assert written[0][0] != written[0][1]
