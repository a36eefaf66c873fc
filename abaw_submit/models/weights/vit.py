"""Vision Transformers under the names of timm and the official MAE, and what their weights tell of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.positions import sincos_positions

_FOREIGN = (".gamma_1", ".q_bias", ".relative_position_bias_table")  # of EVA, BEiT and Swin


@dataclass(frozen=True)
class VitSpec:
    """A Vision Transformer, completely; `config.toml` keeps it beside fine-tuned weights.

    Attributes:
        img_size_px: side of the input picture, px.
        patch_px: side of a patch, px.
        dim: width of a token.
        depth: blocks.
        heads: attention heads.
        hidden: width of the feed-forward layers, or of both halves of a gated one.
        class_token: whether it has one.
        registers: further tokens of their own.
        places_prefix: whether the position embeddings have places for those tokens.
        qkv_bias: whether queries, keys and values have biases.
        qk_norm: whether queries and keys are normed.
        layer_scale: whether the branches of a block are scaled (`ls*.gamma`).
        pre_norm: a norm before the first block, as in CLIP.
        end: "norm" (of every token), "fc_norm" (of the pooled one) or "none".
        attention_pool: whether it ends in an attention pool, as SigLIP.
        gated: feed-forward layers are gated by SiLU.
        activation: "gelu", "gelu_tanh" or "quickgelu".
        eps: of the LayerNorms.
    """

    img_size_px: int
    patch_px: int
    dim: int
    depth: int
    heads: int
    hidden: int
    class_token: bool = True
    registers: int = 0
    places_prefix: bool = True
    qkv_bias: bool = True
    qk_norm: bool = False
    layer_scale: bool = False
    pre_norm: bool = False
    end: str = "norm"
    attention_pool: bool = False
    gated: bool = False
    activation: str = "gelu"
    eps: float = 1e-6

    def build(self, drop_path: float = 0.0) -> Any:
        """timm's VisionTransformer of it, freshly initialised, without a classifier."""
        layers: Any = import_module("timm.layers")
        network: Any = import_module("timm.models.vision_transformer").VisionTransformer

        acts: dict[str, Any] = {
            "gelu": nn.GELU,
            "gelu_tanh": partial(nn.GELU, approximate="tanh"),
            "quickgelu": layers.QuickGELU,
        }
        pool = "map" if self.attention_pool else "avg"
        return network(
            img_size=self.img_size_px,
            patch_size=self.patch_px,
            embed_dim=self.dim,
            depth=self.depth,
            num_heads=self.heads,
            mlp_ratio=(self.hidden + 0.5) / self.dim,  # it is cut to a whole number there
            qkv_bias=self.qkv_bias,
            qk_norm=self.qk_norm,
            init_values=1.0 if self.layer_scale else None,
            class_token=self.class_token,
            reg_tokens=self.registers,
            no_embed_class=not self.places_prefix,
            pre_norm=self.pre_norm,  # then the patch embedding has no bias
            num_classes=0,
            global_pool=pool,
            fc_norm=self.end == "fc_norm",
            final_norm=self.end != "none",
            drop_path_rate=drop_path,
            act_layer=acts[self.activation],
            norm_layer=partial(nn.LayerNorm, eps=self.eps),
            mlp_layer=layers.SwiGLUPacked if self.gated else layers.Mlp,
        )

    def plain(self) -> dict[str, Any]:
        """The sizes as plain values, for `config.toml`."""
        return asdict(self)


def rename_vit(state: Mapping[str, Tensor], where: str) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Official names of DINOv2, MAE and others to timm's.

    Returns:
        Weights under timm's names, and what was left behind by rule.

    Raises:
        UserError: the network is not a plain Vision Transformer.
    """
    foreign = next((k for k in state if k.endswith(_FOREIGN)), None)
    if foreign or "dist_token" in state:
        raise UserError(
            f"{where}: {foreign or 'dist_token'} belongs to no plain Vision Transformer.\n"
            "Say which timm model it is: timm:NAME@FILE, such as timm:beit_base_patch16_224@FILE."
        )
    out: dict[str, Tensor] = {}
    dropped: dict[str, list[str]] = {}
    for key, tensor in state.items():
        name = re.sub(
            r"^blocks\.\d+\.(\d+)\.(?=norm|attn|mlp|ls)", r"blocks.\1.", key
        )  # DINOv2's block chunks
        name = re.sub(r"\.mlp\.w12\.", ".mlp.fc1.", name)
        name = re.sub(r"\.mlp\.w3\.", ".mlp.fc2.", name)
        if name in out:
            raise UserError(f"{where}: two weights would become {name}. The file is damaged.")
        out[name] = tensor
    if "register_tokens" in out:  # DINOv2 with registers: only the class token has a place
        out["reg_token"] = out.pop("register_tokens")
        out["cls_token"] = out["cls_token"].float() + out["pos_embed"][:, :1].float()
        out["pos_embed"] = out["pos_embed"][:, 1:]
    if "fc_norm.weight" in out and "norm.weight" in out:
        both: list[str] = [k for k in ("norm.weight", "norm.bias") if k in out]
        for name in both:
            del out[name]
        dropped["final norm of pre-training, replaced by fc_norm"] = both
    return out, dropped


def read_sizes(state: Mapping[str, Tensor], where: str) -> VitSpec:
    """The sizes that weights under timm's names tell; heads, activation and epsilon are still open.

    Raises:
        UserError: what every Vision Transformer has is missing, or sizes contradict each other.
    """
    needed = ("pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight")
    absent = next((name for name in needed if name not in state), None)
    if absent is not None:
        some = ", ".join(sorted(state)[:3]) or "nothing"
        raise UserError(
            f"{where} is not a known Vision Transformer: {absent} is missing (it holds {some}, …)."
        )
    patch = state["patch_embed.proj.weight"]
    if patch.ndim != 4 or patch.shape[1] != 3 or patch.shape[2] != patch.shape[3]:
        raise UserError(
            f"{where}: patch_embed.proj.weight is {tuple(patch.shape)}; expected (width, 3, patch, patch)."
        )
    dim, patch_px = int(patch.shape[0]), int(patch.shape[2])
    prefix = ("cls_token" in state) + (state["reg_token"].shape[1] if "reg_token" in state else 0)
    places = int(state["pos_embed"].shape[1])
    side, placed = _grid(places, prefix, where)
    numbers = [int(m[1]) for name in state if (m := re.match(r"blocks\.(\d+)\.", name))]
    hidden = int(state["blocks.0.mlp.fc1.weight"].shape[0])
    end = "norm" if "norm.weight" in state else "fc_norm" if "fc_norm.weight" in state else "none"
    return VitSpec(
        img_size_px=side * patch_px,
        patch_px=patch_px,
        dim=dim,
        depth=1 + max(numbers),
        heads=0,
        hidden=hidden,
        class_token="cls_token" in state,
        registers=int(state["reg_token"].shape[1]) if "reg_token" in state else 0,
        places_prefix=placed or prefix == 0,
        qkv_bias="blocks.0.attn.qkv.bias" in state,
        qk_norm="blocks.0.attn.q_norm.weight" in state,
        layer_scale="blocks.0.ls1.gamma" in state,
        pre_norm="norm_pre.weight" in state,
        end=end,
        attention_pool="attn_pool.latent" in state,
        gated=int(state["blocks.0.mlp.fc2.weight"].shape[-1]) * 2 == hidden
        if "blocks.0.mlp.fc2.weight" in state
        else False,
    )


def _grid(places: int, prefix: int, where: str) -> tuple[int, bool]:
    """Patches along one side, and whether the tokens before them have places too."""
    for taken in (prefix, 0):
        side = math.isqrt(max(0, places - taken))
        if side and side * side + taken == places:
            return side, taken > 0
    raise UserError(f"{where}: pos_embed has {places} places, which is not a square of patches.")


def fit_positions(positions: Tensor, spec: VitSpec) -> Tensor:
    """Position embeddings for the picture size of a spec, by bicubic interpolation; tokens' places stay.

    Args:
        positions: (1, places, dim).
        spec: the network to be.
    """
    prefix = (int(spec.class_token) + spec.registers) if spec.places_prefix else 0
    side = spec.img_size_px // spec.patch_px
    if positions.shape[1] == prefix + side * side:
        return positions
    layers: Any = import_module("timm.layers")

    # without antialias, as the official MAE and DINOv2 code does it
    fitted: Tensor = layers.resample_abs_pos_embed(
        positions.float(), [side, side], num_prefix_tokens=prefix, antialias=False
    )
    return fitted


def has_fixed_positions(positions: Tensor) -> bool:
    """Whether positions are the sine-cosine table of the MAE code, which it never trains."""
    side = math.isqrt(positions.shape[1] - 1)
    if side * side + 1 != positions.shape[1] or positions.shape[2] % 4:
        return False
    table = sincos_positions(positions.shape[2], side)
    return bool(torch.allclose(positions.float(), table, atol=2e-3))
