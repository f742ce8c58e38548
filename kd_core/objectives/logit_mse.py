"""Logit MSE: the logits themselves, with no softmax and so no temperature."""

from __future__ import annotations

from kd_core.objectives._card import Array, Card, Outputs


def terms(outputs: Outputs) -> Array:
    """sum (z_s - z_t)². Unlike the divergences it also asks for the same offset.

    Source: Ba & Caruana 2014, equation 1, without its 1/2; Kim et al. 2021, the MSE loss.
    """
    return (outputs.z_s - outputs.z_t) ** 2


def gradient(outputs: Outputs) -> Array:
    return 2 * (outputs.z_s - outputs.z_t)


CARD = Card(
    name="logit_mse",
    order=6,
    title="Logit MSE",
    term="logit MSE",
    formula=r"\| z_s - z_t \|^2 = \sum_c (z_s - z_t)^2",
    help="The squared distance of teacher's and student's logits, summed over the classes. It has no "
    "temperature, and asks for the same offset, too.",
    source="Ba and Caruana 2014, arXiv 1312.6184; Kim et al. 2021, arXiv 2105.08919",
    has_temperature=False,
    terms=terms,
    gradient=gradient,
)
