"""Hostile files and names for the commands themselves, as real processes with bounded memory and time."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from torturing.kills import wrong_words
from torturing.load import PROGRAM
from torturing.starts import BEYOND_S, STILL_S, session

MEMORY_MIB = 1024
DEEP = "[" * 100_000
NAMES = [
    *["a,b", "a\nb", "$x^{2}$", " lead", "trail ", "n" * 240, "é\u0301", "\udcff\udcfe"],
    *["-o", "...", "a\tb", "%s{0}"],
]
TEXTS = {
    "nothing": b"",
    "utf16": "a,b".encode("utf-16"),
    "not utf8": b"\xff\xfe\xfd" * 50,
    "zeros": bytes(5000),
    "newlines": b"\n" * 6_000_000,
    "one long line": b"x" * 30_000_000,
    "nested": DEEP.encode(),
    "nested toml": b"a = " + DEEP.encode(),
    "null": b"null",
    "numbers": b"1e999,nan\n" * 1000,
    "html": b"<html><body>404</body></html>",
    "lists": b"[" + b"[]," * 5_000_000 + b"[]]",
    "long names": b"\n".join(b"x" * 250 + b"/%05d.jpg,0.5,0.5" % k for k in range(2000)),
    "pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
}


@dataclass
class Count:
    """What happened."""

    runs: int = 0
    refused: int = 0
    longest_s: float = 0.0  # of processor time
    peak_mib: float = 0.0
    bad: list[str] = field(default_factory=list)


def commands(root: Path, path: Path, out: Path) -> Iterator[list[str]]:
    """Every command that reads a file from outside, with the hostile one."""
    made, template, p, o = root / "made", root / "template.txt", str(path), str(out)
    va, annotations = ["--task", "VA"], str(root / "annotations")
    yield ["check", p, *va, "--template", str(template)]
    yield ["check", str(made / "VA.txt"), *va, "--template", p]
    yield ["pack", p, *va, "--out", f"{o}.zip"]
    yield ["format", *va, "--scores", p, "--template", str(template), "--out", f"{o}.txt"]
    yield ["format", *va, "--scores", str(made / "mine.h5"), "--tracks", p, "--out", o]
    yield ["apply", "--recipe", p, "--scores", f"m={made / 'mine.h5'}", "--out", f"{o}.h5"]
    yield ["split-check", p, "--annotations", annotations]
    yield ["import-scores", p, *va, "--out", f"{o}.h5"]
    yield ["metrics", *va, "--scores", p, "--truth", annotations]
    yield ["status", "-c", p]
    yield ["crop", str(root / "videos"), "--detector", "haar", "--overrides", p, "--out", o]
    yield ["crop", p, "--detector", "haar", "--out", o]
    yield ["verify", p]
    yield ["weights", p]
    yield ["import-features", p, "--crops", str(made / "crops"), "--name", "x", "--out", o]
    yield [
        "predict",
        "--checkpoint",
        p,
        "--features",
        str(made / "mine"),
        "--tracks",
        str(template),
        "--out",
        o,
    ]
    yield ["select", *va, "--scores", f"m={p}", "--truth", annotations, "--out", o]
    yield ["show", p, "--run", str(made), "--csv", f"{o}.csv"]


def files(folder: Path) -> Iterator[Path]:
    """The hostile files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in TEXTS.items():
        path = folder / f"{name}.txt"
        path.write_bytes(data)
        yield path
    os.mkfifo(folder / "pipe")
    yield folder / "pipe"
    (folder / "zero").symlink_to("/dev/zero")
    yield folder / "zero"
    (folder / "loop").symlink_to(folder / "loop")
    yield folder / "loop"
    with (folder / "hole.h5").open("wb") as handle:
        handle.truncate(1 << 40)
    yield folder / "hole.h5"
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("va.txt", b"\n" * (1 << 28))
    yield folder / "bomb.zip"
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for number in range(3000):
            archive.writestr(f"{number}.txt", "image_location,valence,arousal\n102/00001.jpg,0,0\n")
    yield folder / "many.zip"
    zeros = zlib.compress(bytes(1 << 26))
    with h5py.File(folder / "bomb.h5", "w") as file:
        file.attrs["task"], file.attrs["columns"] = "VA", ["valence", "arousal"]
        data = file.create_dataset("a", (1 << 29, 2), "f4", chunks=(1 << 23, 2), compression="gzip")
        for first in range(0, 1 << 29, 1 << 23):
            data.id.write_direct_chunk((first, 0), zeros)
    yield folder / "bomb.h5"
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 27, 2)}
    with (
        zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("102.npy", "w", force_zip64=True) as handle,
    ):
        np.lib.format.write_array_header_1_0(handle, header)
        for _ in range(1 << 6):
            handle.write(bytes(1 << 24))
    yield folder / "bomb.npz"


def torture(root: Path, folder: Path, most: int, seed: int) -> Count:
    """Commands with hostile files, so many of all pairs by chance, and hostile names."""
    count = Count()
    pairs = [
        words
        for path in files(folder / "files")
        for words in commands(root, path, folder / "out" / path.stem)
    ]
    most = min(len(pairs), max(0, most - len(NAMES)))
    for words in random.Random(seed).sample(pairs, most):
        _one(words, count)
    for name in NAMES:
        place = os.fsencode(str(folder / "names")) + b"/" + os.fsencode(name)
        os.makedirs(place, exist_ok=True)
        text = os.path.join(place, os.fsencode(f"{name}.txt"))
        with open(text, "wb") as handle:
            handle.write(b"valence,arousal\n0.1,0.2\n")
        _one(["import-scores", os.fsdecode(place), "--task", "VA", "--out", str(folder / "o.h5")], count)
    return count


def _one(words: list[str], count: Count) -> None:
    """One command; its memory is what the program itself used at most."""
    limit = (4 * MEMORY_MIB << 20, 4 * MEMORY_MIB << 20)
    count.runs += 1
    what = " ".join(words)[:160].replace("\n", "\\n")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
    )
    used, moved = 0.0, time.monotonic()
    while True:
        try:
            said = process.communicate(timeout=0.5)[1]
            break
        except subprocess.TimeoutExpired:
            now = sum(session(process.pid).values())
            if now != used:
                used, moved = now, time.monotonic()
            if used > BEYOND_S or time.monotonic() - moved > STILL_S:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                count.bad.append(f"hangs after {used:.0f} s of processor time: {what}")
                return
    said, _, peak = said.rpartition("peak ")
    peak_mib = int(peak) / 1024 if peak.strip().isdecimal() else 0.0
    count.longest_s, count.peak_mib = max(count.longest_s, used), max(count.peak_mib, peak_mib)
    count.refused += process.returncode in (1, 2)
    if process.returncode not in (0, 1, 2):
        count.bad.append(f"exit {process.returncode}: {what}: {said[-150:]}")
    elif wrong_words(said):
        count.bad.append(f"{wrong_words(said)}: {what}")
    elif peak_mib > MEMORY_MIB:
        count.bad.append(f"{peak_mib:,.0f} MiB: {what}")
    elif len(said.strip().splitlines()) > 12:
        count.bad.append(f"{len(said.splitlines())} lines on the terminal: {what}")
