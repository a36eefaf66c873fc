"""Every family loads from its own key layout and gives what another implementation gives, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from abaw_submit.errors import UserError
from abaw_submit.models.weights.encoders import blueprint_of, load_encoder
from abaw_submit.models.weights.options import WeightOptions

SIDE = 32


def pictures() -> Tensor:
    return torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def options_of(case: Any) -> WeightOptions:
    return WeightOptions(heads=case.heads, **case.options)


def saved(content: Any, folder: Path, name: str = "weights.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def weights_in(content: Any) -> dict[str, Tensor]:
    """The dict of tensors inside a checkpoint, to damage it in place."""
    for key in ("model", "state_dict", "teacher"):
        if key in content and isinstance(content[key], dict):
            return content[key]
    return content


def cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=1).min())


@torch.no_grad()
def test_the_feature_is_that_of_the_reference(case: Any, tmp_path: Path) -> None:
    path = saved(case.content, tmp_path)
    encoder = load_encoder(path, options=options_of(case))
    images = pictures()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (encoder.mean, encoder.std))
    expected = case.reference((images - mean) / std)
    got = encoder(images)
    assert got.shape == expected.shape
    assert cosine(got, expected) >= 0.9999
    assert torch.allclose(got, expected, atol=2e-4, rtol=1e-3)


def test_every_key_is_used_or_dropped_by_a_rule(case: Any, tmp_path: Path) -> None:
    plan = blueprint_of(saved(case.content, tmp_path), options_of(case))
    assert plan is not None
    assert plan.family == case.family
    assert not plan.left
    assert set(case.dropped) <= set(plan.dropped)


def test_a_missing_key_is_refused(case: Any, tmp_path: Path) -> None:
    state = weights_in(case.content)
    ends = ("norm2.weight", "ln_2.weight")
    del state[next(k for k in reversed(state) if k.endswith(ends) and "target" not in k)]
    with pytest.raises(UserError, match=r"1 weights are missing, such as blocks\.1\.norm2\.weight"):
        load_encoder(saved(case.content, tmp_path), options=options_of(case))


def test_a_key_more_is_refused(case: Any, tmp_path: Path) -> None:
    state = weights_in(case.content)
    block = next(k for k in state if k.endswith(("1.norm2.weight", "1.ln_2.weight")) and "target" not in k)
    state[block.replace("weight", "odd")] = torch.zeros(1)
    with pytest.raises(UserError, match="weights that this network has not, such as"):
        load_encoder(saved(case.content, tmp_path), options=options_of(case))


def test_another_width_is_refused(case: Any, tmp_path: Path) -> None:
    state = weights_in(case.content)
    name = next(k for k in state if k.endswith(("1.norm2.weight", "1.ln_2.weight")) and "decoder" not in k)
    state[name] = torch.ones(63)
    with pytest.raises(UserError, match=r"norm2\.weight is \(63,\); expected \(64,\)"):
        load_encoder(saved(case.content, tmp_path), options=options_of(case))


def test_a_head_count_is_asked_for_or_refused(case: Any, tmp_path: Path) -> None:
    path = saved(case.content, tmp_path)
    with pytest.raises(UserError, match=r"heads .*not (in the weights|known)"):
        load_encoder(path, options=WeightOptions(**case.options))
    with pytest.raises(UserError, match=r"cannot be divided among 5 heads|do not divide it"):
        load_encoder(path, options=WeightOptions(heads=5, **case.options))


@torch.no_grad()
def test_half_precision_and_data_parallel_load_exactly(case: Any, tmp_path: Path) -> None:
    state = weights_in(case.content)
    halves = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    state.clear()
    state.update({k: v.float() for k, v in halves.items()})
    plain = load_encoder(saved(case.content, tmp_path), options=options_of(case))(pictures())
    state.clear()
    state.update(halves)
    half = load_encoder(saved(case.content, tmp_path, "half.pth"), options=options_of(case))(pictures())
    assert torch.equal(half, plain)
    state.clear()
    state.update({f"module.{k}": v.float() for k, v in halves.items()})
    wrapped = load_encoder(saved(case.content, tmp_path, "ddp.pth"), options=options_of(case))(pictures())
    assert torch.equal(wrapped, plain)


def test_nan_is_refused(make_case: Any, tmp_path: Path) -> None:
    case = make_case("mae")
    case.content["model"]["norm.bias"][3] = torch.nan
    with pytest.raises(UserError, match=r"norm\.bias holds NaN or infinity"):
        load_encoder(saved(case.content, tmp_path), options=options_of(case))
