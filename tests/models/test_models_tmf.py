"""TMF: its sizes are the paper's, padding changes nothing, order in time matters."""

from __future__ import annotations

import pytest
import torch

from abaw_submit.models.settings import SequenceSize
from abaw_submit.models.tmf import Tmf
from abaw_submit.tasks import AU, EXPR, VA

SMALL = SequenceSize(
    conv_dim=24, model_dim=16, feedforward_dim=16, layers=2, heads=2, head_dim=8, dropout=0.0
)


def make(task: object = VA, features: int = 6) -> Tmf:
    torch.manual_seed(0)
    return Tmf(features, task, SMALL)  # type: ignore[arg-type]


def test_the_default_sizes_are_those_of_the_paper() -> None:
    model = Tmf(768 + 896, EXPR, SequenceSize())
    assert model.fuse[0].weight.shape == (256, 1664, 1)
    layers = model.transformer.layers
    assert len(layers) == 4
    assert {layer.linear1.weight.shape for layer in layers} == {(128, 128)}
    assert {layer.self_attn.num_heads for layer in layers} == {4}
    assert model.heads[0].hidden.weight.shape == (64, 128)


@pytest.mark.parametrize(("task", "heads", "outputs"), [(VA, 2, 1), (AU, 1, 12), (EXPR, 1, 8)])
def test_va_has_two_heads_and_the_others_one(task: object, heads: int, outputs: int) -> None:
    model = make(task)
    assert [head.out.out_features for head in model.heads] == [outputs] * heads


def test_padding_changes_no_real_row_in_training_or_prediction() -> None:
    x = torch.randn(3, 10, 6)
    padded = torch.cat([x, torch.full((3, 4, 6), float("nan"))], 1)
    present = torch.ones(3, 10, dtype=bool)
    padded_present = torch.cat([present, torch.zeros(3, 4, dtype=bool)], 1)
    for training in (True, False):
        a = make().train(training)(x, present)
        b = make().train(training)(padded, padded_present)[:, :10]
        assert torch.allclose(a, b, atol=1e-6)


def test_va_stays_inside_its_range_and_keeps_a_gradient_far_outside() -> None:
    model = make().eval()
    with torch.no_grad():
        model.heads[0].out.bias.fill_(3.0)
    out = model(torch.randn(2, 5, 6), torch.ones(2, 5, dtype=bool))
    assert out.abs().max() <= 1
    out[..., 0].sum().backward()
    assert model.heads[0].out.bias.grad.abs().item() > 0


def test_a_row_knows_its_neighbours_and_their_order() -> None:
    model, x = make().eval(), torch.randn(1, 8, 6)
    present = torch.ones(1, 8, dtype=bool)
    swapped = x[:, [0, 2, 1, 3, 4, 5, 6, 7]]
    assert not torch.allclose(model(x, present)[:, 7], model(swapped, present)[:, 7], atol=1e-6)


def test_standardisation_is_part_of_the_weights_and_spares_constant_features() -> None:
    model = make().eval()
    model.fit_standardisation(torch.arange(6.0), torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0, 1.0]))
    assert model.state_dict()["std"].tolist() == [1, 2, 1, 1, 1, 1]
    plain = make().eval()
    x = torch.randn(1, 4, 6)
    shifted = x * model.std + model.mean
    present = torch.ones(1, 4, dtype=bool)
    assert torch.allclose(model(shifted, present), plain(x, present), atol=1e-5)


def test_one_single_row_can_be_trained_on() -> None:
    assert make().train()(torch.randn(1, 1, 6), torch.ones(1, 1, dtype=bool)).shape == (1, 1, 2)
