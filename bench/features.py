"""Speed of feature extraction on one core: decoding crops, a small ViT, logmel.

    python bench/features.py

Processor time of the best of a few runs, which other work on the machine disturbs least. Beside our
decoder stands what people write: decode everything, then resize.
"""

from __future__ import annotations

import os
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from abaw_submit.corpus.crops import load_crop
from abaw_submit.corpus.ledger import Ledger, write_ledger
from abaw_submit.features.audio import audio_features
from abaw_submit.features.extract import extract_several
from abaw_submit.features.job import Extraction, load_extractors
from abaw_submit.features.logmel import LogMel
from abaw_submit.features.sources import crops_identity
from abaw_submit.features.visual import EncoderFeatures
from abaw_submit.models.encoder import new_encoder
from abaw_submit.models.settings import VitSize
from abaw_submit.models.weights.options import WeightOptions

REPEATS = 5
CROPS = 400
SOUND_S = 120
ROWS_PER_S = 4_000  # the aim of an extraction on an H100
SIZE = VitSize(img_size_px=56, patch_px=8, dim=96, depth=4, heads=3)


def best(function: Callable[[], object]) -> float:
    """Smallest processor seconds of a few runs."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def make_crops(folder: Path) -> list[Path]:
    """Crops of 224 px with as much detail as a face: smoothed noise."""
    rng = np.random.default_rng(0)
    paths = []
    for row in range(CROPS):
        noise = cv2.GaussianBlur(rng.normal(128, 400, (224, 224, 3)), (0, 0), 4)
        paths.append(folder / f"{row:05d}.jpg")
        cv2.imwrite(str(paths[-1]), np.clip(noise, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return paths


def make_sound(path: Path) -> None:
    """Two minutes of a gliding voice-like tone."""
    t = np.arange(SOUND_S * 16000) / 16000
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(t)) / 16000
    samples = sum(np.sin(k * phase) / k for k in range(1, 9)) * 0.1
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes((samples * 32767).astype(np.int16).tobytes())


def extraction(folder: Path, crops: Path) -> None:
    """The stage `extract` of one encoder and of three at once, against the bare forward of ready pictures."""
    size = VitSize(dim=192, depth=6, heads=3)  # at 224 px; a larger one leaves less to the rest
    sources = []
    for k in range(3):
        sources.append(folder / f"vit{k}.safetensors")
        save_file(new_encoder(size).backbone.state_dict(), sources[k])
    options = WeightOptions(heads=3)
    encoder = EncoderFeatures(str(sources[0]), "cpu", "no", options)
    images = np.stack([load_crop(p, 224) for p in sorted(crops.glob("*/*.jpg"))[:64]])
    encoder(images)
    rows = len(list(crops.glob("*/*.jpg")))
    start = time.process_time()
    for _ in range(2):
        encoder(images)
    bare = (time.process_time() - start) / 128
    for count in (1, 3):
        jobs = [Extraction("picture", folder / f"{count}_{s.stem}", str(s), device="cpu", options=options)
                for s in sources[:count]]  # fmt: skip
        load_extractors(jobs)
        start = time.process_time()
        extract_several(jobs, crops)
        own = (time.process_time() - start) / rows / count
        print(f"extract, ViT 224 px, width 192, 6 blocks, {count} at once: {1 / own:.0f} rows/s,"
              f" {bare / own:.2f} of the bare forward")  # fmt: skip


def bookkeeping(crops: Path) -> None:
    """What it takes to know a track's crops, with the sizes of its pictures asked for and with them read."""
    folder = crops / "104"
    folder.mkdir()
    (folder / "ledger.csv").write_text("row\n")
    sizes = {f"{row:05d}.jpg": row % 13 for row in range(1, 4951)}  # the official mean of a track's rows
    for name, size in sizes.items():
        (folder / name).write_bytes(b"x" * size)
    for words, known in (("asked for", None), ("read", sizes)):
        each = best(lambda k=known: crops_identity(folder, k)) / len(sizes)
        share = f"{each * ROWS_PER_S:.2%} at {ROWS_PER_S:,} rows/s"
        print(f"identity of a crop whose size is {words}: {each * 1e6:.2f} us, {share}")


def full_decode(path: Path) -> object:
    """What people write: decode everything, resize."""
    return cv2.resize(cv2.imread(str(path)), (56, 56), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crops = make_crops(folder)
        print(
            f"decode, 224 px crops to 56 px: {CROPS / best(lambda: [load_crop(p, 56) for p in crops]):.0f}/s"
        )
        print(f"the same by imread and resize: {CROPS / best(lambda: [full_decode(p) for p in crops]):.0f}/s")
        save_file(new_encoder(SIZE).backbone.state_dict(), folder / "vit.safetensors")
        images = np.stack([load_crop(p, 56) for p in crops])
        for precision in ("no", "bf16"):
            encoder = EncoderFeatures(
                str(folder / "vit.safetensors"), "cpu", precision, WeightOptions(heads=SIZE.heads)
            )
            name = f"ViT 56 px, width 96, 4 blocks, precision {precision}"
            for batch in (16, 64, 256):
                seconds = best(lambda e=encoder, b=batch: [e(images[i : i + b]) for i in range(0, CROPS, b)])
                print(f"{name}, batch {batch}: {CROPS / seconds:.0f}/s")
        track = folder / "crops" / "102"
        track.mkdir(parents=True)
        for row, path in enumerate(crops[:192], start=1):
            path.rename(track / f"{row:05d}.jpg")
        n = 192
        ones = np.ones(n)
        found = np.ones(n, bool)
        where = np.array(["detected"] * n)
        ledger = Ledger(np.arange(1, n + 1), ones.cumsum() / 30, found, ones, ones, ones, ones, ones, where)
        write_ledger(track, ledger)
        extraction(folder, folder / "crops")
        bookkeeping(folder / "crops")
        make_sound(folder / "a.wav")
        times = np.arange(0, SOUND_S, 1 / 30)
        seconds = best(lambda: audio_features(folder / "a.wav", times, LogMel()))
        print(f"logmel, with decoding: {SOUND_S / seconds:.0f} s of sound/s")


if __name__ == "__main__":
    main()
