"""YuNet (OpenCV Zoo, MIT) through `cv2.FaceDetectorYN`: box, five landmarks, score."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import numpy.typing as npt

from abaw_submit.errors import UserError
from abaw_submit.faces.detect import NO_FACES, DetectorSpec, Faces
from abaw_submit.faces.settings import CropSettings
from abaw_submit.store import atomic_path, sha256_file

FILE_NAME = "face_detection_yunet_2026may.onnx"
SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
URL = f"https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/{FILE_NAME}"
TIMEOUT_S = 20.0


class YuNet:
    """One YuNet network; takes images of any size."""

    def __init__(self, model: Path, min_score: float) -> None:
        import cv2  # here: `doctor` asks where the model is on machines without OpenCV

        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), min_score)
        except cv2.error:
            raise UserError(f"{model} is not a YuNet model that OpenCV {cv2.__version__} can load.") from None
        self._size = (320, 320)

    def detect(self, image: npt.NDArray[np.uint8], near: Faces | None = None) -> Faces:
        """All faces of the image; `near` is not needed, the whole image takes 2 ms."""
        size = (image.shape[1], image.shape[0])
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        faces = self._net.detect(image)[1]
        return NO_FACES if faces is None else np.asarray(faces, np.float32)


def make(spec: DetectorSpec, settings: CropSettings) -> YuNet:
    """The registry's entry."""
    if spec.model is None:
        raise UserError("The yunet detector needs its model: --model FILE or ABAW_YUNET.")
    return YuNet(spec.model, settings.min_score)


def cache_file() -> Path:
    """Where a downloaded model is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "abaw_submit" / FILE_NAME


def find_model(given: Path | None = None) -> Path | None:
    """The model given, or that of `ABAW_YUNET` (a file, or a folder that holds it), or the cached one.

    Raises:
        UserError: a path was given by the user and is not there.
    """
    for source, value in (("--model", given), ("ABAW_YUNET", os.environ.get("ABAW_YUNET"))):
        if value:
            path = Path(value)
            if path.is_dir():
                path = path / FILE_NAME
            if not path.is_file():
                raise UserError(f"{source}: no YuNet model at {path}.")
            return path
    cached = cache_file()
    return cached if cached.is_file() and sha256_file(cached) == SHA256 else None


def download_model(url: str = URL) -> Path:
    """Fetch the model once into the cache and check its sha256.

    Raises:
        UserError: no network, or other bytes than expected.
    """
    target = cache_file()
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            data = answer.read()
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"The YuNet model cannot be downloaded ({reason}). Put {FILE_NAME} of OpenCV Zoo anywhere and"
            " name it with --model or ABAW_YUNET, or use --detector haar."
        ) from None
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)
        found = sha256_file(temporary)
        if found != SHA256:
            raise UserError(f"{url} gave a file with sha256 {found}; expected {SHA256}. Nothing was kept.")
    return target
