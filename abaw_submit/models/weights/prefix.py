"""The encoder inside a file: what stands before its names, such as `module.`, `backbone.` or `visual.`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from abaw_submit.errors import UserError

# names that only the root of an encoder has, with how it is called there
ANCHORS = (
    "patch_embed.proj.weight",
    "class_embedding",
    "conv_stem.weight",
    "stem.0.weight",
    "conv1.weight",
)
_AVOID = ("target", "momentum", "student", "decoder", "text")  # copies and other towers beside the encoder


@dataclass(frozen=True)
class Rooted:
    """A file's keys parted by whether they are the encoder's.

    Attributes:
        prefix: what stood before the encoder's names.
        state: the encoder's weights, without it.
        outside: keys that did not start with it.
    """

    prefix: str
    state: dict[str, Tensor]
    outside: list[str]


def find_root(
    state: Mapping[str, Tensor], where: str, prefix: str | None = None, anchors: tuple[str, ...] = ANCHORS
) -> Rooted:
    """Take the encoder out of a file.

    Args:
        state: all weights of the file.
        where: the file, for messages.
        prefix: as the user gave it; None looks for it.
        anchors: a name that the encoder's root has; the first that occurs decides.

    Raises:
        UserError: no weight starts with the prefix, or there are several encoders to choose from.
    """
    if prefix is not None:
        prefix = prefix if not prefix or prefix.endswith(".") else prefix + "."
        if not any(k.startswith(prefix) for k in state):
            some = ", ".join(sorted({k.split(".")[0] + "." for k in state})[:6])
            raise UserError(f'{where}: no weight starts with "{prefix}". They start with {some}')
        return _rooted(state, prefix)
    for anchor in anchors:
        roots = sorted({k.removesuffix(anchor) for k in state if k == anchor or k.endswith("." + anchor)})
        if len(roots) > 1:  # the encoder proper, not a copy of it or a tower beside it
            roots = [r for r in roots if not any(word in r for word in _AVOID)] or roots
        if len(roots) > 1:
            roots = [r for r in roots if not any(r != o and r.startswith(o) for o in roots)]
        if len(roots) > 1:
            raise UserError(
                f"{where} holds {len(roots)} encoders: {', '.join(roots)}\n"
                f"Say which: --prefix {roots[0] or 'NAME'}"
            )
        if roots:
            return _rooted(state, roots[0])
    return Rooted("", dict(state), [])


def _rooted(state: Mapping[str, Tensor], prefix: str) -> Rooted:
    inside = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    return Rooted(prefix, inside, [k for k in state if not k.startswith(prefix)])
