"""Schedule and parameter groups."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.errors import UserError
from abaw_submit.models.encoder import Encoder, build_vit, new_encoder
from abaw_submit.models.settings import SequenceSize, VitSize
from abaw_submit.models.tmf import Tmf
from abaw_submit.tasks import AU, EXPR
from abaw_submit.training.finetune import SingleFrame
from abaw_submit.training.optim import learning_rate, parameter_groups
from abaw_submit.training.settings import FinetuneSettings, LoopSettings, PretrainSettings, TmfSettings


@given(st.integers(1, 500), st.floats(0, 0.9), st.floats(0, 0.5))
def test_rate_rises_to_lr_and_falls_to_min_lr_without_a_restart(
    steps: int, warmup: float, low: float
) -> None:
    settings = LoopSettings(lr=1.0, warmup=warmup, min_lr=low)
    rates = [learning_rate(k, steps, settings) for k in range(steps + 5)]
    peak = rates.index(max(rates))
    assert all(a <= b for a, b in pairwise(rates[: peak + 1]))
    assert all(a >= b for a, b in pairwise(rates[peak:]))
    assert max(rates) == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(low)


def test_cosine_is_that_of_pytorch() -> None:
    settings = LoopSettings(lr=0.3, warmup=0.0)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    other = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    for step in range(20):
        assert learning_rate(step, 20, settings) == pytest.approx(other.get_last_lr()[0])
        optimizer.step()
        other.step()


def test_weight_decay_spares_norms_biases_tokens_and_positions() -> None:
    model = build_vit(VitSize(32, 8, 64, 2, 1))
    groups = parameter_groups(model, LoopSettings(weight_decay=0.3))
    decayed = {id(p) for g in groups if g["weight_decay"] == 0.3 for p in g["params"]}
    for name, parameter in model.named_parameters():
        spared = parameter.ndim == 1 or name in ("cls_token", "pos_embed")
        assert (id(parameter) in decayed) != spared, name
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_a_tmf_decays_its_matrices_with_the_weight_of_the_settings() -> None:
    groups = parameter_groups(Tmf(4, AU, SequenceSize(8, 8, 8, 1, 2, 4)), TmfSettings(weight_decay=0.07))
    assert sorted({g["weight_decay"] for g in groups}) == [0.0, 0.07]


def scales(model: torch.nn.Module, layer_decay: float) -> dict[str, float]:
    groups = parameter_groups(model, FinetuneSettings(), layer_decay)
    scale = {id(p): float(g["scale"]) for g in groups for p in g["params"]}
    assert all(g["lr"] == FinetuneSettings().lr * g["scale"] for g in groups)
    return {name: scale[id(p)] for name, p in model.named_parameters()}


def test_layer_decay_of_a_vit_is_the_official_rule() -> None:
    """Embedding 0, block k k + 1, the rest depth + 1; layer i learns with decay ** (depth + 1 - i)."""
    depth, decay = 3, 0.65
    model = SingleFrame(new_encoder(VitSize(32, 8, 64, depth, 1)), AU)

    def official(name: str) -> int:
        name = name.removeprefix("encoder.backbone.")
        if name in ("cls_token", "pos_embed") or name.startswith("patch_embed"):
            return 0
        if name.startswith("blocks"):
            return int(name.split(".")[1]) + 1
        return depth + 1

    for name, scale in scales(model, decay).items():
        assert scale == pytest.approx(decay ** (depth + 1 - official(name))), name


@pytest.mark.parametrize(
    "name",
    [
        "swin_tiny_patch4_window7_224",
        "convnext_atto",
        "tf_efficientnet_b0",
        "resnet18",
        "mobilenetv3_small_050",
        "vit_tiny_patch16_224",
        "beit_base_patch16_224",
        "vit_small_patch16_dinov3",
        "test_vit",
        "test_nfnet",
    ],
)
def test_layer_decay_never_speeds_up_a_layer_of_any_timm_backbone(name: str) -> None:
    with torch.device("meta"):
        backbone = timm.create_model(name, num_classes=0)
        model = SingleFrame(Encoder(backbone, 224, backbone.num_features), AU)
    found = scales(model, 0.65)
    assert max(found.values()) == 1.0
    assert found["head.weight"] == 1.0
    body = [s for n, s in found.items() if n.startswith("encoder.")]
    first = next(iter(n for n in found if n.startswith("encoder.") and n.endswith("weight")))
    assert min(body) == found[first] < 0.65**2
    assert len(set(body)) > 3


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    [
        (LoopSettings, "epochs", 0, "--epochs 0: expected at least 1"),
        (LoopSettings, "lr", 0.0, "--lr 0.0: expected above 0"),
        (LoopSettings, "lr", math.nan, "--lr nan: expected above 0"),
        (LoopSettings, "warmup", 1.0, "--warmup 1.0: expected at least 0 and below 1"),
        (LoopSettings, "precision", "half", "--precision half: expected no, fp16 or bf16"),
        (PretrainSettings, "mask_ratio", 1.0, "--mask-ratio 1.0"),
        (FinetuneSettings, "frame_step", 0, "--frame-step 0"),
        (TmfSettings, "clip_rows", 1, "--clip-rows 1: expected at least 2"),
    ],
)
def test_settings_that_cannot_work_are_named(
    kind: type[LoopSettings], field: str, value: Any, expected: str
) -> None:
    with pytest.raises(UserError, match=re.escape(expected)):
        kind(**{field: value})


def test_defaults_are_the_papers() -> None:
    assert (PretrainSettings().epochs, PretrainSettings().batch, PretrainSettings().lr) == (800, 4096, 2.4e-3)
    assert PretrainSettings().mask_ratio == 0.75
    assert (FinetuneSettings().batch, FinetuneSettings().lr, FinetuneSettings().drop_path) == (512, 1e-4, 0.1)
    assert (TmfSettings().clip_rows, TmfSettings().batch, TmfSettings().lr, TmfSettings().epochs) == (
        100, 32, 1e-4, 20,
    )  # fmt: skip


def official_rate(step: int, per_epoch: int, epochs: int, warmup_epochs: int, lr: float, low: float) -> float:
    """The rule of the official MAE fine-tuning, told in words in its paper (He et al. 2022, appendix A.1):
    linear over the warm-up epochs, then half a cosine, by the fractional epoch of each step."""
    epoch = step / per_epoch
    if epoch < warmup_epochs:
        return lr * epoch / warmup_epochs
    place = (epoch - warmup_epochs) / (epochs - warmup_epochs)
    return low + (lr - low) * 0.5 * (1 + math.cos(math.pi * place))


def test_the_schedule_is_the_official_maes_but_for_its_first_step_of_rate_zero() -> None:
    per_epoch, epochs, warm = 7, 100, 5
    settings = FinetuneSettings(lr=1e-3, warmup=warm / epochs)
    assert settings.min_lr == 1e-6
    steps = per_epoch * epochs
    for step in range(steps):
        ahead = step + 1 if step < warm * per_epoch else step  # the warm-up is one step ahead, not at 0
        expected = official_rate(ahead, per_epoch, epochs, warm, 1e-3, 1e-6)
        assert learning_rate(step, steps, settings) == pytest.approx(expected, rel=1e-9), step


def test_decay_and_the_heads_start_are_the_official_maes_by_default() -> None:
    settings = FinetuneSettings()
    assert (settings.layer_decay, settings.head_std, settings.weight_decay) == (0.75, 2e-5, 0.05)
    model = SingleFrame(new_encoder(VitSize(32, 16, 24, 1, 2)), EXPR)
    assert 0 < model.head.weight.std() < 3e-5
    assert not model.head.bias.any()


def test_averages_are_not_taken_twice_and_stops_lie_inside_the_schedule() -> None:
    with pytest.raises(UserError, match="Choose one"):
        LoopSettings(ema=0.9, keep="average")
    with pytest.raises(UserError, match="expected at most the 3 of --epochs"):
        LoopSettings(epochs=3, stop_after=4)
