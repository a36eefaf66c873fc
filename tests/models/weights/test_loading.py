"""Files, folders and names: what is recognised, what is asked for, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import write_config, write_weights
from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.settings import VitSize
from abaw_submit.models.weights.encoders import blueprint_of, load_encoder
from abaw_submit.models.weights.options import WeightOptions, three_numbers
from tests.models.weights.case import normalised, pictures

SMALL = VitSize(img_size_px=32, patch_px=8, dim=64, depth=2, heads=4)


@torch.no_grad()
@pytest.mark.parametrize(
    "name", ["test_vit", "test_convnext", "test_efficientnet", "test_resnet", "test_byobnet"]
)
def test_any_timm_name_with_a_local_file(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "x.pth")
    encoder = load_encoder(f"timm:{name}@{tmp_path / 'x.pth'}")
    images = pictures(encoder.size_px)
    expected = model.forward_head(model.forward_features(normalised(images, encoder)), pre_logits=True)
    assert torch.allclose(encoder(images), expected.flatten(1), atol=1e-5)
    state = dict(model.state_dict())
    del state[next(k for k in state if k.endswith("weight"))]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(UserError, match=r"1 (of its )?weights are missing"):
        load_encoder(f"timm:{name}@{tmp_path / 'less.pth'}")
    with pytest.raises(UserError, match="weights are missing"):
        load_encoder(f"timm:test_vit2@{tmp_path / 'x.pth'}")


@torch.no_grad()
def test_a_folder_of_timms_hub_with_its_own_normalisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_vit", num_classes=5).eval()
    card = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 160, 160]}
    config = {"architecture": "test_vit", "num_classes": 5, "pretrained_cfg": card}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    encoder = load_encoder(tmp_path)
    assert (encoder.mean, encoder.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    images = pictures(160)
    expected = model.forward_head(model.forward_features(normalised(images, encoder)), pre_logits=True)
    assert torch.allclose(encoder(images), expected, atol=1e-5)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **more: str(tmp_path / name))
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name").symlink_to(tmp_path)
    assert torch.equal(load_encoder("hf-hub:owner/name")(images), encoder(images))


def test_weights_that_cannot_be_fetched_are_a_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **more: object) -> None:
        raise OSError("offline")

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    for name in ("hf-hub:timm/vit_tiny", "vit_tiny_patch16_224.augreg", "timm:vit_tiny_patch16_224"):
        with pytest.raises(UserError, match=r"cannot be fetched: offline\nGive a local file"):
            load_encoder(name)


@torch.no_grad()
def test_the_projects_own_file_takes_its_heads_from_the_config_beside_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = new_encoder(VitSize(32, 8, 96, 1, 3)).eval()
    write_weights(tmp_path, encoder.backbone.state_dict())
    write_config(tmp_path, {"encoder": encoder.config})
    plan = blueprint_of(tmp_path / "model.safetensors", WeightOptions())
    assert plan is not None
    assert plan.heads == 3
    assert torch.equal(load_encoder(tmp_path / "model.safetensors")(pictures()), encoder(pictures()))
    (tmp_path / "alone.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="a width of 96 does not settle it"):
        load_encoder(tmp_path / "alone.safetensors")


def test_the_small_vits_whose_heads_differ_between_authors_are_asked_for(
    make_case: Any, tmp_path: Path
) -> None:
    case = make_case("plain_vit")
    torch.manual_seed(0)
    from abaw_submit.models.encoder import build_vit

    small = build_vit(VitSize(32, 8, 384, 1, 6), pooled=False).state_dict()
    torch.save(small, tmp_path / "s.pth")
    with pytest.raises(UserError, match="--heads"):
        load_encoder(tmp_path / "s.pth")
    fsfm = {**small, "rep_decoder_embed.weight": torch.zeros(3)}
    torch.save(fsfm, tmp_path / "f.pth")
    plan = blueprint_of(tmp_path / "f.pth", WeightOptions())
    assert plan is not None
    assert plan.heads == 12
    assert case.family == "vit"


@torch.no_grad()
def test_fine_tuning_starts_with_a_fresh_fc_norm_and_says_so(make_case: Any, tmp_path: Path) -> None:
    torch.save(make_case("mae").content, tmp_path / "mae.pth")
    options = WeightOptions(heads=4)
    frozen = load_encoder(tmp_path / "mae.pth", options=options)
    tuned = load_encoder(tmp_path / "mae.pth", options=options, finetune=True)
    assert frozen.notes == ()
    assert tuned.notes == ("fc_norm starts afresh, as in the official fine-tuning",)
    assert tuned.config["notes"] == list(tuned.notes)
    assert torch.equal(tuned.backbone.fc_norm.weight, torch.ones(64))
    with pytest.raises(AttributeError):
        _ = tuned.backbone.norm.weight
    torch.save(make_case("dinov2").content, tmp_path / "d.pth")
    assert load_encoder(tmp_path / "d.pth", options=options, finetune=True).notes == ()


@torch.no_grad()
def test_a_fine_tuned_encoder_of_any_family_is_built_again_from_its_folder(
    make_case: Any, tmp_path: Path
) -> None:
    for name in ("mae", "dinov2", "clip", "dinov3"):
        case = make_case(name)
        torch.save(case.content, tmp_path / "w.pth")
        given = load_encoder(tmp_path / "w.pth", options=WeightOptions(heads=4, size_px=32), finetune=True)
        folder = tmp_path / name
        folder.mkdir()
        write_weights(folder, {**given.backbone.state_dict(), "head.weight": torch.zeros(2, 64)})
        write_config(folder, {"encoder": given.config})
        again = load_encoder(folder)
        assert torch.equal(again(pictures()), given(pictures())), name
        assert (again.mean, again.pool) == (given.mean, given.pool)


@torch.no_grad()
def test_pooling_mean_and_std_are_options(make_case: Any, tmp_path: Path) -> None:
    torch.save(make_case("plain_vit").content, tmp_path / "w.pth")

    def load(**options: Any) -> Any:
        return load_encoder(tmp_path / "w.pth", options=WeightOptions(heads=4, **options))

    images = pictures()
    cls, avg, grid = load(), load(pool="avg"), load(pool="grid:2")
    assert cls.pool == "cls"
    assert grid.dim == 4 * 64
    tokens = avg.backbone.forward_features(normalised(images, avg))
    assert torch.allclose(avg(images), tokens[:, 1:].mean(1), atol=1e-6)
    field = tokens[:, 1:].reshape(2, 4, 4, 64)
    assert torch.allclose(grid(images)[:, 64:128], field[:, :2, 2:].mean((1, 2)), atol=1e-6)
    assert torch.allclose(grid(images).reshape(2, 4, 64).mean(1), avg(images), atol=1e-5)
    half = load(mean=three_numbers("0.5", "mean"), std=(0.5, 0.5, 0.5))
    assert not torch.allclose(half(images), cls(images), atol=1e-3)
    for pool, message in (
        ("map", "no attention pool"),
        ("grid:0", "Unknown pooling"),
        ("mean", "Unknown pooling"),
    ):
        with pytest.raises(UserError, match=message):
            load(pool=pool)
    with pytest.raises(UserError, match="whole number of patches of 8 px"):
        load(size_px=33)


@torch.no_grad()
def test_a_grid_of_a_convolutional_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=0).eval()
    torch.save(model.state_dict(), tmp_path / "x.pth")
    encoder = load_encoder(f"timm:test_resnet@{tmp_path / 'x.pth'}", options=WeightOptions(pool="grid:2"))
    maps = model.forward_features(normalised(pictures(160), encoder))
    expected = torch.nn.functional.adaptive_avg_pool2d(maps, 2)[:, :, 0, 1]
    dim = model.num_features
    assert encoder.dim == 4 * dim
    assert torch.allclose(encoder(pictures(160))[:, dim : 2 * dim], expected, atol=1e-6)


def test_fsfms_own_statistics_are_read_from_beside_the_file(make_case: Any, tmp_path: Path) -> None:
    torch.save(make_case("fsfm").content, tmp_path / "checkpoint-599.pth")
    options = WeightOptions(heads=4)
    assumed = load_encoder(tmp_path / "checkpoint-599.pth", options=options)
    assert assumed.mean[0] == pytest.approx(0.548, abs=1e-3)
    assert any("assumed" in note for note in assumed.notes)
    line = json.dumps({"mean": [0.5, 0.4, 0.3], "std": [0.3, 0.2, 0.1]})
    (tmp_path / "pretrain_ds_mean_std.txt").write_text(f"{line}\n{line}\n")
    told = load_encoder(tmp_path / "checkpoint-599.pth", options=options)
    assert (told.mean, told.std, told.notes) == ((0.5, 0.4, 0.3), (0.3, 0.2, 0.1), ())
    (tmp_path / "pretrain_ds_mean_std.txt").write_text("what")
    with pytest.raises(UserError, match="expected a line"):
        load_encoder(tmp_path / "checkpoint-599.pth", options=options)


def test_several_encoders_in_a_file_have_to_be_chosen(make_case: Any, tmp_path: Path) -> None:
    state = make_case("plain_vit").content
    both = {f"{who}.{k}": v for who in ("left", "right") for k, v in state.items()}
    torch.save(both, tmp_path / "both.pth")
    with pytest.raises(UserError, match=r"(?s)holds 2 encoders: left\., right\..*--prefix"):
        load_encoder(tmp_path / "both.pth", options=WeightOptions(heads=4))
    with pytest.raises(UserError, match=r'no weight starts with "middle\."'):
        load_encoder(tmp_path / "both.pth", options=WeightOptions(heads=4, prefix="middle"))
    with pytest.raises(UserError, match="such as right"):
        load_encoder(tmp_path / "both.pth", options=WeightOptions(heads=4, prefix="left"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.zeros(1)}, "is of no family that is recognised"),
        ([1, 2], "holds list; expected a dict of weights"),
        ({"epoch": 3}, "holds no weights"),
        ({"feature_extractor.conv_layers.0.conv.weight": torch.zeros(1)}, "holds a speech model"),
        ({"blocks.0.gamma_1": torch.zeros(1), "patch_embed.proj.weight": torch.zeros(1)}, "timm:NAME@FILE"),
    ],
)
def test_other_content_is_named(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match=message):
        load_encoder(tmp_path / "x.pth")
