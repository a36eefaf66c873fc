"""A batch in parts learns what it learns whole: losses that are means, class-weighted ones, and CCC."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from abaw_submit.errors import UserError
from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.losses import task_loss
from abaw_submit.models.settings import DecoderSize, VitSize
from abaw_submit.tasks import TASKS
from abaw_submit.training import loop
from abaw_submit.training.finetune import finetune
from abaw_submit.training.fold import FoldInputs
from abaw_submit.training.job import Job
from abaw_submit.training.loop import fit
from abaw_submit.training.parts import split
from abaw_submit.training.pretrain import pretrain
from abaw_submit.training.settings import FinetuneSettings, LoopSettings, PretrainSettings

SIZE = VitSize(img_size_px=16, patch_px=8, dim=16, depth=2, heads=2)
COLUMNS = {"AU": 12, "EXPR": 1, "VA": 2}


def job(task: str, folder: Path) -> Job:
    """A layer with weights of the classes, and rows without a label, unevenly spread over the parts."""
    generator = torch.Generator().manual_seed(3)
    model = nn.Linear(6, TASKS[task].outputs)
    with torch.no_grad():
        model.weight.copy_(torch.randn(model.weight.shape, generator=generator))
        model.bias.zero_()
    x = torch.randn(37, 6, generator=generator)
    y = torch.rand(37, COLUMNS[task], generator=generator)
    y = (y * 7).round() if task == "EXPR" else y.round() if task == "AU" else y * 2 - 1
    valid = torch.arange(37) % 5 > torch.arange(37) // 12
    weights = torch.rand(TASKS[task].outputs, generator=generator) * 9 + 1

    def outputs(network: nn.Module, items: np.ndarray, device: torch.device):
        places = torch.from_numpy(items)
        return network(x[places]), y[places], valid[places]

    def objective(found: torch.Tensor, labels: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        return task_loss(TASKS[task], found, labels, real, weights)

    return Job(
        model,
        [{"params": list(model.parameters()), "scale": 1.0}],
        lambda epoch: np.arange(37),
        lambda network, items, step, device: objective(*outputs(network, items, device)),
        folder,
        "x",
        outputs=outputs,
        objective=objective,
    )


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_parts_give_the_gradient_of_the_whole_batch(tmp_path: Path, task: str, clip: float) -> None:
    settings = LoopSettings(epochs=4, batch=40, lr=1e-2, clip_norm=clip)
    whole = fit(job(task, tmp_path / "whole"), settings)
    for parts in (2, 5, 40):
        own = fit(job(task, tmp_path / str(parts)), dataclasses.replace(settings, accumulate=parts))
        torch.testing.assert_close(own.weights, whole.weights, atol=2e-6, rtol=1e-5)
        for a, b in zip(own.history, whole.history, strict=True):
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
            assert a["step"] == b["step"]


def test_the_mean_of_the_parts_losses_would_be_another_one(tmp_path: Path) -> None:
    """So the test above would see it."""
    settings = LoopSettings(epochs=4, batch=40, lr=1e-2)
    whole = fit(job("VA", tmp_path / "whole"), settings)
    plain = dataclasses.replace(job("VA", tmp_path / "parts"), outputs=None, objective=None)
    parts = fit(plain, dataclasses.replace(settings, accumulate=5))
    assert (parts.weights["weight"] - whole.weights["weight"]).abs().max() > 1e-3


def test_a_batch_has_no_more_parts_than_items() -> None:
    assert [part.tolist() for part in split(np.arange(3), 8)] == [[0], [1], [2]]


def test_a_killed_run_in_parts_gives_the_same_bytes(tmp_path: Path) -> None:
    settings = LoopSettings(epochs=2, batch=8, accumulate=3)
    whole = fit(job("VA", tmp_path / "whole"), settings)
    cut = job("VA", tmp_path / "cut")
    own, calls = cut.objective, []

    def dies(found: torch.Tensor, labels: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        assert own is not None
        return own(found, labels, real)

    (tmp_path / "cut").mkdir()
    with pytest.raises(KeyboardInterrupt):
        fit(dataclasses.replace(cut, objective=dies), settings)
    resumed = fit(job("VA", tmp_path / "cut"), settings)
    for name, value in whole.weights.items():
        assert torch.equal(value, resumed.weights[name])
    assert resumed.history == whole.history


def test_memory_advice_is_a_number_of_parts(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(loop, "free_bytes", lambda device: 700)
    made = job("VA", tmp_path)
    with pytest.raises(UserError, match=r"Use --accumulate \d+: the same batch in parts"):
        fit(made, LoopSettings(batch=10_000))


def weights_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_pre_training_in_parts_and_with_checkpoints(corpus, tmp_path: Path) -> None:
    """Activations computed again: the same bytes. Parts draw masks of their own: losses are alike."""
    decoder = DecoderSize(decoder_dim=16, decoder_depth=1, decoder_heads=2)
    settings = PretrainSettings(epochs=2, batch=24, lr=1e-3)
    for name, more in (("plain", {}), ("again", {"checkpointing": True}), ("parts", {"accumulate": 3})):
        own = dataclasses.replace(settings, **more)
        pretrain(corpus.crops, tmp_path / name, size=SIZE, decoder=decoder, settings=own)
    assert weights_of(tmp_path / "plain") == weights_of(tmp_path / "again") != weights_of(tmp_path / "parts")
    losses = [
        float((tmp_path / name / "history.csv").read_text().splitlines()[1].split(",")[3])
        for name in ("plain", "parts")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_fine_tuning_in_parts_and_with_checkpoints(corpus, tmp_path: Path) -> None:
    inputs = FoldInputs((corpus.crops,), corpus.annotations, corpus.splits("VA"), "0")
    settings = FinetuneSettings(epochs=2, batch=24, augment=0.0, drop_path=0.0, lr=1e-3)
    for name, more in (("plain", {}), ("again", {"checkpointing": True}), ("parts", {"accumulate": 3})):
        own = dataclasses.replace(settings, **more)
        finetune(TASKS["VA"], inputs, tmp_path / name, size=SIZE, settings=own)
    assert weights_of(tmp_path / "plain") == weights_of(tmp_path / "again")
    from safetensors.torch import load_file

    plain, parts = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "parts"))
    torch.testing.assert_close(plain, parts, atol=2e-4, rtol=1e-3)


def test_a_network_that_cannot_is_refused() -> None:
    encoder = new_encoder(SIZE)
    encoder.checkpoint_activations()
    encoder.backbone = nn.Linear(2, 2)
    with pytest.raises(UserError, match="Linear has no --checkpointing"):
        encoder.checkpoint_activations()
