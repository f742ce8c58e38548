"""Soft losses against numbers computed by hand, scipy, identities and numerical gradients."""

from math import log
from typing import Any

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

from kd_core.distillation.training.losses import soft_loss
from kd_core.errors import ConfigError, ModelError
from kd_core.objectives import CARDS
from tests.unit.distillation.training.tensors import gradient, randn

SOFTENED = [name for name, card in CARDS.items() if card.has_temperature]
CROSS_ENTROPIES = {"soft_cross_entropy", "reverse_cross_entropy"}

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


def soft(name: str, student: Tensor, teacher: Tensor, temperature: float = 1.0, **options: Any) -> Tensor:
    return soft_loss(student, teacher, divergence=name, temperature=temperature, **options)


def bare(name: str, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> float:
    """Without T²."""
    return soft(name, student, teacher, temperature, t_squared=False).item()


# --- cards ------------------------------------------------------------------------------------------


def test_choices_are_in_the_order_of_the_cards() -> None:
    order = ["forward_kl", "reverse_kl", "js", "soft_cross_entropy", "reverse_cross_entropy"]
    assert list(CARDS)[:7] == [*order, "logit_mse", "dkd"]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_what_pages_show(name: str) -> None:
    card = CARDS[name]
    assert card.name == name
    assert " = " in card.formula
    assert len(card.parts) in (0, len(card.settings))
    assert not card.of_distributions or (card.notation and card.literature)


# --- soft loss: values ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BY_HAND)
def test_divergence_by_hand(name: str) -> None:
    assert soft(name, STUDENT, TEACHER, labels=torch.tensor([0])).item() == pytest.approx(BY_HAND[name])


def test_logit_mse_by_hand() -> None:
    student, teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[3.0, 1.0], [0.0, 1.0]])
    # rows: 4 + 1 and 0 + 1, so 6 / 2 (a mean over the classes too would give 1.5)
    assert soft("logit_mse", student, teacher).item() == 3.0
    assert soft("logit_mse", student, teacher, temperature=5).item() == 3.0


@pytest.mark.parametrize("name", BY_HAND)
def test_temperature_divides_both_logits_and_its_square_multiplies(name: str) -> None:
    labels = torch.tensor([0])
    softened = soft(name, 3 * STUDENT, 3 * TEACHER, temperature=3, labels=labels)
    assert softened.item() == pytest.approx(9 * BY_HAND[name])
    bare = soft(name, 3 * STUDENT, 3 * TEACHER, temperature=3, labels=labels, t_squared=False)
    assert bare.item() == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("name", CARDS)
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


@pytest.mark.parametrize("name", [name for name in CARDS if name != "hard_answers"])
def test_equal_logits_give_zero_or_the_entropy(name: str) -> None:
    logits, temperature = randn(6, 5, scale=3), 2.0
    probabilities = softmax(logits.numpy() / temperature, axis=1)
    expected = temperature**2 * entropy(probabilities, axis=1).mean() if name in CROSS_ENTROPIES else 0.0
    assert soft(name, logits, logits, temperature=temperature).item() == pytest.approx(expected, abs=1e-12)


def test_cross_entropy_is_divergence_plus_entropy() -> None:
    student, teacher = randn(6, 5), randn(6, 5, seed=1)
    h_student, h_teacher = (entropy(softmax(x.numpy(), axis=1), axis=1).mean() for x in (student, teacher))
    soft_ce, kl = (bare(name, student, teacher) for name in ("soft_cross_entropy", "forward_kl"))
    assert soft_ce == pytest.approx(kl + h_teacher)
    reverse_ce, back_kl = (bare(name, student, teacher) for name in ("reverse_cross_entropy", "reverse_kl"))
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
    assert soft("logit_mse", torch.zeros(2, 3), torch.ones(2, 3)).item() == 3.0


# --- DKD --------------------------------------------------------------------------------------------


def test_dkd_parts_by_hand() -> None:
    label = torch.tensor([0])
    options = {"labels": label, "dkd_target_weight": 1.0, "dkd_other_weight": 0.0}
    assert soft("dkd", STUDENT, TEACHER, **options).item() == pytest.approx(TCKD)
    options |= {"dkd_target_weight": 0.0, "dkd_other_weight": 1.0}
    assert soft("dkd", STUDENT, TEACHER, **options).item() == pytest.approx(NCKD)


def test_the_weights_of_dkd_multiply_its_parts() -> None:
    student, teacher, labels = randn(3, 4), randn(3, 4, seed=1), torch.tensor([0, 1, 2])

    def weighed(target: float, other: float, labels: Tensor | None = labels) -> float:
        own = {"dkd_target_weight": target, "dkd_other_weight": other}
        return soft("dkd", student, teacher, temperature=2, labels=labels, **own).item()

    assert weighed(1, 8) == soft("dkd", student, teacher, temperature=2, labels=labels).item()
    for target, other in ((1.0, 8.0), (2.0, 0.5)):
        assert weighed(target, other) == pytest.approx(target * weighed(1, 0) + other * weighed(0, 1))
        assert weighed(target, other, None) != pytest.approx(weighed(target, other))


@pytest.mark.parametrize("label", [0, 1, 2, 3])
def test_dkd_decomposes_kl(label: int) -> None:
    """Zhao et al. 2022, equation 6: KL = TCKD + (1 - p_t[target]) NCKD."""
    student, teacher, temperature = randn(1, 4), randn(1, 4, seed=1), 3.0
    rest = 1 - softmax(teacher.numpy() / temperature, axis=1)[0, label]
    own = {"dkd_target_weight": 1, "dkd_other_weight": rest}
    decoupled = soft(
        "dkd", student, teacher, temperature, t_squared=False, labels=torch.tensor([label]), **own
    )
    assert decoupled.item() == pytest.approx(bare("forward_kl", student, teacher, temperature))


def test_dkd_takes_the_teachers_class_where_there_is_no_label() -> None:
    student, teacher = randn(3, 4), randn(3, 4, seed=1)
    argmax = teacher.argmax(1)
    other = (argmax + 1) % 4
    by_argmax = soft("dkd", student, teacher, labels=argmax).item()
    assert soft("dkd", student, teacher).item() == by_argmax
    assert soft("dkd", student, teacher, labels=torch.full((3,), -100)).item() == by_argmax
    mixed = torch.stack([other[0], torch.tensor(-100), other[2]])
    expected = torch.stack([other[0], argmax[1], other[2]])
    by_mixed, by_expected = (soft("dkd", student, teacher, labels=each) for each in (mixed, expected))
    assert by_mixed.item() == by_expected.item()
    assert soft("dkd", student, teacher, labels=other).item() != pytest.approx(by_argmax)


def test_dkd_with_two_classes_is_the_kl_times_the_target_weight() -> None:
    student, teacher = randn(3, 2), randn(3, 2, seed=1)
    for other_weight in (0.0, 8.0):
        loss = soft(
            "dkd", student, teacher, temperature=2, dkd_target_weight=3, dkd_other_weight=other_weight
        )
        assert loss.item() == pytest.approx(3 * soft("forward_kl", student, teacher, temperature=2).item())


# --- soft loss: numerics and errors -----------------------------------------------------------------


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("classes", [2, 5])
def test_soft_losses_pass_gradcheck(name: str, classes: int) -> None:
    student, teacher = randn(3, classes).requires_grad_(), randn(3, classes, seed=1)
    labels = torch.tensor([0, 1, -100])
    assert torch.autograd.gradcheck(lambda x: soft(name, x, teacher, temperature=2, labels=labels), student)


@pytest.mark.parametrize("name", CARDS)
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


@pytest.mark.parametrize("name", CARDS)
def test_soft_losses_are_float32_even_under_autocast(name: str) -> None:
    student, teacher = randn(4, 3).bfloat16(), randn(4, 3, seed=1).bfloat16()
    plain = soft(name, student.float(), teacher.float(), temperature=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = soft(name, student, teacher, temperature=2)
    assert autocast.dtype == torch.float32
    assert torch.equal(autocast, plain)


def test_unknown_divergence_lists_the_choices() -> None:
    message = f"objective.divergence must be one of {', '.join(CARDS)}, got 'wasserstein'"
    with pytest.raises(ConfigError, match=f"^{message}$"):
        soft("wasserstein", STUDENT, TEACHER)


@pytest.mark.parametrize("name", CARDS)
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
    for name in CARDS.keys() - CROSS_ENTROPIES:
        assert soft(name, student, teacher, temperature=temperature).item() >= -1e-9, name
    middle = bare("js", student, teacher, temperature)
    assert middle <= log(2) + 1e-12
    assert middle == pytest.approx(bare("js", teacher, student, temperature), abs=1e-12)
    kl, back = (bare(name, student, teacher, temperature) for name in ("forward_kl", "reverse_kl"))
    assert kl == pytest.approx(bare("reverse_kl", teacher, student, temperature), abs=1e-12)
    assert middle <= (kl + back) / 4 + 1e-9  # Lin 1991, theorem 1


# --- hard answers -----------------------------------------------------------------------------------


def test_hard_answers_are_the_cross_entropy_with_the_teachers_class() -> None:
    # The teacher's first class has 1/8 of the student; neither labels nor temperature change that.
    for options in ({}, {"temperature": 3.0}, {"labels": torch.tensor([2])}):
        assert soft("hard_answers", STUDENT, TEACHER, **options).item() == pytest.approx(log(8))
    # Its shades do not matter, as long as its first class is first; a tie counts half for each.
    assert soft("hard_answers", STUDENT, 9 * TEACHER).item() == pytest.approx(log(8))
    tie = torch.tensor([[1.0, 0.0, 1.0]])
    assert soft("hard_answers", STUDENT, tie).item() == pytest.approx((log(8) + log(4 / 3)) / 2)
