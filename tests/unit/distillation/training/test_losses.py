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
)
from kd_core.errors import ModelError
from tests.unit.distillation.training.tensors import gradient, randn

# --- hard loss and objective ------------------------------------------------------------------------


def test_the_hard_loss_weighs_a_row_by_its_class():
    """Two classes at logits (0, log 3): probabilities 1/4 and 3/4. Weights 2 and 0.5, three labelled rows."""
    logits = torch.tensor([[0.0, log(3)]] * 4, dtype=torch.float64)
    labels, weights = torch.tensor([0, 1, 1, -100]), torch.tensor([2.0, 0.5], dtype=torch.float64)
    by_hand = (2 * log(4) + 2 * 0.5 * log(4 / 3)) / 3
    assert float(hard_loss(logits, labels, weights)) == pytest.approx(by_hand)
    # d/dz of a row: weight (p - onehot) / rows.
    slope = gradient(lambda z: hard_loss(z, labels, weights), logits)
    expected = [[-2 * 0.75 / 3, 2 * 0.75 / 3], *[[0.5 * 0.25 / 3, -0.5 * 0.25 / 3]] * 2, [0, 0]]
    assert slope.tolist() == [pytest.approx(row) for row in expected]


def test_hard_loss_by_hand() -> None:
    logits = torch.tensor([[1 / 2, 1 / 4, 1 / 4], [1 / 8, 1 / 8, 3 / 4]]).log()
    # -log 1/4 and -log 3/4
    assert hard_loss(logits, torch.tensor([1, 2])).item() == pytest.approx((log(4) + log(4 / 3)) / 2)


def test_hard_loss_is_the_mean_over_labelled_rows_only() -> None:
    logits = randn(4, 3).float()
    some = hard_loss(logits, torch.tensor([2, -100, 0, -100]))
    assert some.item() == pytest.approx(hard_loss(logits[[0, 2]], torch.tensor([2, 0])).item())
    grad = gradient(lambda x: hard_loss(x, torch.tensor([2, -100, 0, -100])), logits)
    assert torch.count_nonzero(grad[[1, 3]]) == 0
    assert torch.count_nonzero(grad[[0, 2]]) == 6


def test_hard_loss_without_labels_is_zero_with_a_graph() -> None:
    logits = randn(3, 2).float().requires_grad_()
    loss = hard_loss(logits, torch.full((3,), -100))
    assert loss.item() == 0.0
    loss.backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad, torch.zeros(3, 2))


def test_objective_weighs_the_labels_with_alpha() -> None:
    assert objective(torch.tensor(2.0), torch.tensor(10.0), 0.25).item() == 0.25 * 2 + 0.75 * 10


@pytest.mark.parametrize("other", [0.1, float("inf"), float("nan")])
def test_objective_at_the_ends_is_one_loss_bit_for_bit(other: float) -> None:
    one = torch.tensor(0.1234567)
    assert torch.equal(objective(one, torch.tensor(other), 1.0), one)
    assert torch.equal(objective(torch.tensor(other), one, 0.0), one)


def test_hard_loss_is_float32_even_under_autocast() -> None:
    logits, labels = randn(4, 3).bfloat16(), torch.tensor([0, 1, 2, -100])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = hard_loss(logits, labels)
    assert autocast.dtype == torch.float32
    assert torch.equal(autocast, hard_loss(logits.float(), labels))


# --- intermediate terms -----------------------------------------------------------------------------

MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]])


def attention(*shape: int, seed: int = 0) -> Tensor:
    """Random attention, as models give it: padded keys have probability 0."""
    batch, _, length, _ = shape
    mask = MASK[:batch, :length].bool()[:, None, None]
    return randn(*shape, seed=seed).masked_fill(~mask, -torch.inf).softmax(-1)


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
    spoiled = values.clone()
    padded = MASK == 0
    if term in (hidden_loss, cosine_loss):
        spoiled[padded] = garbage
    else:
        spoiled.transpose(1, 2)[padded] = garbage  # values, or rows of attention
    if term is attention_loss:
        spoiled.permute(0, 3, 1, 2)[padded] = garbage  # columns of attention
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
def test_more_padding_changes_nothing(term: Any, student: Tensor, teacher: Tensor) -> None:
    """A text of two tokens is worth the same alone and beside a longer one."""
    if term in (hidden_loss, cosine_loss):
        short_student, short_teacher = student[1:2, :2], teacher[1:2, :2]
    elif term is attention_loss:
        short_student, short_teacher = student[1:2, :, :2, :2], teacher[1:2, :, :2, :2]
    else:
        short_student, short_teacher = student[1:2, :, :2], teacher[1:2, :, :2]
    short = term(short_student, short_teacher, MASK[1:2, :2])
    assert term(student[1:2], teacher[1:2], MASK[1:2]).item() == pytest.approx(short.item())


@each_term
def test_terms_average_over_tokens_not_texts(term: Any, student: Tensor, teacher: Tensor) -> None:
    per_text = [term(student[i : i + 1], teacher[i : i + 1], MASK[i : i + 1]).item() for i in range(3)]
    expected = np.average(per_text, weights=[4, 2, 3])
    assert term(student, teacher, MASK).item() == pytest.approx(expected)


@each_term
def test_terms_pass_gradcheck(term: Any, student: Tensor, teacher: Tensor) -> None:
    if term is attention_loss:  # through a softmax: numerical steps would leave the floor at padded keys
        logits = randn(*student.shape, seed=2).requires_grad_()
        assert torch.autograd.gradcheck(lambda x: term(x.softmax(-1), teacher, MASK), logits)
    else:
        student = student.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: term(x, teacher, MASK), student)


@each_term
def test_terms_are_zero_for_equal_models_and_positive_otherwise(
    term: Any, student: Tensor, teacher: Tensor
) -> None:
    assert term(student, student, MASK).item() == pytest.approx(0.0, abs=1e-12)
    assert term(student, teacher, MASK).item() > 1e-3


@each_term
def test_terms_are_float32_even_under_autocast(term: Any, student: Tensor, teacher: Tensor) -> None:
    student, teacher = student.bfloat16(), teacher.bfloat16()
    plain = term(student.float(), teacher.float(), MASK)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = term(student, teacher, MASK)
    assert autocast.dtype == torch.float32
    assert torch.equal(autocast, plain)


@each_term
def test_masks_may_be_bool(term: Any, student: Tensor, teacher: Tensor) -> None:
    assert torch.equal(term(student, teacher, MASK.bool()), term(student, teacher, MASK))


def test_hidden_loss_by_hand() -> None:
    student = torch.tensor([[[1.0, 2.0], [0.0, 0.0], [9.0, 9.0]]])
    teacher = torch.tensor([[[3.0, 2.0], [1.0, 1.0], [0.0, 0.0]]])
    # (4 + 0 + 1 + 1) / (2 tokens * width 2)
    assert hidden_loss(student, teacher, torch.tensor([[1, 1, 0]])).item() == 1.5


def test_cosine_loss_by_hand() -> None:
    student = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [3.0, 4.0], [1.0, 1.0]]])
    teacher = torch.tensor([[[0.0, 5.0], [-1.0, 0.0], [3.0, 0.0], [0.0, 1.0]]])
    # cosines 0, -1 and 3/5
    loss = cosine_loss(student, teacher, torch.tensor([[1, 1, 1, 0]]))
    assert loss.item() == pytest.approx((1 + 2 + 0.4) / 3)


def test_cosine_of_a_zero_vector_has_a_finite_gradient() -> None:
    found = gradient(lambda x: cosine_loss(x, torch.ones(1, 2, 3), torch.ones(1, 2)), torch.zeros(1, 2, 3))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("term", [hidden_loss, cosine_loss])
def test_hidden_states_of_other_widths_are_refused(term: Any) -> None:
    message = (
        r"^the student's hidden states have shape \(2, 3, 4\) and the teacher's \(2, 3, 1\); "
        "project the student's to the teacher's width$"
    )
    with pytest.raises(ModelError, match=message):
        term(torch.zeros(2, 3, 4), torch.zeros(2, 3, 1), torch.ones(2, 3))


def test_attention_loss_by_hand() -> None:
    # One text, two heads; the second of the two queries is the same in both models.
    student = torch.tensor([[[[1 / 4, 3 / 4], [0.5, 0.5]], [[1 / 2, 1 / 2], [0.5, 0.5]]]])
    teacher = torch.tensor([[[[1 / 2, 1 / 2], [0.5, 0.5]], [[1.0, 0.0], [0.5, 0.5]]]])
    # head 1: 1/2 log 2 + 1/2 log 2/3; head 2: log 2; mean over 2 heads and 2 queries
    expected = (log(2) / 2 + log(2 / 3) / 2 + log(2)) / 4
    assert attention_loss(student, teacher, torch.ones(1, 2)).item() == pytest.approx(expected)


def test_attention_loss_averages_heads_where_their_number_differs() -> None:
    student = torch.tensor([[[[1 / 4, 3 / 4], [0.5, 0.5]]]])
    teacher = torch.tensor([[[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]])
    # The teacher's mean is (1/2, 1/2), so query 1 gives 1/2 log 2 + 1/2 log 2/3 and query 2 nothing.
    expected = (log(2) / 2 + log(2 / 3) / 2) / 2
    assert attention_loss(student, teacher, torch.ones(1, 2)).item() == pytest.approx(expected)


def test_attention_of_exactly_zero_stays_finite() -> None:
    student = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    teacher = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    assert torch.isfinite(attention_loss(student, teacher, torch.ones(1, 2)))
    found = gradient(lambda x: attention_loss(x, teacher, torch.ones(1, 2)), student)
    assert torch.isfinite(found).all()


def test_attention_gradient_is_exact_for_very_unlikely_keys() -> None:
    """At a softmax the gradient of KL(t || s) is p_s - p_t, also where p_s is far below float32's epsilon."""
    logits = torch.tensor([[[[0.0, -60.0], [0.0, -60.0]]]])
    teacher = torch.tensor([[[[0.5, 0.5], [0.5, 0.5]]]])
    found = gradient(lambda x: attention_loss(x.softmax(-1), teacher, torch.ones(1, 2)), logits)
    torch.testing.assert_close(found, torch.tensor([[[[0.25, -0.25], [0.25, -0.25]]]]))


def test_relation_loss_by_hand() -> None:
    # Width 4, so scores are V V^T / 2. Teacher: [[2, 0], [0, 2]] / 2; student: all 0, so (1/2, 1/2).
    teacher = torch.zeros(1, 1, 2, 4, dtype=torch.float64)
    teacher[0, 0, 0, :2] = teacher[0, 0, 1, 2:] = 1.0
    p = np.e / (np.e + 1)  # softmax of (1, 0)
    expected = log(2) - entropy([p, 1 - p])  # KL to the uniform distribution
    loss = relation_loss(torch.zeros(1, 1, 2, 4, dtype=torch.float64), teacher, torch.ones(1, 2))
    assert loss.item() == pytest.approx(expected)


def test_relation_loss_scales_by_each_models_own_width() -> None:
    # V V^T / sqrt(dh): 2 * 1 / sqrt(1) and 4 * 1 / sqrt(4), with an orthogonal second token.
    student = torch.tensor([[[[2**0.5], [0.0]]]], dtype=torch.float64)
    teacher = torch.tensor([[[[1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0]]]], dtype=torch.float64)
    first = relation_loss(student[:, :, :1], teacher[:, :, :1], torch.ones(1, 1))
    assert first.item() == pytest.approx(0.0, abs=1e-12)
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
def test_terms_average_over_heads(name: str) -> None:
    term, student, teacher = TERMS[name]
    by_head = [term(student[:, i : i + 1], teacher[:, i : i + 1], MASK).item() for i in range(2)]
    assert term(student, teacher, MASK).item() == pytest.approx(np.mean(by_head))


# --- layer map --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (2, 6, [2, 5]),
        (3, 6, [1, 3, 5]),
        (6, 6, [0, 1, 2, 3, 4, 5]),
        (1, 12, [11]),
        (4, 12, [2, 5, 8, 11]),
        (4, 6, [1, 2, 4, 5]),
        (5, 12, [2, 4, 7, 9, 11]),
        (4, 2, [0, 0, 1, 1]),
    ],
)
def test_layer_map_examples(student: int, teacher: int, expected: list[int]) -> None:
    assert layer_map(student, teacher) == expected


@given(st.integers(1, 48), st.integers(1, 48))
def test_layer_map_is_evenly_spaced_and_ends_at_the_last(student: int, teacher: int) -> None:
    layers = layer_map(student, teacher)
    assert len(layers) == student
    assert layers[-1] == teacher - 1
    gaps = np.diff([-1, *layers])
    assert gaps.min() >= 0
    assert gaps.max() - gaps.min() <= 1
