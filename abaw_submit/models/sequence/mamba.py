"""Mamba, a selective state space model, in both directions; transformers' own layers.

transformers has a plain PyTorch form of it, which runs on any machine and is slow: about ten times the TMF's
time a step on a CPU. With the `mamba_ssm` package on a GPU it takes the fast one by itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.settings import SequenceSize


class Mamba(SequenceNetwork):
    """Gu and Dao 2023: one stack reads forwards, one backwards; a linear layer joins them."""

    def build(self, size: SequenceSize) -> None:
        """The two stacks."""
        self.forwards, self.backwards = _stack(size), _stack(size)
        self.join = nn.Linear(2 * size.model_dim, size.model_dim)
        self.drop = nn.Dropout(size.dropout)

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Forwards over the rows, backwards from the last real one."""
        mask = present.to(x.dtype)
        ahead = self.forwards(inputs_embeds=x, attention_mask=mask).last_hidden_state
        behind = self.backwards(inputs_embeds=x.flip(1), attention_mask=mask.flip(1)).last_hidden_state
        joined: Tensor = self.drop(self.join(torch.cat([ahead, behind.flip(1)], -1)))
        return joined


def _stack(size: SequenceSize) -> Any:
    transformers: Any = import_module("transformers")
    config = transformers.MambaConfig(
        vocab_size=1, hidden_size=size.model_dim, num_hidden_layers=size.layers, use_cache=False
    )
    stack = transformers.MambaModel(config)
    stack.embeddings = nn.Identity()  # rows come as vectors; a table of words would be dead weight
    return stack
