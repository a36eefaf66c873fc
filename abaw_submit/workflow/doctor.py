"""What a machine needs to run the stages, looked at one by one. `run_checks` looks at a run's own files."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.extras import BASE, EXTRAS

# what stands still without an extra
NEEDED_BY = {
    "faces": ("demo-data", "crop", "extract", "finetune", "pretrain"),
    "train": ("pretrain", "finetune", "extract", "train", "predict"),
    "report": ("report", "pictures of select"),
    "run": ("run", "status", "make"),
    "cluster": ("run --profile slurm",),
}
OPTIONAL = ("report", "run", "cluster")
MIN_FREE_GIB = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: the thing.
        state: "ok", "note" (works, but worth knowing) or "missing" (a stage would fail).
        detail: what was found.
        fix: what to do about it; "" where nothing needs doing.
    """

    what: str
    state: str
    detail: str
    fix: str = ""

    def line(self) -> str:
        """The finding as a line for a terminal, with what to do under it."""
        state = self.state.upper() if self.state == "missing" else self.state
        return f"{state:<8} {self.what}: {self.detail}" + (f"\n{'':9}{self.fix}" if self.fix else "")


def shortly(findings: list[Finding]) -> list[Finding]:
    """The findings for people: packages that are there in one line, those of an extra that are not in one."""
    extra_of = {name: extra for extra, names in reversed(EXTRAS.items()) for name in names}
    packages = {f.what: f for f in findings if f.what in BASE or f.what in extra_of}
    there = [name for name, f in packages.items() if f.state == "ok"]
    lines = [Finding("packages", "ok", f"{len(there)} of {len(packages)} installed")]
    lines += [f for name, f in packages.items() if f.state != "ok" and name in BASE]
    for extra in EXTRAS:
        lacking = [f for name, f in packages.items() if f.state != "ok" and extra_of.get(name) == extra]
        if lacking:
            names = ", ".join(f.what for f in lacking)
            what = f"not installed ({names}); needed by {', '.join(NEEDED_BY[extra])}"
            lines.append(Finding(f"extra {extra}", lacking[0].state, what, lacking[0].fix))
    if len(there) < len(packages):
        light = "select, apply, metrics, format, check, pack, plan and the imports need no extra"
        lines.insert(1, Finding("light installation", "note", light))
    first = next((k for k, f in enumerate(findings) if f.what in packages), 0)
    rest = [f for f in findings if f.what not in packages]
    return [*rest[:first], *lines, *rest[first:]]


def no_folder(what: str, folder: Path) -> Finding:
    """A folder of the `[run]` section that is not there."""
    return Finding(what, "missing", f"no folder {folder}", f"Correct [run] {what}.")


def examine(disk: Path) -> list[Finding]:
    """Everything a run may need, in the order of the stages.

    Args:
        disk: a folder on the disk the work goes to.
    """
    extra_of: dict[str, str] = {}
    for extra, names in EXTRAS.items():
        for name in names:
            extra_of.setdefault(name, extra)
    return [
        _python(),
        *[_package(name, "") for name in BASE],
        *[_package(name, extra) for name, extra in extra_of.items()],
        _opencv(),
        _ffmpeg(),
        _accelerator(),
        _yunet(),
        _free(disk),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok" if sys.version_info >= (3, 11) else "missing", f"{version} (3.11 or later)")


def _package(name: str, extra: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        pass
    if not extra:
        return Finding(name, "missing", "not installed; nothing works without it", "Run `make setup`.")
    return Finding(
        name,
        "note" if extra in OPTIONAL else "missing",
        f"not installed; needed by {', '.join(NEEDED_BY[extra])}",
        f'Run `make setup`, or python -m pip install ".[{extra}]" in the clone.',
    )


def _opencv() -> Finding:
    try:
        import cv2
    except ImportError as error:  # not installed, or a system library of its own is not there
        fix = 'Run `make setup`, or python -m pip install ".[faces]" in the clone.'
        return Finding("Haar detector", "missing", f"OpenCV cannot be loaded: {error}", fix)
    if not hasattr(cv2, "CascadeClassifier"):
        return Finding(
            "Haar detector", "missing", f"OpenCV {cv2.__version__} has none", "Install 4.x: `make setup`."
        )
    return Finding("Haar detector", "ok", f"OpenCV {cv2.__version__}")


def _ffmpeg() -> Finding:
    system = shutil.which("ffmpeg")
    if system:
        return Finding("ffmpeg", "ok", system)
    try:
        import imageio_ffmpeg

        return Finding("ffmpeg", "ok", f"the binary of imageio-ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}")
    except (ImportError, RuntimeError) as error:
        fix = 'For overlay videos install it, or the extra that brings one: ".[report]".'
        return Finding("ffmpeg", "note", str(error), fix)


def _accelerator() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a CUDA library of its own is not there
        return Finding("GPU", "note", f"torch cannot be loaded, so none can be used: {error}")
    if torch.cuda.is_available():
        return Finding("GPU", "ok", torch.cuda.get_device_name(0))
    return Finding("GPU", "note", f"none; {os.cpu_count()} processor cores will do the work")


def _yunet() -> Finding:
    """Looks where `crop` looks."""
    from abaw_submit.faces.yunet import cache_file, find_model

    try:
        path = find_model()
    except UserError as error:
        return Finding("YuNet model", "missing", str(error), "Correct ABAW_YUNET.")
    if path is not None:
        return Finding("YuNet model", "ok", str(path))
    where = f"ABAW_YUNET is not set, and there is none at {cache_file()}"
    return Finding("YuNet model", "note", f"{where}; crop falls back to Haar, which misses more faces")


def free_gib(disk: Path) -> float:
    """Free space on the disk that a folder, which need not exist yet, lies on."""
    there = next(folder for folder in (disk, *disk.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free / 2**30


def _free(disk: Path) -> Finding:
    free = free_gib(disk)
    if free >= MIN_FREE_GIB:
        return Finding("disk", "ok", f"{free:.1f} GiB free")
    fix = "Free some space, or name the disk the work goes to with --disk FOLDER."
    return Finding("disk", "missing", f"{free:.1f} GiB free at {disk}; {MIN_FREE_GIB:.0f} GiB wanted", fix)
