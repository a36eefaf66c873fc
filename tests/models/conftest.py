"""Official MAE names to those of transformers, the second implementation the models are held against."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

WHOLE = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "decoder.mask_token": "mask_token",
    "decoder.decoder_pos_embed": "decoder_pos_embed",
    "decoder.decoder_embed": "decoder_embed",
    "decoder.decoder_norm": "decoder_norm",
    "decoder.decoder_pred": "decoder_pred",
}
IN_BLOCK = {
    "attention.q_proj": "attn.qkv",
    "attention.k_proj": "attn.qkv",
    "attention.v_proj": "attn.qkv",
    "attention.o_proj": "attn.proj",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
THIRD = {"attention.q_proj": 0, "attention.k_proj": 1, "attention.v_proj": 2}  # of the fused qkv


@pytest.fixture
def load_into_transformers() -> Callable[[torch.nn.Module, dict[str, torch.Tensor]], None]:
    """Copy weights with official names into a transformers model."""

    def load(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> None:
        model.load_state_dict({name: find(name.removeprefix("vit."), state) for name in model.state_dict()})

    return load


def find(name: str, state: dict[str, torch.Tensor]) -> torch.Tensor:
    if name in WHOLE:
        return state[WHOLE[name]]
    stem, kind = name.rsplit(".", 1)
    if stem in WHOLE:
        return state[f"{WHOLE[stem]}.{kind}"]
    parts = stem.split(".")
    at = next(i for i, part in enumerate(parts) if part.isdigit())
    inner = ".".join(parts[at + 1 :])
    blocks = "decoder_blocks" if parts[0] == "decoder" else "blocks"
    tensor = state[f"{blocks}.{parts[at]}.{IN_BLOCK[inner]}.{kind}"]
    return tensor.chunk(3)[THIRD[inner]] if inner in THIRD else tensor
