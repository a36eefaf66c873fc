"""Speech models behind one face: 16 kHz sound to the hidden states of every layer, each at its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


class SpeechEncoder(nn.Module):
    """A speech model, whichever library it is of.

    Attributes:
        network: the model.
        spec: what it is and how it is called.
    """

    def __init__(self, network: nn.Module, spec: SpeechSpec, head: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.spec, self.head = network, spec, head

    def forward(self, samples: Tensor, level: tuple[float, float] | None = None) -> list[Tensor]:
        """Hidden states of a sound.

        Args:
            samples: (n,) at 16 kHz, at least `spec.field_samples` of them.
            level: mean and variance to normalise by, where the model wants that; None takes the sound's own.

        Returns:
            For each layer, from the first to the last, (vectors, dim).
        """
        if self.spec.norm_eps is not None:
            mean, variance = level or (samples.mean(), samples.var(unbiased=False))
            samples = (samples - mean) / torch.sqrt(torch.as_tensor(variance + self.spec.norm_eps))
        return self.spec.call(self.network, samples)


@dataclass
class SpeechSpec:
    """What a speech model is.

    Attributes:
        family: its family's name.
        where: its file or folder.
        dim: width of a hidden state.
        layers: how many there are.
        hop: samples from one vector to the next.
        field_samples: samples that the first vector hears directly.
        offset: sample at the middle of the first vector.
        call: network and sound (n,) to the hidden states of every layer.
        config: what tells two models with the same weights apart; goes into the fingerprint.
        notes: what was assumed.
        dropped: keys left behind, by the name of the rule.
        outputs: names of the head's outputs.
        norm_eps: what is added to the variance when the sound is normalised; None where it is not.
        window_s: sound whose vectors are kept at a time, and what is heard before and after it, s.
    """

    family: str
    where: str
    dim: int
    layers: int
    hop: int
    field_samples: int
    offset: float
    call: Callable[[Any, Tensor], list[Tensor]]
    config: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    norm_eps: float | None = None
    window_s: tuple[float, float] = (15.0, 2.5)


class MeanHead(nn.Module):
    """The head of audeering's model: a hidden layer with tanh on the mean of the states, then the outputs."""

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, outputs)

    def forward(self, pooled: Tensor) -> Tensor:
        """(n, dim) means of hidden states to (n, outputs)."""
        output: Tensor = self.out_proj(torch.tanh(self.dense(pooled)))
        return output


def select_layers(states: list[Tensor], groups: list[list[int]]) -> Tensor:
    """Means of groups of layers, side by side.

    Args:
        states: hidden states of layers 1, 2, ..., each (vectors, dim).
        groups: layer numbers, as `layer_groups` gives them.

    Returns:
        (vectors, dim x groups).
    """
    parts = [torch.stack([states[n - 1].float() for n in group]).mean(0) for group in groups]
    return torch.cat(parts, dim=1)


def running_mean(states: Tensor, half: int) -> Tensor:
    """Means of the vectors up to `half` before and after each, as far as there are any.

    Args:
        states: (vectors, dim).
        half: vectors on each side.
    """
    count = len(states)
    zero = torch.zeros(1, states.shape[1], dtype=torch.float64, device=states.device)
    sums = torch.cat([zero, states.double().cumsum(0)])
    here = torch.arange(count, device=states.device)
    begin, end = (here - half).clamp(min=0), (here + half + 1).clamp(max=count)
    return ((sums[end] - sums[begin]) / (end - begin)[:, None]).float()
