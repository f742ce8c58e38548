"""Hard answers: the teacher's first choice as if it were the label, without its shades."""

from __future__ import annotations

from kd_core.objectives._card import Array, Card, Outputs


def terms(outputs: Outputs) -> Array:
    """-log softmax(z_s) of the class whose z_t is largest, at T = 1; classes that tie for it share alike.

    Source: Lee 2013, Pseudo-Label, section 2.2, the labels there being the student's own.
    """
    return -_first(outputs) * _log_student(outputs)


def gradient(outputs: Outputs) -> Array:
    return outputs.xp.exp(_log_student(outputs)) - _first(outputs)


def _first(outputs: Outputs) -> Array:
    """1 for the teacher's class, 0 for the others."""
    first = (outputs.z_t == outputs.xp.amax(outputs.z_t, axis=-1, keepdims=True)) * 1.0
    return first / first.sum(axis=-1, keepdims=True)


def _log_student(outputs: Outputs) -> Array:
    z = outputs.z_s - outputs.xp.amax(outputs.z_s, axis=-1, keepdims=True)
    return z - outputs.xp.log(outputs.xp.exp(z).sum(axis=-1, keepdims=True))


CARD = Card(
    name="hard_answers",
    order=8,
    title="Hard answers",
    term="hard answer",
    also=("pseudo-label",),
    formula=r"-\log \mathrm{softmax}(z_s)_{\hat{y}} = -\sum_c [c = \hat{y}] \log \mathrm{softmax}(z_s)_c",
    help="The cross-entropy with the teacher's first choice, as if it were the label. It has no temperature, "
    "and says nothing of the other classes: what a soft label adds shows against it.",
    source="Lee 2013, Pseudo-Label, a workshop paper of ICML 2013",
    has_temperature=False,
    terms=terms,
    gradient=gradient,
)
