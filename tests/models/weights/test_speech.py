"""Every speech family loads from its own format and gives its own library's states; damage is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from abaw_submit.audio.align import Window
from abaw_submit.audio.sound import RATE_HZ
from abaw_submit.errors import UserError
from abaw_submit.features.speech import SpeechModel
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.speech import load_speech
from tests.models.weights.speech_cases import FAMILIES, bound, edit, make, noise


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
