"""Small files that lie beside weights and say what the weights do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError
from abaw_submit.textfile import read_json, read_utf8


def fsfm_statistics(weights: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of FSFM's pre-training pictures; None if they are not beside the weights.

    `pretrain_ds_mean_std.txt` holds one JSON object a line, all lines alike.

    Raises:
        UserError: the file is there and cannot be read.
    """
    path = Path(weights).parent / "pretrain_ds_mean_std.txt"
    if not path.is_file():
        return None
    try:
        first = json.loads(read_utf8(path).strip().splitlines()[0].replace("'", '"'))
        mean, std = (tuple(float(v) for v in first[name]) for name in ("mean", "std"))
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise UserError(f'{path}: expected a line {{"mean": [r, g, b], "std": [r, g, b]}}.') from None
    if len(mean) != 3 or len(std) != 3 or not all(v > 0 for v in std):
        raise UserError(f"{path}: mean {mean} and std {std}; expected three numbers each, std above 0.")
    return mean, std


def own_config(weights: str) -> dict[str, Any]:
    """The [encoder] section of `config.toml` beside a `model.safetensors` of this project, or nothing."""
    from abaw_submit.models.checkpoint import CONFIG_NAME, WEIGHTS_NAME, read_config

    path = Path(weights)
    if path.name != WEIGHTS_NAME or not (path.parent / CONFIG_NAME).is_file():
        return {}
    found = read_config(path.parent).get("encoder")
    return found if isinstance(found, dict) else {}


def timm_config(folder: Path) -> dict[str, Any] | None:
    """`config.json` of a folder in the format of timm's hub, or None if it is none.

    Raises:
        UserError: the file is not JSON.
    """
    path = folder / "config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    return config if isinstance(config, dict) and "architecture" in config else None
