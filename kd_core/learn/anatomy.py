"""The loss of one text, number by number, as ``kd_core.objectives`` computes it, with its gradient.

C classes, T the temperature; z are logits, p the softened distributions softmax(z / T). Here in numpy and in
closed form, so that a page needs no torch; a test compares every number with scipy and with torch's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kd_core.config import Divergence as SoftLoss
from kd_core.config import ObjectiveConfig

Floats = NDArray[np.float64]
# Those soft losses that compare two softened distributions as they are.
Divergence = Literal["forward_kl", "reverse_kl", "js", "soft_cross_entropy", "reverse_cross_entropy"]
_DEFAULTS = ObjectiveConfig()
DKD_WEIGHTS = _DEFAULTS.dkd_target_weight, _DEFAULTS.dkd_other_weight


@dataclass(frozen=True)
class Anatomy:
    """All numbers on the way from two models' logits to the loss of one text.

    ``terms`` add up to ``divergence``; ``parts`` are TCKD and NCKD, without their weights, where the loss is
    made of them (dkd). ``soft`` is the divergence times T² (or not; logit_mse knows no T); ``total`` is
    alpha * hard + (1 - alpha) * soft. Gradients are with respect to the student's logits, before T divides
    them: ``gradient`` of the total, the other two of hard and soft loss alone.
    """

    scaled_teacher: Floats  # z / T
    scaled_student: Floats
    teacher: Floats  # p
    student: Floats
    terms: Floats
    parts: tuple[float, ...]
    divergence: float
    factor: float  # T², or 1
    soft: float
    right: float  # the student's probability of the label, at T = 1
    hard: float
    total: float
    hard_gradient: Floats
    soft_gradient: Floats
    gradient: Floats


def anatomy(
    student_logits: Sequence[float] | Floats,
    teacher_logits: Sequence[float] | Floats,
    label: int,
    *,
    divergence: SoftLoss,
    temperature: float,
    alpha: float,
    t_squared: bool = True,
) -> Anatomy:
    """Shapes: logits (C,). Source: Hinton et al. 2015, section 2; as in ``training.objectives``."""
    z_s, z_t = np.asarray(student_logits, dtype=float), np.asarray(teacher_logits, dtype=float)
    log_s, log_t = log_softmax(z_s, temperature), log_softmax(z_t, temperature)
    factor = temperature**2 if t_squared and divergence != "logit_mse" else 1.0
    terms, slope = soft_terms(z_s, z_t, label, divergence, temperature)
    parts = decoupled(log_s, log_t, label)[0] if divergence == "dkd" else ()
    soft = factor * float(terms.sum())
    soft_gradient = factor * slope
    log_right = log_softmax(z_s)
    hard = -float(log_right[label])
    hard_gradient = np.exp(log_right) - np.eye(len(z_s))[label]
    return Anatomy(
        scaled_teacher=z_t / temperature,
        scaled_student=z_s / temperature,
        teacher=np.exp(log_t),
        student=np.exp(log_s),
        terms=terms,
        parts=tuple(float(part.sum()) for part in parts),
        divergence=float(terms.sum()),
        factor=factor,
        soft=soft,
        right=float(np.exp(log_right[label])),
        hard=hard,
        total=alpha * hard + (1 - alpha) * soft,
        hard_gradient=hard_gradient,
        soft_gradient=soft_gradient,
        gradient=alpha * hard_gradient + (1 - alpha) * soft_gradient,
    )


def log_softmax(logits: Any, temperature: float = 1.0) -> Floats:
    """log softmax(logits / T), over the last dimension."""
    scaled = np.asarray(logits, dtype=float) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    found: Floats = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return found


def softmax(logits: Any, temperature: float = 1.0) -> Floats:
    probabilities: Floats = np.exp(log_softmax(logits, temperature))
    return probabilities


def entropy(log_probs: Floats) -> Any:
    """-sum p log p in nats, over the last dimension: from 0, sure of one class, to log C, all alike."""
    return -(np.exp(log_probs) * log_probs).sum(axis=-1)


def divergence_terms(log_s: Floats, log_t: Floats, divergence: Divergence) -> Floats:
    """Each class's share (..., C) of the divergence; they may be negative, their sum is the loss."""
    match divergence:
        case "forward_kl":
            return np.exp(log_t) * (log_t - log_s)
        case "reverse_kl":
            return np.exp(log_s) * (log_s - log_t)
        case "js":
            log_m = np.logaddexp(log_s, log_t) - log(2)
            return (np.exp(log_t) * (log_t - log_m) + np.exp(log_s) * (log_s - log_m)) / 2
        case "soft_cross_entropy":
            return -np.exp(log_t) * log_s
        case "reverse_cross_entropy":
            return -np.exp(log_s) * log_t


def divergence_gradient(log_s: Floats, log_t: Floats, divergence: Divergence) -> Floats:
    """With respect to the student's softened logits z / T, (..., C); it adds up to 0.

    p_s - p_t where only the logarithm holds the student. Else, with r the derivative by p_s, p_s (r - r's
    mean under p_s): the softmax's own derivative.
    """
    p_s = np.exp(log_s)
    if divergence in ("forward_kl", "soft_cross_entropy"):
        gradient: Floats = p_s - np.exp(log_t)
        return gradient
    rate = {
        "reverse_kl": log_s - log_t,
        "js": (log_s - np.logaddexp(log_s, log_t) + log(2)) / 2,
        "reverse_cross_entropy": -log_t,
    }[divergence]
    mean: Floats = (p_s * rate).sum(axis=-1, keepdims=True)
    return p_s * (rate - mean)


def soft_terms(
    z_s: Floats, z_t: Floats, label: int, loss: SoftLoss, temperature: float
) -> tuple[Floats, Floats]:
    """Each class's term of a soft loss, without T², and its gradient by the student's logits; all (C,)."""
    if loss == "logit_mse":
        return (z_s - z_t) ** 2, 2 * (z_s - z_t)
    log_s, log_t = log_softmax(z_s, temperature), log_softmax(z_t, temperature)
    if loss == "dkd":
        (target, others), (by_target, by_others) = decoupled(log_s, log_t, label)
        first, second = DKD_WEIGHTS
        terms, gradient = first * target + second * others, first * by_target + second * by_others
    else:
        terms, gradient = divergence_terms(log_s, log_t, loss), divergence_gradient(log_s, log_t, loss)
    return terms, gradient / temperature


def decoupled(
    log_s: Floats, log_t: Floats, target: int
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Each class's terms of TCKD and of NCKD, then the gradients of both by z / T; all (C,), C >= 2.

    TCKD is KL(teacher || student) between the target and the rest, NCKD the one among the rest. The other
    classes share TCKD's term of the rest as the teacher shares out its probability, so that forward KL's
    terms are TCKD's plus p_t(rest) times NCKD's. Source: Zhao et al. 2022, equations 5 to 7.
    """
    rest = np.arange(len(log_t)) != target
    rest_s, rest_t = (np.logaddexp.reduce(log_p[rest]) for log_p in (log_s, log_t))
    p_s, p_t = np.exp(log_s), np.exp(log_t)
    share_s, share_t = rest * np.exp(log_s - rest_s), rest * np.exp(log_t - rest_t)
    binary = p_t * np.where(rest, rest_t - rest_s, log_t - log_s)
    among = share_t * ((log_t - rest_t) - (log_s - rest_s))
    by_binary = p_s - np.where(rest, np.exp(rest_t) * share_s, p_t)
    return (binary, among), (by_binary, share_s - share_t)


def gradient_sizes(
    student_logits: Floats,
    teacher_logits: Floats,
    label: int,
    loss: SoftLoss,
    temperatures: Sequence[float],
) -> Floats:
    """Length of the gradient of the soft loss, without T², at each temperature."""
    slopes = [soft_terms(student_logits, teacher_logits, label, loss, t)[1] for t in temperatures]
    sizes: Floats = np.linalg.norm(slopes, axis=1)
    return sizes
