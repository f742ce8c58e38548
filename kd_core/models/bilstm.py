"""The BiLSTM student of Tang et al. 2019 (arXiv 1903.12136), as a transformers model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import AutoConfig, AutoModelForSequenceClassification, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

# Relative, for an export brings these files along (deployment.network_code).
from .network import WordPieceNetwork, output_of
from .network_sizes import BILSTM_HIDDEN, BILSTM_INNER, BILSTM_STATE


class BiLSTMConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Sizes of the BiLSTM student; the defaults are those of Tang et al. 2019, section 4.3.

    ``hidden_size`` is the width of the word embeddings, ``lstm_size`` that of the state of each
    direction, ``intermediate_size`` that of the layer between the states and the logits.
    """

    model_type = "kd_bilstm"

    vocab_size: int = 30_522
    hidden_size: int = BILSTM_HIDDEN
    lstm_size: int = BILSTM_STATE
    num_hidden_layers: int = 1
    intermediate_size: int = BILSTM_INNER
    dropout: float = 0.1
    initializer_range: float = 0.1
    pad_token_id: int | None = 0


class BiLSTMForSequenceClassification(WordPieceNetwork):
    """Single-sentence BiLSTM classifier (Tang et al. 2019, arXiv 1903.12136, section 3.1, figure 1).

    logits = W2 relu(W1 [h_forward; h_backward] + b1) + b2, with the state of each direction after it has
    read the whole text. Padding, on either side, never changes a logit.
    """

    config_class = BiLSTMConfig
    base_model_prefix = "bilstm"

    def __init__(self, config: BiLSTMConfig) -> None:
        super().__init__(config)
        self.embeddings = self._table()
        self.lstm = nn.LSTM(
            config.hidden_size,
            config.lstm_size,
            config.num_hidden_layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.num_hidden_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.intermediate = nn.Linear(2 * config.lstm_size, config.intermediate_size)
        self.classifier = nn.Linear(config.intermediate_size, config.num_labels)
        self.post_init()

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **others: Any,
    ) -> SequenceClassifierOutput:
        """``input_ids`` and ``attention_mask`` (batch, length), ``labels`` (batch,): logits (batch, classes).

        ``hidden_states`` are the embeddings and the states of the last layer (batch, length, 2 lstm_size).
        ``others`` have no effect; trainers and tokenizers pass ``token_type_ids`` and ``output_attentions``.
        """
        mask = self._mask(input_ids, attention_mask)
        # Packing wants padding on the right; a stable sort brings it there and keeps the tokens' order.
        order = mask.int().argsort(dim=1, descending=True, stable=True)
        embedded = self.embeddings(input_ids)
        lengths = mask.sum(dim=1).clamp(min=1)  # packing refuses an empty row
        packed = pack_padded_sequence(
            self.dropout(embedded.gather(1, order.unsqueeze(-1).expand_as(embedded))),
            lengths.cpu(),
            batch_first=True,
            enforce_sorted=False,
        )
        states, (last, _) = self.lstm(packed)
        forward, backward = last[-2], last[-1]
        features = torch.relu(self.intermediate(torch.cat((forward, backward), dim=-1)))
        logits = self.classifier(self.dropout(features))

        hidden_states = None
        if output_hidden_states if output_hidden_states is not None else self.config.output_hidden_states:
            unpacked, _ = pad_packed_sequence(states, batch_first=True, total_length=input_ids.shape[1])
            back = order.argsort(dim=1).unsqueeze(-1).expand_as(unpacked)
            hidden_states = (embedded, unpacked.gather(1, back))
        return output_of(logits, labels, hidden_states=hidden_states)


AutoConfig.register(BiLSTMConfig.model_type, BiLSTMConfig, exist_ok=True)
AutoModelForSequenceClassification.register(BiLSTMConfig, BiLSTMForSequenceClassification, exist_ok=True)
