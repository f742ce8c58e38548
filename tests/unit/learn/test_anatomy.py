"""The numbers of the loss lab against scipy, its gradients against torch and the engine's losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

from kd_core.distillation.metrics import log_softmax, softmax
from kd_core.distillation.training import losses
from kd_core.learn.anatomy import anatomy, entropy, gradient_sizes, outputs_of
from kd_core.learn.formulas import divergence_line, hard_line, soft_line, total_line
from kd_core.objectives import CARDS
from tests.unit.objectives.reference import by_scipy

SETTINGS = range(35)  # about five of each loss


def setting(seed: int) -> dict:
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 9))
    return {
        "student_logits": random.normal(0, 3, classes),
        "teacher_logits": random.normal(0, 3, classes),
        "label": int(random.integers(classes)),
        "divergence": str(random.choice(list(CARDS))),
        "temperature": float(random.uniform(0.5, 20)),
        "alpha": float(random.uniform(0, 1)),
        "t_squared": bool(random.integers(2)),
    }


@pytest.mark.parametrize("seed", SETTINGS)
def test_numbers_equal_those_of_scipy_and_the_engine(seed: int) -> None:
    given = setting(seed)
    found = anatomy(**given)
    t, alpha = given["temperature"], given["alpha"]
    p_s = special.softmax(given["student_logits"] / t)
    p_t = special.softmax(given["teacher_logits"] / t)
    divergence = by_scipy(
        given["divergence"], given["student_logits"], given["teacher_logits"], t, given["label"]
    )
    factor = t * t if given["t_squared"] and CARDS[given["divergence"]].has_temperature else 1
    soft = divergence * factor
    hard = -special.log_softmax(given["student_logits"])[given["label"]]
    assert np.allclose(found.student, p_s, rtol=0, atol=1e-12)
    assert np.allclose(found.teacher, p_t, rtol=0, atol=1e-12)
    assert found.terms.sum() == pytest.approx(divergence, abs=1e-6)
    assert found.divergence == pytest.approx(divergence, abs=1e-6)
    assert found.soft == pytest.approx(soft, abs=1e-6)
    assert found.hard == pytest.approx(hard, abs=1e-6)
    assert found.total == pytest.approx(alpha * hard + (1 - alpha) * soft, abs=1e-6)

    student = torch.tensor(given["student_logits"])[None].requires_grad_()
    teacher = torch.tensor(given["teacher_logits"])[None]
    hard = losses.hard_loss(student, torch.tensor([given["label"]]))
    soft = losses.soft_loss(
        student,
        teacher,
        divergence=given["divergence"],
        temperature=given["temperature"],
        t_squared=given["t_squared"],
        labels=torch.tensor([given["label"]]),
    )
    total = losses.objective(hard, soft, given["alpha"])
    assert found.total == pytest.approx(total.item(), abs=1e-9)
    for loss, gradient in ((hard, found.hard_gradient), (soft, found.soft_gradient), (total, found.gradient)):
        (expected,) = torch.autograd.grad(loss, student, retain_graph=True)
        assert np.allclose(gradient, expected[0].numpy(), rtol=0, atol=1e-9)


def test_gradient_of_a_student_that_equals_its_teacher() -> None:
    logits = [2.0, 1.0, -1.0]
    for divergence in list(CARDS):
        found = anatomy(logits, logits, 0, divergence=divergence, temperature=2, alpha=0)
        still = np.allclose(found.soft_gradient, 0, rtol=0, atol=1e-12)
        assert still == (divergence not in ("reverse_cross_entropy", "hard_answers"))


def test_gradient_for_large_temperatures() -> None:
    """For large T it tends to the logits' centred difference, divided by C (Hinton et al. 2015, eq. 4)."""
    student, teacher = np.array([3.0, 0.0, -1.0]), np.array([1.0, 1.0, 0.0])
    (plain,) = gradient_sizes(student, teacher, 0, "forward_kl", [1000])
    difference = student - teacher
    assert plain * 1000**2 == pytest.approx(np.linalg.norm(difference - difference.mean()) / 3, rel=1e-3)
    cold, hot = gradient_sizes(student, teacher, 0, "forward_kl", [10, 100])
    assert cold / hot == pytest.approx(100, rel=0.1)


def test_logit_mse_ignores_the_temperature() -> None:
    """(1 - 3)² + (0 - 0)² + (2 - 1)² = 5, gradient 2 (-2, 0, 1), of length 2 sqrt(5)."""
    student, teacher = np.array([1.0, 0.0, 2.0]), np.array([3.0, 0.0, 1.0])
    for t in (1.0, 8.0):
        found = anatomy(student, teacher, 0, divergence="logit_mse", temperature=t, alpha=0)
        assert found.terms.tolist() == [4, 0, 1]
        assert found.soft == found.divergence == 5
        assert found.gradient.tolist() == [-4, 0, 2]
    sizes = gradient_sizes(student, teacher, 0, "logit_mse", [1.0, 8.0])
    assert sizes.tolist() == pytest.approx([2 * 5**0.5] * 2)


def test_parts_of_dkd_by_hand() -> None:
    """p_t = (1/2, 1/4, 1/4), p_s = (1/4, 1/4, 1/2): rest 1/2 and 3/4, shares 1/2, 1/2 and 1/3, 2/3.

    TCKD = 1/2 log(1/2 / 1/4) + 1/2 log(1/2 / 3/4) = (log 2 + log(2/3)) / 2 = log(4/3) / 2
    NCKD = 1/2 log(3/2) + 1/2 log(3/4) = log(9/8) / 2
    """
    student, teacher = np.log([0.25, 0.25, 0.5]), np.log([0.5, 0.25, 0.25])
    found = anatomy(student, teacher, 0, divergence="dkd", temperature=1, alpha=0)
    tckd, nckd = np.log(4 / 3) / 2, np.log(9 / 8) / 2
    assert found.parts == pytest.approx({"TCKD": tckd, "NCKD": nckd})
    assert found.divergence == pytest.approx(tckd + 8 * nckd)
    assert found.terms[0] == pytest.approx(np.log(2) / 2), "target"
    forward = anatomy(student, teacher, 0, divergence="forward_kl", temperature=1, alpha=0)
    assert forward.divergence == pytest.approx(tckd + 0.5 * nckd)
    target, others = (part(outputs_of(student, teacher, 0, 1)) for part in CARDS["dkd"].parts.values())
    assert (target + 0.5 * others).tolist() == pytest.approx(forward.terms.tolist()), "term by term"
    assert divergence_line(found, "dkd").endswith(
        r"&= 1 \times 0.144 + 8 \times 0.059 \\ &= \mathbf{0.615} \end{aligned}"
    )


def test_entropy_and_softmax_by_hand() -> None:
    assert entropy(log_softmax([1.0, 1.0, 1.0, 1.0])) == pytest.approx(np.log(4))
    assert entropy(log_softmax([800.0, 0.0])) == pytest.approx(0)
    assert softmax([np.log(9), np.log(1)], 2).tolist() == pytest.approx([0.75, 0.25])


def test_formulas() -> None:
    found = anatomy([0, 0], [np.log(3), 0], 0, divergence="forward_kl", temperature=1, alpha=0.25)
    # p_t = (3/4, 1/4), p_s = (1/2, 1/2): 0.75 log 1.5 + 0.25 log 0.5 = 0.3041 - 0.1733 = 0.1308
    assert divergence_line(found, "forward_kl").endswith(
        r"&= 0.304 - 0.173 \\ &= \mathbf{0.131} \end{aligned}"
    )
    assert soft_line(found, 1, True) == (r"L_{\mathrm{soft}} = T^2 D = 1^2 \times 0.131 = \mathbf{0.131}")
    assert soft_line(found, 1, False) == r"L_{\mathrm{soft}} = D = \mathbf{0.131}"
    assert r"&= -\log 0.500 \\ &= \mathbf{0.693}" in hard_line(found)
    # 0.25 * 0.6931 + 0.75 * 0.1308 = 0.2714
    assert r"&= 0.25 \times 0.693 + 0.75 \times 0.131 \\ &= \mathbf{0.271}" in total_line(found, 0.25)


def test_formulas_with_many_classes_and_tiny_numbers() -> None:
    found = anatomy(np.zeros(8), np.full(8, 1e-3), 0, divergence="forward_kl", temperature=1, alpha=0)
    assert r"+ \dots" in divergence_line(found, "forward_kl")
    tiny = anatomy([0, 0], [0.02, 0], 0, divergence="forward_kl", temperature=1, alpha=0)
    assert soft_line(tiny, 1, False) == r"L_{\mathrm{soft}} = D = \mathbf{5.0 \cdot 10^{-5}}"


def test_zero_has_no_minus_sign() -> None:
    loss = anatomy([800.0, 0.0], [1.0, 0.0], 0, divergence="forward_kl", temperature=1.0, alpha=0.5)
    assert hard_line(loss).endswith(r"&= \mathbf{0.000} \end{aligned}")


@pytest.mark.parametrize("name", CARDS)
def test_terms_and_gradients_of_a_batch_are_those_of_its_texts(name: str) -> None:
    card, random = CARDS[name], np.random.default_rng(1)
    student, teacher, labels = *random.normal(0, 3, (2, 4, 5)), np.array([0, 3, 1, 4])
    teacher[2, :2] = 6.0  # two classes share the first place
    own = dict.fromkeys(card.settings, 3.0)
    for each in (card.terms, card.gradient):
        batch = each(outputs_of(student, teacher, labels[:, None], 2.0), **own)
        rows = [
            each(outputs_of(s, t, label, 2.0), **own)
            for s, t, label in zip(student, teacher, labels, strict=True)
        ]
        np.testing.assert_allclose(batch, rows, atol=1e-12)
    if name == "hard_answers":
        assert batch.sum(axis=1) == pytest.approx(0), "the shares of the first classes add up to one"
