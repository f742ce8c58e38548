"""Losses against numbers computed by hand, scipy, identities and numerical gradients."""

from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr, softmax
from scipy.stats import entropy
from torch import Tensor

from kd_core.distillation.training.losses import (
    attention_loss,
    cosine_loss,
    hard_loss,
    hidden_loss,
    layer_map,
    objective,
    relation_loss,
    soft_loss,
)
from kd_core.errors import ModelError
from tests.unit.distillation.training.tensors import gradient, randn


def doubles(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


UNLIKE = log(2) / 2 + log(2 / 3) / 2  # KL of (1/2, 1/2) to (1/4, 3/4)
# Probabilities (1/4, 3/4) in two classes, so -log p is log 4 or log 4/3.
QUARTERS = [0.0, log(3)]


@pytest.mark.parametrize(
    ("labels", "weights", "expected"),
    [
        ([0], None, log(4)),
        ([0, 1], None, (log(4) + log(4 / 3)) / 2),
        ([1, -100, -100], None, log(4 / 3)),
        ([0, 1, 1, -100], [2.0, 0.5], (2 * log(4) + 2 * 0.5 * log(4 / 3)) / 3),
        ([-100, -100], None, 0.0),
    ],
)
def test_hard_loss_by_hand(labels: list[int], weights: list[float] | None, expected: float) -> None:
    logits, targets = doubles([QUARTERS] * len(labels)), torch.tensor(labels)
    scale = None if weights is None else doubles(weights)
    assert hard_loss(logits, targets, scale).item() == pytest.approx(expected)
    # d/dz of a labelled row: weight (p - onehot) / labelled rows.
    rows = max(1, sum(label >= 0 for label in labels))
    slopes = []
    for label in labels:
        weight = 0.0 if label < 0 else (weights or [1.0, 1.0])[label] / rows
        slopes.append([weight * (0.25 - (label == 0)), weight * (0.75 - (label == 1))])
    found = gradient(lambda z: hard_loss(z, targets, scale), logits)
    torch.testing.assert_close(found, doubles(slopes))


def test_hard_loss_is_float32_under_autocast() -> None:
    logits, labels = randn(4, 3).bfloat16(), torch.tensor([0, 1, 2, -100])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = hard_loss(logits, labels)
    assert found.dtype == torch.float32
    assert torch.equal(found, hard_loss(logits.float(), labels))


SOFT = log(1 / 2) / 4 + 3 * log(3 / 2) / 4  # KL of (1/4, 3/4) to (1/2, 1/2)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("forward_kl", {}, 4 * SOFT / 2),
        ("forward_kl", {"t_squared": False}, SOFT / 2),
        ("logit_mse", {}, (2 * log(3)) ** 2 / 2),  # it has no temperature
        ("logit_mse", {"t_squared": False}, (2 * log(3)) ** 2 / 2),
    ],
)
def test_soft_loss_by_hand(name: str, options: dict[str, bool], expected: float) -> None:
    """The first row's outputs differ by T log 3 in one class; the second row's are equal."""
    student, teacher = doubles([[0, 0], [1, 5]]), doubles([[0, 2 * log(3)], [1, 5]])
    found = soft_loss(student, teacher, divergence=name, temperature=2.0, **options)
    assert found.item() == pytest.approx(expected)


def test_soft_loss_takes_the_teachers_class_where_there_is_no_label() -> None:
    student, teacher = randn(3, 4), randn(3, 4, seed=1)

    def dkd(labels: Tensor | None) -> float:
        return soft_loss(student, teacher, divergence="dkd", temperature=2.0, labels=labels).item()

    classes = teacher.argmax(-1)
    other, none = (classes + 1) % 4, torch.full((3,), -100)
    first = torch.tensor([True, False, False])
    assert dkd(None) == dkd(none) == dkd(classes)
    assert dkd(torch.where(first, other, none)) == dkd(torch.where(first, other, classes)) != dkd(classes)


@pytest.mark.parametrize("other", [0.1, float("inf"), float("nan")])
def test_objective_weighs_labels_with_alpha_and_is_one_loss_at_its_ends(other: float) -> None:
    one = torch.tensor(0.1234567)
    assert objective(torch.tensor(2.0), torch.tensor(10.0), 0.25).item() == 0.25 * 2 + 0.75 * 10
    assert torch.equal(objective(one, torch.tensor(other), 1.0), one)
    assert torch.equal(objective(torch.tensor(other), one, 0.0), one)


MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])


def attention(*shape: int, seed: int = 0) -> Tensor:
    """Random attention in which padded keys have probability 0, as models give it."""
    return randn(*shape, seed=seed).masked_fill(~MASK.bool()[:, None, None], -torch.inf).softmax(-1)


TERMS: dict[str, tuple[Callable[[Tensor, Tensor, Tensor], Tensor], Tensor, Tensor]] = {
    "hidden": (hidden_loss, randn(3, 4, 5), randn(3, 4, 5, seed=1)),
    "cosine": (cosine_loss, randn(3, 4, 5), randn(3, 4, 5, seed=1)),
    "attention": (attention_loss, attention(3, 2, 4, 4), attention(3, 2, 4, 4, seed=1)),
    "attention, other heads": (attention_loss, attention(3, 2, 4, 4), attention(3, 3, 4, 4, seed=1)),
    "relation": (relation_loss, randn(3, 2, 4, 3), randn(3, 2, 4, 6, seed=1)),
    "relation, other heads": (relation_loss, randn(3, 4, 4, 3), randn(3, 6, 4, 2, seed=1)),
}
each_term = pytest.mark.parametrize(("term", "student", "teacher"), TERMS.values(), ids=TERMS.keys())


def spoil_padding(values: Tensor, term: Any, garbage: float) -> Tensor:
    spoiled, padded = values.clone(), MASK == 0
    by_token = spoiled if term in (hidden_loss, cosine_loss) else spoiled.transpose(1, 2)
    by_token[padded] = garbage
    if term is attention_loss:
        spoiled.permute(0, 3, 1, 2)[padded] = garbage  # the columns of padded keys
    return spoiled


@each_term
@pytest.mark.parametrize("garbage", [1e6, float("nan"), float("inf")])
def test_padding_never_contributes(term: Any, student: Tensor, teacher: Tensor, garbage: float) -> None:
    dirty_student, dirty_teacher = (spoil_padding(x, term, garbage) for x in (student, teacher))
    assert torch.equal(term(dirty_student, dirty_teacher, MASK), term(student, teacher, MASK))
    clean = gradient(lambda x: term(x, teacher, MASK), student)
    found = gradient(lambda x: term(x, dirty_teacher, MASK), dirty_student)
    assert torch.equal(found, clean)
    assert torch.equal(found, spoil_padding(found, term, 0.0)), "padding has a gradient"
    assert torch.count_nonzero(found) > 0


@each_term
def test_terms_are_means_over_tokens(term: Any, student: Tensor, teacher: Tensor) -> None:
    per_text = [term(student[i : i + 1], teacher[i : i + 1], MASK[i : i + 1]).item() for i in range(3)]
    assert term(student, teacher, MASK).item() == pytest.approx(np.average(per_text, weights=[4, 2, 3]))
    assert torch.equal(term(student, teacher, MASK.bool()), term(student, teacher, MASK))
    # A text of two tokens gives the same without its padding.
    cut = {hidden_loss: np.s_[1:2, :2], cosine_loss: np.s_[1:2, :2], attention_loss: np.s_[1:2, :, :2, :2]}
    short = cut.get(term, np.s_[1:2, :, :2])
    assert term(student[short], teacher[short], MASK[1:2, :2]).item() == pytest.approx(per_text[1])


@each_term
def test_terms_pass_gradcheck(term: Any, student: Tensor, teacher: Tensor) -> None:
    if term is attention_loss:  # through a softmax: numerical steps would leave the floor at padded keys
        logits = randn(*student.shape, seed=2).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: term(x.softmax(-1), teacher, MASK), logits)
    else:
        student = student.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: term(x, teacher, MASK), student)


@each_term
def test_terms_are_zero_for_equal_models_and_float32_under_autocast(
    term: Any, student: Tensor, teacher: Tensor
) -> None:
    assert term(student, student, MASK).item() == pytest.approx(0.0, abs=1e-12)
    assert term(student, teacher, MASK).item() > 1e-3
    student, teacher = student.bfloat16(), teacher.bfloat16()
    plain = term(student.float(), teacher.float(), MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = term(student, teacher, MASK)
    assert found.dtype == torch.float32
    assert torch.equal(found, plain)


@pytest.mark.parametrize(
    ("term", "student", "teacher", "expected"),
    [
        (hidden_loss, [[1, 2], [0, 0], [9, 9]], [[3, 2], [1, 1], [0, 0]], (4 + 0 + 1 + 1) / (2 * 2)),
        # Cosines 0 and -3/5.
        (cosine_loss, [[1, 0], [3, 4], [1, 1]], [[0, 5], [-1, 0], [0, 1]], (1 + 1.6) / 2),
    ],
)
def test_hidden_states_by_hand(term: Any, student: list, teacher: list, expected: float) -> None:
    """The third token is padding."""
    found = term(doubles([student]), doubles([teacher]), torch.tensor([[1, 1, 0]]))
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ([[1 / 4, 3 / 4], [1 / 2, 1 / 2]], [[1 / 2, 1 / 2], [1, 0]], (UNLIKE + log(2)) / 4),
        # Where the number of heads differs, they are averaged.
        ([[1 / 4, 3 / 4]], [[1, 0], [0, 1]], UNLIKE / 2),
        ([[1, 0], [0, 1]], [[1 / 2, 1 / 2]], 0.0),
    ],
)
def test_attention_loss_by_hand(student: list, teacher: list, expected: float) -> None:
    """Each head's first query is given; the second one is alike in both models."""
    heads = [doubles([[[query, [1 / 2, 1 / 2]] for query in model]]) for model in (student, teacher)]
    assert attention_loss(*heads, torch.ones(1, 2)).item() == pytest.approx(expected, abs=1e-12)


def test_terms_stay_finite_at_zero() -> None:
    ones, even = torch.ones(1, 2), torch.tensor([[[[0.5, 0.5]] * 2]])
    student, teacher = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]]), torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    assert attention_loss(student, teacher, ones).item() == pytest.approx(30 * log(10))
    assert torch.isfinite(gradient(lambda x: attention_loss(x, teacher, ones), student)).all()
    zeros = torch.zeros(1, 2, 3)
    assert torch.isfinite(gradient(lambda x: cosine_loss(x, torch.ones(1, 2, 3), ones), zeros)).all()
    # At a softmax the gradient is p_s - p_t, also where p_s is far below float32's epsilon.
    logits = torch.tensor([[[[0.0, -60.0]] * 2]])
    found = gradient(lambda x: attention_loss(x.softmax(-1), even, ones), logits)
    torch.testing.assert_close(found, torch.tensor([[[[0.25, -0.25]] * 2]]))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (hidden_loss, r"hidden states .*; project the student's to the teacher's width$"),
        (cosine_loss, r"hidden states .*; project the student's to the teacher's width$"),
        (
            lambda s, t, _: soft_loss(s, t, divergence="forward_kl", temperature=1.0),
            r"logits have shape \(2, 3, 4\) and the teacher's \(2, 3, 1\); both need the same texts and",
        ),
    ],
)
def test_other_shapes_are_refused(loss: Any, message: str) -> None:
    with pytest.raises(ModelError, match=f"^the student's {message}"):
        loss(torch.zeros(2, 3, 4), torch.zeros(2, 3, 1), torch.ones(2, 3))


def test_relation_loss_scales_by_each_models_own_width() -> None:
    """The scores V V^T / sqrt(dh) of the first token are 2 in both models: 2 / sqrt(1) and 4 / sqrt(4)."""
    student = doubles([[[[2**0.5], [0.0]]]])
    teacher = doubles([[[[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]]]])
    # Query 1: softmax(2, 0) in both. Query 2: (0, 0) for the student, (0, 2) for the teacher.
    p = np.e**2 / (np.e**2 + 1)
    expected = (log(2) - entropy([p, 1 - p])) / 2
    assert relation_loss(student, teacher, torch.ones(1, 2)).item() == pytest.approx(expected)


def test_relation_loss_regroups_heads_to_their_common_divisor() -> None:
    """4 and 6 heads become 2: relation head 1 is the concatenation of heads 1, 2 and of heads 1, 2, 3."""
    student, teacher = randn(1, 4, 3, 3), randn(1, 6, 3, 2, seed=1)

    def relation(heads: Tensor) -> np.ndarray:
        joined = np.concatenate(heads.numpy(), axis=-1)  # (tokens, 6)
        return softmax(joined @ joined.T / 6**0.5, axis=-1)

    kl = [
        rel_entr(relation(teacher[0, :3]), relation(student[0, :2])).sum(-1),
        rel_entr(relation(teacher[0, 3:]), relation(student[0, 2:])).sum(-1),
    ]
    assert relation_loss(student, teacher, torch.ones(1, 3)).item() == pytest.approx(np.mean(kl))


@pytest.mark.parametrize("name", ["attention", "relation"])
def test_terms_are_means_over_heads(name: str) -> None:
    term, student, teacher = TERMS[name]
    by_head = [term(student[:, i : i + 1], teacher[:, i : i + 1], MASK).item() for i in range(2)]
    assert term(student, teacher, MASK).item() == pytest.approx(np.mean(by_head))


def test_layer_map_examples() -> None:
    assert [layer_map(2, 6), layer_map(3, 6), layer_map(1, 12)] == [[2, 5], [1, 3, 5], [11]]
    assert [layer_map(4, 6), layer_map(4, 2)] == [[1, 2, 4, 5], [0, 0, 1, 1]]
    assert layer_map(5, 12) == [2, 4, 7, 9, 11]


@given(st.integers(1, 48), st.integers(1, 48))
def test_layer_map_is_evenly_spaced_and_ends_at_the_last(student: int, teacher: int) -> None:
    layers = layer_map(student, teacher)
    assert len(layers) == student
    assert layers[-1] == teacher - 1
    gaps = np.diff([-1, *layers])
    assert gaps.min() >= 0
    assert gaps.max() - gaps.min() <= 1
