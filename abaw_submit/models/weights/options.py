"""What a user may say about a weights file that the file itself does not. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from abaw_submit.errors import UserError, suggest

POOLS = ("avg", "cls", "map", "own", "grid:N")
ACTIVATIONS = ("gelu", "gelu_tanh", "quickgelu")
VIEW_RULES = ("mean", "keep")


@dataclass(frozen=True)
class WeightOptions:
    """Answers to what weights leave open; None takes what the file says or its family's own.

    Attributes:
        pool: tokens to one vector: "avg", "cls", "map", "own" (as a timm network's head does) or "grid:N".
        mean: per-channel mean of the pictures, in [0, 1].
        std: per-channel deviation of the pictures.
        size_px: side of the input picture, px.
        prefix: what stands before the names of the encoder's weights.
        heads: attention heads.
        activation: of a Vision Transformer: "gelu", "gelu_tanh" or "quickgelu".
        layers: hidden layers of a speech model: "last", "all", "mean:-4:" or "6,9,12".
        head_s: seconds of sound that a speech model's own head hears at a time.
    """

    pool: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    size_px: int | None = None
    prefix: str | None = None
    heads: int | None = None
    activation: str | None = None
    layers: str | None = None
    head_s: float | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UserError: an unknown word, a number out of its range, or three numbers that are not three.
        """
        if self.pool is not None:
            grid_side(self.pool)
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise UserError(
                f'Unknown activation "{self.activation}". {suggest(self.activation, ACTIVATIONS)}'
            )
        for name in ("size_px", "heads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}; expected at least 1.")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) != 3:
                raise UserError(f"{name} has {len(values)} numbers; expected three: red, green, blue.")
        if self.mean is not None and not all(0 <= v <= 1 for v in self.mean):
            raise UserError(f"mean is {self.mean}; expected numbers in 0..1, as of pictures in 0..1.")
        if self.std is not None and not all(0 < v <= 1 for v in self.std):
            raise UserError(f"std is {self.std}; expected numbers above 0 and up to 1.")
        if self.head_s is not None and not 0 < self.head_s <= 5:
            raise UserError(f"head_s is {self.head_s}; expected above 0 and up to 5 seconds.")

    def given(self) -> dict[str, Any]:
        """The options that were given.

        >>> WeightOptions(heads=6).given()
        {'heads': 6}
        """
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}

    def filled(self, known: Mapping[str, Any]) -> WeightOptions:
        """These options, with what is not given taken from `known` where it has it.

        >>> WeightOptions(heads=6).filled({"heads": 3, "pool": "avg", "dim": 96})
        WeightOptions(pool='avg', mean=None, std=None, size_px=None, prefix=None, heads=6, \
activation=None, layers=None, head_s=None)
        """
        names = {f.name for f in fields(self)}
        more = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items() if k in names}
        return WeightOptions(**{**more, **self.given()})


def grid_side(pool: str) -> int:
    """Cells along one side of a pooling: 1 for all but "grid:N".

    >>> grid_side("grid:3"), grid_side("avg")
    (3, 1)

    Raises:
        UserError: no such pooling.
    """
    match = re.fullmatch(r"grid:([1-9]\d?)", pool)
    if match:
        return int(match[1])
    if pool not in POOLS[:4]:
        raise UserError(f'Unknown pooling "{pool}". {suggest(pool, POOLS)}')
    return 1


def three_numbers(text: str, name: str) -> tuple[float, ...]:
    """Three numbers parted by commas; one number stands for all three.

    >>> three_numbers("0.5", "mean"), three_numbers("0.1,0.2,0.3", "std")
    ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))

    Raises:
        UserError: something else.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f'{name} "{text}": expected three numbers parted by commas.') from None
    return values * 3 if len(values) == 1 else values
