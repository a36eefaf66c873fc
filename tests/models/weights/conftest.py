"""Small random encoders in the key layout of every family, each with a second implementation."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from abaw_submit.models.positions import sincos_positions

SIDE, PATCH, DIM, DEPTH, HEADS = 32, 8, 64, 2, 4
State = dict[str, Tensor]


@dataclass
class Case:
    """A family's file as its authors write it.

    Attributes:
        content: what `torch.save` is given.
        reference: normalised pictures (batch, 3, side, side) to features, by another implementation.
        heads: the `heads` option the small widths need.
        options: further options.
        family: the family it must be recognised as.
        dropped: rules that must have taken something.
    """

    content: Any
    reference: Callable[[Tensor], Tensor]
    family: str
    heads: int | None = HEADS
    options: dict[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def randomised(module: nn.Module, seed: int = 0) -> Any:
    """A module whose every weight is random, norms and scales too, so that none of them can go unused."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.1 + (1.0 if _scales(name, p) else 0.0))
    return module.eval()


def _scales(name: str, p: Tensor) -> bool:
    return (p.ndim == 1 and name.endswith("weight")) or "lambda1" in name or "gamma" in name


def _rename(state: State, pairs: list[tuple[str, str]]) -> State:
    out = {}
    for key, value in state.items():
        for old, new in pairs:
            key = key.replace(old, new)
        out[key] = value
    return out


def _fused(state: State, names: tuple[str, str, str], fused: str, dot: str = ".") -> State:
    """Query, key and value projections as one."""
    out: State = {}
    for key, value in state.items():
        query = next((n for n in names if n in key), None)
        if query is None:
            out[key] = value
        elif query == names[0]:
            parts = [state.get(key.replace(query, n)) for n in names]
            zeros = torch.zeros_like(value)
            joined = torch.cat([zeros if p is None else p for p in parts])
            out[key.replace(f"{query}.", f"{fused}{dot}")] = joined
    return out


def _vit() -> tuple[Any, State]:
    """transformers' ViT and its weights under the official MAE names."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIM,
        image_size=SIDE,
        patch_size=PATCH,
        layer_norm_eps=1e-6,
    )
    model = randomised(ViTModel(config, add_pooling_layer=False))
    model.embeddings.position_embeddings.data = sincos_positions(DIM, SIDE // PATCH)
    state = _rename(
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
    return model, _fused(state, ("attention.q_proj", "attention.k_proj", "attention.v_proj"), "attn.qkv")


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
    return Case(
        content, lambda x: model(x).last_hidden_state[:, 1:].mean(1), "mae", dropped=("decoder", "mask token")
    )


def mae_encoder_only() -> Case:
    """As facebookresearch/mae publishes it: no decoder; only the fixed positions tell."""
    model, state = _vit()
    return Case({"model": state}, lambda x: model(x).last_hidden_state[:, 1:].mean(1), "mae")


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
        lambda x: model(x).last_hidden_state[:, 1:].mean(1),
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
        lambda x: model(x).last_hidden_state[:, 1:].mean(1),
        "fsfm",
        dropped=("another network", "projector"),
    )


def plain_vit() -> Case:
    """DeiT or a supervised ViT: positions are learnt, the class token is the feature."""
    model, state = _vit()
    state["pos_embed"] = model.embeddings.position_embeddings.data = torch.randn(1, 17, DIM)
    content = {**state, "head.weight": torch.zeros(10, DIM), "head.bias": torch.zeros(10)}
    return Case(content, lambda x: model(x).last_hidden_state[:, 0], "vit", dropped=("classifier",))


def dino_teacher() -> Case:
    """DINO's whole training checkpoint: student and teacher, each behind `backbone.`, with a head."""
    model, state = _vit()
    state["pos_embed"] = model.embeddings.position_embeddings.data = torch.randn(1, 17, DIM)
    teacher = {f"backbone.{k}": v for k, v in state.items()} | {"head.mlp.0.weight": torch.zeros(4, DIM)}
    student = {f"module.backbone.{k}": v + 1 for k, v in state.items()}
    content = {"student": student, "teacher": teacher, "epoch": 1}
    return Case(content, lambda x: model(x).last_hidden_state[:, 0], "vit", dropped=("projector",))


def _dinov2(registers: bool) -> tuple[Any, State]:
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    kind, make = (
        (Dinov2WithRegistersConfig, Dinov2WithRegistersModel) if registers else (Dinov2Config, Dinov2Model)
    )
    config = kind(
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        image_size=SIDE,
        patch_size=PATCH,
        layer_norm_eps=1e-6,
    )
    model = randomised(make(config))
    state = _rename(
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
    return model, _fused(state, ("attention.q_proj", "attention.k_proj", "attention.v_proj"), "attn.qkv")


def dinov2() -> Case:
    model, state = _dinov2(False)
    return Case(state, lambda x: model(x).last_hidden_state[:, 0], "dinov2", dropped=("mask token",))


def dinov2_registers() -> Case:
    model, state = _dinov2(True)
    return Case(state, lambda x: model(x).last_hidden_state[:, 0], "dinov2", dropped=("mask token",))


def dinov2_training() -> Case:
    """A training checkpoint: the teacher, blocks in chunks, heads beside the backbone."""
    model, state = _dinov2(False)
    chunked = {
        k.replace("blocks.", "blocks.0.", 1) if k.startswith("blocks.") else k: v for k, v in state.items()
    }
    teacher = {f"backbone.{k}": v for k, v in chunked.items()} | {
        "dino_head.mlp.0.weight": torch.zeros(2, DIM)
    }
    return Case(
        {"teacher": teacher}, lambda x: model(x).last_hidden_state[:, 0], "dinov2", dropped=("projector",)
    )


def dinov3() -> Case:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    config = DINOv3ViTConfig(
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIM,
        num_register_tokens=4,
        image_size=SIDE,
        patch_size=PATCH,
        layer_norm_eps=1e-5,
    )
    model = randomised(DINOv3ViTModel(config))
    state = _rename(
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
    state = _fused(state, ("attention.q_proj", "attention.k_proj", "attention.v_proj"), "attn.qkv")
    state["mask_token"] = torch.zeros(1, DIM)
    state["rope_embed.periods"] = torch.zeros(4)
    state["blocks.0.attn.qkv.bias_mask"] = torch.full((3 * DIM,), torch.nan)
    return Case(
        state,
        lambda x: model(x).last_hidden_state[:, 0],
        "dinov3",
        options={"size_px": SIDE},
        dropped=("mask token", "computed, not learnt"),
    )


def _clip() -> tuple[Any, State]:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        image_size=SIDE,
        patch_size=PATCH,
        intermediate_size=4 * DIM,
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
    )
    model = randomised(CLIPVisionModel(config))
    state = _rename(
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
    state = _fused(state, names, "attn.in_proj", "_")
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
        lambda x: model(x).pooler_output,
        "clip",
        dropped=("text tower", "projection to the text space", "temperature", "sizes"),
    )


def farl() -> Case:
    model, state = _clip()
    return Case({"state_dict": state}, lambda x: model(x).pooler_output, "clip", dropped=("text tower",))


def siglip() -> Case:
    from transformers import SiglipVisionConfig, SiglipVisionModel

    config = SiglipVisionConfig(
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        image_size=SIDE,
        patch_size=PATCH,
        intermediate_size=4 * DIM,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    model = randomised(SiglipVisionModel(config))
    state = _rename(
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
    state = _fused(state, ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "attn.qkv")
    state["pos_embed"] = state["pos_embed"][None]
    for kind in ("weight", "bias"):
        joined = state.pop(f"head.attention.in_proj_{kind}")
        state[f"attn_pool.q.{kind}"], state[f"attn_pool.kv.{kind}"] = joined[:DIM], joined[DIM:]
    wrapped = {f"visual.trunk.{k}": v for k, v in state.items()}
    wrapped |= {"logit_bias": torch.tensor(0.0), "text.transformer.x.weight": torch.zeros(3)}
    return Case(wrapped, lambda x: model(x).pooler_output, "siglip", dropped=("text tower", "temperature"))


CASES: dict[str, Callable[[], Case]] = {
    f.__name__: f
    for f in (
        mae,
        mae_encoder_only,
        mae_face_finetuned,
        fmae_iat,
        fsfm,
        online_encoder,
        plain_vit,
        dino_teacher,
        dinov2,
        dinov2_registers,
        dinov2_training,
        dinov3,
        clip,
        farl,
        siglip,
    )
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    """Each family in turn."""
    return CASES[request.param]()


@pytest.fixture
def make_case() -> Callable[[str], Case]:
    """A family by name."""
    return lambda name: CASES[name]()
