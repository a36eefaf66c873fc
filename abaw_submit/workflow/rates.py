"""How fast the stages of a run are: as measured on an H100, or by a short trial on the machine at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from abaw_submit.models.settings import SequenceSize, VitSize

CROP_ROWS_PER_CORE_S = 350.0  # two processes on an AMD EPYC, YuNet
_TRIAL_S = 2.0  # of each part of the trial
_NUMBERS = 1664  # of a row: the encoder's, HuBERT's and VGGish's


@dataclass(frozen=True)
class Rates:
    """Items per second of the stages that take long, for one device.

    Attributes:
        machine: what they were measured on.
        crop: rows cropped, one core.
        finetune: pictures learnt from.
        extract: rows through the encoder, decoding included.
        train: rows through the TMF, in training.
        bf16: how many times as fast as float32 bfloat16 extracts, decoding aside; 0: not tried.
    """

    machine: str
    crop: float
    finetune: float
    extract: float
    train: float
    bf16: float = 0.0

    def for_size(self, size: VitSize) -> Rates:
        """Those of ViT-B/16 for another encoder, by its arithmetic."""
        work = arithmetic(size) / arithmetic(VitSize())
        return replace(self, finetune=self.finetune / work, extract=self.extract / work)


# ViT-B/16 at 224 px; whole stages on a small corpus (docs/explanation/speed.md): a long run is rather faster
H100 = Rates("one H100", CROP_ROWS_PER_CORE_S, 949.0, 818.0, 25_000.0)


def arithmetic(size: VitSize) -> float:
    """Multiplications of a picture's way through an encoder, but for its attention.

    >>> arithmetic(VitSize()) / arithmetic(VitSize(depth=6))
    2.0
    """
    return 12 * size.depth * size.dim**2 * (size.img_size_px / size.patch_px) ** 2


def measure_rates(size: VitSize, seconds: float = _TRIAL_S) -> Rates:
    """A short trial on the device that the stages would use; half a minute at the paper's sizes on a CPU.

    Random pictures and features, the real networks, steps and decoder, one thread on a CPU.

    Args:
        size: the encoder.
        seconds: how long each part is tried.
    """
    import torch

    from abaw_submit.models.device import pick_device

    device = pick_device("auto")
    on_gpu = device.type != "cpu"
    name = torch.cuda.get_device_name(device) if on_gpu else "one core of this machine"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        decoded = _decode_rate(size.img_size_px, seconds)
        forward, learnt, bf16 = _encoder_rates(size, device, 256 if on_gpu else 4, seconds)
        trained = _train_rate(device, seconds)
    finally:
        torch.set_num_threads(threads)
    # on a GPU other cores decode while it computes; on a CPU the same core does both
    extract = forward if on_gpu else 1 / (1 / forward + 1 / decoded)
    finetune = learnt if on_gpu else 1 / (1 / learnt + 1 / decoded)
    return Rates(name, CROP_ROWS_PER_CORE_S, finetune, extract, trained, bf16)


def _rate(step: Callable[[], Any], items: int, seconds: float, wait: Callable[[], None]) -> float:
    """Items per second of a step, the first of which is not counted."""
    step()
    wait()
    start, steps = time.perf_counter(), 0
    while not steps or time.perf_counter() - start < seconds:
        step()
        wait()
        steps += 1
    return items * steps / (time.perf_counter() - start)


def _decode_rate(size_px: int, seconds: float) -> float:
    import cv2
    import numpy as np

    from abaw_submit.corpus.crops import decode_crop

    noise = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    picture = cv2.resize(noise, (224, 224), interpolation=cv2.INTER_CUBIC)
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    return _rate(lambda: [decode_crop(data, size_px) for _ in range(50)], 50, seconds / 4, lambda: None)


def _encoder_rates(size: VitSize, device: Any, batch: int, seconds: float) -> tuple[float, float, float]:
    """Pictures/s seen and learnt from, and how many times as many are seen in bfloat16 on a CPU."""
    import torch

    from abaw_submit.models.device import inference
    from abaw_submit.models.encoder import new_encoder

    encoder = new_encoder(size).to(device)
    pictures = torch.rand(batch, 3, size.img_size_px, size.img_size_px, device=device)
    optimizer = torch.optim.AdamW(encoder.parameters(), fused=True)
    wait = _waiting(device)

    def see(precision: str = "auto") -> None:
        with torch.inference_mode(), inference(device, precision):
            encoder(pictures)

    def learn() -> None:
        optimizer.zero_grad()
        with inference(device, "bf16" if device.type != "cpu" else "no"):
            loss = encoder(pictures).float().square().mean()
        loss.backward()
        optimizer.step()

    seen = _rate(see, batch, seconds, wait)
    bf16 = 0.0
    if device.type == "cpu":
        bf16 = _rate(lambda: see("bf16"), batch, seconds, wait) / seen
    return seen, _rate(learn, batch, seconds, wait), bf16


def _train_rate(device: Any, seconds: float) -> float:
    import torch

    from abaw_submit.models.sequence.registry import build_model
    from abaw_submit.models.sequence.streams import Stream
    from abaw_submit.tasks import AU

    clips, rows = 32, 100
    network = build_model((Stream("", _NUMBERS),), AU, SequenceSize()).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    features = torch.randn(clips, rows, _NUMBERS, device=device)
    present = torch.ones(clips, rows, dtype=torch.bool, device=device)
    places = torch.arange(clips * rows, device=device)

    def learn() -> None:
        optimizer.zero_grad()
        network(features, present, places).square().mean().backward()
        optimizer.step()

    return _rate(learn, clips * rows, seconds, _waiting(device))


def _waiting(device: Any) -> Callable[[], None]:
    import torch

    return torch.cuda.synchronize if device.type == "cuda" else lambda: None
