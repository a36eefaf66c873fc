"""Pickles read without running code: dictionaries, lists, text, numbers and NumPy arrays, nothing else.

A pickle is a program. This unpickler knows the few names that plain data and NumPy arrays need, each
replaced by a function that can only build data; any other name refuses the file.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from abaw_submit.errors import UserError

_NUMPY_PLACES = ("numpy.core", "numpy._core")
_HOW = (
    "\nIn the program that made it, write the arrays alone:"
    " numpy.savez('scores.npz', **{track: scores[track] for track in scores})."
)

_INSTEAD = {  # who pickled, what it is, and what to do instead
    "pandas": (
        "a table of pandas, ",
        "\nIn the program that made it: frame.to_csv('scores.csv'), or frame.to_parquet('scores.parquet').",
    ),
    "torch": (
        "tensors of torch, ",
        "\nIn the program that made it: torch.save(scores, 'scores.pt'), or"
        " numpy.savez('scores.npz', **{k: v.cpu().numpy() for k, v in scores.items()}).",
    ),
}


class _ArrayClass:
    """Stands where a pickle names numpy.ndarray; it cannot be called."""


def read_pickle(data: bytes, where: str) -> Any:
    """The plain data in a pickle; nothing in it is run.

    Args:
        data: the whole pickle.
        where: for messages.

    Raises:
        UserError: it names anything but plain data and NumPy arrays, or is damaged.
    """
    try:
        return _Plain(io.BytesIO(data), where).load()
    except UserError:
        raise
    except RecursionError:
        raise UserError(f"{where}: nested too deeply for a pickle of scores.") from None
    except Exception as error:  # a damaged pickle may fail in any way the format allows
        raise UserError(f"{where} is a damaged pickle: {type(error).__name__} {str(error)[:80]}.") from None


class _Plain(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, where: str) -> None:
        super().__init__(file, encoding="latin1")
        self._where = where

    def find_class(self, module: str, name: str) -> Any:
        for place in _NUMPY_PLACES:
            if module.startswith(place):
                module = "numpy" + module.removeprefix(place)
        found = _KNOWN.get((module, name))
        if found is None:
            word = f"{module}.{name}".replace("\n", " ")[:80]
            what, how = _INSTEAD.get(module.partition(".")[0], ("", _HOW))
            raise UserError(
                f"{self._where}: holds {what}{word}, which is not plain data; no code is run.{how}"
            )
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise UserError(f"{self._where}: refers to data outside the pickle (a torch file?).{_HOW}")


def _reconstruct(_subtype: Any, shape: Any, _kind: Any) -> Any:
    if tuple(shape) != (0,):
        raise ValueError("an array that is not empty before it is filled")
    return np.empty(0, np.uint8)


def _frombuffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> Any:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    if dtype.hasobject or len(raw) != dtype.itemsize:
        raise ValueError("a number of the wrong size")
    return np.frombuffer(raw, dtype)[0]


def _dtype(text: Any, *_: Any) -> Any:
    if not isinstance(text, str) or len(text) > 16:
        raise ValueError("an unknown type of numbers")
    return np.dtype(text, align=False, copy=True)  # a copy, for its byte order is set afterwards


def _encode(text: Any, codec: Any = "latin1") -> bytes:
    if codec != "latin1" or not isinstance(text, str):
        raise ValueError("an unknown encoding")
    return text.encode("latin1")


def _ordered(*arguments: Any) -> dict[Any, Any]:
    return dict(*arguments[:1])


def _default_dict(*_: Any) -> dict[Any, Any]:
    return {}


class _Factory:
    """Stands where a defaultdict names list, dict, int or float; it cannot be called."""


_KNOWN: dict[tuple[str, str], Callable[..., Any] | type] = {
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _dtype,
    ("numpy.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.multiarray", "scalar"): _scalar,
    ("numpy.numeric", "_frombuffer"): _frombuffer,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): _default_dict,
    **{(m, n): _Factory for m in ("builtins", "__builtin__") for n in ("list", "dict", "int", "float")},
}
