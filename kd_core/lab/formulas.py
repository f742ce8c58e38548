"""The loss in LaTeX, with its numbers filled in. No class names: what a user wrote is no LaTeX."""

from __future__ import annotations

from kd_core.lab.anatomy import Anatomy, Divergence

# p_t and p_s: teacher's and student's softened probabilities.
DIVERGENCES: dict[Divergence, str] = {
    "forward_kl": r"\mathrm{KL}(p_t \,\|\, p_s) = \sum_c p_t \log \frac{p_t}{p_s}",
    "reverse_kl": r"\mathrm{KL}(p_s \,\|\, p_t) = \sum_c p_s \log \frac{p_s}{p_t}",
    "js": r"\mathrm{JS} = \tfrac{1}{2} \sum_c \Big( p_t \log \frac{p_t}{m} + p_s \log \frac{p_s}{m} \Big),"
    r"\; m = \tfrac{1}{2}(p_t + p_s)",
    "soft_cross_entropy": r"H(p_t, p_s) = -\sum_c p_t \log p_s",
    "reverse_cross_entropy": r"H(p_s, p_t) = -\sum_c p_s \log p_t",
}
_MOST_TERMS = 6
_IN_A_ROW = 3  # a phone has no room for more


def divergence_line(found: Anatomy, divergence: Divergence) -> str:
    """The formula, each class's term, and the sum."""
    terms = [_number(term) for term in found.terms[:_MOST_TERMS]]
    written = [f"({term})" if term.startswith("-") else term for term in terms]
    rows = [" + ".join(written[at : at + _IN_A_ROW]) for at in range(0, len(written), _IN_A_ROW)]
    more = r" + \dots" if len(found.terms) > _MOST_TERMS else ""
    return _lines(DIVERGENCES[divergence], r" \\ &\quad + ".join(rows) + more, bold(found.divergence))


def soft_line(found: Anatomy, temperature: float, t_squared: bool) -> str:
    symbol, name = r"L_{\mathrm{soft}}", "D"
    if not t_squared:
        return f"{symbol} = {name} = {bold(found.soft)}"
    return (
        rf"{symbol} = T^2 {name} = {temperature:g}^2 \times {_number(found.divergence)} = {bold(found.soft)}"
    )


def hard_line(found: Anatomy) -> str:
    return _lines(
        r"L_{\mathrm{hard}} = -\log \mathrm{softmax}(z_s)_y",
        rf"-\log {_number(found.right)}",
        bold(found.hard),
    )


def total_line(found: Anatomy, alpha: float) -> str:
    return _lines(
        r"L = \alpha L_{\mathrm{hard}} + (1 - \alpha) L_{\mathrm{soft}}",
        rf"{alpha:g} \times {_number(found.hard)} + {1 - alpha:.4g} \times {_number(found.soft)}",
        bold(found.total),
    )


def bold(number: float) -> str:
    return rf"\mathbf{{{_number(number)}}}"


def _number(number: float) -> str:
    """Three decimals, more where they would all be 0; no minus sign before nothing."""
    if 0 < abs(number) < 5e-4:
        power = f"{number:.1e}".split("e")
        return rf"{power[0]} \cdot 10^{{{int(power[1])}}}"
    return f"{number:.3f}"


def _lines(formula: str, *steps: str) -> str:
    """The formula and what follows from it, below each other at their equals signs."""
    left, right = formula.split(" = ", 1)
    below = r" \\ ".join(f"&= {step}" for step in steps)
    return rf"\begin{{aligned}} {left} &= {right} \\ {below} \end{{aligned}}"
