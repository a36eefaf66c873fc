"""Speech models of other formats: Whisper, audeering's head, torchaudio's bundles; sources that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
import transformers

from abaw_submit.audio.align import Window, windows
from abaw_submit.audio.sound import RATE_HZ, Block
from abaw_submit.errors import UserError
from abaw_submit.features.speech import SpeechModel
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.speech import load_speech
from tests.models.weights.speech_cases import bound, edit, make, noise


@pytest.fixture
def whisper(tmp_path: Path) -> tuple[Path, Any]:
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=32, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=32, num_mel_bins=80, vocab_size=60, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config).eval()
    model.save_pretrained(tmp_path / "whisper")
    transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(tmp_path / "whisper")
    return tmp_path / "whisper", model


@torch.no_grad()
def test_whispers_encoder_alone_at_the_times_of_the_sound(whisper: tuple[Path, Any]) -> None:
    folder, model = whisper
    samples = noise(3.0)
    front = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    mel = front(samples, sampling_rate=RATE_HZ, return_tensors="pt").input_features
    expected = model.model.encoder(mel).last_hidden_state[0, :150]
    times, found = SpeechModel(str(folder)).vectors(Window(1.0, samples, 0, (0, len(samples)), True))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(times, 1.0 + np.arange(150) * 0.02)
    assert "decoder" in load_speech(str(folder)).spec.dropped
    edit(folder, lambda s: {k: v for k, v in s.items() if "encoder.layers.1.fc2" not in k})
    with pytest.raises(UserError, match=r"2 weights are missing, such as layers\.1\.fc2"):
        load_speech(str(folder))


@torch.no_grad()
def test_whisper_hears_30_s_at_a_time_as_it_was_trained(whisper: tuple[Path, Any]) -> None:
    """Its encoder takes no more: the vectors are exactly those of the pieces of 30 s."""
    extractor = SpeechModel(str(whisper[0]))
    samples = noise(35.0)
    cut = windows([Block(0.0, samples)], extractor.core_samples, extractor.context_samples)
    parts = [extractor.vectors(w)[1] for w in cut]
    model = load_speech(str(whisper[0]))
    assert [len(p) for p in parts] == [1500, 250]
    for part, piece in zip(parts, (samples[: 30 * RATE_HZ], samples[30 * RATE_HZ :]), strict=True):
        np.testing.assert_allclose(part, model(torch.from_numpy(piece))[-1], atol=1e-6)


@torch.no_grad()
def test_audeerings_head_hears_the_mean_of_the_states_around_each_vector(tmp_path: Path) -> None:
    model = make("wav2vec2-large", tmp_path / "a")
    dense, out = torch.nn.Linear(24, 24), torch.nn.Linear(24, 3)
    head = {f"classifier.dense.{k}": v for k, v in dense.state_dict().items()}
    head |= {f"classifier.out_proj.{k}": v for k, v in out.state_dict().items()}
    edit(tmp_path / "a", lambda s: {**{f"wav2vec2.{k}": v for k, v in s.items()}, **head})
    path = tmp_path / "a" / "config.json"
    labels = {"0": "arousal", "1": "dominance", "2": "valence"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "id2label": labels}))

    samples = noise(1.0)
    window = Window(0.0, samples, 0, (0, len(samples)), True)
    extractor = SpeechModel(str(tmp_path / "a"), options=WeightOptions(head_s=4.0))
    _, found = extractor.vectors(window)
    inputs = torch.from_numpy((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7))[None]
    pooled = model(inputs).last_hidden_state.mean(1)  # 4 s around any vector is all of this sound
    expected = out(torch.tanh(dense(pooled)))
    assert found.shape == (49, 3)
    np.testing.assert_allclose(found[24], expected[0], atol=1e-4)
    states = SpeechModel(str(tmp_path / "a"))
    assert states.dim == 24
    assert load_speech(str(tmp_path / "a")).spec.outputs == ("arousal", "dominance", "valence")
    edit(tmp_path / "a", lambda s: {k: v for k, v in s.items() if k != "classifier.dense.bias"})
    with pytest.raises(UserError, match="no emotion head that is known"):
        load_speech(str(tmp_path / "a"))
    make("wav2vec2", tmp_path / "b")
    with pytest.raises(UserError, match="no emotion head"):
        SpeechModel(str(tmp_path / "b"), options=WeightOptions(head_s=2.0))


def bundle(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A small bundle of torchaudio's own kind."""
    is_wavlm, large = "wavlm" in name, "large" in name
    params: dict[str, Any] = {
        "extractor_mode": "layer_norm" if large else "group_norm",
        "extractor_conv_layer_config": [(8, 10, 5), *[(8, 3, 2)] * 4, *[(8, 2, 2)] * 2],
        "extractor_conv_bias": False,
        "encoder_embed_dim": 24,
        "encoder_projection_dropout": 0.0,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 2,
        "encoder_num_layers": 3,
        "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.0,
        "encoder_ff_interm_features": 32,
        "encoder_ff_interm_dropout": 0.0,
        "encoder_dropout": 0.0,
        "encoder_layer_norm_first": large,
        "encoder_layer_drop": 0.0,
        "aux_num_out": None,
    }
    if is_wavlm:
        params |= {"encoder_max_distance": 80, "encoder_num_buckets": 32}
    kind = torchaudio.pipelines.Wav2Vec2Bundle
    made = kind("tiny.pth", params, 16_000, large, "WavLM" if is_wavlm else "Wav2Vec2")
    monkeypatch.setattr(torchaudio.pipelines, f"TINY_{name.upper()}", made, raising=False)
    return made


@torch.no_grad()
@pytest.mark.parametrize("name", ["base", "large", "wavlm", "wavlm_large"])
def test_torchaudio_bundles_and_their_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle(name, monkeypatch)
    models = torchaudio.models
    factory = models.wavlm_model if "wavlm" in name else models.wav2vec2_model
    torch.manual_seed(0)
    model = factory(**made._params).eval()
    torch.save(model.state_dict(), tmp_path / "x.pth")
    samples = torch.from_numpy(noise(0.7))
    inputs = torch.nn.functional.layer_norm(samples, samples.shape) if "large" in name else samples
    expected = [*model.extract_features(inputs[None])[0][:-1], model(inputs[None])[0]]
    for source in (str(tmp_path / "x.pth"), f"torchaudio:TINY_{name.upper()}@{tmp_path / 'x.pth'}"):
        for a, b in zip(load_speech(source)(samples), expected, strict=True):
            assert torch.allclose(a, b[0], atol=1e-5)
    assert bound(SpeechModel(str(tmp_path / "x.pth"))) >= 0.99

    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    torch.save({"model": {**state, "module.aux.weight": torch.zeros(2, 24)}}, tmp_path / "ddp.pth")
    assert torch.equal(load_speech(str(tmp_path / "ddp.pth"))(samples)[-1], load_speech(source)(samples)[-1])
    del state["module.encoder.transformer.layers.1.final_layer_norm.bias"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(UserError, match="shapes of none of its bundles"):
        load_speech(str(tmp_path / "less.pth"))
    with pytest.raises(UserError, match=r"such as encoder\.transformer\.layers\.1\.final_layer_norm\.bias"):
        load_speech(f"torchaudio:TINY_{name.upper()}@{tmp_path / 'less.pth'}")


def test_sources_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **more: object) -> None:
        raise OSError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    (tmp_path / "empty").mkdir()
    for source, message in (
        ("microsoft/wavlm-large", "cannot be fetched: offline"),
        (str(tmp_path / "none.pth"), "No speech weights at"),
        (str(tmp_path / "a.pth"), "not a speech model in torchaudio's format"),
        (str(tmp_path / "empty"), "no config.json"),
        ("torchaudio:HUBERT_BAS", 'Did you mean "HUBERT_BASE"'),
    ):
        with pytest.raises(UserError, match=message):
            load_speech(source)
