"""The students that are not transformers (bilstm, cnn, static): formulas, padding, and saving and loading."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification

from kd_core.models import cnn
from kd_core.models.bilstm import BiLSTMConfig, BiLSTMForSequenceClassification
from kd_core.models.cnn import CNNConfig, CNNForSequenceClassification, _near
from kd_core.models.static import StaticConfig, StaticForSequenceClassification

PAD = 0
COMMON = {"vocab_size": 40, "hidden_size": 6, "num_labels": 3, "pad_token_id": PAD}
BUILD: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, int]]] = {
    "bilstm": (BiLSTMForSequenceClassification, BiLSTMConfig, {"lstm_size": 5, "intermediate_size": 7}),
    "cnn": (CNNForSequenceClassification, CNNConfig, {"intermediate_size": 9}),
    "static": (StaticForSequenceClassification, StaticConfig, {"intermediate_size": 5}),
}


def build(kind: str, **sizes: object) -> Any:
    model, config, own = BUILD[kind]
    torch.manual_seed(0)
    return model(config(**{**COMMON, **own, **sizes})).eval()


def stirred(kind: str, **sizes: object) -> Any:
    """Build a network whose tables that start at zero have random weights."""
    model = build(kind, **sizes)
    for name in ("counted", "positions", "importance"):
        if isinstance(table := getattr(model, name, None), nn.Embedding):
            nn.init.normal_(table.weight)
    return model


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(1, 40, shape, generator=torch.Generator().manual_seed(1))


VARIANTS = [
    ("bilstm", {}),
    ("bilstm", {"num_hidden_layers": 2}),
    ("cnn", {}),
    ("cnn", {"mean": True, "pairs": 50, "positions": 9}),
    ("static", {}),
    ("static", {"pairs": 101}),
]


@pytest.mark.parametrize(("kind", "sizes"), VARIANTS)
@settings(deadline=None, max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
    seed=st.integers(0, 999),
)
def test_padding_never_changes_a_logit(
    kind: str, sizes: dict[str, Any], lengths: list[int], left: int, right: int, seed: int
) -> None:
    model = stirred(kind, **sizes)
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(1, 40, (length,), generator=generator) for length in lengths]
    ids = torch.full((len(rows), left + max(lengths) + right), 39)  # masked tokens need not be padding
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, left : left + len(row)] = row
        mask[i, left : left + len(row)] = 1
    padded = model(ids, attention_mask=mask).logits
    torch.testing.assert_close(padded, torch.cat([model(row[None]).logits for row in rows]))


@pytest.mark.parametrize("kind", BUILD)
def test_the_pad_token_is_padding_without_a_mask(kind: str) -> None:
    model, ids = stirred(kind), tokens(2, 5)
    padded = F.pad(ids, (0, 3), value=PAD)
    torch.testing.assert_close(model(padded).logits, model(ids).logits)
    assert model.embeddings.weight[PAD].abs().sum() == 0
    if kind != "static":
        model.config.pad_token_id = None
        everything = model(padded, attention_mask=torch.ones_like(padded)).logits
        torch.testing.assert_close(model(padded).logits, everything)
        assert not torch.allclose(everything, model(ids).logits)


@pytest.mark.parametrize(("kind", "counts"), [("bilstm", True), ("cnn", True), ("static", False)])
def test_order_of_words_and_of_rows(kind: str, counts: bool) -> None:
    model, ids = stirred(kind), tokens(4, 6)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(ids[order]).logits, model(ids).logits[order])
    assert torch.allclose(model(ids.flip(1)).logits, model(ids).logits, atol=1e-5) != counts
    if kind == "static":
        pairs = stirred("static", pairs=101)
        assert (pairs(ids.flip(1)).logits - pairs(ids).logits).abs().max() > 0.1


@pytest.mark.parametrize(("kind", "sizes"), VARIANTS)
def test_a_row_without_a_token_leaves_the_others_alone(kind: str, sizes: dict[str, Any]) -> None:
    model, ids = stirred(kind, **sizes), tokens(2, 4)
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 0, 0]])
    logits = model(ids, attention_mask=mask).logits
    torch.testing.assert_close(logits[:1], model(ids[:1]).logits)
    if kind == "cnn":
        torch.testing.assert_close(logits[1], model.classifier.bias)
    elif kind == "static":
        inner = torch.relu(model.intermediate.bias)
        torch.testing.assert_close(logits[1], model.classifier.weight @ inner + model.classifier.bias)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(("kind", "sizes"), VARIANTS)
def test_loss_reaches_every_weight_in_use(kind: str, sizes: dict[str, Any]) -> None:
    model, ids, labels = stirred(kind, **sizes), tokens(3, 6), torch.tensor([0, 2, 1])
    output = model(ids, labels=labels, token_type_ids=torch.ones_like(ids))
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, labels))
    output.loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    used = model.embeddings.weight.grad.abs().sum(dim=1) > 0
    assert set(used.nonzero().flatten().tolist()) == set(ids.flatten().tolist())
    _, logits = model(ids, labels=labels, return_dict=False)
    assert torch.equal(logits, model(ids).logits)
    assert model(ids).loss is None


@pytest.mark.parametrize(("kind", "sizes"), [*VARIANTS, ("cnn", {"widths": (1, 5), "intermediate_size": 8})])
def test_save_and_load(kind: str, sizes: dict[str, Any], tmp_path: Path) -> None:
    names = {0: "a", 1: "b", 2: "c"}
    model, ids = stirred(kind, id2label=names, **sizes), tokens(3, 6)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, use_safetensors=True, trust_remote_code=False
    ).eval()
    assert type(loaded) is type(model)
    assert torch.equal(loaded(ids).logits, model(ids).logits)
    config = AutoConfig.from_pretrained(tmp_path, trust_remote_code=False)
    assert (config.model_type, config.num_labels, config.id2label) == (f"kd_{kind}", 3, names)
    for name, value in sizes.items():
        assert getattr(config, name) == (list(value) if isinstance(value, tuple) else value)


def test_parameters_of_each_network() -> None:
    def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in model.named_parameters() if not name.startswith("lstm")}

    ends = {"embeddings.weight": (40, 6), "classifier.bias": (3,)}
    assert shapes(build("bilstm")) == ends | {
        "intermediate.weight": (7, 10),
        "intermediate.bias": (7,),
        "classifier.weight": (3, 7),
    }
    filters = {f"filters.{i}.weight": (3, 12 + 6 * i) for i in range(3)}
    biases = {f"filters.{i}.bias": (3,) for i in range(3)}
    assert shapes(build("cnn")) == ends | filters | biases | {"classifier.weight": (3, 9)}
    assert shapes(build("static")) == ends | {
        "importance.weight": (40, 1),
        "intermediate.weight": (5, 6),
        "intermediate.bias": (5,),
        "classifier.weight": (3, 5),
    }
    assert (
        AutoModelForSequenceClassification.from_config(BiLSTMConfig(vocab_size=10)).classifier.in_features
        == 200
    )
    hidden = build("bilstm", num_hidden_layers=2)(tokens(4, 9), output_hidden_states=True).hidden_states
    assert [tuple(h.shape) for h in hidden] == [(4, 9, 6), (4, 9, 10)]


# Formulas


def test_bilstm_by_lstm_cells() -> None:
    """Tang et al. 2019: both directions' last states, a layer with ReLU, and the classifier."""
    model, ids = build("bilstm"), tokens(1, 4)
    states = []
    for suffix, sequence in (("", ids), ("_reverse", ids.flip(1))):
        cell = nn.LSTMCell(6, 5)
        names = [f"{kind}_{gate}" for kind in ("weight", "bias") for gate in ("ih", "hh")]
        cell.load_state_dict({name: getattr(model.lstm, f"{name}_l0{suffix}") for name in names})
        h = c = torch.zeros(1, 5)
        for token in sequence[0]:
            h, c = cell(model.embeddings.weight[token].unsqueeze(0), (h, c))
        states.append(h)
    hidden = torch.relu(torch.cat(states, 1) @ model.intermediate.weight.T + model.intermediate.bias)
    expected = hidden @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(ids).logits, expected)


@pytest.mark.parametrize("mean", [False, True])
def test_cnn_by_convolutions(mean: bool) -> None:
    """Kim 2014, with PyTorch's convolution over the text between zeros."""
    model, ids = build("cnn", mean=mean), tokens(2, 7)
    words = model.embeddings.weight[ids].transpose(1, 2)
    strongest = [words.mean(dim=2)] if mean else []
    for width, filters in zip((2, 3, 4), model.filters, strict=True):
        kernel = filters.weight.view(3, width, 6).transpose(1, 2)
        around = F.pad(words, (width // 2, width - 1 - width // 2))
        strongest.append(torch.relu(F.conv1d(around, kernel, filters.bias)).amax(dim=2))
    expected = torch.cat(strongest, 1) @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(ids).logits, expected)


def test_counted_pieces_and_pairs_by_hand() -> None:
    """(3, 5, 3) adds the rows of its pieces and of the pairs (3, 5) and (5, 3), over the root of five."""
    plain, model = build("cnn"), build("cnn", pairs=101)
    model.load_state_dict(plain.state_dict(), strict=False)
    ids = torch.tensor([[3, 5, 3]])
    torch.testing.assert_close(model(ids).logits, plain(ids).logits)  # the table starts at zero
    with torch.no_grad():
        table = model.counted.weight.normal_()
    found = 2 * table[3] + table[5] + table[(3 * 1_000_003 + 5) % 101] + table[(5 * 1_000_003 + 3) % 101]
    torch.testing.assert_close(model(ids).logits[0], plain(ids).logits[0] + 8 * found / 5**0.5)


def test_static_by_hand() -> None:
    """With importances 1 and 0, the weighted mean takes e / (1 + e) of the first word."""
    model = stirred("static")
    model.importance.weight.data[[3, 5]] = torch.tensor([[1.0], [0.0]])
    share = torch.e / (1 + torch.e)
    mean = share * model.embeddings.weight[3] + (1 - share) * model.embeddings.weight[5]
    hidden = torch.relu(model.intermediate.weight @ mean + model.intermediate.bias)
    expected = model.classifier.weight @ hidden + model.classifier.bias
    torch.testing.assert_close(model(torch.tensor([[3, 5]])).logits[0], expected)


def test_positions_of_a_cnn() -> None:
    """Places are 2^(k / 2): 1, 1.41, 2, 2.83, 4 and beyond. A token between two places shares both."""
    mask = torch.tensor([[False, True, True, True, True, True]]).unsqueeze(-1)
    step = 2 * math.log2(3) - 3
    expected = [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1 - step, step], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]
    torch.testing.assert_close(_near(mask, 5)[0, 1:], torch.tensor(expected))
    model, others = build("cnn", positions=9), [5] * 20
    early, late = torch.tensor([[*others[:5], 7, 8, *others]]), torch.tensor([[*others, 7, 8, *others[:5]]])
    torch.testing.assert_close(model(early).logits, model(late).logits)
    nn.init.normal_(model.positions.weight, std=4)
    assert not torch.allclose(model(early).logits, model(late).logits, atol=0.1)


# Initial weights and precision


def test_initial_weights() -> None:
    model = build("bilstm", vocab_size=5000)
    assert model.embeddings.weight[1:].std().item() == pytest.approx(0.1, rel=0.05)  # initializer_range
    again = build("bilstm", vocab_size=5000)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    for width, filters in zip(
        (2, 3, 4), build("cnn", hidden_size=64, intermediate_size=384).filters, strict=True
    ):
        bound = (width * 64) ** -0.5  # uniform, as PyTorch's linear layer
        assert filters.weight.abs().max() <= bound
        assert filters.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    static = build("static", pairs=101)
    assert static.importance.weight.count_nonzero() == static.counted.weight.count_nonzero() == 0
    assert static.embeddings.weight.std() > 0.2


def test_dropout_and_replaced_embeddings_of_a_bilstm() -> None:
    model, ids = build("bilstm", dropout=0.5), tokens(8, 6)
    assert torch.equal(model(ids).logits, model(ids).logits)
    model.train()
    assert not torch.equal(model(ids).logits, model(ids).logits)
    other = nn.Embedding(11, 6)
    model.set_input_embeddings(other)
    assert model.get_input_embeddings() is other
    assert model(torch.tensor([[10, 3]])).logits.shape == (1, 3)


def test_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("bilstm", num_hidden_layers=2)
    ids, mask = tokens(3, 6), torch.tensor([[1] * 6, [1] * 2 + [0] * 4, [1] * 4 + [0] * 2])
    exact = model(ids, attention_mask=mask).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(ids, attention_mask=mask, labels=torch.tensor([0, 1, 2]))
    output.loss.backward()
    torch.testing.assert_close(output.logits.float(), exact, atol=0.02, rtol=0.05)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())

    model, ids = build("cnn", mean=True, positions=4), tokens(4, 9)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        once = model(ids).logits  # pieces are rounded once instead of in each window
        monkeypatch.setattr(cnn, "_as_multiplied", lambda embedded: embedded)
        assert torch.equal(once, model(ids).logits)
    monkeypatch.undo()
    with torch.inference_mode():
        assert not torch.equal(once, model(ids).logits)
