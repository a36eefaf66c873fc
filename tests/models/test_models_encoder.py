"""The encoder: official MAE weights load, and give what timm and transformers give."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import write_config, write_weights
from abaw_submit.models.encoder import Encoder, build_vit, new_encoder
from abaw_submit.models.settings import IMAGENET_MEAN, IMAGENET_STD, VitSize
from abaw_submit.models.weights.encoders import load_encoder
from abaw_submit.models.weights.options import WeightOptions
from abaw_submit.models.weights.read import read_weights

SMALL = VitSize(img_size_px=32, patch_px=8, dim=64, depth=2, heads=1)


@pytest.fixture
def official_state() -> dict[str, torch.Tensor]:
    """Small random weights under the names of the official MAE release, decoder and all."""
    torch.manual_seed(3)
    state = {k: torch.randn_like(v) * 0.1 for k, v in build_vit(SMALL, pooled=False).state_dict().items()}
    return {**state, "mask_token": torch.zeros(1, 1, 32), "decoder_pos_embed": torch.zeros(1, 17, 32)}


def load(state: dict[str, torch.Tensor], folder: Path, *, finetune: bool = False, **options: int) -> Encoder:
    torch.save({"model": state}, folder / "state.pth")
    return load_encoder(folder / "state.pth", options=WeightOptions(heads=1, **options), finetune=finetune)


def pictures(size_px: int = 32, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))


def normalised(images: torch.Tensor) -> torch.Tensor:
    return (images - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)


def test_official_pth_gives_the_layer_normed_mean_of_the_patch_tokens_of_transformers(
    tmp_path: Path,
    official_state: dict[str, torch.Tensor],
    load_into_transformers: Callable[[torch.nn.Module, dict[str, torch.Tensor]], None],
) -> None:
    from transformers import ViTConfig, ViTModel

    encoder = load(official_state, tmp_path, finetune=True)  # frozen features: test_families.py
    assert (encoder.size_px, encoder.dim) == (32, 64)

    config = ViTConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=1, intermediate_size=256, image_size=32,
        patch_size=8, layer_norm_eps=1e-6,
    )  # fmt: skip
    other = ViTModel(config, add_pooling_layer=False).eval()
    tokens: list[torch.Tensor] = []
    load_into_transformers(other, official_state)
    other.layernorm.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
    with torch.no_grad():
        other(normalised(pictures()))
        expected = torch.nn.functional.layer_norm(tokens[0][:, 1:].mean(1), (64,), eps=1e-6)
        got = encoder(pictures())
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_training_checkpoints_with_argparse_settings_and_ddp_names_load(
    tmp_path: Path, official_state: dict[str, torch.Tensor]
) -> None:
    wrapped = {f"module.{k}": v for k, v in official_state.items()}
    torch.save({"model": wrapped, "args": argparse.Namespace(lr=1.0), "epoch": 3}, tmp_path / "c.pth")
    got = load_encoder(tmp_path / "c.pth", options=WeightOptions(heads=1))(pictures())
    assert torch.equal(got, load(official_state, tmp_path)(pictures()))


def test_a_checkpoint_folder_of_this_project_round_trips(tmp_path: Path) -> None:
    torch.manual_seed(0)
    size = VitSize(img_size_px=24, patch_px=8, dim=48, depth=1, heads=4)  # 48 wide: heads only in the config
    encoder = new_encoder(size).eval()
    write_weights(tmp_path, {**encoder.backbone.state_dict(), "head.weight": torch.zeros(2, 48)})
    write_config(tmp_path, {"encoder": encoder.config})
    assert torch.equal(load_encoder(tmp_path)(pictures(24)), encoder(pictures(24)))


def test_a_fine_tuned_fc_norm_is_kept(official_state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    plain = load(official_state, tmp_path, finetune=True)
    fc_norm = {"fc_norm.weight": torch.full((64,), 2.0), "fc_norm.bias": torch.ones(64)}
    tuned = load({**official_state, **fc_norm}, tmp_path)
    np.testing.assert_allclose(
        tuned(pictures()).detach(), plain(pictures()).detach() * 2 + 1, atol=1e-5, rtol=1e-5
    )


def test_positions_are_interpolated_to_another_picture_size(
    official_state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    constant = official_state["pos_embed"][:, 1:2].expand(1, 16, 64)
    state = {**official_state, "pos_embed": torch.cat([official_state["pos_embed"][:, :1], constant], 1)}
    larger = load(state, tmp_path, size_px=48)
    assert larger.backbone.pos_embed.shape == (1, 37, 64)
    # a constant field stays that constant; the class token's position is not part of the grid
    np.testing.assert_allclose(
        larger.backbone.pos_embed[:, 1:].detach(), constant[:, :1].expand(1, 36, 64), atol=1e-5
    )
    assert torch.equal(larger.backbone.pos_embed[:, 0], state["pos_embed"][:, 0])
    assert larger(pictures(48)).shape == (3, 64)


def test_timm_models_load_by_name_with_their_own_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    real = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **more: real(name, **more))
    encoder = load_encoder("vit_tiny_patch16_224", options=WeightOptions(size_px=32))
    assert (encoder.dim, encoder.size_px, encoder.mean) == (192, 32, (0.5, 0.5, 0.5))
    assert encoder(pictures()).shape == (3, 192)


def test_missing_files_and_unknown_names_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No encoder at"):
        load_encoder(tmp_path / "none.pth")
    with pytest.raises(UserError, match='no timm model "vit_bse_patch16_224"'):
        load_encoder("vit_bse_patch16_224")
    with pytest.raises(UserError, match="not a checkpoint folder"):
        load_encoder(tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"12345678{}")
    with pytest.raises(UserError, match="not a readable safetensors"):
        read_weights(tmp_path / "bad.safetensors")


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="not a whole number of 16 px patches"):
        new_encoder(VitSize(img_size_px=56))
    with pytest.raises(UserError, match="among 5 heads"):
        new_encoder(VitSize(img_size_px=32, patch_px=8, dim=64, depth=1, heads=5))
