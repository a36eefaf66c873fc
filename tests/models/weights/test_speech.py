"""Every speech family loads from its own format and gives its own library's states; damage is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from abaw_submit.audio.align import Window, windows
from abaw_submit.audio.sound import RATE_HZ, Block
from abaw_submit.errors import UserError
from abaw_submit.features.audio import sound_level
from abaw_submit.features.speech import SpeechModel
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.speech import load_speech

SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 5,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
FAMILIES: dict[str, tuple[str, dict[str, Any], bool]] = {
    "hubert": ("Hubert", {}, True),
    "hubert-large": ("Hubert", LARGE, True),
    "wav2vec2": ("Wav2Vec2", {}, True),
    "wav2vec2-large": ("Wav2Vec2", LARGE, True),
    "wavlm": ("WavLM", {}, False),
    "wavlm-large": ("WavLM", LARGE, True),
    "data2vec": ("Data2VecAudio", {}, True),
}


def noise(seconds: float) -> Any:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def make(name: str, folder: Path) -> Any:
    """A small random model saved as its library saves it."""
    kind, more, normalise = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SIZES, **more)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    with torch.no_grad():  # norms and biases too, so that none of them can go unused
        for p in model.parameters():
            p += torch.randn_like(p) * 0.02
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(
        do_normalize=normalise, return_attention_mask="large" in name
    ).save_pretrained(folder)
    return model


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, Any]:
    return request.param, tmp_path / "model", make(request.param, tmp_path / "model")


@torch.no_grad()
def test_every_layer_is_that_of_transformers(family: tuple[str, Path, Any]) -> None:
    name, folder, model = family
    samples = noise(1.0)
    front = transformers.AutoFeatureExtractor.from_pretrained(folder)
    inputs = front(samples, sampling_rate=RATE_HZ, return_tensors="pt")
    assert ("attention_mask" in inputs) == ("large" in name)
    outputs = model(**inputs, output_hidden_states=True)
    expected = [*outputs.hidden_states[1:-1], outputs.last_hidden_state]
    found = load_speech(str(folder))(torch.from_numpy(samples))
    assert len(found) == 5
    for a, b in zip(found, expected, strict=True):
        assert torch.nn.functional.cosine_similarity(a, b[0], dim=1).min() >= 0.9999
        assert torch.allclose(a, b[0], atol=1e-4)


def edit(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)


def test_damaged_folders_are_refused_by_name(family: tuple[str, Path, Any], tmp_path: Path) -> None:
    _, folder, _ = family
    layer = "encoder.layers.3.final_layer_norm.weight"

    def damaged(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> str:
        shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True)
        edit(tmp_path / "copy", change)
        return str(tmp_path / "copy")

    with pytest.raises(UserError, match=r"weights are missing, such as encoder\..*layers\.3\."):
        load_speech(damaged(lambda s: {k: v for k, v in s.items() if ".layers.3." not in k}))
    with pytest.raises(UserError, match=r"1 weights that this network has not, such as encoder\.odd"):
        load_speech(damaged(lambda s: {**s, "encoder.odd": torch.zeros(1)}))
    with pytest.raises(UserError, match=r"final_layer_norm\.weight is \(23,\); expected \(24,\)"):
        load_speech(damaged(lambda s: {**s, layer: torch.ones(23)}))
    with pytest.raises(UserError, match="holds NaN"):
        load_speech(damaged(lambda s: {**s, layer: torch.full((24,), torch.nan)}))


@torch.no_grad()
def test_half_precision_wrappers_and_old_names_load_exactly(
    family: tuple[str, Path, Any], tmp_path: Path
) -> None:
    """As a fine-tuned model, a DataParallel one and transformers before version 5 name the same weights."""
    _, folder, model = family
    edit(folder, lambda s: {k: v.half().float() for k, v in s.items()})
    sound = torch.from_numpy(noise(0.5))
    plain = load_speech(str(folder))(sound)[-1]

    def renamed(key: str) -> str:
        key = key.replace("parametrizations.weight.original0", "weight_g")
        return key.replace("parametrizations.weight.original1", "weight_v")

    for before in ("", "module.", f"{model.base_model_prefix}."):
        shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True)
        (tmp_path / "copy" / "model.safetensors").unlink(missing_ok=True)
        state = {before + renamed(k): v.half() for k, v in load_file(folder / "model.safetensors").items()}
        more = {"lm_head.weight": torch.zeros(3, 24), "lm_head.bias": torch.zeros(3)} if before else {}
        torch.save({**state, **more}, tmp_path / "copy" / "pytorch_model.bin")
        made = load_speech(str(tmp_path / "copy"))
        assert torch.equal(made(sound)[-1], plain), before
        assert ("recognition head" in made.spec.dropped) == bool(before)


def test_missing_layers_are_never_random(tmp_path: Path) -> None:
    """The folder that used to extract, with other numbers in every run."""
    make("hubert", tmp_path / "h")
    edit(tmp_path / "h", lambda s: {k: v for k, v in s.items() if not k.startswith("encoder.layers.4.")})
    for _ in range(2):
        with pytest.raises(UserError, match="nothing is filled in"):
            SpeechModel(str(tmp_path / "h"))


def test_another_head_count_is_refused(tmp_path: Path) -> None:
    make("hubert", tmp_path / "h")
    path = tmp_path / "h" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_attention_heads": 5}))
    with pytest.raises((UserError, ValueError), match="divi"):
        load_speech(str(tmp_path / "h"))


@torch.no_grad()
def test_layers(tmp_path: Path) -> None:
    make("wavlm", tmp_path / "w")
    window = Window(0.0, noise(0.5), 0, (0, 8000), True)
    states = load_speech(str(tmp_path / "w"))(torch.from_numpy(window.samples))

    def vectors(layers: str) -> Any:
        return SpeechModel(str(tmp_path / "w"), options=WeightOptions(layers=layers)).vectors(window)[1]

    np.testing.assert_allclose(vectors("last"), states[4], atol=1e-6)
    np.testing.assert_allclose(vectors("mean:-4:"), torch.stack(states[1:]).mean(0), atol=1e-6)
    np.testing.assert_allclose(vectors("mean:2:3"), torch.stack(states[1:3]).mean(0), atol=1e-6)
    np.testing.assert_allclose(vectors("2,-1"), torch.cat([states[1], states[4]], 1), atol=1e-6)
    assert vectors("all").shape[1] == 5 * 24
    for bad, message in (
        ("6", "no layer 6"),
        ("0", "no layer 0"),
        ("first", "Unknown layers"),
        ("mean:9:", "none"),
    ):
        with pytest.raises(UserError, match=message):
            vectors(bad)
    identities = {
        SpeechModel(str(tmp_path / "w"), options=WeightOptions(layers=w)).identity for w in ("last", "all")
    }
    assert len(identities) == 2


def bound(extractor: SpeechModel, seconds: float = 40.0, rise: float = 1.0) -> float:
    """The smallest cosine between vectors of 15 s windows and those of the whole sound at once."""
    loudness = np.linspace(1, rise, round(seconds * RATE_HZ), dtype=np.float32)
    samples = noise(seconds) * loudness
    cut = windows([Block(0.0, samples)], extractor.core_samples, extractor.context_samples)
    level = sound_level([Block(0.0, samples)])
    parts = [extractor.vectors(replace(w, level=level)) for w in cut]
    times, whole = extractor.vectors(Window(0.0, samples, 0, (0, len(samples)), True))
    assert len(parts) == 3
    np.testing.assert_allclose(np.concatenate([t for t, _ in parts]), times, atol=1e-9)
    cosine = torch.nn.functional.cosine_similarity(
        torch.from_numpy(np.concatenate([v for _, v in parts])), torch.from_numpy(whole), dim=1
    )
    return float(cosine.min())


def test_windows_of_15_s_are_within_the_stated_bound_of_the_whole_sound(
    family: tuple[str, Path, Any],
) -> None:
    name, folder, _ = family
    extractor = SpeechModel(str(folder))
    if "large" in name or name == "data2vec":
        assert bound(extractor) >= 0.999
        assert bound(extractor, rise=3.0) >= 0.999
    else:  # group-normed models hear each window at its own loudness
        assert bound(extractor) >= 0.99


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
