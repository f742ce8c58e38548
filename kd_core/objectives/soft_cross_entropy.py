"""Soft cross-entropy: forward KL as Hinton et al. wrote it."""

from __future__ import annotations

from kd_core.objectives._card import Array, Card, Outputs


def terms(outputs: Outputs) -> Array:
    """H(teacher, student) = -sum p_t log p_s: at least the teacher's entropy.

    Source: Hinton et al. 2015, section 2 (cross-entropy with the soft targets).
    """
    return -outputs.p_t * outputs.log_s


def gradient(outputs: Outputs) -> Array:
    return outputs.p_s - outputs.p_t


CARD = Card(
    name="soft_cross_entropy",
    order=4,
    title="Soft cross-entropy",
    term="soft cross-entropy",
    notation="H(teacher, student)",
    formula=r"H(p_t, p_s) = -\sum_c p_t \log p_s",
    help="H(teacher, student). It is the forward KL plus the teacher's entropy, which the student cannot "
    "change, so both have the same gradient.",
    source="Hinton et al. 2015, arXiv 1503.02531",
    literature="Hinton et al. 2015 (arXiv 1503.02531); DistilBERT (Sanh et al. 2019, 1910.01108); "
    "TinyBERT's prediction layer (Jiao et al. 2020, 1909.10351)",
    terms=terms,
    gradient=gradient,
)
