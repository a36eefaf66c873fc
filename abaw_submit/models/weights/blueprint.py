"""What is to be built from a file, and the strict loading of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.errors import UserError
from abaw_submit.models.weights.families import FAMILIES, Family


@dataclass
class Blueprint:
    """A recognised file: how to build its network and where every key of it goes.

    Attributes:
        where: the file, for messages.
        family: its family's name.
        build: makes the network, freshly initialised; takes the stochastic depth.
        state: the weights under the network's own names.
        size_px: side of the input picture.
        mean: per-channel mean.
        std: per-channel deviation.
        pool: "avg", "cls", "map" or "grid:N".
        heads: attention heads; None for networks that have none.
        heads_from: how they are known.
        dropped: keys left behind, by the name of the rule.
        left: keys that nothing takes.
        fresh: weights of the network that may start afresh, because fine-tuning follows.
        notes: what was assumed, and what a user may want to know.
        config: what `config.toml` has to keep, beside the weights, to build it again.
        prefix: what stood before the names.
    """

    where: str
    family: str
    build: Callable[[float], nn.Module]
    state: dict[str, Tensor]
    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pool: str
    heads: int | None = None
    heads_from: str = ""
    dropped: dict[str, list[str]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    fresh: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""

    @property
    def about(self) -> Family:
        """The family."""
        return FAMILIES[self.family]

    def drop(self, rule: str, keys: list[str]) -> None:
        """Leave keys behind by a rule."""
        if keys:
            self.dropped.setdefault(rule, []).extend(keys)


def build_strictly(blueprint: Blueprint, drop_path: float = 0.0) -> nn.Module:
    """The network of a blueprint with its weights, in evaluation mode.

    Raises:
        UserError: a key is missing, has another shape or is not a number, or the file holds one too many.
    """
    module = blueprint.build(drop_path)
    load_strictly(module, blueprint.state, blueprint.where, left=blueprint.left, fresh=blueprint.fresh)
    return module.eval()


def load_strictly(
    module: nn.Module,
    state: dict[str, Tensor],
    where: str,
    *,
    left: list[str] | tuple[str, ...] = (),
    fresh: tuple[str, ...] = (),
) -> None:
    """Load weights, all of them and nothing else; half precision becomes float32 exactly.

    Args:
        module: the network.
        state: weights under its names.
        where: the file, for messages.
        left: keys of the file that nothing takes.
        fresh: names that may be missing.

    Raises:
        UserError: see `build_strictly`.
    """
    wanted = module.state_dict()
    for name, tensor in state.items():
        if name in wanted and tensor.shape != wanted[name].shape:
            raise UserError(
                f"{where}: {name} is {tuple(tensor.shape)}; expected {tuple(wanted[name].shape)}, as its"
                " other weights say.\nThe file is damaged, or another network."
            )
    optional = (*fresh, *(n for n in wanted if n.endswith("num_batches_tracked")))
    missing = [n for n in wanted if n not in state and n not in optional]
    if missing:
        raise UserError(
            f"{where}: {len(missing)} weights are missing, such as {missing[0]}.\n"
            "The file is damaged, or another network: nothing is filled in."
        )
    extra = [*left, *(n for n in state if n not in wanted)]
    if extra:
        raise UserError(
            f"{where} holds {len(extra)} weights that this network has not, such as {extra[0]}.\n"
            "Leaving them out would give other features. Another network? Say which: timm:NAME@FILE."
        )
    broken = next(
        (n for n, t in state.items() if t.is_floating_point() and not torch.isfinite(t).all()), None
    )
    if broken is not None:
        raise UserError(
            f"{where}: {broken} holds NaN or infinity. The file is damaged, or training diverged."
        )
    module.load_state_dict(state, strict=False)
