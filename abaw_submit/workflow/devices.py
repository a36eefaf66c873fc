"""The GPUs of this machine, and one of them for each job."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_ASK_AGAIN_S = 1.0


def find_devices() -> tuple[str, ...]:
    """The GPUs that may be used: those of CUDA_VISIBLE_DEVICES, else all that nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(d for d in (part.strip() for part in visible.split(",")) if d and d != "-1")
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        lines = subprocess.run(
            [program, "-L"], capture_output=True, text=True, timeout=30
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(str(k) for k, line in enumerate(li for li in lines if li.startswith("GPU ")))


@contextmanager
def one_device(devices: Sequence[str], room: Path | None = None) -> Iterator[str]:
    """A GPU that no other job of this user on this machine has; waits until one is free.

    Args:
        devices: the GPUs to choose from; [] gives "".
        room: folder of the locks; the system's folder for temporary files.
    """
    if not devices:
        yield ""
        return
    folder = room or Path(tempfile.gettempdir()) / f"abaw-submit-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        for device in devices:
            lock = FileLock(folder / f"{device.replace('/', '_')}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield device
            finally:
                lock.release()
            return
        time.sleep(_ASK_AGAIN_S)
