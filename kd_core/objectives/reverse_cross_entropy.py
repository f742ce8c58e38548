"""Reverse cross-entropy: all for the teacher's first choice."""

from __future__ import annotations

from kd_core.objectives._card import Array, Card, Outputs, through_softmax


def terms(outputs: Outputs) -> Array:
    """H(student, teacher) = -sum p_s log p_t.

    It is reverse KL plus the student's entropy, so its minimum is not p_s = p_t but all of p_s on the
    teacher's most probable class.
    Source: Wang et al. 2019 (Symmetric cross entropy), section 3, the labels there being the teacher here.
    """
    return -outputs.p_s * outputs.log_t


def gradient(outputs: Outputs) -> Array:
    return through_softmax(outputs, -outputs.log_t)


CARD = Card(
    name="reverse_cross_entropy",
    order=5,
    title="Reverse cross-entropy",
    term="reverse cross-entropy",
    notation="H(student, teacher)",
    formula=r"H(p_s, p_t) = -\sum_c p_s \log p_t",
    help="H(student, teacher). It is smallest when the student puts everything on the teacher's first "
    "choice, so it teaches no shades.",
    source="Wang et al. 2019, arXiv 1908.06112",
    literature="Symmetric cross entropy (Wang et al. 2019, 1908.06112): beside the usual cross-entropy, with "
    "labels in the teacher's place, against wrong ones",
    terms=terms,
    gradient=gradient,
)
