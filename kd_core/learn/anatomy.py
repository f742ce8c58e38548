"""The loss of one text, number by number, as ``kd_core.objectives`` computes it, with its gradient.

C classes, T the temperature; z are logits, p the softened distributions softmax(z / T). Here in numpy, with
gradients in closed form, so that a page needs no torch; a test compares all with scipy and torch's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd_core.config import ObjectiveConfig
from kd_core.distillation.metrics import log_softmax
from kd_core.objectives import Card, Outputs, find

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Anatomy:
    """All numbers on the way from two models' logits to the loss of one text.

    ``terms`` add up to ``divergence``; ``parts`` are those of the loss, if any, by name and without their
    weights. ``soft`` is the divergence times T² (or not, and never where the loss knows no T); ``total`` is
    alpha * hard + (1 - alpha) * soft. Gradients are with respect to the student's logits, before T divides
    them: ``gradient`` of the total, the other two of hard and soft loss alone.
    """

    scaled_teacher: Floats  # z / T
    scaled_student: Floats
    teacher: Floats  # p
    student: Floats
    terms: Floats
    parts: dict[str, float]
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
    divergence: str,
    temperature: float,
    alpha: float,
    t_squared: bool = True,
) -> Anatomy:
    """Shapes: logits (C,). Source: Hinton et al. 2015, section 2; as in ``training.losses``."""
    z_s, z_t = np.asarray(student_logits, dtype=float), np.asarray(teacher_logits, dtype=float)
    card, outputs = find(divergence), outputs_of(z_s, z_t, label, temperature)
    factor = temperature**2 if t_squared and card.has_temperature else 1.0
    terms, slope = soft_terms(outputs, divergence, temperature)
    soft = factor * float(terms.sum())
    soft_gradient = factor * slope
    log_right = log_softmax(z_s)
    hard = -float(log_right[label])
    hard_gradient = np.exp(log_right) - np.eye(len(z_s))[label]
    return Anatomy(
        scaled_teacher=z_t / temperature,
        scaled_student=z_s / temperature,
        teacher=outputs.p_t,
        student=outputs.p_s,
        terms=terms,
        parts={name: float(part(outputs).sum()) for name, part in card.parts.items()},
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


def entropy(log_probs: Floats) -> Any:
    """-sum p log p in nats, over the last dimension: from 0, sure of one class, to log C, all alike."""
    return -(np.exp(log_probs) * log_probs).sum(axis=-1)


def divergence_terms(log_s: Floats, log_t: Floats, divergence: str) -> Floats:
    """Each class's share (..., C) of the divergence; they may be negative, their sum is the loss."""
    terms: Floats = find(divergence).terms(Outputs(np, log_s, log_t))
    return terms


def divergence_gradient(log_s: Floats, log_t: Floats, divergence: str) -> Floats:
    """With respect to the student's softened logits z / T, (..., C); it adds up to 0."""
    gradient: Floats = find(divergence).gradient(Outputs(np, log_s, log_t))
    return gradient


def default_settings(card: Card) -> dict[str, float]:
    """The settings that are a loss's own, as a run has them unless somebody changes them."""
    return {name: ObjectiveConfig.model_fields[name].default for name in card.settings}


def soft_terms(outputs: Outputs, loss: str, temperature: float) -> tuple[Floats, Floats]:
    """Each class's term of a soft loss, without T², and its gradient by the student's logits; all (C,)."""
    card = find(loss)
    own = default_settings(card)
    gradient = card.gradient(outputs, **own)
    return card.terms(outputs, **own), gradient / temperature if card.has_temperature else gradient


def outputs_of(student_logits: Floats, teacher_logits: Floats, label: Any, temperature: float) -> Outputs:
    return Outputs(
        np,
        log_softmax(student_logits, temperature),
        log_softmax(teacher_logits, temperature),
        student_logits,
        teacher_logits,
        np.arange(teacher_logits.shape[-1]) == label,
    )


def t_squared_growth(
    student_logits: Floats, teacher_logits: Floats, labels: Any, loss: str, cold: float, hot: float
) -> Floats:
    """How many times as long the soft gradient is at T = ``hot`` as at ``cold``, T² included: (texts,).

    Shapes: logits (texts, C), labels (texts,). It is 1 where logits are small against both temperatures
    (Hinton et al. 2015, section 2.1).
    """
    lengths = [
        t**2
        * np.linalg.norm(
            soft_terms(outputs_of(student_logits, teacher_logits, labels[:, None], t), loss, t)[1], axis=1
        )
        for t in (cold, hot)
    ]
    growth: Floats = lengths[1] / lengths[0]
    return growth


def gradient_sizes(
    student_logits: Floats,
    teacher_logits: Floats,
    label: int,
    loss: str,
    temperatures: Sequence[float],
) -> Floats:
    """Length of the gradient of the soft loss, without T², at each temperature."""
    slopes = [
        soft_terms(outputs_of(student_logits, teacher_logits, label, t), loss, t)[1] for t in temperatures
    ]
    sizes: Floats = np.linalg.norm(slopes, axis=1)
    return sizes
