"""All sequence models: shapes, padding, who sees whom, and that each is what it is named after."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from abaw_submit.errors import UserError
from abaw_submit.models.losses import activate, task_loss
from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.sequence.registry import MODELS, build_model
from abaw_submit.models.sequence.streams import PICTURE, SOUND, Stream, columns_of
from abaw_submit.models.settings import SequenceSize
from abaw_submit.tasks import AU, EXPR, MTL, VA, part_slices

SMALL = SequenceSize(
    conv_dim=8, model_dim=8, feedforward_dim=8, layers=2, heads=2, head_dim=4, dropout=0.0, reach_rows=4,
    kernel_rows=3,
)  # fmt: skip
STREAMS = (Stream("mae", 3), Stream("logmel", 2, SOUND), Stream("clip", 1))


def make(name: str = "tmf", task: object = VA, **changes: object) -> SequenceNetwork:
    torch.manual_seed(0)
    size = dataclasses.replace(SMALL, model=name, **changes)
    return build_model(STREAMS, task, size)  # type: ignore[arg-type]


def all_real(x: torch.Tensor) -> torch.Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize("fusion", ["concat", "gate"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("task", [AU, EXPR, VA])
def test_every_model_gives_the_tasks_outputs_and_a_gradient_to_every_weight(
    name: str, fusion: str, task: object
) -> None:
    model, x = make(name, task, fusion=fusion).train(), torch.randn(2, 9, 6)
    out = model(x, all_real(x))
    assert out.shape == (2, 9, task.outputs)  # type: ignore[attr-defined]
    out.square().sum().backward()
    lacking = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert lacking == []


@pytest.mark.parametrize("fusion", ["concat", "gate"])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_real_row(name: str, fusion: str, training: bool) -> None:
    x = torch.randn(3, 10, 6)
    padded = torch.cat([x, torch.full((3, 4, 6), float("nan"))], 1)
    present = torch.cat([all_real(x), torch.zeros(3, 4, dtype=torch.bool)], 1)
    a = make(name, fusion=fusion).train(training)(x, all_real(x))
    with torch.no_grad():  # predictions may take a faster path
        b = make(name, fusion=fusion).train(training)(padded, present)[:, :10]
    assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_knows_what_came_before_and_what_comes_after(name: str) -> None:
    model, x = make(name).eval(), torch.randn(1, 7, 6, requires_grad=True)
    model(x, all_real(x))[0, 3].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(-1) > 0
    assert seen[2]
    assert seen[4]


def test_a_tcn_sees_as_far_as_its_kernels_reach_and_no_farther() -> None:
    model, x = make("tcn").eval(), torch.randn(1, 15, 6, requires_grad=True)
    model(x, all_real(x))[0, 7].sum().backward()
    assert x.grad is not None
    seen = np.flatnonzero(x.grad[0].abs().sum(-1).numpy())
    assert seen.tolist() == list(range(7 - 3, 7 + 3 + 1))  # kernel 3, dilations 1 and 2: 1 + 2 to each side


def test_relative_positions_do_not_care_where_the_clip_begins_and_do_care_about_distance() -> None:
    model = make("transformer").eval()
    torch.nn.init.normal_(model.distance.weight)  # type: ignore[union-attr]
    x = torch.randn(1, 6, 6)
    later = torch.cat([torch.zeros(1, 3, 6), x], 1)
    present = torch.cat([torch.zeros(1, 3, dtype=torch.bool), all_real(x)], 1)
    assert torch.allclose(model(x, all_real(x)), model(later, present)[:, 3:], atol=1e-5)
    swapped = x[:, [0, 2, 1, 3, 4, 5]]
    assert not torch.allclose(model(x, all_real(x))[:, 5], model(swapped, all_real(x))[:, 5], atol=1e-5)
    assert not torch.allclose(make().eval()(x, all_real(x)), make().eval()(later, present)[:, 3:], atol=1e-3)


def test_relative_positions_are_the_same_without_gradients() -> None:
    model, x = make("transformer").eval(), torch.randn(2, 9, 6)
    torch.nn.init.normal_(model.distance.weight)  # type: ignore[union-attr]
    with_gradients = model(x, all_real(x))
    with torch.no_grad():
        assert torch.allclose(model(x, all_real(x)), with_gradients, atol=1e-6)


def test_the_gru_is_pytorchs_own_over_the_real_rows() -> None:
    model, x = make("gru").eval(), torch.randn(1, 5, 8)
    present = torch.tensor([[True] * 4 + [False]])
    got = model.encode(x, present)[:, :4]
    expected, _ = model.gru(x[:, :4])  # type: ignore[operator]
    assert torch.allclose(got, expected, atol=1e-6)


def test_gate_mixes_two_projections_and_its_gates_can_close() -> None:
    model, x = make(fusion="gate").eval(), torch.randn(2, 5, 6)
    fuse = model.fuse
    with torch.no_grad():
        fuse.gates.weight.zero_()  # type: ignore[union-attr]
        closed = torch.tensor([-50.0] * 16 + [50.0] * 8)  # nothing taken over, all of it picture
        fuse.gates.bias.copy_(closed)  # type: ignore[union-attr]
    silent = x.clone()
    silent[..., columns_of(STREAMS, SOUND)] = 7.0
    assert torch.allclose(fuse.fuse(x, all_real(x)), fuse.fuse(silent, all_real(x)), atol=1e-5)  # type: ignore[operator]
    unseen = x.clone()
    unseen[..., columns_of(STREAMS, PICTURE)] = 7.0
    assert not torch.allclose(fuse.fuse(x, all_real(x)), fuse.fuse(unseen, all_real(x)), atol=1e-3)  # type: ignore[operator]


def test_modality_dropout_takes_one_kind_of_whole_clips_in_training_only() -> None:
    from abaw_submit.models.sequence.streams import drop_one_kind

    torch.manual_seed(0)
    x = torch.ones(4000, 2, 6)
    kinds = [torch.tensor(columns_of(STREAMS, kind)) for kind in (PICTURE, SOUND)]
    dropped = drop_one_kind(x, kinds, 0.3)
    gone = torch.stack([(dropped[..., k] == 0).all(-1).all(-1) for k in kinds])
    some = torch.stack([(dropped[..., k] == 0).any(-1).any(-1) for k in kinds])
    assert torch.equal(gone, some)  # a kind is gone from all rows of a clip, or from none
    assert not gone.all(0).any()  # never both
    assert gone.float().mean(1).tolist() == pytest.approx([0.15, 0.15], abs=0.02)
    assert drop_one_kind(x, kinds[:1], 0.3) is x
    model, clip = make(modality_dropout=0.9), torch.randn(3, 4, 6)
    assert torch.equal(model.eval()(clip, all_real(clip)), model(clip, all_real(clip)))
    model.train()
    assert not torch.equal(model(clip, all_real(clip)), model(clip, all_real(clip)))


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match='Unknown model "lstm"'):
        make("lstm")
    with pytest.raises(UserError, match=r"needs features of pictures and of sound; found mae \(picture\)"):
        build_model([Stream("mae", 4)], AU, dataclasses.replace(SMALL, fusion="gate"))
    for changes, words in (
        ({"fusion": "sum"}, "--fusion sum: expected concat or gate"),
        ({"kernel_rows": 4}, "expected an odd number"),
        ({"heads": 3}, "cannot be divided among 3 heads"),
        ({"modality_dropout": 1.0}, "below 1"),
        ({"layers": 0}, "--layers 0: expected at least 1"),
    ):
        with pytest.raises(UserError, match=words):
            make(**changes)  # type: ignore[arg-type]


def test_a_multi_task_model_has_the_heads_of_all_three_and_missing_labels_take_no_part() -> None:
    model, x = make(task=MTL), torch.randn(2, 6, 6)
    assert [head.out.out_features for head in model.heads] == [1, 1, 8, 12]
    output = model(x, all_real(x))
    scores = activate(MTL, output)
    assert scores.shape == (2, 6, 22)
    assert scores[..., 2:10].sum(-1).tolist() == [pytest.approx([1.0] * 6, abs=1e-5)] * 2
    labels = torch.cat([torch.rand(2, 6, 2), torch.randint(0, 8, (2, 6, 1)), torch.ones(2, 6, 12)], -1)
    valid = torch.rand(2, 6, 3) < 0.6
    weights = torch.ones(22)
    loss = task_loss(MTL, output, labels, valid, weights)
    spoiled = labels.clone()
    for at, columns in enumerate((slice(0, 2), slice(2, 3), slice(3, 15))):
        spoiled[..., columns][~valid[..., at]] = -5 if at == 0 else -1
    assert torch.equal(task_loss(MTL, output, spoiled, valid, weights), loss)
    parts = [
        task_loss(task, output[..., s], labels[..., k], valid[..., at], weights[s])
        for at, (task, s, k) in enumerate(part_slices(MTL))
    ]
    assert loss.item() == pytest.approx(sum(p.item() for p in parts), abs=1e-5)
    no_aus = torch.stack([valid[..., 0], valid[..., 1], torch.zeros(2, 6, dtype=torch.bool)], -1)
    assert torch.isfinite(task_loss(MTL, output, labels, no_aus, weights))
