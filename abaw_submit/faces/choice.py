"""Which detector to use: by name, or the best one that works here."""

from __future__ import annotations

from pathlib import Path

from abaw_submit.errors import UserError
from abaw_submit.faces.detect import DetectorSpec
from abaw_submit.store import sha256_file


def find_detector(name: str, model: Path | None = None) -> tuple[DetectorSpec, str]:
    """The detector to use, and a line to tell the user, or "".

    `auto` is yunet if its model is found and haar otherwise; `yunet` fetches the model once.

    Args:
        name: auto, yunet, haar, openface or official.
        model: the yunet model, if it was given.

    Raises:
        UserError: a model was given and is not there, or `yunet` has none and cannot fetch it.
    """
    if name not in ("auto", "yunet"):
        if model is not None:
            raise UserError(f"--model is for yunet; the {name} detector takes none.")
        return DetectorSpec(name), ""
    from abaw_submit.faces.yunet import download_model, find_model

    path = find_model(model)
    if path is None and name == "auto":
        return DetectorSpec("haar"), (
            "No YuNet model found (--model, ABAW_YUNET, cache): using haar, which is slower and misses more."
        )
    path = path or download_model()
    return DetectorSpec("yunet", path.resolve(), sha256_file(path)), ""
