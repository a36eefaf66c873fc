"""The sequence models by name. Nothing is imported before it is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from abaw_submit.errors import UserError, suggest
from abaw_submit.models.settings import SequenceSize
from abaw_submit.tasks import Task

if TYPE_CHECKING:
    from abaw_submit.models.sequence.network import SequenceNetwork
    from abaw_submit.models.sequence.streams import Stream


@dataclass(frozen=True)
class ModelEntry:
    """One kind of sequence model.

    Attributes:
        where: "module:attribute" of the network.
        summary: what it is, a line.
    """

    where: str
    summary: str


MODELS = {
    "tmf": ModelEntry("abaw_submit.models.tmf:Tmf", "the paper's Transformer, sinusoidal positions"),
    "gru": ModelEntry("abaw_submit.models.sequence.gru:Gru", "bidirectional GRU"),
    "tcn": ModelEntry("abaw_submit.models.sequence.tcn:Tcn", "dilated convolutions to both sides"),
    "transformer": ModelEntry(
        "abaw_submit.models.sequence.transformer:RelativeTransformer", "Transformer, relative positions"
    ),
    "mamba": ModelEntry(
        "abaw_submit.models.sequence.mamba:Mamba", "state space model in both directions; slow on a CPU"
    ),
}


def build_model(features: int | Sequence[Stream], task: Task, size: SequenceSize) -> SequenceNetwork:
    """The network that `size.model` names, with random weights.

    Args:
        features: numbers per row, or the streams they come from.
        task: the task.
        size: its sizes.

    Raises:
        UserError: an unknown model, or sizes that do not fit.
    """
    entry = MODELS.get(size.model)
    if entry is None:
        raise UserError(f'Unknown model "{size.model}". {suggest(size.model, MODELS)}')
    module, _, name = entry.where.partition(":")
    network: SequenceNetwork = getattr(import_module(module), name)(features, task, size)
    return network
