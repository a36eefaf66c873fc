"""Steps on pictures ask the device for no number: fine-tuning with every option, pre-training."""

import numpy as np
import pytest
import torch

from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.mae import MaskedAutoencoder
from abaw_submit.models.settings import DecoderSize, VitSize
from abaw_submit.tasks import TASKS
from abaw_submit.training import finetune, pretrain
from abaw_submit.training.finetune import Finetuning, SingleFrame
from abaw_submit.training.pretrain import Pretraining
from abaw_submit.training.settings import FinetuneSettings, PretrainSettings

META = torch.device("meta")  # holds no numbers: whatever asks for one, or for a count of rows, fails there
SIZE = VitSize(img_size_px=16, patch_px=8, dim=12, depth=1, heads=2)
OPTIONS = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "erased": {"erasing": 0.99},
    "mixed": {"mixup": 0.8},
    "all": {
        "randaugment": "rand-m9-mstd0.5-inc1", "erasing": 0.5, "mixup": 0.8, "label_smoothing": 0.1,
        "checkpointing": True,
    },
}  # fmt: skip


class Faces:
    """Pictures that are there already."""

    def __len__(self) -> int:
        return 6

    def batch(self, items: np.ndarray) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 256, (len(items), 16, 16, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def copies(monkeypatch) -> list[torch.device]:
    """Pinned memory is a GPU's; which copies were asked for."""
    asked: list[torch.device] = []

    def copy_ahead(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        asked.append(device)
        return tensor.to(device)

    for module in (finetune, pretrain):
        monkeypatch.setattr(module, "copy_ahead", copy_ahead)
    return asked


def steps(made, model: torch.nn.Module, count: int) -> None:
    """Some steps of a training, as the loop makes them."""
    made.prepare(META)
    model.to(META).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(count):
        torch.manual_seed(step)
        loss = made.loss(model, made.load(np.arange(6)), step, META)
        assert loss.device.type == "meta"
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
@pytest.mark.parametrize("options", OPTIONS)
def test_fine_tuning(task: str, options: str, copies) -> None:
    made = Finetuning.__new__(Finetuning)
    made.task, made.settings = TASKS[task], FinetuneSettings(**OPTIONS[options])
    made.pictures = Faces()
    made.labels = torch.zeros(6, made.task.label_columns)
    made.valid, made.weights = torch.ones(6, dtype=torch.bool), torch.ones(made.task.outputs)
    made.model = SingleFrame(new_encoder(SIZE), made.task)
    if made.settings.checkpointing:
        made.model.encoder.checkpoint_activations()
    steps(made, made.model, 2)
    # places and pictures of each step; with RandAugment the host still has the pictures then
    assert len(copies) == (2 if made.settings.randaugment else 4)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_pre_training(checkpointing: bool, copies) -> None:
    made = Pretraining.__new__(Pretraining)
    made.size, made.settings, made.pictures = SIZE, PretrainSettings(), Faces()
    model = MaskedAutoencoder(SIZE, DecoderSize(decoder_dim=12, decoder_depth=1, decoder_heads=2))
    model.checkpointing = checkpointing
    steps(made, model, 2)
    assert len(copies) == 2


def test_an_encoder_is_one_graph_without_a_break() -> None:
    """What a compiler, or a captured graph of a GPU, needs: nothing in it goes back to Python."""
    seen = []

    def backend(graph, inputs):
        seen.append(len(list(graph.graph.nodes)))
        return graph.forward

    for network, batch in (
        (new_encoder(SIZE).eval(), torch.rand(2, 3, 16, 16)),
        (SingleFrame(new_encoder(SIZE), TASKS["VA"]).train(), torch.rand(2, 3, 16, 16)),
    ):
        torch._dynamo.reset()
        compiled = torch.compile(network, backend=backend, fullgraph=True)
        torch.testing.assert_close(compiled(batch), network(batch))
    assert len(seen) == 2
    torch._dynamo.reset()
