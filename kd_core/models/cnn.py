"""A convolutional student over word pieces (Kim 2014, arXiv 1408.5882), as a transformers model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

# Relative, for an export brings these files along (deployment.network_code).
from .network import WordPieceNetwork, output_of
from .network_sizes import CNN_FILTERS, CNN_HIDDEN, CNN_WIDTHS

PLACE_SCALE = 0.25  # as SCALE, of places: with 1 headlines and ironic tweets were a little worse


class CNNConfig(PretrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Sizes of the convolutional student.

    ``hidden_size`` is the width of the word embeddings, ``widths`` are the lengths of its windows in word
    pieces, and ``intermediate_size`` is the number of filters of all widths together. With ``mean`` the head
    reads the mean of the embeddings, too. In a table of ``pairs`` rows pieces and pairs of neighbours have
    weights of their own; 0: none. ``positions`` is how many places in a text have a vector; 0: none.
    """

    model_type = "kd_cnn"

    vocab_size: int = 30_522
    hidden_size: int = CNN_HIDDEN
    num_hidden_layers: int = 1
    intermediate_size: int = CNN_FILTERS
    widths: tuple[int, ...] = CNN_WIDTHS
    mean: bool = False
    pairs: int = 0
    positions: int = 0
    dropout: float = 0.5
    initializer_range: float = 0.3  # of the word embeddings
    pad_token_id: int | None = 0


class CNNForSequenceClassification(WordPieceNetwork):
    """One layer of filters, and of each the strongest answer in the text (Kim 2014, section 2).

    c_i = relu(w [x_i; ...; x_{i+h-1}] + b) for the window of h pieces at i; feature = max over i of c_i;
    logits = W dropout(features) + b. A window may reach over either end of the text, where it reads zeros.
    With ``config.mean`` the mean of the x_i are features, too: they say what a text is about. With
    ``config.pairs`` a linear model of pieces and pairs of neighbours is added to the logits, for what single
    words say and vectors do not: its part is wide, that of the filters deep (Cheng et al. 2016, arXiv
    1606.07792). With ``config.positions`` each x_i that a filter reads has a vector added for where it stands
    (Gehring et al. 2017, arXiv 1705.03122, section 3.1), or the strongest answer would be the same anywhere.
    Padding, on either side, never changes a logit.
    """

    config_class = CNNConfig
    base_model_prefix = "cnn"

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config)
        self.embeddings = self._table()
        filters = config.intermediate_size // len(config.widths)
        # Over windows laid side by side a filter is a row of a matrix, which bf16 and int8 know best.
        self.filters = nn.ModuleList(nn.Linear(w * config.hidden_size, filters) for w in config.widths)
        self.dropout = nn.Dropout(config.dropout)
        features = filters * len(config.widths) + config.mean * config.hidden_size
        self.classifier = nn.Linear(features, config.num_labels)
        self.counted = self._counts()
        self.positions = nn.Embedding(config.positions, config.hidden_size) if config.positions else None
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if module is self.positions:
            nn.init.zeros_(module.weight)  # place means nothing at first
        elif isinstance(module, nn.Linear):
            module.reset_parameters()  # by the number of inputs, which differs by width
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
        embedded = self.embeddings(input_ids) * mask
        features = [embedded.sum(dim=1) / mask.sum(dim=1).clamp(min=1)] if self.config.mean else []
        if self.positions:
            place = PLACE_SCALE * _near(mask, self.config.positions) @ self.positions.weight
            embedded = embedded + place * mask
        embedded = _as_multiplied(embedded)
        for width, filters in zip(self.config.widths, self.filters, strict=True):
            around = F.pad(embedded, (0, 0, width // 2, width - 1 - width // 2))
            windows = torch.cat([around[:, i : i + input_ids.shape[1]] for i in range(width)], dim=-1)
            features.append((torch.relu(filters(windows)) * mask).amax(dim=1))
        logits = self.classifier(self.dropout(torch.cat(features, dim=-1)))
        if self.counted:
            logits = logits + self._linear(self.counted, input_ids, mask)
        return output_of(logits, labels)


def _as_multiplied(embedded: Tensor) -> Tensor:
    """In the type in which autocast would multiply: to round a piece once, not in each of its windows."""
    kind = embedded.device.type
    return embedded.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else embedded


def _near(mask: Tensor, places: int) -> Tensor:
    """How near each piece is to the places 1, 1.4, 2, 2.8, 4, ... of its text: (batch, length, places).

    1 at a place and 0 from the next one on: near the start one piece makes a difference, later many do.
    """
    found = 2 * mask.long().cumsum(dim=1).clamp(min=1).float().log2()
    distance = found.clamp(max=places - 1) - torch.arange(places, device=mask.device)
    return torch.relu(1 - distance.abs())


AutoConfig.register(CNNConfig.model_type, CNNConfig, exist_ok=True)
AutoModelForSequenceClassification.register(CNNConfig, CNNForSequenceClassification, exist_ok=True)
