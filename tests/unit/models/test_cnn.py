"""The convolutional student: what the filters compute, padding, and saving and loading."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForSequenceClassification

from kd_core.models import cnn
from kd_core.models.cnn import CNNConfig, CNNForSequenceClassification, _near

PAD = 0


def build(**sizes: object) -> CNNForSequenceClassification:
    torch.manual_seed(0)
    config = CNNConfig(
        **{
            "vocab_size": 40,
            "hidden_size": 6,
            "intermediate_size": 9,
            "num_labels": 3,
            "pad_token_id": PAD,
            **sizes,
        }
    )
    return CNNForSequenceClassification(config).eval()


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(1, 40, shape, generator=torch.Generator().manual_seed(1))


def test_sizes_of_layers_and_outputs() -> None:
    model = build()
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "embeddings.weight": (40, 6),
        "filters.0.weight": (3, 12),
        "filters.0.bias": (3,),
        "filters.1.weight": (3, 18),
        "filters.1.bias": (3,),
        "filters.2.weight": (3, 24),
        "filters.2.bias": (3,),
        "classifier.weight": (3, 9),
        "classifier.bias": (3,),
    }
    output = model(tokens(4, 7))
    assert output.logits.shape == (4, 3)
    assert output.loss is None


@pytest.mark.parametrize("mean", [False, True])
def test_logits_by_convolutions(mean: bool) -> None:
    """Kim's formula with PyTorch's own convolution over the text between zeros."""
    model, ids = build(mean=mean), tokens(2, 7)
    words = model.embeddings.weight[ids].transpose(1, 2)
    strongest = [words.mean(dim=2)] if mean else []
    for width, filters in zip((2, 3, 4), model.filters, strict=True):
        kernel = filters.weight.view(3, width, 6).transpose(1, 2)
        around = F.pad(words, (width // 2, width - 1 - width // 2))
        strongest.append(torch.relu(F.conv1d(around, kernel, filters.bias)).amax(dim=2))
    expected = torch.cat(strongest, 1) @ model.classifier.weight.T + model.classifier.bias
    torch.testing.assert_close(model(ids).logits, expected)


def test_pieces_and_pairs_of_neighbours_are_added() -> None:
    """By hand: of (3, 5, 3) the rows of 3, 5, 3 and of the pairs (3, 5) and (5, 3), over the root of five."""
    plain, model = build(), build(pairs=101)
    model.load_state_dict(plain.state_dict(), strict=False)
    ids = torch.tensor([[3, 5, 3]])
    torch.testing.assert_close(model(ids).logits, plain(ids).logits)  # it begins with nothing
    with torch.no_grad():
        table = model.counted.weight.normal_()
    found = 2 * table[3] + table[5] + table[(3 * 1_000_003 + 5) % 101] + table[(5 * 1_000_003 + 3) % 101]
    torch.testing.assert_close(model(ids).logits[0], plain(ids).logits[0] + 8 * found / 5**0.5)


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5),
    left=st.integers(0, 3),
    right=st.integers(0, 3),
    seed=st.integers(0, 999),
    mean=st.booleans(),
    pairs=st.sampled_from([0, 50]),
    positions=st.sampled_from([0, 9]),
)
def test_padding_on_either_side_never_changes_a_logit(
    lengths: list[int], left: int, right: int, seed: int, mean: bool, pairs: int, positions: int
) -> None:
    model = build(mean=mean, pairs=pairs, positions=positions)
    for table in filter(None, (model.counted, model.positions)):
        torch.nn.init.normal_(table.weight)
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(1, 40, (length,), generator=generator) for length in lengths]
    longest = max(lengths)
    # What stands under the mask must not matter, so it is not the pad token.
    ids = torch.full((len(rows), left + longest + right), 39)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, left : left + len(row)] = row
        mask[i, left : left + len(row)] = 1
    padded = model(ids, attention_mask=mask).logits
    for i, row in enumerate(rows):
        torch.testing.assert_close(padded[i], model(row.unsqueeze(0)).logits[0])


def test_without_a_mask_the_pad_token_is_padding() -> None:
    model, ids = build(), tokens(2, 5)
    torch.testing.assert_close(model(F.pad(ids, (0, 3), value=PAD)).logits, model(ids).logits)
    model.config.pad_token_id = None
    assert torch.isfinite(model(F.pad(ids, (0, 3), value=PAD)).logits).all()


def test_between_two_places_a_piece_has_something_of_both() -> None:
    """Places are 2^(k / 2): 1, 1.41, 2, 2.83, 4, and all after; the third piece is 0.17 past the fourth."""
    mask = torch.tensor([[False, True, True, True, True, True]]).unsqueeze(-1)
    step = 2 * math.log2(3) - 3
    expected = [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1 - step, step], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]
    (
        torch.testing.assert_close(_near(mask, 5)[0, 1:], torch.tensor(expected)),
        "from the last place on, as there",
    )


def test_where_in_a_text_words_stand_counts_once_that_was_learned() -> None:
    """The filters alone find two words between many others wherever they are."""
    model, others = build(positions=9), [5] * 20
    early, late = (
        torch.tensor([[*before, 7, 8, *after]])
        for before, after in ((others[:5], others), (others, others[:5]))
    )
    torch.testing.assert_close(model(early).logits, model(late).logits)
    torch.nn.init.normal_(model.positions.weight, std=4)
    assert not torch.allclose(model(early).logits, model(late).logits, atol=0.1)


def test_the_order_of_words_counts() -> None:
    model, ids = build(), tokens(1, 6)
    assert not torch.allclose(model(ids).logits, model(ids.flip(1)).logits)


@pytest.mark.parametrize("mean", [False, True])
def test_a_row_without_a_token_has_the_bias_alone(mean: bool) -> None:
    model, ids = build(mean=mean, pairs=50), tokens(1, 4)
    torch.nn.init.normal_(model.counted.weight)
    logits = model(ids, attention_mask=torch.zeros_like(ids)).logits
    torch.testing.assert_close(logits[0], model.classifier.bias)


def test_loss_and_tuple() -> None:
    model, ids, labels = build(), tokens(2, 4), torch.tensor([0, 2])
    loss, logits = model(ids, labels=labels, return_dict=False)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))


def test_save_and_load(tmp_path: Path) -> None:
    model, ids = build(widths=(1, 5), intermediate_size=8, mean=True, pairs=50), tokens(2, 4)
    torch.nn.init.normal_(model.counted.weight)
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).widths == [1, 5]
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_filter_starts_by_the_number_of_its_inputs(width: int) -> None:
    """As PyTorch's own linear layer: uniform within 1 / sqrt(inputs)."""
    weights = build(hidden_size=64, intermediate_size=384).filters[width - 2].weight.detach()
    bound = (width * 64) ** -0.5
    assert weights.abs().max() <= bound
    assert weights.std() == pytest.approx(bound / 3**0.5, rel=0.05)


def test_a_piece_that_is_rounded_once_is_rounded_as_in_each_window(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pieces = build(mean=True, positions=4), tokens(4, 9)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        once = model(pieces).logits
        monkeypatch.setattr(cnn, "_as_multiplied", lambda embedded: embedded)
        assert torch.equal(once, model(pieces).logits)
    monkeypatch.undo()
    with torch.inference_mode():
        assert not torch.equal(once, model(pieces).logits), "without autocast nothing is rounded"
