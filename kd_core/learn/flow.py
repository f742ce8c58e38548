"""The loss of one text as a flow: each number, which numbers it is made of, and how. No torch.

From left to right: logits, softened, compared, weighed, summed, and the push back on the student's logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from kd_core.learn.anatomy import Anatomy, Floats
from kd_core.learn.formulas import digits
from kd_core.objectives import find
from kd_core.system.formatting import counted

MOST_CLASSES = 6  # with a row of their own: the label's, and the likeliest ones
Who = Literal["teacher", "student", ""]

# How a class's term is computed, by its two probabilities; other losses have a formula on the page.
_TERMS: dict[str, Callable[[str, str], str]] = {
    "forward_kl": lambda p_t, p_s: f"{p_t} × log({p_t} / {p_s})",
    "reverse_kl": lambda p_t, p_s: f"{p_s} × log({p_s} / {p_t})",
    "soft_cross_entropy": lambda p_t, p_s: f"−{p_t} × log {p_s}",
    "reverse_cross_entropy": lambda p_t, p_s: f"−{p_s} × log {p_t}",
}


@dataclass(frozen=True)
class Number:
    """``parts`` are the ids of the numbers that it is computed from, as far as they are drawn, and ``way`` is
    what is marked of all that leads to it; empty: all.

    ``share`` is the length of its bar, from -1 to 1 where it is ``signed``; None for no bar.
    """

    id: str
    name: str
    value: str
    how: str
    parts: tuple[str, ...] = ()
    who: Who = ""
    share: float | None = None
    way: tuple[str, ...] = ()
    signed: bool = False


@dataclass(frozen=True)
class Row:
    name: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Stage:
    title: str
    about: str
    rows: list[Row] = field(default_factory=list)


def loss_flow(
    loss: Anatomy,
    student: Floats,
    teacher: Floats,
    label: int,
    labels: Sequence[str],
    *,
    divergence: str,
    temperature: float,
    alpha: float,
) -> list[Stage]:
    """The six stages. Shapes: logits (C,). Of many classes a few are shown, and the rest as sums."""
    card = find(divergence)
    likely = np.argsort(-np.maximum(loss.teacher, loss.student), kind="stable")
    shown = sorted([label, *(int(i) for i in likely if i != label)][:MOST_CLASSES], key=list(likely).index)
    rest = [i for i in range(len(labels)) if i not in shown]
    t, pushes = f"{temperature:g}", -loss.gradient
    longest = float(np.abs(pushes).max()) or 1.0
    logits, softened, compared, weighed, summed, pushed = (
        Stage("Logits", "z, of teacher and student"),
        Stage("Softened", f"softmax(z / {t})"),
        Stage("Compared", card.title),
        Stage("Weighed", f"by {'T² and ' if loss.factor != 1 else ''}alpha"),
        Stage("Summed", "the loss"),
        Stage("Pushed back", "on each student logit"),
    )
    models: tuple[tuple[Who, Floats, Floats], ...] = (
        ("teacher", teacher, loss.teacher),
        ("student", student, loss.student),
    )
    for i in shown:
        name = f"{labels[i]} (label)" if i == label else labels[i]
        logits.rows.append(Row(name, tuple(_logit(who, i, z, name) for who, z, _ in models)))
        softened.rows.append(
            Row(name, tuple(_softened(who, i, z, p, name, temperature) for who, z, p in models))
        )
        compared.rows.append(Row(name, (_term(loss, i, name, divergence, (student[i], teacher[i])),)))
        pushed.rows.append(Row(name, (_push(loss, i, name, alpha, pushes[i] / longest),)))
    if rest:
        name = counted(len(rest), "other")
        others = "The sum over the classes that are not shown."
        softened.rows.append(
            Row(
                name,
                tuple(
                    Number(
                        f"p_{who}_rest",
                        f"{who}: {name}",
                        number(p[rest].sum()),
                        others,
                        (),
                        who,
                        float(p[rest].sum()),
                    )
                    for who, _, p in models
                ),
            )
        )
        parts = ("p_teacher_rest", "p_student_rest")
        sum_of_rest = Number("d_rest", f"Terms of {name}", number(loss.terms[rest].sum()), others, parts)
        compared.rows.append(Row(name, (sum_of_rest,)))
    right, hard = digits(loss.right) or number(loss.right), number(loss.hard)
    q = Number(
        "q",
        "Student's probability of the label, at T = 1",
        right,
        f"The softmax of the student's logits as they are, with no temperature: {right} for {labels[label]}.",
        (f"z_student_{label}",),
        "student",
        loss.right,
    )
    softened.rows.append(Row("label, T = 1", (q,)))
    compared.rows.append(
        Row("hard loss", (Number("hard", "Hard loss", hard, f"−log {right} = {hard}", ("q",)),))
    )
    weighed.rows.extend(_weighed(loss, alpha, temperature, [*shown, "rest"] if rest else shown))
    total = f"{number(alpha * loss.hard)} + {number((1 - alpha) * loss.soft)} = {number(loss.total)}"
    summed.rows.append(
        Row("", (Number("total", "Total loss", number(loss.total), total, ("w_soft", "w_hard")),))
    )
    return [logits, softened, compared, weighed, summed, pushed]


def _logit(who: Who, i: int, logits: Floats, name: str) -> Number:
    how = f"What the {who} computes for {name}, before any softmax."
    return Number(f"z_{who}_{i}", f"{who.capitalize()}'s logit of {name}", number(logits[i]), how, (), who)


def _softened(who: Who, i: int, logits: Floats, probs: Floats, name: str, temperature: float) -> Number:
    how = f"The share of exp({number(logits[i])} / {temperature:g}) in the sum of the same over all classes"
    if abs(logits.max()) / temperature < 100:  # else the powers are too large or too small to read
        powers = np.exp(logits / temperature)
        how += f": {powers[i]:.4g} / {powers.sum():.4g} = {number(probs[i])}"
    else:
        how += "."
    title = f"{who.capitalize()}'s probability of {name}, softened"
    return Number(f"p_{who}_{i}", title, number(probs[i]), how, (f"z_{who}_{i}",), who, float(probs[i]))


def _term(loss: Anatomy, i: int, name: str, divergence: str, logits: tuple[float, float]) -> Number:
    card, term = find(divergence), number(loss.terms[i])
    p_t, p_s = number(loss.teacher[i]), number(loss.student[i])
    parts = (f"p_teacher_{i}", f"p_student_{i}")
    how = f"{card.title} of {p_t} and {p_s}: {term}. The formula is below."
    if divergence in _TERMS:
        how = f"{_TERMS[divergence](p_t, p_s)} = {term}"
    elif not card.has_temperature:
        z_s, z_t = map(number, logits)
        parts = (f"z_teacher_{i}", f"z_student_{i}")
        how = f"{card.title}, of all logits, {z_t} and {z_s} among them: {term}. The formula is below."
        if divergence == "logit_mse":
            how = f"({z_s} − {z_t})² = {term}"
    return Number(f"d_{i}", f"Term of {name}", term, how, parts)


def _weighed(loss: Anatomy, alpha: float, temperature: float, terms: Sequence[int | str]) -> list[Row]:
    d, soft = number(loss.divergence), number(loss.soft)
    parts = tuple(f"d_{i}" for i in terms)
    times = (
        f"T² × D = {temperature:g}² × {d} = {soft}" if loss.factor != 1 else f"D as it is, times 1: {soft}"
    )
    w_soft, w_hard = number((1 - alpha) * loss.soft), number(alpha * loss.hard)
    rest = f"{1 - alpha:.4g}"
    numbers = (
        ("D", Number("D", "D, the sum of the terms", d, f"All terms together: {d}", parts)),
        ("soft loss", Number("soft", "Soft loss", soft, times, ("D",))),
        (
            f"soft × {rest}",
            Number("w_soft", "Soft loss, weighed", w_soft, f"{rest} × {soft} = {w_soft}", ("soft",)),
        ),
        (
            f"hard × {alpha:g}",
            Number(
                "w_hard",
                "Hard loss, weighed",
                w_hard,
                f"{alpha:g} × {number(loss.hard)} = {w_hard}",
                ("hard",),
            ),
        ),
    )
    return [Row(name, (value,)) for name, value in numbers]


def _push(loss: Anatomy, i: int, name: str, alpha: float, share: float) -> Number:
    hard, soft = -alpha * loss.hard_gradient[i], -(1 - alpha) * loss.soft_gradient[i]
    total = hard + soft
    does = "raises" if total > 0 else "lowers" if total < 0 else "does not move"
    how = (
        f"The hard loss pushes by {number(hard, sign=True)}, the soft loss by {number(soft, sign=True)}: a "
        f"step {does} the student's logit of {name}."
    )
    own = tuple(f"{kind}_{i}" for kind in ("z_teacher", "z_student", "p_teacher", "p_student", "d"))
    way = (*own, "D", "soft", "w_soft", "q", "hard", "w_hard", "total")
    return Number(
        f"g_{i}", f"Push on {name}", number(total, sign=True), how, ("total",), "", float(share), way, True
    )


def number(value: float, *, sign: bool = False) -> str:
    """Three decimals, or a power where they would all be 0; a real minus sign."""
    value = float(value)
    text = f"{value:.1e}" if 0 < abs(value) < 5e-4 else f"{value:.3f}"
    if sign and value > 0:
        text = f"+{text}"
    return text.replace("-0.000", "0.000").replace("-", "−")
