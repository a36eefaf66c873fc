"""Nothing in a step waits for the device: no number, and no number of rows, is asked of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from abaw_submit.errors import UserError
from abaw_submit.features.cache import feature_path, write_features
from abaw_submit.models.losses import ccc_of_rows
from abaw_submit.models.parallel import GlobalBatchNorm
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.settings import SequenceSize
from abaw_submit.tasks import TASKS
from abaw_submit.training import gather, losslog
from abaw_submit.training.gather import Clips
from abaw_submit.training.losslog import LossLog
from abaw_submit.training.settings import TmfSettings
from abaw_submit.training.table import FeatureTable
from abaw_submit.training.tmf import SequenceTraining

META = torch.device("meta")


def training_on(device: torch.device, task: str, folder: Path, monkeypatch, free: int | None):
    """A sequence training with its data on a device, as `fit` leaves it."""
    for track, rows in (("one", 40), ("two", 9)):
        path = feature_path(folder / "mae", track)
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(rows).normal(size=(rows, 6))
        write_features(path, values, np.ones(rows, bool), np.arange(rows), extractor="mae", fingerprint="x")
    monkeypatch.setattr(gather, "copy_ahead", lambda tensor, place: tensor.to(place))
    monkeypatch.setattr(gather, "free_bytes", lambda place: free)
    made = SequenceTraining.__new__(SequenceTraining)
    made.task, made.settings = TASKS[task], TmfSettings(clip_rows=16)
    made.table = FeatureTable([folder / "mae"], {"one": 40, "two": 9})
    labels = np.zeros((49, {"AU": 12, "EXPR": 1, "VA": 2}[task]), np.float32)
    made.labels, made.valid = torch.from_numpy(labels), torch.ones(49, dtype=torch.bool)
    made.weights = torch.ones(made.task.outputs)
    made.model = build_model(made.table.streams, made.task, SequenceSize(conv_dim=8, model_dim=8, heads=2))
    made.prepare(device)
    return made


@pytest.mark.parametrize("task", ["AU", "EXPR", "VA"])
@pytest.mark.parametrize("free", [10**9, None], ids=["table on the device", "table on the host"])
def test_a_whole_step_runs_where_no_number_can_be_read(tmp_path: Path, monkeypatch, task, free) -> None:
    """torch's "meta" device holds no numbers: whatever asks for one, or for a count of rows, fails there."""
    made = training_on(META, task, tmp_path, monkeypatch, free)
    model = made.model.to(META).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    log = LossLog("train", "")
    for step in range(3):
        batch = made.load(np.array([0, 24, 40]))
        loss = made.loss(model, batch, step, META)
        assert loss.device.type == "meta"
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        log.add(loss, 0, step)
    assert len(log) == 3
    with pytest.raises((NotImplementedError, RuntimeError)):  # what reading one there would have done
        log.read(0, 3)


def test_the_same_loss_with_and_without_taking_rows_out() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 50, 2, generator=generator) * 2 - 1
    mask = torch.rand(50, generator=generator) < 0.6
    y[~mask] = float("nan")  # what is not valid must not matter
    grads = []
    for rows in ((x[mask], y[mask], None), (x, y, mask)):
        a = rows[0].clone().requires_grad_()
        loss = ccc_of_rows(a, *rows[1:])
        loss.backward()
        assert a.grad is not None
        grads.append((loss, a.grad if len(a) < 50 else a.grad[mask]))
    torch.testing.assert_close(grads[0], grads[1])
    nothing = torch.zeros(50, dtype=torch.bool)
    assert float(ccc_of_rows(x, y.nan_to_num(), nothing)) == 0
    assert float(ccc_of_rows(x[:0], y[:0])) == 0


def test_losses_are_read_together_and_a_bad_one_is_named_with_its_step(monkeypatch) -> None:
    reads = []
    own = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append(len(self)) or own(self))
    log = LossLog("train", "Do this.")
    for step in range(120):
        log.add(torch.tensor(float(step)), 0, step)
    assert reads == [50, 50]
    assert log.read(0, 120) == [float(k) for k in range(120)]
    assert reads == [50, 50, 20]
    log.start([1.0])
    for step in range(120, 130):
        log.add(torch.tensor(float("inf") if step == 127 else 1.0), 1, step)
    with pytest.raises(UserError, match=r"loss is inf in epoch 2, step 128 \(train\)\.\nDo this\."):
        log.read(1, 130)
    assert losslog.READ_EVERY == 50


def test_a_training_reads_its_losses_once_an_epoch(tmp_path: Path) -> None:
    """The loop itself, in a process of its own: how often any number is asked of a tensor."""
    script = f"""
import sys, torch, numpy as np
from pathlib import Path
from abaw_submit.training.job import Job
from abaw_submit.training.loop import fit
from abaw_submit.training.settings import LoopSettings
asked = []
def watch(name):
    own = getattr(torch.Tensor, name)
    def call(self, *args):
        asked.append(name)
        return own(self, *args)
    setattr(torch.Tensor, name, call)
for name in ("item", "tolist", "__float__", "__int__", "__bool__", "cpu", "numpy", "nonzero"):
    watch(name)
model, data = torch.nn.Linear(3, 1), torch.randn(320, 3)
steps = []
def loss(network, items, step, device):
    steps.append(len(asked))
    return network(data[torch.from_numpy(items)]).square().mean()
job = Job(model, [dict(params=list(model.parameters()), scale=1.0)], lambda epoch: np.arange(320), loss,
          Path({str(tmp_path)!r}), "x")
fit(job, LoopSettings(epochs=2, batch=8, ema=0.9))
steps = steps[-80:]
inside = [b - a for a, b in zip(steps[:39], steps[1:40])]
print(max(inside), len(inside))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "39"]


def test_the_norm_needs_no_count_of_rows_from_the_device() -> None:
    norm = GlobalBatchNorm(4).to(META).train()
    assert norm(torch.zeros(7, 4, device=META)).shape == (7, 4)


def test_a_table_is_put_on_the_device_block_by_block(tmp_path: Path, monkeypatch) -> None:
    path = feature_path(tmp_path / "mae", "one")
    path.parent.mkdir()
    values = np.random.default_rng(0).normal(size=(33, 5))
    write_features(path, values, np.ones(33, bool), np.arange(33), extractor="mae", fingerprint="x")
    monkeypatch.setattr(gather, "_BLOCK_ROWS", 8)
    table = FeatureTable([tmp_path / "mae"], {"one": 33}, cache_gib=0)
    clips = Clips(table, 33, torch.device("cpu"), on_device=True)
    found = clips.features(clips.load(np.array([0])))[0].numpy()
    np.testing.assert_array_equal(found, values.astype(np.float16).astype(np.float32))


def test_a_profile_of_a_command_names_its_parts(corpus, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "abaw_submit",
        "train",
        "--task",
        "VA",
        "--features",
        corpus.features("visual"),
    ]
    command += ["--annotations", corpus.annotations, "--splits", corpus.splits("VA"), "--fold", "0"]
    command += [
        "--out",
        tmp_path / "x",
        "--profile",
        tmp_path / "trace.json",
        "--epochs",
        "2",
        "--clip-rows",
        "8",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    table = {line.split()[0]: line for line in done.stderr.splitlines() if line.strip()}
    assert " 0 times" not in table["reading"] + table["computing"]
    assert '"computing"' in (tmp_path / "trace.json").read_text()
