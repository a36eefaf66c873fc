"""Families with key layouts of their own: DINOv2, DINOv3, CLIP and FaRL, SigLIP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.models.weights.case import DIM, QKV, SIDE, Case, State, class_token, fused, network, renamed


def _dinov2(registers: bool) -> tuple[Any, State]:
    model = network("Dinov2WithRegisters" if registers else "Dinov2", layer_norm_eps=1e-6)
    state = renamed(
        dict(model.state_dict()),
        [
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("embeddings.", ""),
            ("position_embeddings", "pos_embed"),
            ("encoder.layer.", "blocks."),
            ("attention.o_proj", "attn.proj"),
            ("layer_scale1.lambda1", "ls1.gamma"),
            ("layer_scale2.lambda1", "ls2.gamma"),
            ("layernorm.", "norm."),
        ],
    )
    return model, fused(state, QKV, "attn.qkv")


def dinov2() -> Case:
    model, state = _dinov2(False)
    return Case(state, class_token(model), "dinov2", dropped=("mask token",))


def dinov2_registers() -> Case:
    model, state = _dinov2(True)
    return Case(state, class_token(model), "dinov2", dropped=("mask token",))


def dinov2_training() -> Case:
    """A training checkpoint: the teacher, blocks in chunks, heads beside the backbone."""
    model, state = _dinov2(False)
    chunked = {
        k.replace("blocks.", "blocks.0.", 1) if k.startswith("blocks.") else k: v for k, v in state.items()
    }
    teacher = {f"backbone.{k}": v for k, v in chunked.items()} | {
        "dino_head.mlp.0.weight": torch.zeros(2, DIM)
    }
    return Case({"teacher": teacher}, class_token(model), "dinov2", dropped=("projector",))


def dinov3() -> Case:
    sizes = {"intermediate_size": 4 * DIM, "num_register_tokens": 4}
    model = network("DINOv3ViT", **sizes, layer_norm_eps=1e-5)
    state = renamed(
        dict(model.state_dict()),
        [
            ("embeddings.register_tokens", "storage_tokens"),
            ("embeddings.patch_embeddings", "patch_embed.proj"),
            ("embeddings.", ""),
            ("model.layer.", "blocks."),
            ("attention.o_proj", "attn.proj"),
            ("layer_scale1.lambda1", "ls1.gamma"),
            ("layer_scale2.lambda1", "ls2.gamma"),
            ("mlp.up_proj", "mlp.fc1"),
            ("mlp.down_proj", "mlp.fc2"),
        ],
    )
    state = fused(state, QKV, "attn.qkv")
    state["mask_token"] = torch.zeros(1, DIM)
    state["rope_embed.periods"] = torch.zeros(4)
    state["blocks.0.attn.qkv.bias_mask"] = torch.full((3 * DIM,), torch.nan)
    return Case(
        state,
        class_token(model),
        "dinov3",
        options={"size_px": SIDE},
        dropped=("mask token", "computed, not learnt"),
    )


def pooled(model: Any) -> Callable[[Tensor], Tensor]:
    """The feature of an image-text model before its projection."""
    return lambda x: model(x).pooler_output


def _clip() -> tuple[Any, State]:
    sizes = {"intermediate_size": 4 * DIM, "hidden_act": "quick_gelu"}
    model = network("CLIPVision", **sizes, layer_norm_eps=1e-5)
    state = renamed(
        dict(model.state_dict()),
        [
            ("vision_model.", ""),
            ("embeddings.class_embedding", "class_embedding"),
            ("embeddings.patch_embedding", "conv1"),
            ("embeddings.position_embedding.weight", "positional_embedding"),
            ("pre_layrnorm", "ln_pre"),
            ("post_layernorm", "ln_post"),
            ("encoder.layers.", "transformer.resblocks."),
            ("layer_norm1", "ln_1"),
            ("layer_norm2", "ln_2"),
            ("mlp.fc1", "mlp.c_fc"),
            ("mlp.fc2", "mlp.c_proj"),
            ("self_attn.out_proj", "attn.out_proj"),
        ],
    )
    state.pop("embeddings.position_ids", None)
    names = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    state = fused(state, names, "attn.in_proj", "_")
    visual = {f"visual.{k}": v for k, v in state.items()}
    text = {
        "visual.proj": torch.zeros(DIM, 8),
        "positional_embedding": torch.zeros(77, 8),
        "text_projection": torch.zeros(8, 8),
        "logit_scale": torch.tensor(4.6),
        "token_embedding.weight": torch.zeros(9, 8),
        "ln_final.weight": torch.zeros(8),
        "transformer.resblocks.0.attn.in_proj_weight": torch.zeros(24, 8),
    }
    return model, {**visual, **text}


def clip() -> Case:
    model, state = _clip()
    sizes = {n: torch.tensor(1) for n in ("input_resolution", "context_length", "vocab_size")}
    return Case(
        {**state, **sizes},
        pooled(model),
        "clip",
        dropped=("text tower", "projection to the text space", "temperature", "sizes"),
    )


def farl() -> Case:
    model, state = _clip()
    return Case({"state_dict": state}, pooled(model), "clip", dropped=("text tower",))


def siglip() -> Case:
    sizes = {"intermediate_size": 4 * DIM, "hidden_act": "gelu"}
    model = network("SiglipVision", **sizes, layer_norm_eps=1e-6)
    state = renamed(
        dict(model.state_dict()),
        [
            ("vision_model.", ""),
            ("embeddings.patch_embedding", "patch_embed.proj"),
            ("embeddings.position_embedding.weight", "pos_embed"),
            ("post_layernorm", "norm"),
            ("encoder.layers.", "blocks."),
            ("layer_norm1", "norm1"),
            ("layer_norm2", "norm2"),
            ("self_attn.out_proj", "attn.proj"),
            ("head.probe", "attn_pool.latent"),
            ("head.attention.out_proj", "attn_pool.proj"),
            ("head.layernorm", "attn_pool.norm"),
            ("head.mlp", "attn_pool.mlp"),
        ],
    )
    state = fused(state, ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "attn.qkv")
    state["pos_embed"] = state["pos_embed"][None]
    for kind in ("weight", "bias"):
        joined = state.pop(f"head.attention.in_proj_{kind}")
        state[f"attn_pool.q.{kind}"], state[f"attn_pool.kv.{kind}"] = joined[:DIM], joined[DIM:]
    wrapped = {f"visual.trunk.{k}": v for k, v in state.items()}
    wrapped |= {"logit_bias": torch.tensor(0.0), "text.transformer.x.weight": torch.zeros(3)}
    return Case(wrapped, pooled(model), "siglip", dropped=("text tower", "temperature"))
