"""From the names in a file to the blueprint of a Vision Transformer: family, heads, pooling, leftovers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from abaw_submit.errors import UserError
from abaw_submit.models.weights.blueprint import Blueprint
from abaw_submit.models.weights.families import FAMILIES, Family
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.prefix import Rooted
from abaw_submit.models.weights.read import WeightFile
from abaw_submit.models.weights.rules import CLIP_RULES, COMPUTED, PICTURE_RULES, sort_out
from abaw_submit.models.weights.vit import VitSpec, fit_positions, has_fixed_positions, read_sizes, rename_vit

_CLIP_NAMES = (
    (r"^conv1\.", "patch_embed.proj."),
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)


def vit_blueprint(
    file: WeightFile, rooted: Rooted, options: WeightOptions, finetune: bool, **known: Any
) -> Blueprint:
    """The blueprint of a Vision Transformer.

    Args:
        file: the file as read.
        rooted: its encoder.
        options: what the user says, filled with what a config says.
        finetune: further training follows: a pre-trained masked autoencoder then starts with a fresh
            `fc_norm` on the mean of its patch tokens, as in its official code.
        known: of a checkpoint folder's config: `family`, `eps`.

    Raises:
        UserError: sizes that contradict each other, or heads that nobody knows.
    """
    where = file.where
    is_clip = "class_embedding" in rooted.state
    state, dropped = _clip_names(rooted.state) if is_clip else (dict(rooted.state), {})
    rules = {**COMPUTED, **PICTURE_RULES, **(CLIP_RULES if is_clip or "attn_pool.latent" in state else {})}
    evidence = {*state, *rooted.outside, rooted.prefix}
    more, kept = sort_out(state, {k: v for k, v in rules.items() if k != "another network"})
    left_out, left = sort_out(rooted.outside, rules)
    state, renamed = rename_vit({k: state[k] for k in kept}, where)
    spec = read_sizes(state, where)
    family = FAMILIES[known.get("family") or _family(state, spec, evidence, is_clip, file)]
    fresh: tuple[str, ...] = ()
    notes: list[str] = []
    if finetune and family.name in ("mae", "fsfm", "own") and spec.end == "norm" and spec.class_token:
        renamed["final norm of pre-training, replaced by fc_norm"] = ["norm.weight", "norm.bias"]
        state = {k: v for k, v in state.items() if k not in ("norm.weight", "norm.bias")}
        spec, fresh = replace(spec, end="fc_norm"), ("fc_norm.weight", "fc_norm.bias")
        notes.append("fc_norm starts afresh, as in the official fine-tuning")
    heads, heads_from = _heads(spec, family, options, where)
    spec = replace(
        spec,
        heads=heads,
        img_size_px=options.size_px or spec.img_size_px,
        activation=options.activation or _activation(family, file, notes),
        eps=float(known.get("eps") or family.eps),
    )
    if spec.img_size_px % spec.patch_px:
        raise UserError(
            f"{where}: {spec.img_size_px} px is not a whole number of patches of {spec.patch_px} px."
        )
    state["pos_embed"] = fit_positions(state["pos_embed"], spec)
    mean, std = _normalisation(family, file, options, notes)
    blueprint = Blueprint(
        where=where,
        family=family.name,
        build=spec.build,
        state=state,
        size_px=spec.img_size_px,
        mean=mean,
        std=std,
        pool=options.pool or _pool(spec, family, bool(fresh)),
        heads=heads,
        heads_from=heads_from,
        left=left,
        fresh=fresh,
        notes=notes,
        config={"timm_name": "", "family": family.name, **spec.plain()},
        prefix=rooted.prefix,
    )
    for part in (dropped, more, left_out, renamed):
        for rule, keys in part.items():
            blueprint.drop(rule, keys)
    return blueprint


def _clip_names(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """OpenAI's names, below `visual.`, to timm's."""
    out: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key
        for pattern, new in _CLIP_NAMES:
            name = re.sub(pattern, new, name)
        if name == "cls_token":
            tensor = tensor.reshape(1, 1, -1)
        elif name == "pos_embed" and tensor.ndim == 2:
            tensor = tensor[None]
        out[name] = tensor
    return out, {}


def _family(
    state: Mapping[str, Tensor], spec: VitSpec, evidence: set[str], is_clip: bool, file: WeightFile
) -> str:
    """Whose weights these are, by what only they have."""
    if is_clip or spec.pre_norm:
        return "clip"
    if spec.attention_pool:
        return "siglip"
    model = str(file.settings.get("model", ""))
    if (
        _any(evidence, r"(.*\.)?online_encoder\.")
        or model.startswith("fsfm")
        or _any(evidence, r"rep_decoder\w*\..*")
    ):
        return "fsfm"
    if spec.layer_scale:
        return "dinov2" if spec.class_token else "vit"
    if spec.end == "fc_norm":
        return "mae-finetuned" if spec.class_token else "vit"
    if _any(evidence, r"(.*\.)?decoder_(embed|blocks|pred|pos_embed).*"):
        return "mae"
    if spec.class_token and spec.places_prefix and has_fixed_positions(state["pos_embed"]):
        return "mae"
    return "vit"


def _any(keys: set[str], pattern: str) -> bool:
    return any(re.fullmatch(pattern, key) for key in keys)


def _heads(spec: VitSpec, family: Family, options: WeightOptions, where: str) -> tuple[int, str]:
    """Attention heads, which weights do not show: given, or the family's only published number."""
    if options.heads is not None:
        heads, source = options.heads, "given"
    elif spec.dim in family.heads:
        heads, source = (
            family.heads[spec.dim],
            f"known: the {family.name} family's models of width {spec.dim}",
        )
    else:
        raise UserError(
            f"{where}: the number of attention heads is not in the weights, and a width of {spec.dim} does"
            f" not settle it for {family.name} weights.\n"
            "Look it up in the code they come from: --heads (12 for FS-VFM ViT-S, 6 for DeiT-S and DINO)."
        )
    if spec.dim % heads:
        raise UserError(f"{where}: a width of {spec.dim} cannot be divided among {heads} heads.")
    return heads, source


def _activation(family: Family, file: WeightFile, notes: list[str]) -> str:
    if family.name == "clip":
        if "open_clip" in file.where.lower():
            notes.append(
                "activation gelu: an OpenCLIP file; its -quickgelu models need --activation quickgelu"
            )
            return "gelu"
        if not any("input_resolution" in k for k in file.state) and "farl" not in file.where.lower():
            notes.append(
                "activation quickgelu assumed, as OpenAI's and FaRL; OpenCLIP's own: --activation gelu"
            )
    return family.activation


def _normalisation(
    family: Family, file: WeightFile, options: WeightOptions, notes: list[str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = family.mean, family.std
    if family.name == "fsfm" and (options.mean is None or options.std is None):
        from abaw_submit.models.weights.beside import fsfm_statistics

        beside = fsfm_statistics(file.where)
        if beside is None:
            notes.append("mean and std of VGGFace2 assumed: pretrain_ds_mean_std.txt is not beside the file")
        else:
            mean, std = beside
    if family.name == "vit" and options.mean is None:
        notes.append(
            "mean and std of ImageNet assumed; timm's augreg and SigLIP models want --mean 0.5 --std 0.5"
        )
    return options.mean or mean, options.std or std


def _pool(spec: VitSpec, family: Family, is_fresh: bool) -> str:
    if is_fresh or spec.end == "fc_norm":
        return "avg"
    if spec.attention_pool:
        return "map"
    return family.pool if spec.class_token and family.pool != "map" else "avg"
