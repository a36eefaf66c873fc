"""What a machine needs to run the stages, looked at one by one. `run_checks` looks at a run's own files."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    "torch",
    "torchvision",
    "torchaudio",
    "timm",
    "transformers",
    "opencv-python-headless",
    "av",
    "scipy",
    "pandas",
    "h5py",
    "scikit-learn",
    "joblib",
    "click",
)
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


def examine(disk: Path) -> list[Finding]:
    """Everything a run may need, in the order of the stages.

    Args:
        disk: a folder on the disk the work goes to.
    """
    return [
        _python(),
        *[_package(name) for name in PACKAGES],
        _opencv(),
        _ffmpeg(),
        _accelerator(),
        _yunet(),
        _free(disk),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok" if sys.version_info >= (3, 11) else "missing", f"{version} (3.11 or later)")


def _package(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            name, "missing", "not installed", "Run `make setup`, or pip install 'abaw-submit[all]'."
        )


def _opencv() -> Finding:
    try:
        import cv2
    except ImportError:
        return Finding("Haar detector", "missing", "OpenCV is not installed", "Run `make setup`.")
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
        return Finding("ffmpeg", "missing", str(error), "Run `make setup`, which brings its own binary.")


def _accelerator() -> Finding:
    try:
        import torch
    except ImportError:
        return Finding("GPU", "note", "PyTorch is not installed, so none can be used")
    if torch.cuda.is_available():
        return Finding("GPU", "ok", torch.cuda.get_device_name(0))
    return Finding("GPU", "note", f"none; {os.cpu_count()} processor cores will do the work")


def _yunet() -> Finding:
    path = os.environ.get("ABAW_YUNET")
    if path and Path(path).is_file():
        return Finding("YuNet model", "ok", path)
    if path:
        return Finding(
            "YuNet model", "missing", f"ABAW_YUNET names {path}", "There is no such file: correct it."
        )
    return Finding("YuNet model", "note", "ABAW_YUNET is not set; crops fall back to Haar without a model")


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
