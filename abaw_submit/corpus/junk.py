"""Files that lie among tracks and are none: notes, leavings of systems and programs."""

from __future__ import annotations

import os
import re

RECORD = "record.json"
_NAMES = {"thumbs.db", "desktop.ini", "icon\r", RECORD, "makefile", "license", "licence", "copying"}
_STEMS = re.compile(r"(readme|license|licence|changelog|notice|citation)([._-].*)?", re.IGNORECASE)
_SUFFIXES = {
    ".md", ".rst", ".log", ".py", ".ipynb", ".png", ".jpg", ".jpeg", ".pdf", ".html", ".toml", ".yaml",
    ".yml", ".sh", ".zip", ".pth", ".pt", ".safetensors", ".ckpt", ".mp4", ".avi", ".wav", ".lock", ".tmp",
    ".bak", ".ini",
}  # fmt: skip


def is_junk(name: str) -> bool:
    """Whether a file's name says that it is not a track's text or array.

    >>> is_junk("README.txt"), is_junk(".DS_Store"), is_junk("102.txt")
    (True, True, False)
    """
    lower = name.lower()
    stem, suffix = os.path.splitext(lower)
    return (
        lower.startswith(".")
        or lower in _NAMES
        or lower.endswith((f".{RECORD}", "~"))
        or suffix in _SUFFIXES
        or _STEMS.fullmatch(stem) is not None
    )
