"""The visual encoder: a face picture to one vector, from this project's or others' weights.

A Vision Transformer whose feature is the LayerNorm of the mean of the patch tokens, as in MAE
fine-tuning (He et al. 2022; arXiv 2303.10849, section 3.2). Weights are stored under the names of the
official MAE release, so that its files load here and files made here load there.
"""

from __future__ import annotations

import argparse
import difflib
import math
import pickle
import struct
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD, VitSize

# widths of the published MAE models; their head count cannot be read off the weights
_HEADS_OF_DIM = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
_NEEDED = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight")


class Encoder(nn.Module):
    """Pictures to vectors; normalises inside, so callers pass plain RGB in [0, 1].

    Attributes:
        size_px: side of the square input picture, px.
        dim: length of the vector.
        mean: per-channel mean that is subtracted.
        std: per-channel deviation that is divided by.
        backbone: the timm network, official MAE names inside.
    """

    def __init__(
        self,
        backbone: nn.Module,
        size_px: int,
        dim: int,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.size_px, self.dim = size_px, dim
        self.mean, self.std = mean, std
        self.config: dict[str, Any] = dict(config or {})
        self._mean: Tensor
        self._std: Tensor
        self.register_buffer("_mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of RGB pictures.

        Args:
            images: (batch, 3, size_px, size_px), in [0, 1].

        Returns:
            (batch, dim).
        """
        features: Tensor = self.backbone((images - self._mean) / self._std)
        return features


def build_vit(size: VitSize, *, drop_path: float = 0.0, pooled: bool = True) -> Any:
    """timm's VisionTransformer of a size, freshly initialised, without a classifier.

    Args:
        size: the sizes.
        drop_path: stochastic depth of the last block; earlier blocks have proportionally less.
        pooled: mean of the patch tokens, then LayerNorm (`fc_norm`); False keeps all tokens and ends in
            `norm`, as MAE pre-training needs.
    """
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=size.img_size_px,
        patch_size=size.patch_px,
        embed_dim=size.dim,
        depth=size.depth,
        num_heads=size.heads,
        num_classes=0,
        global_pool="avg" if pooled else "",
        fc_norm=pooled,
        drop_path_rate=drop_path,
        norm_layer=lambda dim, **more: nn.LayerNorm(dim, eps=1e-6, **more),
    )


def new_encoder(size: VitSize, *, drop_path: float = 0.0) -> Encoder:
    """An encoder with random weights."""
    return _vit_encoder(size, drop_path)


def load_encoder(
    source: Path | str, *, size_px: int | None = None, heads: int | None = None, drop_path: float = 0.0
) -> Encoder:
    """An encoder with trained weights, in evaluation mode.

    Args:
        source: a checkpoint folder of this project (`model.safetensors`, `config.toml`); a `.pth` or
            `.safetensors` file in the official MAE format; or a timm name ("vit_base_patch16_224.mae"), whose
            weights timm fetches.
        size_px: input side; position embeddings are interpolated when it is not the one trained with.
        heads: attention heads, where neither a config nor the width tells.
        drop_path: stochastic depth, for further training.

    Raises:
        UserError: no such file or name, or weights in another format.
    """
    path = Path(source)
    if path.is_dir():
        return _from_folder(path, size_px, drop_path)
    if path.is_file():
        return encoder_from_state(
            read_weights(path), str(path), size_px=size_px, heads=heads, drop_path=drop_path
        )
    if path.suffix in (".pth", ".pt", ".safetensors") or path.parent != Path():
        raise UserError(
            f"No encoder at {path}: expected a checkpoint folder, a .pth, a .safetensors or a timm name."
        )
    return _from_timm(str(source), size_px, drop_path, pretrained=True)


def encoder_from_state(
    state: Mapping[str, Tensor],
    where: str,
    *,
    size_px: int | None = None,
    heads: int | None = None,
    drop_path: float = 0.0,
) -> Encoder:
    """An encoder from weights under the official MAE names; sizes are read off the weights.

    The decoder, a classifier and the final `norm` of pre-training are left out: fine-tuning starts with
    a fresh `fc_norm`, as in the official code. A fine-tuned `fc_norm` is kept.

    Raises:
        UserError: names are missing.
    """
    size = size_of_state(state, where, heads)
    encoder = _vit_encoder(VitSize(**{**vars(size), "img_size_px": size_px or size.img_size_px}), drop_path)
    backbone = encoder.backbone
    wanted = backbone.state_dict()
    found = {name: tensor for name, tensor in state.items() if name in wanted}
    missing = sorted(set(wanted) - set(found) - {"fc_norm.weight", "fc_norm.bias"})
    if missing:
        raise UserError(f"{where}: {len(missing)} weights are missing, such as {missing[0]}.")
    found["pos_embed"] = resize_positions(found["pos_embed"], wanted["pos_embed"].shape[1])
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape:
            raise UserError(
                f"{where}: {name} is {tuple(tensor.shape)}; expected {tuple(wanted[name].shape)}."
            )
    backbone.load_state_dict(found, strict=False)
    return encoder.eval()


def size_of_state(state: Mapping[str, Tensor], where: str, heads: int | None = None) -> VitSize:
    """The sizes of a Vision Transformer, read off its weights.

    Raises:
        UserError: these are not weights in the official MAE format.
    """
    absent = [name for name in _NEEDED if name not in state]
    if absent:
        some = ", ".join(sorted(state)[:3]) or "nothing"
        raise UserError(
            f"{where} is not in the official MAE format: {absent[0]} is missing (it holds {some}, …).\n"
            "Expected cls_token, pos_embed, patch_embed.proj.*, blocks.*.attn.qkv.*, …"
        )
    dim, _, patch_px, _ = state["patch_embed.proj.weight"].shape
    side = math.isqrt(state["pos_embed"].shape[1] - 1)
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    heads = heads or _HEADS_OF_DIM.get(dim) or max(1, dim // 64)
    return VitSize(side * patch_px, patch_px, dim, depth, heads)


def resize_positions(positions: Tensor, tokens: int) -> Tensor:
    """Bicubic interpolation of position embeddings to another grid; the class token's stays as it is.

    Args:
        positions: (1, 1 + old side squared, dim).
        tokens: 1 + new side squared.
    """
    if positions.shape[1] == tokens:
        return positions
    layers: Any = import_module("timm.layers")
    side = math.isqrt(tokens - 1)
    # without antialias, as the official MAE code does it
    resized: Tensor = layers.resample_abs_pos_embed(positions, [side, side], antialias=False)
    return resized


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Named tensors of a `.safetensors` or a `.pth` file; nothing in the file is executed.

    A `.pth` may hold the weights themselves or a dict with them under "model" or "state_dict", as training
    checkpoints do.

    Raises:
        UserError: unreadable, or it holds more than plain tensors and settings.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise UserError(f"{path} is not a readable safetensors file: {error}.") from None
    try:
        # the official training checkpoints carry their argparse settings: plain values, safe to build
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, struct.error) as error:
        # torch's own text tells people to switch the safety off, so only the kind of error is passed on
        raise UserError(
            f"{path} cannot be loaded as plain weights ({type(error).__name__}): damaged, no weights file, or"
            " code in it.\nExpected a dict of tensors, as torch.save(model.state_dict()) writes."
        ) from None
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise UserError(f"{path} holds {type(content).__name__}; expected a dict of weights.")
    return {str(k).removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}


def _vit_encoder(size: VitSize, drop_path: float) -> Encoder:
    backbone = build_vit(size, drop_path=drop_path)
    return Encoder(backbone, size.img_size_px, size.dim, config={"timm_name": "", **vars(size)})


def _from_folder(folder: Path, size_px: int | None, drop_path: float) -> Encoder:
    from abaw_submit.models.checkpoint import WEIGHTS_NAME, read_config

    weights = folder / WEIGHTS_NAME
    if not weights.is_file():
        raise UserError(f"{folder} is no checkpoint folder: {WEIGHTS_NAME} is missing.")
    config = read_config(folder).get("encoder")
    if not isinstance(config, dict):
        raise UserError(f"{folder} is not an encoder's checkpoint: its config.toml has no [encoder] section.")
    state = read_weights(weights)
    if config["timm_name"]:
        encoder = _from_timm(
            config["timm_name"], size_px or config["img_size_px"], drop_path, pretrained=False
        )
        own = encoder.backbone.state_dict()
        encoder.backbone.load_state_dict({name: state[name] for name in own if name in state})
        return encoder.eval()
    return encoder_from_state(state, str(folder), size_px=size_px, heads=config["heads"], drop_path=drop_path)


def _from_timm(name: str, size_px: int | None, drop_path: float, *, pretrained: bool) -> Encoder:
    timm: Any = import_module("timm")
    if "/" not in name and not timm.is_model(name.split(".")[0]):
        close = difflib.get_close_matches(name, timm.list_models(), n=1)
        hint = f'Did you mean "{close[0]}"?' if close else "See timm.list_models() for the names."
        raise UserError(f'No file and no timm model "{name}". {hint}')
    options: dict[str, Any] = {"num_classes": 0, "drop_path_rate": drop_path}
    if name.startswith("vit_"):
        options.update(global_pool="avg", img_size=size_px) if size_px else options.update(global_pool="avg")
    try:
        backbone = timm.create_model(name, pretrained=pretrained, **options)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise UserError(
            f'The weights of "{name}" cannot be had: {reason}\nGive a local file instead.'
        ) from None
    data = timm.data.resolve_data_config({}, model=backbone)
    side = size_px or int(data["input_size"][-1])
    config = {"timm_name": name, "img_size_px": side}
    encoder = Encoder(
        backbone, side, int(backbone.num_features), tuple(data["mean"]), tuple(data["std"]), config
    )
    return encoder.eval()
