"""DINOv3 under its official names, on timm's Eva (rotary positions, register tokens)."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from torch import nn

from abaw_submit.errors import UserError
from abaw_submit.models.weights.blueprint import Blueprint
from abaw_submit.models.weights.families import FAMILIES
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.prefix import Rooted
from abaw_submit.models.weights.read import WeightFile
from abaw_submit.models.weights.rules import COMPUTED, PICTURE_RULES, sort_out

NATIVE_PX = 256  # the size timm's cards give; rotary positions take any


def is_dinov3(rooted: Rooted) -> bool:
    """Whether the names are DINOv3's, official or timm's: registers, and no table of positions."""
    names = rooted.state
    return "pos_embed" not in names and (
        "storage_tokens" in names or ("reg_token" in names and "blocks.0.gamma_1" in names)
    )


def dinov3_blueprint(file: WeightFile, rooted: Rooted, options: WeightOptions) -> Blueprint:
    """The blueprint of a DINOv3 encoder.

    Raises:
        UserError: names that every DINOv3 has are missing, or heads that nobody knows.
    """
    where, family = file.where, FAMILIES["dinov3"]
    rules = {**COMPUTED, **PICTURE_RULES}
    more, kept = sort_out(rooted.state, {k: v for k, v in rules.items() if k != "another network"})
    outside, left = sort_out(rooted.outside, rules)
    state, masked = {}, []
    for key in kept:
        tensor = rooted.state[key]
        name = key.replace("storage_tokens", "reg_token")
        name = re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", name)
        if name.endswith("attn.qkv.bias"):  # keys have no bias: the official code masks it
            query, _, value = tensor.chunk(3)
            stem = name.removesuffix("qkv.bias")
            state[f"{stem}q_bias"], state[f"{stem}v_bias"] = query, value
            masked.append(key)
            continue
        state[name] = tensor
    gated = any(".mlp.w3." in k or ".mlp.fc1_g." in k for k in state)
    if gated:
        state = {re.sub(r"\.mlp\.w([123])\.", _gate, k): v for k, v in state.items()}
    needed = ("patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "reg_token", "cls_token")
    absent = next((n for n in needed if n not in state), None)
    if absent is not None:
        raise UserError(f"{where} looks like DINOv3, but {absent} is missing. The file is damaged.")
    dim, patch_px = (
        int(state["patch_embed.proj.weight"].shape[0]),
        int(state["patch_embed.proj.weight"].shape[2]),
    )
    heads = options.heads or family.heads.get(dim)
    if heads is None or dim % heads:
        raise UserError(
            f"{where}: heads of a DINOv3 of width {dim} are not known, or do not divide it: give --heads."
        )
    depth = 1 + max(int(m[1]) for k in state if (m := re.match(r"blocks\.(\d+)\.", k)))
    size_px = options.size_px or NATIVE_PX // patch_px * patch_px
    first = "fc1_g" if gated else "fc1"
    hidden = (
        int(state[f"blocks.0.mlp.{first}.weight"].shape[0])
        if f"blocks.0.mlp.{first}.weight" in state
        else 4 * dim
    )
    biased = "blocks.0.attn.q_bias" in state

    def build(drop_path: float) -> nn.Module:
        from timm.models.eva import Eva

        network: Any = Eva(
            img_size=size_px,
            patch_size=patch_px,
            embed_dim=dim,
            depth=depth,
            num_heads=heads,
            mlp_ratio=(hidden + 0.5) / dim,
            qkv_bias=biased,
            init_values=1e-5,
            num_classes=0,
            global_pool="token",
            dynamic_img_size=True,
            rope_type="dinov3",
            rope_temperature=100,
            rope_rotate_half=True,
            use_rot_pos_emb=True,
            use_abs_pos_emb=False,
            swiglu_mlp=gated,
            num_reg_tokens=int(state["reg_token"].shape[1]),
            use_fc_norm=False,
            drop_path_rate=drop_path,
            norm_layer=partial(nn.LayerNorm, eps=family.eps),
        )
        return network  # type: ignore[no-any-return]

    blueprint = Blueprint(
        where=where,
        family="dinov3",
        build=build,
        state=state,
        size_px=size_px,
        mean=options.mean or family.mean,
        std=options.std or family.std,
        pool=options.pool or family.pool,
        heads=heads,
        heads_from="given" if options.heads else f"known: the dinov3 family's models of width {dim}",
        left=left,
        config={"timm_name": "", "family": "dinov3", "heads": heads, "img_size_px": size_px},
        prefix=rooted.prefix,
    )
    for part in (more, outside):
        for rule, keys in part.items():
            blueprint.drop(rule, keys)
    if masked:
        blueprint.notes.append(
            "the third of each qkv.bias that belongs to the keys is masked, as in the official code"
        )
    return blueprint


def _gate(match: re.Match[str]) -> str:
    return {"1": ".mlp.fc1_g.", "2": ".mlp.fc1_x.", "3": ".mlp.fc2."}[match[1]]
