"""The loop: a killed run gives the bytes of one that was never killed."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from abaw_submit.errors import UserError
from abaw_submit.models.checkpoint import (
    LAST_NAME,
    read_config,
    read_last,
    write_config,
    write_last,
    write_weights,
)
from abaw_submit.training.job import Job
from abaw_submit.training.loop import batches, fit, shuffled
from abaw_submit.training.optim import parameter_groups
from abaw_submit.training.settings import LoopSettings

SETTINGS = LoopSettings(epochs=3, batch=8, lr=1e-2, ema=0.9)


class Killed(BaseException):
    """What a signal would do."""


def job(folder: Path, kill_at: int | None = None, nan_at: int | None = None) -> Job:
    """A small network with dropout and a BatchNorm on fixed data."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, 1))
    data = torch.randn(50, 5, generator=torch.Generator().manual_seed(1))

    def loss(network: nn.Module, items: np.ndarray, step: int, device: torch.device) -> torch.Tensor:
        if step == kill_at:
            raise Killed
        x = data[torch.from_numpy(items)]
        return (network(x)[:, 0] - x.sum(1)).square().mean() * (float("nan") if step == nan_at else 1.0)

    return Job(
        model,
        parameter_groups(model, SETTINGS),
        lambda epoch: shuffled(50, 0, epoch),
        loss,
        folder,
        "run",
        curves=lambda epoch, network: {"weight": float(network[0].weight.sum())},
        save_every_s=0.0,
    )


@pytest.mark.parametrize("kill_at", [0, 1, 7, 9, 20])
def test_killed_inside_an_epoch_and_started_again_gives_the_same_bytes(tmp_path: Path, kill_at: int) -> None:
    whole = fit(job(tmp_path / "whole"), SETTINGS)
    (tmp_path / "cut").mkdir()
    with pytest.raises(Killed):
        fit(job(tmp_path / "cut", kill_at=kill_at), SETTINGS)
    torch.manual_seed(999)  # what the new process draws elsewhere must not matter
    resumed = fit(job(tmp_path / "cut"), SETTINGS)
    paths = [write_weights(tmp_path / name, r.weights) for name, r in (("whole", whole), ("cut", resumed))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert whole.history == resumed.history


def test_a_process_that_is_killed_for_good_goes_on(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, os, signal, importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('loop_test', {__file__!r})\n"
        "test = importlib.util.module_from_spec(spec); spec.loader.exec_module(test)\n"
        "from pathlib import Path\n"
        "job = test.job(Path(sys.argv[1]))\n"
        "real = job.loss\n"
        "def loss(model, items, step, device):\n"
        "    if step == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(model, items, step, device)\n"
        "job.loss = loss\n"
        "test.write_weights(job.folder, test.fit(job, test.SETTINGS).weights)\n"
    )
    run = [sys.executable, str(script)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = subprocess.run([*run, str(tmp_path / "cut"), "10"], env=env, check=False)
    assert first.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    subprocess.run([*run, str(tmp_path / "cut"), "-1"], env=env, check=True)
    subprocess.run([*run, str(tmp_path / "whole"), "-1"], env=env, check=True)
    cut, whole = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("cut", "whole"))
    assert cut == whole


def test_without_a_kill_nothing_but_the_state_is_written_and_the_loss_falls(tmp_path: Path) -> None:
    done = fit(job(tmp_path), SETTINGS)
    assert [row["epoch"] for row in done.history] == [1, 2, 3]
    assert done.history[-1]["loss"] < done.history[0]["loss"]
    assert [p.name for p in tmp_path.iterdir()] == [LAST_NAME]


def test_a_loss_that_is_not_finite_stops_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"The loss is nan in epoch 2, step 10 \(train\)"):
        fit(job(tmp_path, nan_at=9), SETTINGS)


def test_the_averaged_weights_are_kept_and_curves_see_them(tmp_path: Path) -> None:
    done = fit(job(tmp_path), SETTINGS)
    last = read_last(tmp_path, "run")
    assert last is not None
    assert not torch.equal(done.weights["0.weight"], last["model"]["0.weight"])
    assert done.history[-1]["weight"] == pytest.approx(float(done.weights["0.weight"].sum()))


def test_the_state_of_another_run_or_a_broken_one_is_not_used(tmp_path: Path) -> None:
    write_last(tmp_path, {"fingerprint": "run", "step": 3})
    assert read_last(tmp_path, "other") is None
    assert read_last(tmp_path, "run") == {"fingerprint": "run", "step": 3}
    (tmp_path / LAST_NAME).write_bytes(b"half a file")
    assert read_last(tmp_path, "run") is None


@given(st.integers(1, 300), st.integers(1, 64))
def test_batches_hold_every_item_once_and_none_is_tiny(count: int, batch: int) -> None:
    parts = batches(shuffled(count, 0, 0), batch)
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    sizes = [len(p) for p in parts]
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_order_depends_on_seed_and_epoch_only() -> None:
    assert shuffled(20, 3, 1).tolist() == shuffled(20, 3, 1).tolist()
    assert shuffled(20, 3, 1).tolist() != shuffled(20, 3, 2).tolist()


def test_config_round_trips_and_a_missing_one_is_named(tmp_path: Path) -> None:
    write_config(tmp_path, {"a": {"x": 1e-4, "y": 'q"\\', "z": [1, 2], "b": True, "none": None}})
    assert read_config(tmp_path) == {"a": {"x": 1e-4, "y": 'q"\\', "z": [1, 2], "b": True}}
    with pytest.raises(UserError, match=r"config\.toml is missing"):
        read_config(tmp_path / "nowhere")


def test_keep_average_is_the_mean_of_the_last_epochs_weights_also_after_a_kill(tmp_path: Path) -> None:
    ends: list[torch.Tensor] = []
    settings = dataclasses.replace(SETTINGS, ema=0.0)
    watched = job(tmp_path / "last")
    for stop in (1, 2, 3):
        part = dataclasses.replace(settings, stop_after=stop)
        ends.append(fit(job(tmp_path / f"stop{stop}"), part).weights["0.weight"])
    assert torch.equal(fit(watched, settings).weights["0.weight"], ends[2])
    swa = dataclasses.replace(settings, keep="average", keep_epochs=2)
    done = fit(job(tmp_path / "swa"), swa)
    assert torch.allclose(done.weights["0.weight"], (ends[1] + ends[2]) / 2, atol=1e-7)
    with pytest.raises(Killed):
        fit(job(tmp_path / "cut", kill_at=17), swa)
    assert torch.equal(fit(job(tmp_path / "cut"), swa).weights["0.weight"], done.weights["0.weight"])
    stopped = fit(job(tmp_path / "stopped"), dataclasses.replace(settings, stop_after=2))
    assert [row["epoch"] for row in stopped.history] == [1, 2]


def test_a_batch_that_cannot_fit_is_refused_before_the_first_step(tmp_path, monkeypatch):
    from abaw_submit.training import job as jobs
    from abaw_submit.training import loop

    monkeypatch.setattr(loop, "free_bytes", lambda device: 200)
    model = torch.nn.Linear(3, 1)
    data = torch.randn(64, 3)
    job = jobs.Job(
        model,
        [{"params": list(model.parameters()), "scale": 1.0}],
        lambda epoch: np.arange(64),
        lambda network, items, step, device: network(data[items]).square().mean(),
        tmp_path,
        "x",
    )
    with pytest.raises(UserError, match=r"--batch 64 needs at least .*\n?.*--accumulate 13"):
        loop.fit(job, LoopSettings(epochs=1, batch=64))
    assert not (tmp_path / "last.pt").exists()
