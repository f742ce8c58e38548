"""Losses against numbers computed by hand, scipy, identities and numerical gradients."""

from collections.abc import Callable
from math import log
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import entropy
from torch import Tensor

from kd_core.config import Divergence
from kd_core.distillation.training.objectives import (
    attention_loss,
    cosine_loss,
    dkd,
    forward_kl,
    hard_loss,
    hidden_loss,
    js,
    layer_map,
    logit_mse,
    objective,
    relation_loss,
    reverse_cross_entropy,
    reverse_kl,
    soft_cross_entropy,
    soft_loss,
)
from kd_core.errors import ConfigError, ModelError

DIVERGENCES: tuple[Divergence, ...] = get_args(Divergence)
SOFTENED = tuple(name for name in DIVERGENCES if name != "logit_mse")
ZERO_WHEN_EQUAL = ("forward_kl", "reverse_kl", "js", "logit_mse", "dkd")

# The probabilities behind the numbers by hand: the student prefers another class than the teacher.
TEACHER = torch.tensor([[1 / 2, 1 / 4, 1 / 4]], dtype=torch.float64).log()
STUDENT = torch.tensor([[1 / 8, 1 / 8, 3 / 4]], dtype=torch.float64).log()
# DKD with target class 0. Target, rest: (1/2, 1/2) and (1/8, 7/8); among the rest: (1/2, 1/2) and (1/7, 6/7).
TCKD = log(4) / 2 + log(4 / 7) / 2
NCKD = log(7 / 2) / 2 + log(7 / 12) / 2
BY_HAND = {
    # 1/2 log 4 + 1/4 log 2 + 1/4 log 1/3
    "forward_kl": 1.25 * log(2) - 0.25 * log(3),
    # 1/8 log 1/4 + 1/8 log 1/2 + 3/4 log 3
    "reverse_kl": -0.375 * log(2) + 0.75 * log(3),
    # The mixture is (5/16, 3/16, 1/2).
    "js": (
        (log(8 / 5) / 2 + log(4 / 3) / 4 + log(1 / 2) / 4)
        + (log(2 / 5) / 8 + log(2 / 3) / 8 + 3 * log(3 / 2) / 4)
    )
    / 2,
    # 1/2 log 8 + 1/4 log 8 + 1/4 log 4/3
    "soft_cross_entropy": 2.75 * log(2) - 0.25 * log(3),
    # 1/8 log 2 + 1/8 log 4 + 3/4 log 4
    "reverse_cross_entropy": 1.875 * log(2),
    "dkd": TCKD + 8 * NCKD,
}


def randn(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def soft(name: str, student: Tensor, teacher: Tensor, temperature: float = 1.0, **options: Any) -> Tensor:
    return soft_loss(student, teacher, divergence=name, temperature=temperature, **options)


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.detach().clone().requires_grad_()
    (result,) = torch.autograd.grad(loss(at), at)
    return result


# --- hard loss and objective ------------------------------------------------------------------------


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


# --- soft loss: values ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOFTENED)
def test_divergence_by_hand(name: str) -> None:
    assert soft(name, STUDENT, TEACHER, labels=torch.tensor([0])).item() == pytest.approx(BY_HAND[name])


def test_logit_mse_by_hand() -> None:
    student, teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[3.0, 1.0], [0.0, 1.0]])
    # rows: 4 + 1 and 0 + 1, so 6 / 2 (a mean over the classes too would give 1.5)
    assert logit_mse(student, teacher).item() == 3.0
    assert soft("logit_mse", student, teacher, temperature=5).item() == 3.0


@pytest.mark.parametrize("name", SOFTENED)
def test_temperature_divides_both_logits_and_its_square_multiplies(name: str) -> None:
    labels = torch.tensor([0])
    softened = soft(name, 3 * STUDENT, 3 * TEACHER, temperature=3, labels=labels)
    assert softened.item() == pytest.approx(9 * BY_HAND[name])
    bare = soft(name, 3 * STUDENT, 3 * TEACHER, temperature=3, labels=labels, t_squared=False)
    assert bare.item() == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("name", DIVERGENCES)
def test_soft_loss_is_the_mean_over_rows(name: str) -> None:
    student, teacher = randn(5, 4), randn(5, 4, seed=1)
    rows = [soft(name, student[i : i + 1], teacher[i : i + 1], temperature=2).item() for i in range(5)]
    assert soft(name, student, teacher, temperature=2).item() == pytest.approx(np.mean(rows))


def test_divergences_agree_with_scipy() -> None:
    student, teacher, temperature = randn(6, 5, scale=3), randn(6, 5, seed=1, scale=3), 2.5
    s, t = (softmax(x.numpy() / temperature, axis=1) for x in (student, teacher))
    log_s, log_t = (log_softmax(x.numpy() / temperature, axis=1) for x in (student, teacher))
    expected = {
        "forward_kl": rel_entr(t, s).sum(1).mean(),
        "reverse_kl": rel_entr(s, t).sum(1).mean(),
        "js": (jensenshannon(s, t, axis=1) ** 2).mean(),
        "soft_cross_entropy": -(t * log_s).sum(1).mean(),
        "reverse_cross_entropy": -(s * log_t).sum(1).mean(),
    }
    for name, value in expected.items():
        loss = soft(name, student, teacher, temperature=temperature, t_squared=False)
        assert loss.item() == pytest.approx(value), name


# --- soft loss: identities --------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIVERGENCES)
def test_equal_logits_give_zero_or_the_entropy(name: str) -> None:
    logits, temperature = randn(6, 5, scale=3), 2.0
    probabilities = softmax(logits.numpy() / temperature, axis=1)
    expected = 0.0 if name in ZERO_WHEN_EQUAL else temperature**2 * entropy(probabilities, axis=1).mean()
    assert soft(name, logits, logits, temperature=temperature).item() == pytest.approx(expected, abs=1e-12)


def test_cross_entropy_is_divergence_plus_entropy() -> None:
    student, teacher = randn(6, 5), randn(6, 5, seed=1)
    h_student, h_teacher = (entropy(softmax(x.numpy(), axis=1), axis=1).mean() for x in (student, teacher))
    soft_ce, kl = soft_cross_entropy(student, teacher).item(), forward_kl(student, teacher).item()
    assert soft_ce == pytest.approx(kl + h_teacher)
    reverse_ce, back_kl = reverse_cross_entropy(student, teacher).item(), reverse_kl(student, teacher).item()
    assert reverse_ce == pytest.approx(back_kl + h_student)


def test_only_the_forward_pair_has_the_same_gradient() -> None:
    student, teacher = randn(6, 5), randn(6, 5, seed=1)
    forward = gradient(lambda x: soft("forward_kl", x, teacher, temperature=2), student)
    cross = gradient(lambda x: soft("soft_cross_entropy", x, teacher, temperature=2), student)
    torch.testing.assert_close(forward, cross)
    back = gradient(lambda x: soft("reverse_kl", x, teacher, temperature=2), student)
    back_cross = gradient(lambda x: soft("reverse_cross_entropy", x, teacher, temperature=2), student)
    assert not torch.allclose(back, back_cross, atol=1e-3)


@pytest.mark.parametrize(("name", "factor"), [("forward_kl", 1.0), ("reverse_kl", 1.0), ("js", 0.25)])
def test_gradient_tends_to_logit_matching_as_temperature_grows(name: str, factor: float) -> None:
    """Hinton et al. 2015, equation 4; Jensen-Shannon is a quarter of KL to second order."""
    student, teacher = randn(3, 5), randn(3, 5, seed=1)
    difference = student - teacher
    matching = factor * (difference - difference.mean(1, keepdim=True)) / 5 / 3  # classes, rows
    errors = []
    for temperature in (10, 100, 1000):
        found = gradient(lambda x, t=temperature: soft(name, x, teacher, temperature=t), student)
        errors.append((found - matching).abs().max().item())
    assert errors[2] < 0.01 * matching.abs().max().item()
    assert errors[0] > errors[1] == pytest.approx(10 * errors[2], rel=0.05)  # it vanishes like 1/T


@pytest.mark.parametrize("name", SOFTENED)
def test_shifted_logits_change_nothing(name: str) -> None:
    student, teacher = randn(4, 3), randn(4, 3, seed=1)
    shifted = soft(name, student + 7, teacher - 5 * randn(4, 1, seed=2), temperature=2)
    assert shifted.item() == pytest.approx(soft(name, student, teacher, temperature=2).item())


def test_logit_mse_sees_a_shift() -> None:
    assert logit_mse(torch.zeros(2, 3), torch.ones(2, 3)).item() == 3.0


# --- DKD --------------------------------------------------------------------------------------------


def test_dkd_parts_by_hand() -> None:
    label = torch.tensor([0])
    options = {"labels": label, "target_weight": 1.0, "other_weight": 0.0}
    assert dkd(STUDENT, TEACHER, **options).item() == pytest.approx(TCKD)
    options |= {"target_weight": 0.0, "other_weight": 1.0}
    assert dkd(STUDENT, TEACHER, **options).item() == pytest.approx(NCKD)


def test_dkd_options_reach_it_through_soft_loss() -> None:
    student, teacher, labels = randn(3, 4), randn(3, 4, seed=1), torch.tensor([0, 1, 2])
    for target_weight, other_weight in ((1.0, 8.0), (2.0, 0.5)):
        expected = dkd(
            student, teacher, 2.0, labels=labels, target_weight=target_weight, other_weight=other_weight
        )
        options = {"dkd_target_weight": target_weight, "dkd_other_weight": other_weight}
        loss = soft("dkd", student, teacher, temperature=2, labels=labels, **options)
        assert loss.item() == pytest.approx(4 * expected.item())
        unlabelled = soft("dkd", student, teacher, temperature=2, **options)
        assert unlabelled.item() != pytest.approx(loss.item())


@pytest.mark.parametrize("label", [0, 1, 2, 3])
def test_dkd_decomposes_kl(label: int) -> None:
    """Zhao et al. 2022, equation 6: KL = TCKD + (1 - p_t[target]) NCKD."""
    student, teacher, temperature = randn(1, 4), randn(1, 4, seed=1), 3.0
    rest = 1 - softmax(teacher.numpy() / temperature, axis=1)[0, label]
    decoupled = dkd(
        student, teacher, temperature, labels=torch.tensor([label]), target_weight=1, other_weight=rest
    )
    assert decoupled.item() == pytest.approx(forward_kl(student, teacher, temperature).item())


def test_dkd_takes_the_teachers_class_where_there_is_no_label() -> None:
    student, teacher = randn(3, 4), randn(3, 4, seed=1)
    argmax = teacher.argmax(1)
    other = (argmax + 1) % 4
    by_argmax = dkd(student, teacher, labels=argmax).item()
    assert dkd(student, teacher).item() == by_argmax
    assert dkd(student, teacher, labels=torch.full((3,), -100)).item() == by_argmax
    mixed = torch.stack([other[0], torch.tensor(-100), other[2]])
    expected = torch.stack([other[0], argmax[1], other[2]])
    assert dkd(student, teacher, labels=mixed).item() == dkd(student, teacher, labels=expected).item()
    assert dkd(student, teacher, labels=other).item() != pytest.approx(by_argmax)


def test_dkd_with_two_classes_is_the_kl_times_the_target_weight() -> None:
    student, teacher = randn(3, 2), randn(3, 2, seed=1)
    for other_weight in (0.0, 8.0):
        loss = soft(
            "dkd", student, teacher, temperature=2, dkd_target_weight=3, dkd_other_weight=other_weight
        )
        assert loss.item() == pytest.approx(3 * soft("forward_kl", student, teacher, temperature=2).item())


# --- soft loss: numerics and errors -----------------------------------------------------------------


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("classes", [2, 5])
def test_soft_losses_pass_gradcheck(name: str, classes: int) -> None:
    student, teacher = randn(3, classes).requires_grad_(), randn(3, classes, seed=1)
    labels = torch.tensor([0, 1, -100])
    assert torch.autograd.gradcheck(lambda x: soft(name, x, teacher, temperature=2, labels=labels), student)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("temperature", [0.1, 1.0, 100.0])
def test_extreme_logits_stay_finite(name: str, temperature: float) -> None:
    student = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, -1e4, -1e4]])
    teacher = torch.tensor([[-1e4, 1e4, 0.0], [-1e4, 1e4, 1e4], [1e4, 0.0, 0.0]])
    labels = torch.tensor([2, -100, 0])
    student.requires_grad_()
    loss = soft(name, student, teacher, temperature=temperature, labels=labels)
    loss.backward()
    assert torch.isfinite(loss)
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_soft_losses_are_float32_even_under_autocast(name: str) -> None:
    student, teacher = randn(4, 3).bfloat16(), randn(4, 3, seed=1).bfloat16()
    plain = soft(name, student.float(), teacher.float(), temperature=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = soft(name, student, teacher, temperature=2)
    assert autocast.dtype == torch.float32
    assert torch.equal(autocast, plain)


def test_hard_loss_is_float32_even_under_autocast() -> None:
    logits, labels = randn(4, 3).bfloat16(), torch.tensor([0, 1, 2, -100])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = hard_loss(logits, labels)
    assert autocast.dtype == torch.float32
    assert torch.equal(autocast, hard_loss(logits.float(), labels))


def test_unknown_divergence_lists_the_choices() -> None:
    message = (
        "objective.divergence must be one of forward_kl, reverse_kl, js, soft_cross_entropy, "
        "reverse_cross_entropy, logit_mse, dkd, got 'wasserstein'"
    )
    with pytest.raises(ConfigError, match=f"^{message}$"):
        soft("wasserstein", STUDENT, TEACHER)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_other_classes_are_refused_not_broadcast(name: str) -> None:
    message = (
        r"^the student's logits have shape \(4, 3\) and the teacher's \(4, 1\); "
        "both need the same texts and the same classes$"
    )
    with pytest.raises(ModelError, match=message):
        soft(name, torch.zeros(4, 3), torch.zeros(4, 1))


logit_pairs = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(*[arrays(np.float64, (2, classes), elements=st.floats(-50, 50))] * 2)
)


@settings(max_examples=50, deadline=None)
@given(logit_pairs, st.floats(0.5, 20))
def test_properties_of_the_divergences(pair: tuple[np.ndarray, np.ndarray], temperature: float) -> None:
    student, teacher = map(torch.from_numpy, pair)
    for name in ZERO_WHEN_EQUAL:
        assert soft(name, student, teacher, temperature=temperature).item() >= -1e-9, name
    middle = js(student, teacher, temperature).item()
    assert middle <= log(2) + 1e-12
    assert middle == pytest.approx(js(teacher, student, temperature).item(), abs=1e-12)
    kl, back = forward_kl(student, teacher, temperature), reverse_kl(student, teacher, temperature)
    assert kl.item() == pytest.approx(reverse_kl(teacher, student, temperature).item(), abs=1e-12)
    assert middle <= (kl + back).item() / 4 + 1e-9  # Lin 1991, theorem 1


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
