"""Small random speech models as their libraries save them, and how they are heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from abaw_submit.audio.align import Window, windows
from abaw_submit.audio.sound import RATE_HZ, Block
from abaw_submit.features.audio import sound_level
from abaw_submit.features.speech import SpeechModel

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


def edit(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)


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
