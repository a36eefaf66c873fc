"""A bidirectional GRU: what came before and what comes after, each in its own direction."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from abaw_submit.models.sequence.network import SequenceNetwork
from abaw_submit.models.settings import SequenceSize


class Gru(SequenceNetwork):
    """Cho et al. 2014; half of `model_dim` for each direction, `layers` of them, dropout between."""

    def build(self, size: SequenceSize) -> None:
        """The recurrent layers."""
        between = size.dropout if size.layers > 1 else 0.0
        self.gru = nn.GRU(
            size.model_dim,
            size.model_dim // 2,
            size.layers,
            batch_first=True,
            dropout=between,
            bidirectional=True,
        )
        self.drop = nn.Dropout(size.dropout)

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Both directions over the real rows; the one from behind starts at the last real row."""
        lengths = present.sum(1).cpu()  # packing wants them there
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        encoded, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])
        dropped: Tensor = self.drop(encoded)
        return dropped
