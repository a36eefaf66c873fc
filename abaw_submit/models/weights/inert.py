"""Pickled modules as plain tensors: what a `.pt` file holds is read, and nothing in it is run.

`torch.save(model)` and TorchScript archives (OpenAI's CLIP) name classes and functions to call. Here every
name but those that rebuild a tensor becomes an inert box that keeps what it is given; the boxes' parameters,
buffers and submodules are then listed as a state dict would.
"""

from __future__ import annotations

import collections
import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch._utils
from torch import Tensor

_PLAIN = {
    kind.__name__: kind for kind in (int, float, bool, str, list, tuple, dict, set, bytes, complex, slice)
}


class Box:
    """Stands for an object of a class that was not built: its class's name and what was put into it."""

    name = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.state, self.items = args, {}, []  # type: tuple[Any, ...], Any, list[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Box:
        box = super().__new__(cls)
        box.args, box.state, box.items = args, {}, []
        return box

    def __setstate__(self, state: Any) -> None:
        self.state = state[1] or state[0] if isinstance(state, tuple) and len(state) == 2 else state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items.append((key, value))

    def append(self, value: Any) -> None:
        """Keep an element of a list that is not one."""
        self.items.append(value)

    def extend(self, values: Any) -> None:
        """Keep elements of a list that is not one."""
        self.items.extend(values)

    def add(self, value: Any) -> None:
        """Keep an element of a set that is not one."""
        self.items.append(value)

    @property
    def fields(self) -> dict[str, Any]:
        """What was put in under names."""
        own = dict(self.state) if isinstance(self.state, dict) else {}
        own.update(dict(i for i in self.items if isinstance(i, tuple) and len(i) == 2))
        return own


class _Storage:
    """The bytes of tensors before their shape is known."""

    def __init__(self, kind: Any) -> None:
        self.dtype: torch.dtype = kind.dtype


def _box_class(module: str, name: str) -> type[Box]:
    return type("Box", (Box,), {"name": f"{module}.{name}"})


class _Unpickler(pickle.Unpickler):
    """Builds tensors, plain containers and boxes; calls nothing that the file names."""

    def __init__(self, data: bytes, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._archive, self._root = archive, root
        self._storages: dict[str, Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "collections" and name in ("OrderedDict", "Counter"):
            return collections.OrderedDict if name == "OrderedDict" else collections.Counter
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
            return getattr(torch._utils, name)
        if module == "torch" and name == "Size":
            return torch.Size
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return _storage_kind(name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if module in ("builtins", "__builtin__") and name in _PLAIN:
            return _PLAIN[name]
        return _box_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        _, kind, key, _, numel = pid
        if key not in self._storages:
            data = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            size = int(numel) * kind.dtype.itemsize
            if len(data) < size:
                raise pickle.UnpicklingError(f"storage {key} is {len(data)} bytes; expected {size}")
            tensor = torch.frombuffer(data, dtype=kind.dtype) if data else torch.zeros(0, dtype=kind.dtype)
            typed: Any = torch.storage.TypedStorage
            self._storages[key] = typed(
                wrap_storage=tensor.untyped_storage(), dtype=kind.dtype, _internal=True
            )
        return self._storages[key]


def _storage_kind(name: str) -> _Storage:
    if name == "UntypedStorage":
        return _Storage(type("Bytes", (), {"dtype": torch.uint8}))
    kind = getattr(torch, name, None)
    if kind is None or not hasattr(kind, "dtype"):
        raise pickle.UnpicklingError(f"unknown storage {name}")
    return _Storage(kind)


def read_inert(path: Path) -> Any:
    """What a zip-based `.pt` file holds, classes as boxes.

    Raises:
        pickle.UnpicklingError: it is not such a file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [n for n in archive.namelist() if n.endswith("/data.pkl") and n.count("/") == 1]
            if len(inside) != 1:
                raise pickle.UnpicklingError("no data.pkl")
            root = inside[0].removesuffix("/data.pkl")
            return _Unpickler(archive.read(inside[0]), archive, root).load()
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        IndexError,
        RuntimeError,
    ) as e:
        raise pickle.UnpicklingError(type(e).__name__) from None


def module_tensors(box: Box, before: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a boxed module, under the names of its state dict.

    An `nn.Module` keeps them in `_parameters`, `_buffers` and `_modules`; TorchScript as plain attributes.
    """
    fields = box.fields
    hidden = fields.get("_non_persistent_buffers_set") or ()
    groups = [fields.get(name) for name in ("_parameters", "_buffers")]
    if isinstance(fields.get("_modules"), dict):
        for group in groups:
            for name, value in (group or {}).items():
                if isinstance(value, Tensor) and name not in hidden:
                    yield before + str(name), value
        children = fields["_modules"].items()
    else:
        yield from ((before + str(k), v) for k, v in fields.items() if isinstance(v, Tensor))
        children = fields.items()
    for name, value in children:
        if isinstance(value, Box):
            yield from module_tensors(value, f"{before}{name}.")


def class_names(box: Box) -> set[str]:
    """The classes of a boxed module and of all modules in it."""
    found = {box.name}
    fields = box.fields
    children = fields["_modules"] if isinstance(fields.get("_modules"), dict) else fields
    for value in children.values():
        if isinstance(value, Box):
            found |= class_names(value)
    return found
