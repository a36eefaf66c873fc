"""Files that another library reads, if it is installed: tensors of torch; Parquet, Feather, Excel by pandas.

Neither is needed by anything else here, so each is asked for by name when such a file comes.
"""

from __future__ import annotations

import importlib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from abaw_submit.allowance import check_zip
from abaw_submit.errors import UserError
from abaw_submit.scores.sniff.pickles import read_pickle

_DEEPEST = 8
_PYARROW = (14, 0, 1)  # older ones run code that a file may hold (CVE-2023-47248)
_TORCH_HOW = "numpy.savez('scores.npz', **{k: v.cpu().numpy() for k, v in torch.load(…).items()})"


def read_torch(path: Path) -> Any:
    """Tensors in dictionaries and lists, read with `weights_only`: no code in the file is run.

    Raises:
        UserError: torch is not there, the file holds more than tensors, or it is damaged.
    """
    arrays = _arrays_alone(path)
    if arrays is not None:
        return arrays
    if find_spec("torch") is None:
        raise UserError(
            f"{path} is a file of torch, and torch is not installed here. Install it, or where it was made:"
            f"\n{_TORCH_HOW}"
        )
    torch: Any = importlib.import_module("torch")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what it refuses, and whatever a damaged file makes it say
        why = str(error).split("WeightsUnpickler error:")[-1].strip().splitlines()
        raise UserError(
            f"{path} holds more than tensors, or is damaged ({why[0][:80] if why else '?'})."
            f"\nNo code in it is run. Where it was made: {_TORCH_HOW}"
        ) from None
    return _without_tensors(found, torch, str(path), 0)


def _arrays_alone(path: Path) -> Any | None:
    """What `torch.save` wrote if it is NumPy arrays and no tensors, which needs no torch; else None.

    Raises:
        UserError: a part that claims more than the file can hold.
    """
    if not zipfile.is_zipfile(path):
        return None
    check_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            pickled = archive.read(name)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise UserError(f"{path} is a damaged file of torch: {str(error)[:80]}.") from None
    try:
        return read_pickle(pickled, str(path))
    except UserError:
        return None


def _without_tensors(node: Any, torch: Any, where: str, depth: int) -> Any:
    if isinstance(node, torch.Tensor):
        if node.layout != torch.strided or node.dtype.is_complex:
            raise UserError(f"{where}: a tensor {node.layout} of {node.dtype}; expected plain numbers.")
        if node.numel() * node.element_size() > max(node.untyped_storage().nbytes(), 8):
            raise UserError(f"{where}: a tensor that claims more numbers than the file holds. Save a copy.")
        exact = node.detach().to(torch.float32) if node.dtype == torch.bfloat16 else node.detach()
        return exact.numpy()
    if depth < _DEEPEST and isinstance(node, dict):
        return {key: _without_tensors(value, torch, where, depth + 1) for key, value in node.items()}
    if depth < _DEEPEST and isinstance(node, list | tuple):
        return [_without_tensors(value, torch, where, depth + 1) for value in node]
    return node


def read_frame(path: Path, kind: str) -> dict[str, Any]:
    """A table that pandas reads with the help of a package: its columns by name.

    Raises:
        UserError: the package is not there or too old, or the file is damaged.
    """
    check_zip(path)
    needed = "openpyxl" if kind == "Excel" else "pyarrow"
    if find_spec(needed) is None:
        raise UserError(
            f"{path} is a {kind} file, and {needed}, which reads it, is not installed."
            f"\nEither python -m pip install {needed}, or save the table as CSV: frame.to_csv('scores.csv')."
        )
    if needed == "pyarrow":
        version = importlib.import_module("pyarrow").__version__
        if tuple(int(part) for part in version.split(".")[:3] if part.isdigit()) < _PYARROW:
            raise UserError(f"pyarrow {version} may run code out of a file. Install 14.0.1 or later.")
    reader: Any = {"Parquet": pd.read_parquet, "Feather": pd.read_feather, "Excel": pd.read_excel}[kind]
    try:
        frame = reader(path)
    except Exception as error:  # whatever the reader behind pandas says
        raise UserError(f"{path} is not a readable {kind} file: {str(error)[:80]}.") from None
    if not isinstance(frame.index, pd.RangeIndex):  # the rows have names: tracks and frames, perhaps
        frame = frame.reset_index()
    return {str(name): _column(frame[name]) for name in frame.columns}


def _column(values: Any) -> npt.NDArray[Any]:
    """A column as an array: text as objects; missing numbers as NaN, whatever pandas calls them."""
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return np.asarray(values.to_numpy(dtype=object, na_value=None))
    if pd.api.types.is_integer_dtype(values) and not values.isna().any():
        return np.asarray(values.to_numpy(dtype=np.int64))
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
