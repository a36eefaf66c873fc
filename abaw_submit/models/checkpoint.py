"""The checkpoint folder: weights as safetensors, the resolved config, and a state to go on from.

`checkpoints/<run>/<task>/fold_<k>/` holds `model.safetensors`, `last.pt`, `config.toml`, `history.csv`,
`curves.svg` and `record.json`. Nothing here executes what a file holds: weights are safetensors, `last.pt`
is loaded with weights_only.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abaw_submit.config import read_toml
from abaw_submit.errors import UserError
from abaw_submit.notices import say
from abaw_submit.store import atomic_path, write_text

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.toml"
LAST_NAME = "last.pt"
_SEAL = b"abaw-sha256:"  # after torch's bytes, before their checksum


def is_main_process() -> bool:
    """Whether this process writes files: the only one, or the first of those that `torchrun` started."""
    return os.environ.get("RANK", "0") == "0"


def toml_text(sections: Mapping[str, Mapping[str, Any]]) -> str:
    r"""Sections of plain values as TOML; None is left out, as TOML has no such value.

    >>> toml_text({"train": {"lr": 1e-4, "name": "a", "sizes": [1, 2], "old": None}})
    '[train]\nlr = 0.0001\nname = "a"\nsizes = [1, 2]\n'
    """
    parts = []
    for name, values in sections.items():
        lines = [f"{key} = {_toml_value(value)}" for key, value in values.items() if value is not None]
        parts.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(parts)


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(v) for v in value) + "]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)


def write_config(folder: Path, sections: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write `config.toml` of a checkpoint folder."""
    write_text(folder / CONFIG_NAME, toml_text(sections))
    return folder / CONFIG_NAME


def read_config(folder: Path | str) -> dict[str, Any]:
    """The resolved config of a checkpoint folder.

    Raises:
        UserError: there is none.
    """
    path = Path(folder) / CONFIG_NAME
    if not path.is_file():
        raise UserError(f"{folder} is not a checkpoint folder: {CONFIG_NAME} is missing.")
    return read_toml(path)


def write_weights(folder: Path, state: Mapping[str, Tensor]) -> Path:
    """Write `model.safetensors`; names are sorted, so equal weights are equal bytes."""
    from safetensors.torch import save_file

    path = folder / WEIGHTS_NAME
    with atomic_path(path) as temporary:
        save_file({k: state[k].detach().cpu().contiguous() for k in sorted(state)}, temporary)
    return path


def write_last(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `last.pt`, from which a killed run goes on; its last bytes are a checksum of the others."""
    import torch

    with atomic_path(folder / LAST_NAME) as temporary:
        torch.save(dict(state), temporary)
        with temporary.open("r+b") as handle:
            digest = hashlib.file_digest(handle, "sha256").digest()
            handle.seek(0, os.SEEK_END)
            handle.write(_SEAL + digest)


def read_last(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state of a killed run with the same settings and inputs, or None to start afresh.

    A file of another run, or one that is damaged, is not an error: the work is done again, and that is said.
    """
    import torch

    path = folder / LAST_NAME
    if not path.is_file():
        return None
    try:
        whole = io.BytesIO(_sealed_bytes(path))
        state = torch.load(whole, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError):
        state = None
    if not isinstance(state, dict):
        say(f"{path} is damaged or of an earlier version: training starts afresh.")
        return None
    if state.get("fingerprint") != fingerprint:
        say(f"{path} is the state of a run with other settings or inputs: training starts afresh.")
        return None
    return state


def _sealed_bytes(path: Path) -> bytes:
    """The bytes before the checksum.

    Raises:
        ValueError: they are not what was written.
    """
    data = path.read_bytes()
    end = len(data) - len(_SEAL) - hashlib.sha256().digest_size
    whole = data[: max(end, 0)]
    if data[max(end, 0) :] != _SEAL + hashlib.sha256(whole).digest():
        raise ValueError("checksum")
    return whole


def recognise(entry: Path) -> bool:
    """Whether an entry of a folder is one that a training writes there."""
    return entry.name in (WEIGHTS_NAME, CONFIG_NAME, LAST_NAME, "history.csv", "curves.svg") or (
        entry.name.startswith("scores_") and entry.suffix == ".h5"
    )
