"""Hostile files and names for the commands themselves, as real processes with bounded memory and time."""

from __future__ import annotations

import os
import resource
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torturing.kills import wrong_words
from torturing.stages import ABAW

MEMORY_MIB, LONGEST_S = 1024, 60  # the limit of 20 s is for an idle machine
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
    "pickle": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.",
}


@dataclass
class Count:
    """What happened."""

    runs: int = 0
    refused: int = 0
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


def torture(root: Path, folder: Path, most: int) -> Count:
    """Commands with hostile files, then with hostile names; at most so many."""
    count = Count()
    pairs = [
        words
        for path in files(folder / "files")
        for words in commands(root, path, folder / "out" / path.stem)
    ]
    step = max(1, len(pairs) // max(1, most - len(NAMES)))
    for words in pairs[::step]:
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
    limit = (MEMORY_MIB << 20, MEMORY_MIB << 20)
    count.runs += 1
    what = " ".join(words)[:160].replace("\n", "\\n")
    try:
        ended = subprocess.run(
            [*ABAW, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST_S,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, limit),
        )
    except subprocess.TimeoutExpired:
        count.bad.append(f"more than {LONGEST_S} s: {what}")
        return
    count.refused += ended.returncode in (1, 2)
    if ended.returncode not in (0, 1, 2):
        count.bad.append(f"exit {ended.returncode}: {what}")
    elif wrong_words(ended.stderr):
        count.bad.append(f"{wrong_words(ended.stderr)}: {what}")
