"""Two processes compute the loss, the gradients and the statistics that one would."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from abaw_submit.models.losses import task_loss
from abaw_submit.models.parallel import GlobalBatchNorm, global_sum, processes
from abaw_submit.tasks import TASKS

ROWS, FEATURES = 23, 5


def batch(task_name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(3)
    x = torch.randn(ROWS, FEATURES, generator=draws)
    task = TASKS[task_name]
    if task_name == "VA":
        labels = torch.rand(ROWS, 2, generator=draws) * 2 - 1
    elif task_name == "EXPR":
        labels = torch.randint(0, 8, (ROWS, 1), generator=draws).float()
    else:
        labels = (torch.rand(ROWS, 12, generator=draws) < 0.3).float()
    valid = torch.rand(ROWS, generator=draws) < 0.8
    weights = 1 + torch.rand(task.outputs, generator=draws)
    return x, labels, valid, weights


def one_step(task_name: str, rank: int, world: int) -> dict[str, torch.Tensor]:
    """Loss, gradients averaged as DistributedDataParallel does, and the running statistics."""
    task = TASKS[task_name]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 6), GlobalBatchNorm(6), nn.Linear(6, task.outputs))
    x, labels, valid, weights = batch(task_name)
    x, labels, valid = (part[rank::world] for part in (x, labels, valid))
    loss = task_loss(task, model(x), labels, valid, weights, smoothing=0.1)
    loss.backward()
    found = {"loss": loss.detach()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        found[name] = global_sum(parameter.grad) / world
    return {**found, **{n: b.float() for n, b in model.named_buffers()}}


def work(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    assert processes() == 2
    found = {name: one_step(name, rank, 2) for name in TASKS}
    torch.save(found, Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('parallel_test', {__file__!r})\n"
        "test = importlib.util.module_from_spec(spec); spec.loader.exec_module(test)\n"
        f"test.work(int(sys.argv[1]), {port}, {str(tmp_path)!r})\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(rank)]) for rank in (0, 1)]
    assert [process.wait(timeout=120) for process in started] == [0, 0]
    one = {name: one_step(name, 0, 1) for name in TASKS}
    for rank in (0, 1):
        two = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, expected in one.items():
            for key, value in expected.items():
                assert torch.allclose(two[name][key], value, atol=1e-5), (rank, name, key)


def test_one_process_uses_pytorchs_batch_norm_and_the_running_one_for_a_single_row() -> None:
    ours, theirs = GlobalBatchNorm(4), nn.BatchNorm1d(4)
    x = torch.randn(6, 4)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours(x[:1]), theirs.eval()(x[:1]))


@pytest.mark.parametrize("task_name", list(TASKS))
def test_a_batch_without_a_valid_row_has_no_loss_and_a_finite_gradient(task_name: str) -> None:
    task = TASKS[task_name]
    _, labels, valid, weights = batch(task_name)
    output = torch.randn(ROWS, task.outputs, requires_grad=True)
    loss = task_loss(task, output, labels, torch.zeros_like(valid), weights, 0.1)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(output.grad, torch.zeros_like(output))  # type: ignore[arg-type]
