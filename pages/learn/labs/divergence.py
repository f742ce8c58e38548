"""Lab 3, which way round: what a student that is too small gives up under each loss."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation.metrics import log_softmax
from kd_core.learn.anatomy import divergence_gradient, divergence_terms, entropy
from kd_core.learn.examples import Examples
from kd_core.learn.families import LINE, Fit, fit_backed_class, fit_hump, stance, two_humps
from kd_core.objectives import CARDS
from kd_core.system.formatting import percent
from pages.learn.labs.controls import Controls, choose_example, question, short
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape

PAGE = "divergence"
LOSSES = {name: card for name, card in CARDS.items() if card.of_distributions}
# Hinton's own way to write it comes first.
LITERATURE = sorted(
    (card for card in LOSSES.values() if card.literature), key=lambda card: card.name != "soft_cross_entropy"
)
NAMES = ("distance", "share", "losses", "source", "text", "temperature")
STANCES = {
    "both": "It covers both humps",
    "one": "It sits on one hump",
    "between": "It stands between them, narrow",
}


@st.fragment
def hump_lab() -> None:
    controls = Controls(PAGE, *NAMES, part="humps")
    top = st.container()
    left, right = st.columns([4, 8], gap="large")
    with left:
        controls.open()
    distance = controls.add(
        "distance",
        "slider",
        "Distance of the teacher's humps",
        0.0,
        8.0,
        6.0,
        0.5,
        help="In units of the line",
    )
    share = controls.add(
        "share",
        "slider",
        "Share of the right-hand hump (%)",
        5,
        95,
        60,
        5,
        help="The left-hand one has the rest",
    )
    losses = controls.add(
        "losses",
        "pills",
        "Losses",
        list(LOSSES),
        selection_mode="multi",
        default=["forward_kl"],
        format_func=lambda loss: LOSSES[loss].title,
    )
    log_teacher = two_humps(distance, share / 100)
    fits = {loss: fit_hump(log_teacher, loss) for loss in LOSSES}
    with top:
        guess = question(
            controls,
            "Forward KL, below, makes the student's one hump wide enough for both of the teacher's. Turn it "
            "round, to KL(student ‖ teacher): what will the student do?",
            tuple(STANCES.values()),
            STANCES[stance(fits["reverse_kl"], distance)],
            f"With these humps its centre is at {fits['reverse_kl'].place:.1f} and its width "
            f"{fits['reverse_kl'].width:.2f}, against {fits['forward_kl'].place:.1f} and "
            f"{fits['forward_kl'].width:.2f} under forward KL.",
        )
    shown = [loss for loss in LOSSES if loss in losses or (guess and loss == "reverse_kl")]
    with left:
        st.caption(
            "The student is a single hump, with a centre and a width, fitted anew under each loss. Choose "
            "more losses to see them side by side."
        )
    with right:
        _panels(log_teacher, fits, shown)
    st.header("What you see", anchor=False)
    st.markdown(_words(fits, log_teacher, distance))


def _panels(log_teacher: np.ndarray, fits: dict[str, Fit], shown: list[str]) -> None:
    if not shown:
        st.info("Choose a loss on the left to fit a student under it.", icon=":material/tune:")
        return
    teacher = np.exp(log_teacher)
    across = min(len(shown), 3)
    for start in range(0, len(shown), across):
        for column, loss in zip(st.columns(across), shown[start : start + across], strict=False):
            fit, card = fits[loss], LOSSES[loss]
            with column:
                chart(
                    figures.humps(LINE.tolist(), teacher, fit.probs, title=card.title, dark=is_dark()),
                    key=f"{PAGE}.hump_{loss}",
                    alt=f"{card.title}: the student's hump is at {fit.place:.1f}, {fit.width:.2f} wide",
                )
                st.caption(
                    f"{card.notation or card.title} = {fit.loss:.3f} · centre {fit.place:.1f} · "
                    f"width {fit.width:.2f}"
                )


def _words(fits: dict[str, Fit], log_teacher: np.ndarray, distance: float) -> str:
    forward, reverse, js = (fits[loss] for loss in ("forward_kl", "reverse_kl", "js"))
    valley = float(np.exp(forward.log_probs - log_teacher)[np.abs(LINE) <= 0.5].mean())
    lines = [
        "**Forward KL** weighs each place by the teacher. Where the teacher has something and the student "
        "nothing, the logarithm explodes, so the student covers all of it (mode covering): centre "
        f"{forward.place:.1f}, width {forward.width:.2f}."
    ]
    if valley > 2:
        lines[0] += f" The price: in the middle it claims {valley:,.0f} times what the teacher does."
    lines.append(
        "**Reverse KL** weighs each place by the student. What it leaves out costs nothing, what it invents "
        f"does. Here {STANCES[stance(reverse, distance)].lower()} (mode seeking; Minka 2005, Divergence "
        f"measures and message passing): centre {reverse.place:.1f}, width {reverse.width:.2f}."
    )
    lines.append(
        f"**Jensen-Shannon** lies between, and goes either way: here {STANCES[stance(js, distance)].lower()} "
        f"(width {js.width:.2f}). **Soft cross-entropy** finds the student of forward KL. **Reverse "
        "cross-entropy** finds the narrowest student there is, on the teacher's highest point "
        f"(width {fits['reverse_cross_entropy'].width:.2f}): it never asks for the shades."
    )
    return "\n\n".join(lines)


@st.fragment
def text_lab() -> None:
    st.header("The same on a real text", anchor=False)
    st.markdown(
        "A student so small that it can back one class and must treat all others alike: one number for the "
        "whole answer."
    )
    controls = Controls(PAGE, *NAMES, part="text")
    left, right = st.columns([4, 8], gap="large")
    example = choose_example(controls, left)
    if example is None:
        return
    examples, row = example
    temperature = controls.setting("temperature", "Temperature", 1.0)
    log_teacher = log_softmax(examples.logits["teacher"][row], temperature)
    fits = {loss: fit_backed_class(log_teacher, loss) for loss in LOSSES}
    with left:
        st.dataframe(
            pd.DataFrame(
                {
                    "Loss": [LOSSES[loss].title for loss in fits],
                    "Backed": [100 * float(fit.probs.max()) for fit in fits.values()],
                    "Each other": [100 * float(fit.probs.min()) for fit in fits.values()],
                }
            ),
            hide_index=True,
            key=f"{PAGE}.backed",
            column_config=dict.fromkeys(
                ("Backed", "Each other"), st.column_config.NumberColumn(format="%.1f %%")
            ),
            alt="What the fitted student gives to the class that it backs and to each other one",
        )
    with right:
        first, second = st.columns(2)
        for column, loss in ((first, "forward_kl"), (second, "reverse_kl")):
            with column:
                chart(
                    figures.two_answers(
                        np.exp(log_teacher),
                        fits[loss].probs,
                        examples.labels,
                        title=LOSSES[loss].title,
                        dark=is_dark(),
                    ),
                    key=f"{PAGE}.answer_{loss}",
                    alt=f"{LOSSES[loss].title}: the student gives the class that it backs "
                    f"{percent(float(fits[loss].probs.max()))}",
                )
    st.markdown(_text_words(examples, row, log_teacher, fits))
    _entropy(examples, row, temperature)


def _text_words(examples: Examples, row: int, log_teacher: np.ndarray, fits: dict[str, Fit]) -> str:
    first, second = np.argsort(-log_teacher)[:2]
    forward, reverse = fits["forward_kl"].probs, fits["reverse_kl"].probs
    start = (
        f"For “{escape(short(examples.texts[row]))}” the teacher gives {escape(examples.labels[first])} "
        f"{percent(float(np.exp(log_teacher[first])))} and {escape(examples.labels[second])} "
        f"{percent(float(np.exp(log_teacher[second])))}."
    )
    if len(log_teacher) == 2:
        return (
            f"{start} With two classes one number is the whole answer, so this student can copy its teacher, "
            "and under every loss but reverse cross-entropy it does."
        )
    return (
        f"{start} Forward KL keeps the first as it is and spreads the "
        f"rest evenly, {percent(float(forward.min()))} each, on unlikely classes too. Reverse KL "
        f"shuns those, so it backs its class with {percent(float(reverse.max()))}: surer than its teacher. "
        "A student that is large enough has no such choice to make: then every one of these losses, but for "
        "reverse cross-entropy, is smallest where it is its teacher."
    )


def _entropy(examples: Examples, row: int, temperature: float) -> None:
    st.header("Cross-entropy is KL plus an entropy", anchor=False)
    log_t = log_softmax(examples.logits["teacher"][row], temperature)
    log_s = log_softmax(examples.logits["alone"][row], temperature)
    left, right = st.columns(2, gap="large")
    for column, title, (kl, cross), log_own, remark in (
        (
            left,
            r"H(p_t, p_s) = \mathrm{KL}(p_t \,\|\, p_s) + H(p_t)",
            ("forward_kl", "soft_cross_entropy"),
            log_t,
            "The teacher's entropy does not depend on the student: both losses have the same gradient.",
        ),
        (
            right,
            r"H(p_s, p_t) = \mathrm{KL}(p_s \,\|\, p_t) + H(p_s)",
            ("reverse_kl", "reverse_cross_entropy"),
            log_s,
            "The student's entropy is the student's own: cross-entropy pushes it down too, and the gradients "
            "differ.",
        ),
    ):
        with column:
            numbers = [float(divergence_terms(log_s, log_t, loss).sum()) for loss in (cross, kl)]
            difference = float(
                np.abs(divergence_gradient(log_s, log_t, cross) - divergence_gradient(log_s, log_t, kl)).max()
            )
            st.latex(title)
            st.latex(rf"{numbers[0]:.3f} = {numbers[1]:.3f} + {float(entropy(log_own)):.3f}")
            st.markdown(f"{remark} They differ by up to **{difference:.3f}** here.")
    st.caption(
        "With the logits of the student alone for the text above, at the temperature above; gradients by its "
        "softened logits."
    )


def literature() -> None:
    st.header("Who uses which", anchor=False)
    # No data frame: it would cut the sentences, and a phone shows no more than their beginning.
    st.markdown("\n".join(f"- **{card.title}.** {card.literature}." for card in LITERATURE))
    st.caption(
        "Papers on generated text compare mode covering and mode seeking, too. Wu et al. 2024 (2404.02657) "
        "find neither in large language models: trained long enough, both KLs end in the same place."
    )
