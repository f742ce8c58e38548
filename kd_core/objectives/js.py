"""Jensen-Shannon: both models' distance from their average."""

from __future__ import annotations

from math import log

from kd_core.objectives._card import Array, Card, Outputs, through_softmax


def terms(outputs: Outputs) -> Array:
    """(KL(p_t || m) + KL(p_s || m)) / 2, m = (p_t + p_s) / 2; in [0, log 2], and the same exchanged.

    Source: Lin 1991, Divergence measures based on the Shannon entropy, with weights of 1/2.
    """
    log_m = _log_mean(outputs)
    return (outputs.p_t * (outputs.log_t - log_m) + outputs.p_s * (outputs.log_s - log_m)) / 2


def gradient(outputs: Outputs) -> Array:
    return through_softmax(outputs, (outputs.log_s - _log_mean(outputs)) / 2)


def _log_mean(outputs: Outputs) -> Array:
    return outputs.xp.logaddexp(outputs.log_s, outputs.log_t) - log(2)


CARD = Card(
    name="js",
    order=3,
    title="Jensen-Shannon",
    term="Jensen-Shannon divergence",
    also=("JS",),
    notation="JS(teacher, student)",
    formula=r"\mathrm{JS} = \tfrac{1}{2} \sum_c \Big( p_t \log \frac{p_t}{m} + p_s \log \frac{p_s}{m} \Big),"
    r"\; m = \tfrac{1}{2}(p_t + p_s)",
    help="The mean of the KL divergences of teacher and student from their average. It treats both alike "
    "and is never larger than log 2.",
    source="Lin 1991, Divergence measures based on the Shannon entropy",
    literature="For text that is generated: f-DISTILL, as one of four divergences (Wen et al. 2023, "
    "2307.15190); GKD, with a weight that moves it between the two KLs (Agarwal et al. 2023, 2306.13649)",
    terms=terms,
    gradient=gradient,
)
