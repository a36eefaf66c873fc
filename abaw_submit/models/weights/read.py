"""Bytes to named tensors: `.safetensors`, `.pth`, `.pt`, `.bin`; nothing in a file is executed."""

from __future__ import annotations

import argparse
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from abaw_submit.allowance import check_zip
from abaw_submit.errors import UserError
from abaw_submit.models.weights.inert import Box, class_names, module_tensors, read_inert
from abaw_submit.models.weights.read_names import CONTAINERS

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")


@dataclass(frozen=True)
class WeightFile:
    """The named tensors of a file, names as they stand there.

    Attributes:
        where: the file, for messages.
        state: name to tensor.
        container: the entry of a training checkpoint that held them; "" if the file is the weights.
        settings: the training's own settings (`args` of official checkpoints), plain values.
        modules: classes named in a pickled module, which was read as tensors and not run.
    """

    where: str
    state: dict[str, Tensor]
    container: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """Named tensors of a file, without the `module.` of DataParallel; see `read_file`.

    Raises:
        UserError: unreadable, or it holds more than plain tensors and settings.
    """
    return {k.removeprefix("module."): v for k, v in read_file(path).state.items()}


def read_file(path: Path | str, container: str | None = None) -> WeightFile:
    """Read a weights file without running anything in it.

    A `.pth` may hold the weights themselves, a dict with them under one of `CONTAINERS`, or a pickled module.

    Args:
        path: the file.
        container: the entry to take, where a file has several.

    Raises:
        UserError: unreadable, damaged, or no weights in it.
    """
    path = Path(path)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return WeightFile(str(path), dict(load_file(path)))
        except SafetensorError as error:
            raise UserError(f"{path} is not a readable safetensors file: {error}.") from None
    return _unwrapped(_read_pickle(path), str(path), container)


def _read_pickle(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"No weights at {path}.")
    check_zip(path)
    try:
        # the official training checkpoints carry their argparse settings: plain values, safe to build
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, struct.error) as error:
        # torch's own text tells people to switch the safety off, so only the kind of error is passed on
        kind = type(error).__name__
    try:
        content = read_inert(path)
    except (pickle.UnpicklingError, EOFError, struct.error):
        raise UserError(
            f"{path} cannot be loaded as plain weights ({kind}): damaged, no weights file, or code in it.\n"
            "Expected a dict of tensors. Where the file is trusted, convert it in its own project by "
            "torch.save(model.state_dict(), FILE)."
        ) from None
    return content


def _unwrapped(content: Any, where: str, container: str | None) -> WeightFile:
    """The tensors of what a file holds."""
    settings: dict[str, Any] = {}
    chosen = ""
    while isinstance(content, Mapping):
        args = content.get("args", content.get("opt"))
        settings = settings or (vars(args) if isinstance(args, argparse.Namespace) else {})
        keys = [container] if container and container in content and not chosen else CONTAINERS
        inner = next((k for k in keys if isinstance(content.get(k), Mapping | Box)), None)
        if inner is None:
            break
        chosen, content = f"{chosen}{inner}.", content[inner]
    modules: frozenset[str] = frozenset()
    if isinstance(content, Box):
        modules = frozenset(class_names(content))
        content = dict(module_tensors(content))
        if not content:
            raise UserError(
                f"{where} cannot be loaded as plain weights: it pickles {', '.join(sorted(modules))[:80]},"
                " with no tensors in it.\nExpected a dict of tensors: torch.save(model.state_dict(), FILE)."
            )
    if not isinstance(content, Mapping):
        raise UserError(f"{where} holds {type(content).__name__}; expected a dict of weights.")
    coded = next((f"{k} ({v.name})" for k, v in content.items() if isinstance(v, Box)), None)
    if coded is not None and not modules:
        raise UserError(
            f"{where} cannot be loaded as plain weights: {coded} is not a tensor but code to run.\n"
            "Where the file is trusted, convert it in its own project: torch.save(model.state_dict(), FILE)."
        )
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        some = ", ".join(str(k) for k in list(content)[:4]) or "nothing"
        raise UserError(f"{where} holds no weights: expected a dict of tensors, found {some}.")
    return WeightFile(where, state, chosen.rstrip("."), settings, modules)
