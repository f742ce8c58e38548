"""What students that are no transformers share: a table of word pieces, and a trainer's way to call them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

COUNTED = "counted.weight"  # the table of pieces and pairs among a model's weights
PRIME = 1_000_003  # so large and odd that pairs spread over all rows
# How much sooner the linear part learns than the rest. With 4 and 16 cnn was as good, with 48 worse.
SCALE = 8.0


class WordPieceNetwork(PreTrainedModel):  # type: ignore[misc]  # transformers is untyped
    """A classifier whose ``embeddings`` (vocab_size, hidden_size) are all that it knows of a word piece."""

    embeddings: nn.Embedding
    counted: nn.Embedding | None

    def _init_weights(self, module: nn.Module) -> None:
        if module is getattr(self, "counted", None):
            nn.init.zeros_(module.weight)  # what no text has shows nothing
        else:
            super()._init_weights(module)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embeddings = value

    def _table(self) -> nn.Embedding:
        config = self.config
        return nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)

    def _counts(self) -> nn.Embedding | None:
        """Weights of pieces and of pairs of neighbours for each class, in ``config.pairs`` rows."""
        config = self.config
        return nn.Embedding(config.pairs, config.num_labels) if config.pairs else None

    def _linear(self, table: nn.Embedding, input_ids: Tensor, mask: Tensor) -> Tensor:
        """8 / sqrt(n) times the sum of the n rows of a text's pieces and pairs (batch, classes).

        Pairs share rows by chance (Joulin et al. 2017, arXiv 1607.01759, section 2.2).
        """
        pairs = input_ids[:, :-1] * PRIME + input_ids[:, 1:]
        rows = torch.cat([input_ids, pairs], dim=1) % table.num_embeddings
        there = torch.cat([mask, mask[:, :-1] & mask[:, 1:]], dim=1)
        found: Tensor = (table(rows) * there).sum(dim=1)
        return SCALE * found / there.sum(dim=1).clamp(min=1).sqrt()

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
