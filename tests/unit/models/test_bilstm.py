"""The BiLSTM student: what the layers compute, padding, and saving and loading."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification

from kd_core.models.bilstm import BiLSTMConfig, BiLSTMForSequenceClassification

PAD = 0


def build(**sizes: object) -> BiLSTMForSequenceClassification:
    torch.manual_seed(0)
    config = BiLSTMConfig(
        **{
            "vocab_size": 40,
            "hidden_size": 6,
            "lstm_size": 5,
            "intermediate_size": 7,
            "num_labels": 3,
            "pad_token_id": PAD,
            **sizes,
        }
    )
    return BiLSTMForSequenceClassification(config).eval()


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(1, 40, shape, generator=torch.Generator().manual_seed(1))


def test_sizes_of_layers_and_outputs() -> None:
    model = build(num_hidden_layers=2)
    sizes = {name: tuple(p.shape) for name, p in model.named_parameters() if not name.startswith("lstm")}
    assert sizes == {
        "embeddings.weight": (40, 6),
        "intermediate.weight": (7, 10),
        "intermediate.bias": (7,),
        "classifier.weight": (3, 7),
        "classifier.bias": (3,),
    }
    output = model(tokens(4, 9), output_hidden_states=True)
    assert output.logits.shape == (4, 3)
    assert [tuple(h.shape) for h in output.hidden_states] == [(4, 9, 6), (4, 9, 10)]
    assert model(tokens(4, 9)).hidden_states is None
    assert output.loss is None


def test_logits_by_hand() -> None:
    """The paper's formula, with the two directions run one after the other by plain LSTM cells."""
    model = build()
    ids = tokens(1, 4)
    states = []
    for suffix, sequence in (("", ids), ("_reverse", ids.flip(1))):
        cell = torch.nn.LSTMCell(6, 5)
        cell.load_state_dict(
            {
                f"{kind}_{gate}": getattr(model.lstm, f"{kind}_{gate}_l0{suffix}")
                for kind in ("weight", "bias")
                for gate in ("ih", "hh")
            }
        )
        h = c = torch.zeros(1, 5)
        for token in sequence[0]:
            h, c = cell(model.embeddings.weight[token].unsqueeze(0), (h, c))
        states.append(h)
    hidden = torch.relu(torch.cat(states, 1) @ model.intermediate.weight.T + model.intermediate.bias)
    expected = hidden @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(ids).logits, expected)


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
    layers=st.integers(1, 2),
    seed=st.integers(0, 999),
)
def test_padding_on_either_side_never_changes_a_logit(
    lengths: list[int], left: int, right: int, layers: int, seed: int
) -> None:
    model = build(num_hidden_layers=layers)
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(1, 40, (length,), generator=generator) for length in lengths]
    longest = max(lengths)
    # What stands under the mask must not matter, so it is not the pad token.
    ids = torch.full((len(rows), left + longest + right), 39)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, left : left + len(row)] = row
        mask[i, left : left + len(row)] = 1
    padded = model(ids, attention_mask=mask, output_hidden_states=True)
    for i, row in enumerate(rows):
        single = model(row.unsqueeze(0), output_hidden_states=True)
        torch.testing.assert_close(padded.logits[i], single.logits[0])
        torch.testing.assert_close(
            padded.hidden_states[1][i, left : left + len(row)], single.hidden_states[1][0]
        )


def test_without_a_mask_the_pad_token_is_padding() -> None:
    model = build()
    ids = tokens(2, 5)
    padded = F.pad(ids, (0, 3), value=PAD)
    torch.testing.assert_close(model(padded).logits, model(ids).logits)
    torch.testing.assert_close(model(padded, attention_mask=padded.ne(PAD)).logits, model(ids).logits)
    assert not torch.allclose(model(padded, attention_mask=torch.ones_like(padded)).logits, model(ids).logits)


def test_without_a_pad_token_every_token_counts() -> None:
    model = build(pad_token_id=None)
    ids = F.pad(tokens(2, 5), (0, 3), value=PAD)
    torch.testing.assert_close(model(ids).logits, model(ids, attention_mask=torch.ones_like(ids)).logits)


def test_the_order_of_a_batch_does_not_matter_and_the_order_of_words_does() -> None:
    model = build()
    ids = tokens(4, 6)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(ids[order]).logits, model(ids).logits[order])
    assert not torch.allclose(model(ids.flip(1)).logits, model(ids).logits)


def test_an_empty_row_gives_finite_logits_and_leaves_the_others_alone() -> None:
    model = build()
    ids = tokens(2, 4)
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])
    logits = model(ids, attention_mask=mask).logits
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits[:1], model(ids[:1]).logits)


def test_loss_is_the_cross_entropy_and_reaches_every_weight() -> None:
    model = build(num_hidden_layers=2)
    labels = torch.tensor([0, 2, 1])
    ids = tokens(3, 6)
    output = model(ids, labels=labels)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, labels))
    output.loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    used = model.embeddings.weight.grad.abs().sum(dim=1) > 0
    assert set(used.nonzero().flatten().tolist()) == set(ids.flatten().tolist())


def test_token_types_are_ignored_and_a_tuple_can_be_had() -> None:
    model = build()
    ids = tokens(2, 5)
    logits, hidden = model(
        ids, token_type_ids=torch.ones_like(ids), output_hidden_states=True, return_dict=False
    )
    assert torch.equal(logits, model(ids).logits)
    assert len(hidden) == 2


def test_dropout_acts_in_training_only() -> None:
    model = build(dropout=0.5)
    ids = tokens(8, 6)
    assert torch.equal(model(ids).logits, model(ids).logits)
    model.train()
    assert not torch.equal(model(ids).logits, model(ids).logits)


def test_save_and_load_give_the_same_model(tmp_path: Path) -> None:
    model = build(num_hidden_layers=2, id2label={0: "a", 1: "b", 2: "c"})
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    loaded = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, use_safetensors=True, trust_remote_code=False
    )
    assert isinstance(loaded, BiLSTMForSequenceClassification)
    assert torch.equal(loaded(tokens(3, 6)).logits, model(tokens(3, 6)).logits)
    config = AutoConfig.from_pretrained(tmp_path, trust_remote_code=False)
    assert isinstance(config, BiLSTMConfig)
    assert (config.model_type, config.lstm_size, config.num_labels) == ("kd_bilstm", 5, 3)
    assert config.id2label == {0: "a", 1: "b", 2: "c"}


def test_auto_builds_it_from_a_config() -> None:
    model = AutoModelForSequenceClassification.from_config(BiLSTMConfig(vocab_size=10, num_labels=4))
    assert model.classifier.weight.shape == (4, 200)


def test_input_embeddings_can_be_replaced() -> None:
    model = build()
    other = torch.nn.Embedding(11, 6)
    model.set_input_embeddings(other)
    assert model.get_input_embeddings() is other
    assert model(torch.tensor([[10, 3]])).logits.shape == (1, 3)


def test_the_pad_row_starts_at_zero_and_weights_follow_the_seed() -> None:
    model = build()
    assert model.embeddings.weight[PAD].abs().sum() == 0
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), build().parameters(), strict=True))
    spread = build(vocab_size=5000).embeddings.weight[1:].std().item()
    assert spread == pytest.approx(0.1, rel=0.05)  # initializer_range


def test_bfloat16_autocast_gives_the_same_logits_and_gradients() -> None:
    model = build(num_hidden_layers=2)
    ids, mask = tokens(3, 6), torch.tensor([[1] * 6, [1] * 2 + [0] * 4, [1] * 4 + [0] * 2])
    exact = model(ids, attention_mask=mask).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(ids, attention_mask=mask, labels=torch.tensor([0, 1, 2]))
    output.loss.backward()
    torch.testing.assert_close(output.logits.float(), exact, atol=0.02, rtol=0.05)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
