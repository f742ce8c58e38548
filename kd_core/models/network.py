"""What students that are no transformers share: a table of word pieces, and a trainer's way to call them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class WordPieceNetwork(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """A classifier whose ``embeddings`` (vocab_size, hidden_size) are all that it knows of a word piece."""

    embeddings: nn.Embedding

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value

    def _table(self) -> nn.Embedding:
        config = self.config
        return nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)

    def _mask(self, input_ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """True where a token counts (batch, length). Without a mask, padding is where the pad token is."""
        if attention_mask is not None:
            return attention_mask.bool()
        pad = self.config.pad_token_id
        return torch.ones_like(input_ids, dtype=torch.bool) if pad is None else input_ids.ne(pad)


def output_of(logits: Tensor, labels: Tensor | None, **more: Any) -> SequenceClassifierOutput:
    """Logits (batch, classes) and, where there are labels (batch,), the mean cross-entropy with them."""
    loss = None if labels is None else F.cross_entropy(logits, labels)
    return SequenceClassifierOutput(loss=loss, logits=logits, **more)
