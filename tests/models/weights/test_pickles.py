"""Pickled modules and TorchScript archives are read as tensors, and never run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from abaw_submit.errors import UserError
from abaw_submit.models.weights.encoders import load_encoder
from abaw_submit.models.weights.read import read_file
from tests.models.weights.case import normalised, pictures


@pytest.fixture(scope="module")
def emotieffnet() -> Any:
    """EmotiEffNet as it is published: TensorFlow's padding, a classifier in a Sequential."""
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_b0", num_classes=0)
    model.classifier = nn.Sequential(nn.Linear(1280, 8))
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("form", ["module", "state"])
def test_emotieffnet_as_a_pickled_module_or_its_state(emotieffnet: Any, tmp_path: Path, form: str) -> None:
    torch.save(emotieffnet if form == "module" else emotieffnet.state_dict(), tmp_path / "enet_b0_8.pt")
    encoder = load_encoder(tmp_path / "enet_b0_8.pt")
    images = pictures(224)[:1]
    expected = emotieffnet.forward_head(
        emotieffnet.forward_features(normalised(images, encoder)), pre_logits=True
    )
    assert torch.allclose(encoder(images), expected, atol=1e-5)
    assert (encoder.dim, encoder.size_px) == (1280, 224)
    assert any("padding assumed" in note for note in encoder.notes) == (form == "state")


@torch.no_grad()
def test_padding_is_read_off_the_classes_of_a_pickled_module(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = timm.create_model("efficientnet_b0", num_classes=0).eval()
    torch.save(model, tmp_path / "x.pt")
    encoder = load_encoder(tmp_path / "x.pt")
    images = pictures(224)[:1]
    assert torch.allclose(encoder(images), model(normalised(images, encoder)), atol=1e-5)


def test_damaged_emotieffnet_is_refused(emotieffnet: Any, tmp_path: Path) -> None:
    state = dict(emotieffnet.state_dict())
    torch.save({**state, "blocks.0.0.odd": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(UserError, match="looks like an EfficientNet"):
        load_encoder(tmp_path / "more.pt")
    del state["blocks.1.0.bn1.weight"]
    torch.save(state, tmp_path / "less.pt")
    with pytest.raises(UserError, match=r"blocks\.1\.0\.bn1\.weight"):
        load_encoder(tmp_path / "less.pt")


def test_pickled_modules_are_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    class Sneaky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))
            self.evil = Evil()

    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(
        UserError, match=r"(?s)cannot be loaded as plain weights.*torch.save\(model.state_dict"
    ):
        load_encoder(tmp_path / "evil.pth")
    module = Sneaky.__new__(Sneaky)
    Sneaky.__init__(module)
    Sneaky.__module__, Sneaky.__qualname__ = "nowhere", "Sneaky"
    import sys
    import types

    sys.modules["nowhere"] = types.ModuleType("nowhere")
    sys.modules["nowhere"].Sneaky = Sneaky  # type: ignore[attr-defined]
    torch.save(module, tmp_path / "sneaky.pt")
    del sys.modules["nowhere"]
    assert list(read_file(tmp_path / "sneaky.pt").state) == ["weight"]
    assert not (tmp_path / "ran").exists()


@torch.no_grad()
def test_a_torchscript_archive_is_read_as_tensors(tmp_path: Path) -> None:
    """OpenAI publishes CLIP as TorchScript; its buffers and weights are attributes there."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    torch.jit.save(torch.jit.trace(model, torch.zeros(1, 3, 8, 8)), str(tmp_path / "x.pt"))
    found = read_file(tmp_path / "x.pt").state
    assert {k for k in found if "num_batches" not in k} >= {
        "0.weight",
        "0.bias",
        "1.running_mean",
        "1.weight",
    }
    assert torch.equal(found["0.weight"], model[0].weight)
