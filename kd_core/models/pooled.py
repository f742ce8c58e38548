"""A BERT classifier whose head reads the mean over a text beside its first token, as a transformers model."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.utils import can_return_tuple

# Relative, for an export brings these files along (deployment.network_code).
from .network import output_of


class PooledBertConfig(BertConfig):  # type: ignore[misc]  # transformers is untyped
    """A BERT's; of another type, so that a saved one is loaded with its own head."""

    model_type = "kd_pooled_bert"


class PooledBertForSequenceClassification(BertForSequenceClassification):  # type: ignore[misc]
    """logits = W dropout([mean of the last states over the text; pooler of the first state]) + b.

    Sentence encoders are trained to say with that mean what a text is about (Reimers and Gurevych 2019, arXiv
    1908.10084, section 3), so a new head learns topics and intents from it at once. The first token has
    learned nothing of that, and is what fine-tuning makes the best of where a label hangs on feelings.
    Padding, on either side, never changes a logit.
    """

    config_class = PooledBertConfig

    def __init__(self, config: PooledBertConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(2 * config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **more: Any,
    ) -> SequenceClassifierOutput:
        """``input_ids`` and ``attention_mask`` (batch, length), ``labels`` (batch,): (batch, classes)."""
        read = self.bert(
            input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            return_dict=True,
            **more,
        )
        states = read.last_hidden_state.float()  # a mean in bf16 would lose what few tokens say
        counts = states.new_ones(states.shape[:2]) if attention_mask is None else attention_mask.to(states)
        mean = (states * counts.unsqueeze(-1)).sum(dim=1) / counts.sum(dim=1, keepdim=True).clamp(min=1)
        first = read.pooler_output
        logits = self.classifier(self.dropout(torch.cat([mean.to(first), first], dim=-1)))
        return output_of(logits, labels, hidden_states=read.hidden_states, attentions=read.attentions)


def pooled(config: BertConfig) -> PooledBertConfig:
    """The same sizes and labels, with the mean for the head."""
    same: PooledBertConfig = PooledBertConfig.from_dict(
        {**config.to_dict(), "model_type": PooledBertConfig.model_type}
    )
    return same


def plain(config: PretrainedConfig) -> PretrainedConfig:
    """A copy, whose head reads the first token."""
    if not isinstance(config, PooledBertConfig):
        return copy.deepcopy(config)
    return BertConfig.from_dict({**config.to_dict(), "model_type": BertConfig.model_type})


AutoConfig.register(PooledBertConfig.model_type, PooledBertConfig, exist_ok=True)
AutoModelForSequenceClassification.register(
    PooledBertConfig, PooledBertForSequenceClassification, exist_ok=True
)
