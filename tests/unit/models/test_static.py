"""The static student: what it computes, padding, and saving and loading."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification

from kd_core.models.static import StaticConfig, StaticForSequenceClassification

PAD = 0
SIZES = {"vocab_size": 40, "hidden_size": 6, "intermediate_size": 5, "num_labels": 3, "pad_token_id": PAD}


def build(**sizes: object) -> StaticForSequenceClassification:
    """New, but with a weight for each word."""
    torch.manual_seed(0)
    model = StaticForSequenceClassification(StaticConfig(**{**SIZES, **sizes})).eval()
    torch.nn.init.normal_(model.importance.weight)
    return model


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(1, 40, shape, generator=torch.Generator().manual_seed(1))


def test_sizes_of_layers_and_outputs() -> None:
    model = build()
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "embeddings.weight": (40, 6),
        "importance.weight": (40, 1),
        "intermediate.weight": (5, 6),
        "intermediate.bias": (5,),
        "classifier.weight": (3, 5),
        "classifier.bias": (3,),
    }
    output = model(tokens(4, 7))
    assert output.logits.shape == (4, 3)
    assert output.loss is None


def test_logits_by_hand() -> None:
    """Of two words, one e times as important as the other: their mean has e / (1 + e) of it."""
    model = build()
    model.importance.weight.data[[3, 5]] = torch.tensor([[1.0], [0.0]])
    share = torch.e / (1 + torch.e)
    words = model.embeddings.weight
    mean = share * words[3] + (1 - share) * words[5]
    inner = torch.relu(model.intermediate.weight @ mean + model.intermediate.bias)
    expected = model.classifier.weight @ inner + model.classifier.bias
    torch.testing.assert_close(model(torch.tensor([[3, 5]])).logits[0], expected)


def test_new_it_is_a_plain_mean_and_its_counts_say_nothing() -> None:
    model = StaticForSequenceClassification(StaticConfig(**SIZES, pairs=101))
    assert model.importance.weight.count_nonzero() == 0
    assert model.counted is not None
    assert model.counted.weight.count_nonzero() == 0
    assert model.embeddings.weight.std() > 0.2


def test_the_order_of_words_counts_in_pairs_alone() -> None:
    ids = torch.tensor([[3, 5, 7], [7, 5, 3]])
    plain, pairs = build(), build(pairs=101)
    assert pairs.counted is not None
    torch.nn.init.normal_(pairs.counted.weight)
    one, other = plain(ids).logits
    torch.testing.assert_close(one, other)
    one, other = pairs(ids).logits
    assert (one - other).abs().max() > 0.1


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    more=st.integers(0, 5),
    left=st.booleans(),
    pairs=st.booleans(),
)
def test_padding_on_either_side_never_changes_a_logit(
    lengths: list[int], more: int, left: bool, pairs: bool
) -> None:
    model = build(pairs=101 * pairs)
    if model.counted:
        torch.nn.init.normal_(model.counted.weight)
    texts = [tokens(length) for length in lengths]
    width = max(lengths) + more
    sides = [(width - len(text), 0) if left else (0, width - len(text)) for text in texts]
    ids = torch.stack([F.pad(text, side, value=PAD) for text, side in zip(texts, sides, strict=True)])
    alone = torch.cat([model(text[None]).logits for text in texts])
    torch.testing.assert_close(model(ids, attention_mask=(ids != PAD).long()).logits, alone)
    torch.testing.assert_close(model(ids).logits, alone)


def test_a_row_without_a_token_has_logits() -> None:
    model = build()
    inner = torch.relu(model.intermediate.bias)
    expected = model.classifier.weight @ inner + model.classifier.bias
    found = model(torch.full((1, 3), PAD)).logits[0]
    torch.testing.assert_close(found, expected)


def test_loss_and_tuple() -> None:
    model, ids, labels = build(), tokens(4, 7), torch.tensor([0, 1, 2, 0])
    loss, logits = model(ids, labels=labels, return_dict=False)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))


def test_save_and_load(tmp_path: Path) -> None:
    model = build(pairs=101)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path, use_safetensors=True).eval()
    assert isinstance(loaded, StaticForSequenceClassification)
    assert torch.equal(loaded(tokens(2, 5)).logits, model(tokens(2, 5)).logits)
    config = AutoConfig.from_pretrained(tmp_path)
    assert (config.model_type, config.pairs, config.num_labels) == ("kd_static", 101, 3)
