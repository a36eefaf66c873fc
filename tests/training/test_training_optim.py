"""Schedule and parameter groups."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from abaw_submit.errors import UserError
from abaw_submit.models.encoder import build_vit
from abaw_submit.models.settings import SequenceSize, VitSize
from abaw_submit.models.tmf import Tmf
from abaw_submit.tasks import AU
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


def test_layer_decay_slows_the_lower_blocks() -> None:
    model = build_vit(VitSize(32, 8, 64, 2, 1))
    groups = parameter_groups(model, FinetuneSettings(), layer_decay=0.5, depth=2)
    scale = {id(p): g["scale"] for g in groups for p in g["params"]}
    named = dict(model.named_parameters())
    assert scale[id(named["patch_embed.proj.weight"])] == 0.125
    assert scale[id(named["blocks.0.mlp.fc1.weight"])] == 0.25
    assert scale[id(named["blocks.1.mlp.fc1.weight"])] == 0.5
    assert scale[id(named["fc_norm.weight"])] == 1.0


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
