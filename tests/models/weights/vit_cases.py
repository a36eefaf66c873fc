"""Families in MAE's key layout: MAE, MAE-Face, FMAE-IAT, FSFM, plain ViTs, DINO."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.models.positions import sincos_positions
from tests.models.weights.case import (
    DIM,
    PATCH,
    QKV,
    SIDE,
    Case,
    State,
    class_token,
    fused,
    mean_token,
    network,
    randomised,
    renamed,
)


def _vit() -> tuple[Any, State]:
    """transformers' ViT and its weights under the official MAE names."""
    model = network("ViT", intermediate_size=4 * DIM, layer_norm_eps=1e-6)
    model.embeddings.position_embeddings.data = sincos_positions(DIM, SIDE // PATCH)
    state = renamed(
        dict(model.state_dict()),
        [
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("attention.o_proj", "attn.proj"),
            ("layers.", "blocks."),
            ("encoder.layer.", "blocks."),
            ("layernorm.", "norm."),
        ],
    )
    return model, fused(state, QKV, "attn.qkv")


def _vit_tokens(model: Any, images: Tensor) -> Tensor:
    """Tokens before the last norm."""
    seen: list[Tensor] = []
    hook = model.layernorm.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(images)
    hook.remove()
    return seen[0]


def _decoder(prefix: str = "") -> State:
    return {
        f"{prefix}mask_token": torch.zeros(1, 1, 16),
        f"{prefix}decoder_pos_embed": torch.zeros(1, 17, 16),
        f"{prefix}decoder_embed.weight": torch.zeros(16, DIM),
        f"{prefix}decoder_blocks.0.norm1.weight": torch.zeros(16),
        f"{prefix}decoder_norm.weight": torch.zeros(16),
        f"{prefix}decoder_pred.bias": torch.zeros(192),
    }


def mae() -> Case:
    model, state = _vit()
    args = argparse.Namespace(model="mae_vit_base_patch16", lr=1e-4)
    content = {"model": {**state, **_decoder()}, "args": args, "epoch": 3}
    return Case(content, mean_token(model), "mae", dropped=("decoder", "mask token"))


def mae_encoder_only() -> Case:
    """As facebookresearch/mae publishes it: no decoder; only the fixed positions tell."""
    model, state = _vit()
    return Case({"model": state}, mean_token(model), "mae")


def _finetuned(extra: State, dropped: tuple[str, ...]) -> Case:
    model, state = _vit()
    state = {k: v for k, v in state.items() if not k.startswith("norm.")}
    norm = randomised(nn.LayerNorm(DIM, eps=1e-6), 5)
    state |= {f"fc_norm.{k}": v for k, v in norm.state_dict().items()}
    content = {"model": {**state, "head.weight": torch.zeros(7, DIM), "head.bias": torch.zeros(7), **extra}}
    return Case(
        content, lambda x: norm(_vit_tokens(model, x)[:, 1:].mean(1)), "mae-finetuned", dropped=dropped
    )


def mae_face_finetuned() -> Case:
    return _finetuned({}, ("classifier",))


def fmae_iat() -> Case:
    return _finetuned({"ID_head.weight": torch.zeros(41, DIM)}, ("classifier", "identity head"))


def fsfm() -> Case:
    model, state = _vit()
    more = {
        **_decoder(),
        "rep_decoder_embed.weight": torch.zeros(DIM, DIM),
        "rep_decoder_blocks.0.norm1.weight": torch.zeros(DIM),
        "projector.projection_head.0.weight": torch.zeros(8, DIM),
        "predictor.projection_head.0.weight": torch.zeros(8, 8),
    }
    return Case(
        {"model": {**state, **more}, "args": argparse.Namespace(model="fsfm_vit_small_patch16")},
        mean_token(model),
        "fsfm",
        dropped=("decoder", "projector"),
    )


def online_encoder() -> Case:
    model, state = _vit()
    content = {
        "state_dict": {
            **{f"module.online_encoder.{k}": v for k, v in state.items()},
            **{f"module.target_encoder.{k}": v + 1 for k, v in state.items()},
            "module.projector.0.weight": torch.zeros(3, 3),
        }
    }
    return Case(
        content,
        mean_token(model),
        "fsfm",
        dropped=("another network", "projector"),
    )


def plain_vit() -> Case:
    """DeiT or a supervised ViT: positions are learnt, the class token is the feature."""
    model, state = _vit()
    state["pos_embed"] = model.embeddings.position_embeddings.data = torch.randn(1, 17, DIM)
    content = {**state, "head.weight": torch.zeros(10, DIM), "head.bias": torch.zeros(10)}
    return Case(content, class_token(model), "vit", dropped=("classifier",))


def dino_teacher() -> Case:
    """DINO's whole training checkpoint: student and teacher, each behind `backbone.`, with a head."""
    model, state = _vit()
    state["pos_embed"] = model.embeddings.position_embeddings.data = torch.randn(1, 17, DIM)
    teacher = {f"backbone.{k}": v for k, v in state.items()} | {"head.mlp.0.weight": torch.zeros(4, DIM)}
    student = {f"module.backbone.{k}": v + 1 for k, v in state.items()}
    content = {"student": student, "teacher": teacher, "epoch": 1}
    return Case(content, class_token(model), "vit", dropped=("projector",))
