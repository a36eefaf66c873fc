"""How much of a bare step's speed a training keeps: sequence models, prediction, pre-training, fine-tuning.

    python bench/training.py [--large]

Each line is one run: the bare part (network, loss, backward, optimizer) on batches that are in memory
already, then the project's own loop over items from files, with everything it does beside: reading,
gathering, decoding, augmentation, seeding, losses. Seconds are of the processor, of all threads, which other
work on the machine disturbs least and of which a fold on a core of its own has no more. The paper's TMF
at 1,664 numbers a row; pictures of 224 px through a small ViT, or with `--large` through ViT-B/16.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

from abaw_submit.features.cache import feature_path, write_features
from abaw_submit.models.losses import activate, task_loss
from abaw_submit.models.sequence.registry import build_model
from abaw_submit.models.sequence.streams import Stream
from abaw_submit.models.settings import DecoderSize, SequenceSize, VitSize
from abaw_submit.tasks import AU, VA
from abaw_submit.training.clips import overlapping_starts
from abaw_submit.training.finetune import Finetuning, SingleFrame
from abaw_submit.training.fold import FoldInputs
from abaw_submit.training.predict import predict
from abaw_submit.training.pretrain import Pretraining
from abaw_submit.training.settings import FinetuneSettings, PretrainSettings, TmfSettings
from abaw_submit.training.stage import run_training
from abaw_submit.training.tmf import SequenceTraining

DIMS = {"mae": 768, "hubert": 768, "vggish": 128}
TRACKS, ROWS = 24, 2_400
SMALL = VitSize(dim=192, depth=6, heads=3)
SMALL_DECODER = DecoderSize(decoder_dim=128, decoder_depth=2, decoder_heads=4)


class Clock:
    """A progress that notes when each step begins, so that starting up and writing are left out."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(
        self, items: Iterable[Any], total: int | None = None, label: str = "", note: Any = None
    ) -> Any:
        return self._noted(items) if label.startswith(("train", "pretrain", "finetune")) else iter(items)

    def _noted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.times.append(time.process_time())
            yield item

    @property
    def step_s(self) -> float:
        """Seconds of a step, the first two left out."""
        return (self.times[-1] - self.times[2]) / (len(self.times) - 3)


def bare_step_s(model: nn.Module, loss: Callable[[int], torch.Tensor], steps: int) -> float:
    """Seconds of a step that has its data."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    model.train()
    for step in range(steps + 2):
        if step == 2:
            start = time.process_time()
        optimizer.zero_grad()
        loss(step).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return (time.process_time() - start) / steps


def line(name: str, bare: float, own: float, per: int, what: str) -> None:
    """A line of the table."""
    print(f"| {name} | {per / bare:,.1f} | {per / own:,.1f} {what}/s | {bare / own:.2f} |", flush=True)


def make_features(root: Path) -> None:
    """Features of tracks, VA annotations, the last fifth of the tracks for validation."""
    rng = np.random.default_rng(0)
    for k in range(TRACKS):
        name = f"track{k:02d}"
        for extractor, dim in DIMS.items():
            path = feature_path(root / extractor, name)
            path.parent.mkdir(exist_ok=True)
            values = rng.normal(size=(ROWS, dim))
            write_features(
                path, values, np.ones(ROWS, bool), np.arange(ROWS) / 30, extractor=extractor, fingerprint="m"
            )
        subset = "Validation_Set" if k % 5 == 4 else "Train_Set"
        folder = root / "annotations" / VA.challenge_folder() / subset
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{v:.3f},{a:.3f}" for v, a in rng.uniform(-1, 1, (ROWS, 2))]
        (folder / f"{name}.txt").write_text("\n".join([VA.header(), *lines, ""]))
    (root / "test.txt").write_text("".join(f"track{k:02d}\n" for k in range(TRACKS)))


def sequence(root: Path) -> None:
    """TMF: training from memory and from a file, with and without the curve; prediction."""
    make_features(root)
    settings = TmfSettings(epochs=3, curve_epochs=0)
    size = SequenceSize()
    features = tuple(root / name for name in DIMS)
    inputs = FoldInputs(features, root / "annotations")
    network = build_model([Stream(n, d) for n, d in DIMS.items()], VA, size)
    clips, rows = settings.batch, settings.clip_rows
    ready = [torch.randn(clips, rows, sum(DIMS.values())) for _ in range(4)]
    labels, present = torch.rand(clips, rows, 2) * 2 - 1, torch.ones(clips, rows, dtype=torch.bool)
    at = torch.arange(clips * rows)

    def loss(step: int) -> torch.Tensor:
        output = network(ready[step % 4], present, at)
        return task_loss(VA, output, labels, present, torch.ones(2))

    bare = bare_step_s(network, loss, 20)
    for name, more in (
        ("TMF, features in memory", {}),
        ("TMF, features in a file (--cache-gib 0)", {"cache_gib": 0.0}),
        ("TMF, in memory, with the validation curve", {"curve_epochs": 1}),
    ):
        clock = Clock()
        own = TmfSettings(**{**vars(settings), **more})  # type: ignore[arg-type]
        start = time.process_time()
        training = SequenceTraining(VA, inputs, size, own, clock)
        run_training(training, root / f"fold{len(list(root.glob('fold*')))}")
        line(name, bare, clock.step_s, clips * rows, "rows")
        whole = time.process_time() - start
        steps = len(clock.times)
        line("… the whole stage, with scores and files", bare, whole / steps, clips * rows, "rows")
    network.eval()
    count = len(overlapping_starts(ROWS, rows))
    some = torch.randn(64, rows, sum(DIMS.values()))
    real = torch.ones(64, rows, dtype=torch.bool)
    with torch.no_grad():
        start = time.process_time()
        for _ in range(12):
            activate(VA, network(some, real, torch.arange(64 * rows)))
        each = (time.process_time() - start) / 12 / 64
    start = time.process_time()
    predict(root / "fold0", features, root / "test.txt", root / "scores.h5", device="cpu")
    line(
        "predict, the whole stage", each * count * TRACKS, time.process_time() - start, TRACKS * ROWS, "rows"
    )


def make_pictures(root: Path, count: int) -> None:
    """Tracks of smooth random crops with AU annotations, from bench/real_sizes.py."""
    real_sizes: Any = import_module("real_sizes")  # beside this file
    real_sizes.TRACK_ROWS = count
    real_sizes.make_corpus(root, 4)


def sizes(large: bool) -> tuple[VitSize, DecoderSize, int, int, int]:
    """Encoder, decoder, pictures in a batch and in each of four tracks, epochs."""
    return (VitSize(), DecoderSize(), 8, 24, 1) if large else (SMALL, SMALL_DECODER, 32, 128, 3)


def pretraining(root: Path, large: bool) -> None:
    """The masked autoencoder."""
    size, decoder, batch, count, epochs = sizes(large)
    make_pictures(root, count)
    clock = Clock()
    settings = PretrainSettings(epochs=epochs, batch=batch)
    training = Pretraining(root / "crops", size, decoder, settings, None, clock)
    run_training(training, root / "mae")
    model = type(training.model)(size, decoder)
    ready = torch.rand(batch, 3, size.img_size_px, size.img_size_px)
    bare = bare_step_s(model, lambda step: model(ready), max(4, len(clock.times) // 3))
    line(f"pretrain, ViT {size.dim} x {size.depth}", bare, clock.step_s, batch, "pictures")


def finetuning(root: Path, large: bool) -> None:
    """Single frames, with the official augmentation."""
    size, _, batch, count, epochs = sizes(large)
    make_pictures(root, count)
    inputs = FoldInputs((root / "crops",), root / "annotations")
    ready = torch.rand(batch, 3, size.img_size_px, size.img_size_px)
    labels, valid, weights = torch.zeros(batch, 12), torch.ones(batch, dtype=torch.bool), torch.ones(12)
    for name, gib in (("", 8.0), (", decoding in every epoch", 0.0)):
        clock = Clock()
        settings = FinetuneSettings(epochs=epochs, batch=batch, frame_step=1, cache_gib=gib)
        training = Finetuning(AU, inputs, size, settings, clock)
        run_training(training, root / f"encoder_{gib}")
        frame = SingleFrame(training.encoder, AU)
        steps = max(4, len(clock.times) // 3)
        bare = bare_step_s(
            frame, lambda step, f=frame: task_loss(AU, f(ready), labels, valid, weights), steps
        )
        line(f"finetune, ViT {size.dim} x {size.depth}{name}", bare, clock.step_s, batch, "pictures")


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="ViT-B/16 in place of a small ViT")
    parser.add_argument("--only", choices=["sequence", "pretrain", "finetune"], help="a part of the table")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| what | bare items/s | own | ratio |\n|---|---|---|---|", flush=True)
    parts: dict[str, Callable[[Path], None]] = {
        "sequence": sequence,
        "pretrain": lambda root: pretraining(root, asked.large),
        "finetune": lambda root: finetuning(root, asked.large),
    }
    for name, part in parts.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))


if __name__ == "__main__":
    main()
