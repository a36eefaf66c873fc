"""Arrays of several tracks, one below the other or padded to one length, and the lengths beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from abaw_submit.arrays import Index
from abaw_submit.errors import UserError

HOW = (
    "\nPut an array `lengths` (the rows of each track) and one `names` (the tracks) beside it: in the same"
    " npz, or as lengths.npy and names.txt in the same folder."
)


def spread(lengths: Index, names: Sequence[str] | None, rows: int, where: str) -> npt.NDArray[Any]:
    """The track of each row where tracks lie one below the other: (rows,).

    Raises:
        UserError: no names, or lengths that do not add up to the rows.
    """
    if names is None:
        raise UserError(
            f"{where}: lengths of {len(lengths)} tracks without their names. Add an array"
            " `names`, or leave the lengths out and give --rows-from TEMPLATE --stacked."
        )
    if len(names) != len(lengths) or int(lengths.sum()) != rows or (lengths < 0).any():
        raise UserError(
            f"{where}: {len(names)} names, {len(lengths)} lengths that add up to"
            f" {int(lengths.sum())}; the scores have {rows} rows."
        )
    return np.repeat(np.array(names, object), lengths)


def unpadded(
    values: npt.NDArray[Any],
    lengths: npt.NDArray[Any] | None,
    mask: npt.NDArray[Any] | None,
    names: Sequence[str] | None,
    where: str,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The real rows of tracks that were padded to the longest one, and the track of each.

    Args:
        values: (tracks, longest, outputs).
        lengths: (tracks,) rows of each; or else
        mask: (tracks, longest), true for real rows, which come first.
        names: the tracks.
        where: for messages.

    Returns:
        (rows, outputs) and (rows,).

    Raises:
        UserError: nothing says how long each track is, or it contradicts the array.
    """
    tracks, longest, _ = values.shape
    shape = f"{where}: an array {values.shape}"
    if lengths is None and mask is not None:
        kept = np.asarray(mask).astype(bool)
        lengths = kept.sum(axis=1)
        if not np.array_equal(kept, np.arange(longest) < lengths[:, None]):
            raise UserError(f"{shape}, and a mask whose tracks have real rows after padded ones.")
    if lengths is None or names is None:
        raise UserError(
            f"{shape}: tracks padded to one length? Nothing says {_lacking(lengths, names)}.{HOW}"
        )
    if lengths.shape != (tracks,) or len(names) != tracks:
        raise UserError(f"{shape} with {len(lengths)} lengths and {len(names)} names.")
    if (lengths < 1).any() or (lengths > longest).any():
        k = int(np.argmax((lengths < 1) | (lengths > longest)))
        raise UserError(f"{shape}: {names[k]} is said to have {lengths[k]} rows; expected 1 to {longest}.")
    for k, count in enumerate(lengths):
        rest = values[k, count:]
        # what pads is one value, or the last row again; anything else may be rows that the lengths forget
        if rest.size and not (_same(rest, rest.flat[0]) or _same(rest, values[k, count - 1])):
            raise UserError(
                f"{shape}: {names[k]} is said to have {count} rows, and different numbers come after them."
                " Padding is one value: are the lengths those of these tracks, in this order?"
            )
    whole = np.concatenate([values[k, :count] for k, count in enumerate(lengths)])
    return whole, np.repeat(np.array(list(names), object), lengths)


def _lacking(lengths: npt.NDArray[Any] | None, names: Sequence[str] | None) -> str:
    missing = [] if lengths is not None else ["how many rows are real"]
    return " or ".join(missing + ([] if names is not None else ["which tracks they are"]))


def _same(rest: npt.NDArray[Any], value: Any) -> bool:
    return bool(np.array_equal(rest, np.broadcast_to(value, rest.shape), equal_nan=rest.dtype.kind == "f"))
