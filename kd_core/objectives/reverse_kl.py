"""Reverse KL: the student keeps to what it is sure of."""

from __future__ import annotations

from kd_core.objectives._card import Array, Card, Outputs, through_softmax


def terms(outputs: Outputs) -> Array:
    """KL(student || teacher) = sum p_s (log p_s - log p_t) >= 0.

    Source: Gu et al. 2024 (MiniLLM), section 2, per row of classes instead of per sequence.
    """
    return outputs.p_s * (outputs.log_s - outputs.log_t)


def gradient(outputs: Outputs) -> Array:
    return through_softmax(outputs, outputs.log_s - outputs.log_t)


CARD = Card(
    name="reverse_kl",
    order=2,
    title="Reverse KL",
    term="reverse KL",
    also=("mode seeking",),
    notation="KL(student ‖ teacher)",
    formula=r"\mathrm{KL}(p_s \,\|\, p_t) = \sum_c p_s \log \frac{p_s}{p_t}",
    help="KL(student ‖ teacher), weighed by the student's probabilities. A student pays where it sees "
    "something and the teacher does not: one that is too small to follow everywhere keeps to a part of it.",
    source="Minka 2005, Divergence measures and message passing; in distillation Gu et al. 2023 (MiniLLM), "
    "arXiv 2306.08543",
    literature="For text that is generated: MiniLLM (Gu et al. 2023, 2306.08543)",
    terms=terms,
    gradient=gradient,
)
