"""The paper's sizes on a GPU: pictures, rows and clips per second of each stage, and memory.

    python bench/real_sizes.py [--pictures 20000]
    python bench/real_sizes.py --memory

Made input (random JPEG crops, random labels); the stages are the own commands of the project, so decoding,
copying and writing are in the figures. Without a GPU it says so and does nothing: ViT-Base on two cores would
take hours.

`--memory` needs no GPU, and 17 GiB of disk under TMPDIR: peak memory of training one epoch, predicting the
test tracks and reporting, of VA at the official size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

TRACK_ROWS = 1000
OFFICIAL_VA = {"train": (356, 1_360_000), "validation": (76, 382_021), "test": (162, 927_210)}
EXTRACTED = {"mae": 768, "hubert": 768, "vggish": 128}


def make_track(folder: Path, seed: int) -> None:
    """One track of smooth random 224x224 JPEG crops with its ledger."""
    import cv2

    from abaw_submit.corpus.ledger import LEDGER_NAME, Ledger, write_ledger

    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for k in range(1, TRACK_ROWS + 1):
        small = rng.integers(0, 256, (28, 28, 3), np.uint8)
        cv2.imwrite(
            str(folder / f"{k:05d}.jpg"), cv2.resize(small, (224, 224), interpolation=cv2.INTER_CUBIC)
        )
    n = TRACK_ROWS
    ones = np.ones(n)
    ledger = Ledger(
        row=np.arange(1, n + 1),
        time_s=np.arange(n) / 25,
        found=np.ones(n, np.int8),
        score=ones,
        x=ones,
        y=ones,
        w=ones * 100,
        h=ones * 100,
        source=np.array(["detected"] * n),
    )
    write_ledger(folder / LEDGER_NAME, ledger)


def make_corpus(root: Path, tracks: int) -> None:
    """Crops and AU annotations of some tracks; the last two are the validation set."""
    names = [f"track{k:03d}" for k in range(tracks)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(make_track, [root / "crops" / n for n in names], range(tracks)))
    from abaw_submit.tasks import AU

    rng = np.random.default_rng(0)
    for k, name in enumerate(names):
        subset = "Validation_Set" if k >= tracks - 2 else "Train_Set"
        path = root / "annotations" / AU.challenge_folder() / subset / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = rng.integers(0, 2, (TRACK_ROWS, 12))
        path.write_text("\n".join([AU.header(), *(",".join(map(str, row)) for row in rows), ""]))


def stage(root: Path, out: str, *args: str) -> tuple[float, float]:
    """Run one command; its own seconds and peak memory in MiB, from its record."""
    command = [sys.executable, "-m", "abaw_submit", *args, "--out", str(root / out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(args[:1])} failed:\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    record = json.loads((root / out / "record.json").read_text())
    return float(record["seconds"]), float(record["peak_memory_mib"])


def make_features(root: Path, rng: np.random.Generator) -> dict[str, list[int]]:
    """Features of VA's tracks, 1,664 numbers a row as of three extractors, with annotations and test list."""
    from abaw_submit.features.cache import feature_path, write_features
    from abaw_submit.tasks import VA

    block = rng.normal(size=(50_000, 896)).astype(np.float16)
    sizes = {}
    for subset, (tracks, rows) in OFFICIAL_VA.items():
        shares = rng.lognormal(0, 0.8, tracks)
        sizes[subset] = [max(73, round(s)) for s in shares / shares.sum() * rows]
        names = [f"{subset}{k:03d}" for k in range(tracks)]
        for name, count in zip(names, sizes[subset], strict=True):
            values = np.resize(block, (count, 896))
            for extractor, dim in EXTRACTED.items():
                path = feature_path(root / extractor, name)
                path.parent.mkdir(exist_ok=True)
                good, times = np.ones(count, bool), np.arange(count) / 30
                write_features(path, values[:, :dim], good, times, extractor=extractor, fingerprint="made")
            if subset != "test":
                folder = root / "annotations" / VA.challenge_folder() / f"{subset.title()}_Set"
                folder.mkdir(parents=True, exist_ok=True)
                lines = [f"{v:.3f},{a:.3f}" for v, a in rng.uniform(-1, 1, (count, 2))]
                (folder / f"{name}.txt").write_text("\n".join([VA.header(), *lines, ""]))
        if subset == "test":
            (root / "test.txt").write_text("\n".join([*names, ""]))
    return sizes


def limited(command: list[str]) -> tuple[float, float, float]:
    """Run a command: processor seconds, wall seconds, peak resident MiB of the largest of its processes."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "abaw_submit", *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024


def memory() -> None:
    """Peak memory of training, predicting and reporting VA at the official size."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sizes = make_features(root, np.random.default_rng(0))
        rows = ", ".join(f"{len(v)} {k} tracks of {sum(v):,} rows" for k, v in sizes.items())
        print(f"VA, {rows}, 1,664 numbers a row; python bench/real_sizes.py --memory", flush=True)
        print("| stage | processor s | wall s | peak MiB |\n|---|---|---|---|", flush=True)
        features = [word for name in EXTRACTED for word in ("--features", str(root / name))]
        annotations, fold = ["--annotations", str(root / "annotations")], str(root / "run/va/models/fold")
        for gib in ("1", "8"):
            out = [*annotations, "--out", fold + gib, "--epochs", "1", "--cache-gib", gib]
            measured = limited(["train", "--task", "VA", *features, *out])
            print(f"| train, 1 epoch, --cache-gib {gib} | {show(measured)} |", flush=True)
        tracks = ["--tracks", str(root / "test.txt"), "--out", str(root / "run/test.h5")]
        measured = limited(["predict", "--checkpoint", fold + "1", *features, *tracks])
        print(f"| predict, test tracks | {show(measured)} |", flush=True)


def show(measured: tuple[float, float, float]) -> str:
    """Cells of a table."""
    return f"{measured[0]:.0f} | {measured[1]:.0f} | {measured[2]:,.0f}"


def main() -> None:
    """Make the input, run the stages, print a Markdown table."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000, help="crops to make")
    parser.add_argument("--memory", action="store_true", help="peak memory at the official size, on a CPU")
    asked = parser.parse_args()
    pictures = asked.pictures
    if asked.memory:
        memory()
        return
    if not torch.cuda.is_available():
        print("No GPU: nothing measured. On a machine with one, this prints a table of the paper's sizes.")
        return
    tracks = max(4, pictures // TRACK_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_corpus(root, tracks)
        crops, notes = str(root / "crops"), str(root / "annotations")
        frames = tracks * TRACK_ROWS
        train = (tracks - 2) * TRACK_ROWS
        bf16 = ("--precision", "bf16")
        rows = []

        seconds, peak = stage(root, "mae", "pretrain", crops, "--epochs", "3", "--batch", "1024", *bf16)
        rows.append(("pretrain, ViT-B/16, 3 epochs, batch 1024", 3 * frames, "pictures", seconds, peak))
        seconds, peak = stage(
            root,
            "mae_uncached",
            "pretrain",
            crops,
            "--epochs",
            "1",
            "--batch",
            "1024",
            "--cache-gib",
            "0",
            *bf16,
        )
        rows.append(("pretrain, decoding in every epoch", frames, "pictures", seconds, peak))
        task = ("--task", "AU", "--annotations", notes)
        source = str(root / "mae")
        frames_of = ("--crops", crops, "--frame-step", "1", "--epochs", "2")
        seconds, peak = stage(root, "enc", "finetune", *task, *frames_of, "--encoder", source, *bf16)
        rows.append(("finetune, ViT-B/16, 2 epochs, batch 512", 2 * train, "pictures", seconds, peak))
        encoder = str(root / "enc")
        seconds, peak = stage(
            root, "mae_au", "extract", "--extractor", "mae", "--checkpoint", encoder, "--crops", crops
        )
        rows.append(("extract mae, ViT-B/16", frames, "rows", seconds, peak))
        seconds, peak = stage(root, "fold", "train", *task, "--features", str(root / "mae_au"))
        rows.append(("train, TMF 4 layers, 768 features, 20 epochs", 20 * train, "rows", seconds, peak))

        print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}; python bench/real_sizes.py")
        print("| stage | items | seconds | items/s | peak host MiB |\n|---|---|---|---|---|")
        for name, items, what, seconds, peak in rows:
            print(f"| {name} | {items:,} {what} | {seconds:.1f} | {items / seconds:,.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
