"""Decoupled distillation: forward KL in two parts, each with a weight of its own.

Both parts are KL(teacher || student): TCKD between the target class and the rest, NCKD among the rest,
renormalised, so that KL = TCKD + (1 - p_t[target]) NCKD. With two classes NCKD is 0.
"""

from __future__ import annotations

from math import inf

from kd_core.objectives._card import Array, Card, Outputs


def target_terms(outputs: Outputs) -> Array:
    """TCKD. The other classes share its term of the rest as the teacher shares out its probability."""
    apart = outputs.log_t - outputs.log_s
    rests_apart = _log_rest(outputs, outputs.log_t) - _log_rest(outputs, outputs.log_s)
    return outputs.p_t * outputs.xp.where(outputs.target, apart, rests_apart)


def other_terms(outputs: Outputs) -> Array:
    """NCKD; the target has no part in it."""
    log_t = outputs.log_t - _log_rest(outputs, outputs.log_t)
    log_s = outputs.log_s - _log_rest(outputs, outputs.log_s)
    return _shares(outputs, outputs.log_t) * (log_t - log_s)


def terms(outputs: Outputs, *, dkd_target_weight: float = 1.0, dkd_other_weight: float = 8.0) -> Array:
    """dkd_target_weight * TCKD + dkd_other_weight * NCKD >= 0, for two classes at least.

    Source: Zhao et al. 2022, equations 5 to 7.
    """
    return dkd_target_weight * target_terms(outputs) + dkd_other_weight * other_terms(outputs)


def gradient(outputs: Outputs, *, dkd_target_weight: float = 1.0, dkd_other_weight: float = 8.0) -> Array:
    xp, share_s, share_t = outputs.xp, _shares(outputs, outputs.log_s), _shares(outputs, outputs.log_t)
    rest_t = xp.exp(_log_rest(outputs, outputs.log_t))
    by_target = outputs.p_s - xp.where(outputs.target, outputs.p_t, rest_t * share_s)
    return dkd_target_weight * by_target + dkd_other_weight * (share_s - share_t)


def loss(outputs: Outputs, *, dkd_target_weight: float = 1.0, dkd_other_weight: float = 8.0) -> Array:
    """The same of tensors, the mean over texts: TCKD over two classes and NCKD over C - 1, as in version 0.1.

    A sum of ``terms`` would be equal but for rounding, and that gives other weights in the end.
    """
    binary_s, others_s = _decoupled(outputs, outputs.log_s)
    binary_t, others_t = _decoupled(outputs, outputs.log_t)
    return dkd_target_weight * _kl(binary_t, binary_s) + dkd_other_weight * _kl(others_t, others_s)


def _decoupled(outputs: Outputs, log_p: Array) -> tuple[Array, Array]:
    """log p (B, 2) of target and rest, and (B, C - 1) among the rest."""
    rest = log_p[~outputs.target].view(len(log_p), -1)
    binary = outputs.xp.stack([log_p[outputs.target], rest.logsumexp(-1)], dim=-1)
    return binary, rest.log_softmax(-1)


def _kl(log_p: Array, log_q: Array) -> Array:
    return (log_p.exp() * (log_p - log_q)).sum() / len(log_p)


def _shares(outputs: Outputs, log_p: Array) -> Array:
    """What each other class has of the rest; 0 for the target."""
    return outputs.xp.exp(outputs.xp.where(outputs.target, -inf, log_p - _log_rest(outputs, log_p)))


def _log_rest(outputs: Outputs, log_p: Array) -> Array:
    """log of what all classes but the target have together: summed, as 1 - p[target] would round to 0."""
    others = outputs.xp.where(outputs.target, -inf, log_p)
    largest = outputs.xp.amax(others, axis=-1, keepdims=True)
    return largest + outputs.xp.log(outputs.xp.exp(others - largest).sum(axis=-1, keepdims=True))


CARD = Card(
    name="dkd",
    order=7,
    title="DKD",
    term="DKD",
    also=("decoupled knowledge distillation",),
    formula=r"\mathrm{DKD} = \beta_1 \mathrm{TCKD} + \beta_2 \mathrm{NCKD}",
    help="Decoupled distillation. The forward KL is split into the part about the target class and the part "
    "among the other classes, each with a weight of its own.",
    source="Zhao et al. 2022, arXiv 2203.08679",
    settings=("dkd_target_weight", "dkd_other_weight"),
    parts={"TCKD": target_terms, "NCKD": other_terms},
    terms=terms,
    gradient=gradient,
    loss=loss,
)
