"""What a machine needs to run the stages, looked at one by one."""

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
    """One thing looked at: state "ok", "note" (works without it) or "missing"."""

    what: str
    state: str
    detail: str


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
        return Finding(name, "missing", "not installed")


def _opencv() -> Finding:
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        return Finding("Haar detector", "missing", f"OpenCV {cv2.__version__} has none; 4.x has")
    return Finding("Haar detector", "ok", f"OpenCV {cv2.__version__}")


def _ffmpeg() -> Finding:
    system = shutil.which("ffmpeg")
    if system:
        return Finding("ffmpeg", "ok", system)
    try:
        import imageio_ffmpeg

        return Finding("ffmpeg", "ok", f"the binary of imageio-ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}")
    except (ImportError, RuntimeError) as error:
        return Finding("ffmpeg", "missing", str(error))


def _accelerator() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", "ok", torch.cuda.get_device_name(0))
    return Finding("GPU", "note", f"none; {os.cpu_count()} processor cores will do the work")


def _yunet() -> Finding:
    path = os.environ.get("ABAW_YUNET")
    if path and Path(path).is_file():
        return Finding("YuNet model", "ok", path)
    if path:
        return Finding("YuNet model", "missing", f"ABAW_YUNET names {path}, which is not there")
    return Finding("YuNet model", "note", "ABAW_YUNET is not set; crops fall back to Haar without a model")


def _free(disk: Path) -> Finding:
    free = shutil.disk_usage(disk).free / 2**30
    state = "ok" if free >= MIN_FREE_GIB else "missing"
    return Finding("disk", state, f"{free:.1f} GiB free (at least {MIN_FREE_GIB:.0f})")
