"""The loss in LaTeX, with its numbers filled in. No class names: what a user wrote is no LaTeX."""

from __future__ import annotations

from kd_core.learn.anatomy import Anatomy, default_settings
from kd_core.objectives import find

_MOST_TERMS = 6
_IN_A_ROW = 3  # a phone has no room for more


def divergence_line(anatomy: Anatomy, divergence: str) -> str:
    """The formula, each class's term (or the weighted parts of a loss that has any), and the sum."""
    card = find(divergence)
    if anatomy.parts:
        parts = [
            rf"{weight:g} \times {_number(part)}"
            for weight, part in zip(default_settings(card).values(), anatomy.parts.values(), strict=True)
        ]
        return _lines(card.formula, " + ".join(parts), bold(anatomy.divergence))
    numbers = [_number(term) for term in anatomy.terms[:_MOST_TERMS]]
    signed = [f"- {number[1:]}" if number.startswith("-") else f"+ {number}" for number in numbers]
    rows = [" ".join(signed[at : at + _IN_A_ROW]) for at in range(0, len(signed), _IN_A_ROW)]
    more = r" + \dots" if len(anatomy.terms) > _MOST_TERMS else ""
    summed = r" \\ &\quad ".join(rows).removeprefix("+ ") + more
    return _lines(card.formula, summed, bold(anatomy.divergence))


def soft_line(anatomy: Anatomy, temperature: float, t_squared: bool) -> str:
    symbol, name = r"L_{\mathrm{soft}}", "D"
    if not t_squared:
        return f"{symbol} = {name} = {bold(anatomy.soft)}"
    product = rf"{temperature:g}^2 \times {_number(anatomy.divergence)}"
    return f"{symbol} = T^2 {name} = {product} = {bold(anatomy.soft)}"


def hard_line(anatomy: Anatomy) -> str:
    return _lines(
        r"L_{\mathrm{hard}} = -\log \mathrm{softmax}(z_s)_y",
        rf"-\log {digits(anatomy.right) or _number(anatomy.right)}",
        bold(anatomy.hard),
    )


def total_line(anatomy: Anatomy, alpha: float) -> str:
    return _lines(
        r"L = \alpha L_{\mathrm{hard}} + (1 - \alpha) L_{\mathrm{soft}}",
        rf"{alpha:g} \times {_number(anatomy.hard)} + {1 - alpha:.4g} \times {_number(anatomy.soft)}",
        bold(anatomy.total),
    )


def bold(number: float) -> str:
    return rf"\mathbf{{{_number(number)}}}"


def digits(probability: float) -> str:
    """Three that count, where three decimals leave fewer: its logarithm may be taken by hand. Else ``""``."""
    return f"{probability:.3g}" if 1e-4 <= probability < 0.01 else ""


def _number(number: float) -> str:
    """Three decimals, more where they would all be 0; no minus sign before nothing."""
    if 0 < abs(number) < 5e-4:
        power = f"{number:.1e}".split("e")
        return rf"{power[0]} \cdot 10^{{{int(power[1])}}}"
    return f"{number + 0.0:.3f}"  # -0.0 + 0.0 is 0.0


def _lines(formula: str, *steps: str) -> str:
    """The formula and what follows from it, below each other at their equals signs."""
    left, right = formula.split(" = ", 1)
    below = r" \\ ".join(f"&= {step}" for step in steps)
    return rf"\begin{{aligned}} {left} &= {right} \\ {below} \end{{aligned}}"
