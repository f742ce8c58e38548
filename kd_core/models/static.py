"""A student without context: the weighted mean of a text's word vectors, and a small network over it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

# Relative, for an export brings these files along (deployment.network_code).
from .network import WordPieceNetwork, output_of
from .network_sizes import STATIC_HIDDEN, STATIC_INNER


class StaticConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Sizes of the static student.

    ``hidden_size`` is the width of the word vectors, ``intermediate_size`` that of the layer above their
    mean. ``mean`` and ``pairs`` are as of ``CNNConfig``: what ``student.pooling`` calls its head.
    """

    model_type = "kd_static"

    vocab_size: int = 30_522
    hidden_size: int = STATIC_HIDDEN
    num_hidden_layers: int = 1
    intermediate_size: int = STATIC_INNER
    mean: bool = True
    pairs: int = 0
    dropout: float = 0.5
    initializer_range: float = 0.3  # of the word vectors
    pad_token_id: int | None = 0


class StaticForSequenceClassification(WordPieceNetwork):
    """Each piece x_i has a vector and a weight a_i of its own, whatever stands beside it.

    mean = sum over i of softmax(a)_i x_i; logits = W2 dropout(relu(W1 mean + b1)) + b2. With equal weights
    that is the deep averaging network of Iyyer et al. 2015 (ACL, section 3); weights by word are as in
    Model2Vec (Minishlab 2024), here learned. Padding, on either side, never changes a logit.
    """

    config_class = StaticConfig
    base_model_prefix = "static"

    def __init__(self, config: StaticConfig) -> None:
        super().__init__(config)
        self.embeddings = self._table()
        self.importance = nn.Embedding(config.vocab_size, 1)
        self.intermediate = nn.Linear(config.hidden_size, config.intermediate_size)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.intermediate_size, config.num_labels)
        self.counted = self._counts()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.importance:
            nn.init.zeros_(module.weight)  # a plain mean at first
        else:
            super()._init_weights(module)

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **others: Any,
    ) -> SequenceClassifierOutput:
        """``input_ids`` and ``attention_mask`` (batch, length), ``labels`` (batch,): logits (batch, classes).

        ``others`` have no effect; trainers and tokenizers pass ``token_type_ids`` and ``output_*``.
        """
        mask = self._mask(input_ids, attention_mask).unsqueeze(-1)
        lowest = torch.finfo(torch.float32).min
        weights = self.importance(input_ids).float().masked_fill(~mask, lowest).softmax(dim=1)
        mean = (weights * self.embeddings(input_ids) * mask).sum(dim=1)
        logits = self.classifier(self.dropout(torch.relu(self.intermediate(mean))))
        if self.counted:
            logits = logits + self._linear(self.counted, input_ids, mask)
        return output_of(logits, labels)


AutoConfig.register(StaticConfig.model_type, StaticConfig, exist_ok=True)
AutoModelForSequenceClassification.register(StaticConfig, StaticForSequenceClassification, exist_ok=True)
