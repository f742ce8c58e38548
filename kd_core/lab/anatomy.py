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

Floats = NDArray[np.float64]
# Those of ``config.Divergence`` that compare two softened distributions as they are.
Divergence = Literal["forward_kl", "reverse_kl", "js", "soft_cross_entropy", "reverse_cross_entropy"]


@dataclass(frozen=True)
class Anatomy:
    """All numbers on the way from two models' logits to the loss of one text.

    ``terms`` add up to ``divergence``; ``soft`` is that times T² (or not); ``total`` is
    alpha * hard + (1 - alpha) * soft. Gradients are with respect to the student's logits, before T divides
    them: ``gradient`` of the total, the other two of hard and soft loss alone.
    """

    scaled_teacher: Floats  # z / T
    scaled_student: Floats
    teacher: Floats  # p
    student: Floats
    terms: Floats
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
    divergence: Divergence,
    temperature: float,
    alpha: float,
    t_squared: bool = True,
) -> Anatomy:
    """Shapes: logits (C,). Source: Hinton et al. 2015, section 2; the objective of ``kd_core.objectives``."""
    z_s, z_t = np.asarray(student_logits, dtype=float), np.asarray(teacher_logits, dtype=float)
    log_s, log_t = log_softmax(z_s, temperature), log_softmax(z_t, temperature)
    factor = temperature**2 if t_squared else 1.0
    terms = divergence_terms(log_s, log_t, divergence)
    soft = factor * float(terms.sum())
    soft_gradient = factor * divergence_gradient(log_s, log_t, divergence) / temperature
    log_right = log_softmax(z_s)
    hard = -float(log_right[label])
    hard_gradient = np.exp(log_right) - np.eye(len(z_s))[label]
    return Anatomy(
        scaled_teacher=z_t / temperature,
        scaled_student=z_s / temperature,
        teacher=np.exp(log_t),
        student=np.exp(log_s),
        terms=terms,
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


def gradient_sizes(
    student_logits: Floats, teacher_logits: Floats, divergence: Divergence, temperatures: Sequence[float]
) -> Floats:
    """Length of the gradient of the divergence, without T², at each temperature."""
    return np.array(
        [
            np.linalg.norm(
                divergence_gradient(
                    log_softmax(student_logits, t), log_softmax(teacher_logits, t), divergence
                )
                / t
            )
            for t in temperatures
        ]
    )
