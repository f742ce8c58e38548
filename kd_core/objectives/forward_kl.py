"""Forward KL: the usual objective of distillation."""

from __future__ import annotations

from kd_core.objectives._card import Array, Card, Outputs


def terms(outputs: Outputs) -> Array:
    """KL(teacher || student) = sum p_t (log p_t - log p_s) >= 0.

    Source: Hinton et al. 2015, section 2, whose cross-entropy is this plus the teacher's entropy.
    """
    return outputs.p_t * (outputs.log_t - outputs.log_s)


def gradient(outputs: Outputs) -> Array:
    return outputs.p_s - outputs.p_t


CARD = Card(
    name="forward_kl",
    order=1,
    title="Forward KL",
    term="forward KL",
    also=("mode covering",),
    notation="KL(teacher ‖ student)",
    formula=r"\mathrm{KL}(p_t \,\|\, p_s) = \sum_c p_t \log \frac{p_t}{p_s}",
    help="KL(teacher ‖ student), weighed by the teacher's probabilities. A student pays where the teacher "
    "sees something and it does not: one that is too small to follow everywhere covers all that the teacher "
    "holds possible.",
    source="Minka 2005, Divergence measures and message passing; in distillation Hinton et al. 2015, "
    "arXiv 1503.02531",
    literature="The same gradient for the student, so another way to write it; DKD weighs two parts of it "
    "(Zhao et al. 2022, 2203.08679); MiniLM has it between attentions (Wang et al. 2020, 2002.10957)",
    terms=terms,
    gradient=gradient,
)
