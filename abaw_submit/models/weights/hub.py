"""Folders of the Hugging Face hub: those fetched before, or fetched now where the network allows it."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import Any

from abaw_submit.errors import UserError

FILES = ("*.json", "*.safetensors", "pytorch_model*.bin", "*.txt")


def hub_folder(name: str) -> Path:
    """The folder of `owner/name`, fetched into the hub's own cache if it is not there.

    Raises:
        UserError: no such repository, or no network.
    """
    hub: Any = import_module("huggingface_hub")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it announces every retry
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(FILES)))
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise UserError(
            f'The weights of "{name}" cannot be fetched: {reason}\nGive a local file or folder instead.'
        ) from None
