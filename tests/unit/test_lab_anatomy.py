"""Lab 2's numbers against scipy's, its gradients against torch's and kd_core's own losses."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from scipy import special, stats

from kd_core import objectives
from kd_core.lab.anatomy import Divergence, anatomy, entropy, gradient_sizes, log_softmax, softmax
from kd_core.lab.formulas import divergence_line, hard_line, soft_line, total_line

SETTINGS = range(50)


def setting(seed: int) -> dict:
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 9))
    return {
        "student_logits": random.normal(0, 3, classes),
        "teacher_logits": random.normal(0, 3, classes),
        "label": int(random.integers(classes)),
        "divergence": str(random.choice(get_args(Divergence))),
        "temperature": float(random.uniform(0.5, 20)),
        "alpha": float(random.uniform(0, 1)),
        "t_squared": bool(random.integers(2)),
    }


def by_scipy(divergence: str, p_s: np.ndarray, p_t: np.ndarray) -> float:
    mean = (p_s + p_t) / 2
    return {
        "forward_kl": lambda: stats.entropy(p_t, p_s),
        "reverse_kl": lambda: stats.entropy(p_s, p_t),
        "js": lambda: (stats.entropy(p_t, mean) + stats.entropy(p_s, mean)) / 2,
        "soft_cross_entropy": lambda: stats.entropy(p_t, p_s) + stats.entropy(p_t),
        "reverse_cross_entropy": lambda: stats.entropy(p_s, p_t) + stats.entropy(p_s),
    }[divergence]()


@pytest.mark.parametrize("seed", SETTINGS)
def test_all_numbers_agree_with_scipy(seed: int) -> None:
    given = setting(seed)
    found = anatomy(**given)
    t, alpha = given["temperature"], given["alpha"]
    p_s = special.softmax(given["student_logits"] / t)
    p_t = special.softmax(given["teacher_logits"] / t)
    divergence = by_scipy(given["divergence"], p_s, p_t)
    soft = divergence * (t * t if given["t_squared"] else 1)
    hard = -special.log_softmax(given["student_logits"])[given["label"]]
    assert np.allclose(found.student, p_s, rtol=0, atol=1e-12)
    assert np.allclose(found.teacher, p_t, rtol=0, atol=1e-12)
    assert found.terms.sum() == pytest.approx(divergence, abs=1e-6)
    assert found.divergence == pytest.approx(divergence, abs=1e-6)
    assert found.soft == pytest.approx(soft, abs=1e-6)
    assert found.hard == pytest.approx(hard, abs=1e-6)
    assert found.total == pytest.approx(alpha * hard + (1 - alpha) * soft, abs=1e-6)


@pytest.mark.parametrize("seed", SETTINGS)
def test_loss_and_gradient_are_those_of_the_engine(seed: int) -> None:
    given = setting(seed)
    found = anatomy(**given)
    student = torch.tensor(given["student_logits"])[None].requires_grad_()
    teacher = torch.tensor(given["teacher_logits"])[None]
    hard = objectives.hard_loss(student, torch.tensor([given["label"]]))
    soft = objectives.soft_loss(
        student,
        teacher,
        divergence=given["divergence"],
        temperature=given["temperature"],
        t_squared=given["t_squared"],
    )
    total = objectives.objective(hard, soft, given["alpha"])
    assert found.total == pytest.approx(total.item(), abs=1e-9)
    for loss, gradient in ((hard, found.hard_gradient), (soft, found.soft_gradient), (total, found.gradient)):
        (expected,) = torch.autograd.grad(loss, student, retain_graph=True)
        assert np.allclose(gradient, expected[0].numpy(), rtol=0, atol=1e-9)


def test_a_student_that_is_its_teacher_is_pushed_by_reverse_cross_entropy_only() -> None:
    logits = [2.0, 1.0, -1.0]
    for divergence in get_args(Divergence):
        found = anatomy(logits, logits, 0, divergence=divergence, temperature=2, alpha=0)
        still = np.allclose(found.soft_gradient, 0, rtol=0, atol=1e-12)
        assert still == (divergence != "reverse_cross_entropy")


def test_t_squared_keeps_the_size_of_the_gradient() -> None:
    """For large T it tends to the logits' centred difference, divided by C (Hinton et al. 2015, eq. 4)."""
    student, teacher = np.array([3.0, 0.0, -1.0]), np.array([1.0, 1.0, 0.0])
    (plain,) = gradient_sizes(student, teacher, "forward_kl", [1000])
    difference = student - teacher
    assert plain * 1000**2 == pytest.approx(np.linalg.norm(difference - difference.mean()) / 3, rel=1e-3)
    cold, hot = gradient_sizes(student, teacher, "forward_kl", [10, 100])
    assert cold / hot == pytest.approx(100, rel=0.1)


def test_entropy_and_softmax_by_hand() -> None:
    assert entropy(log_softmax([1.0, 1.0, 1.0, 1.0])) == pytest.approx(np.log(4))
    assert entropy(log_softmax([800.0, 0.0])) == pytest.approx(0)
    assert softmax([np.log(9), np.log(1)], 2).tolist() == pytest.approx([0.75, 0.25])


def test_the_formulas_hold_the_numbers() -> None:
    found = anatomy([0, 0], [np.log(3), 0], 0, divergence="forward_kl", temperature=1, alpha=0.25)
    # p_t = (3/4, 1/4), p_s = (1/2, 1/2): 0.75 log 1.5 + 0.25 log 0.5 = 0.3041 - 0.1733 = 0.1308
    assert divergence_line(found, "forward_kl").endswith(
        r"&= 0.304 + (-0.173) \\ &= \mathbf{0.131} \end{aligned}"
    )
    assert soft_line(found, 1, True) == (r"L_{\mathrm{soft}} = T^2 D = 1^2 \times 0.131 = \mathbf{0.131}")
    assert soft_line(found, 1, False) == r"L_{\mathrm{soft}} = D = \mathbf{0.131}"
    assert r"&= -\log 0.500 \\ &= \mathbf{0.693}" in hard_line(found)
    # 0.25 * 0.6931 + 0.75 * 0.1308 = 0.2714
    assert r"&= 0.25 \times 0.693 + 0.75 \times 0.131 \\ &= \mathbf{0.271}" in total_line(found, 0.25)


def test_many_classes_and_tiny_numbers_are_written_short() -> None:
    found = anatomy(np.zeros(8), np.full(8, 1e-3), 0, divergence="forward_kl", temperature=1, alpha=0)
    assert r"+ \dots" in divergence_line(found, "forward_kl")
    tiny = anatomy([0, 0], [0.02, 0], 0, divergence="forward_kl", temperature=1, alpha=0)
    assert soft_line(tiny, 1, False) == r"L_{\mathrm{soft}} = D = \mathbf{5.0 \cdot 10^{-5}}"
