"""Lab 3, which way round: what a student that is too small gives up under each loss."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation.metrics import log_softmax
from kd_core.learn.anatomy import divergence_gradient, divergence_terms, entropy
from kd_core.learn.examples import Examples
from kd_core.learn.families import LINE, Fit, fit_backed_class, fit_hump, humps_in, spread, stance, two_humps
from kd_core.objectives import CARDS
from kd_core.system.formatting import percent
from pages.learn.labs.controls import Controls, question
from pages.learn.labs.texts import choose_example, short
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, prose

PAGE = "divergence"
LOSSES = {name: card for name, card in CARDS.items() if card.of_distributions}
# Hinton's own way to write it comes first.
LITERATURE = sorted(
    (card for card in LOSSES.values() if card.literature), key=lambda card: card.name != "soft_cross_entropy"
)
NAMES = ("distance", "share", "losses", "source", "text", "temperature")
DISTANCE, SHARE = 6.0, 60  # of the teacher's humps, at first
STANCES = {
    "both": "It covers both humps",
    "one": "It sits on one hump",
    "between": "It stands between them, narrow",
}


def divergence_lab() -> None:
    if _asked(Controls(PAGE, *NAMES)):
        hump_lab()
        text_lab()
        literature()


def _asked(controls: Controls) -> bool:
    """About the humps that the lab starts with."""
    log_teacher = two_humps(DISTANCE, SHARE / 100)
    forward, reverse = (fit_hump(log_teacher, loss) for loss in ("forward_kl", "reverse_kl"))
    settled = question(
        controls,
        "The teacher below has two humps, and the student only one, with a centre and a width. Forward KL, "
        "KL(teacher ‖ student), makes it wide enough for both. Turn the loss round, to KL(student ‖ "
        "teacher): what will the student do?",
        tuple(STANCES.values()),
        STANCES[stance(reverse, log_teacher, DISTANCE)],
        f"With these humps its centre is at {reverse.place:.1f} and its width {reverse.width:.2f}, against "
        f"{forward.place:.1f} and {forward.width:.2f} under forward KL.",
    )
    if not settled:
        _panels(log_teacher, {"forward_kl": forward}, ["forward_kl"])
    return settled


@st.fragment
def hump_lab() -> None:
    controls = Controls(PAGE, *NAMES, part="humps")
    result = controls.open()
    distance = controls.add(
        "distance",
        "slider",
        "Distance of the teacher's humps",
        0.0,
        8.0,
        DISTANCE,
        0.5,
        help="In units of the line",
        in_view=True,
    )
    share = controls.add(
        "share",
        "slider",
        "Share of the right-hand hump (%)",
        5,
        95,
        SHARE,
        5,
        help="The left-hand one has the rest",
        in_view=True,
    )
    losses = controls.add(
        "losses",
        "pills",
        "Losses: a student is fitted under each",
        list(LOSSES),
        selection_mode="multi",
        default=["forward_kl", "reverse_kl"],
        format_func=lambda loss: LOSSES[loss].title,
    )
    log_teacher = two_humps(distance, share / 100)
    fits = {loss: fit_hump(log_teacher, loss) for loss in LOSSES}
    with result:
        _panels(log_teacher, fits, [loss for loss in LOSSES if loss in losses])
        st.header("What you see", anchor=False)
        prose(_words(fits, log_teacher, distance))


def _panels(log_teacher: np.ndarray, fits: dict[str, Fit], shown: list[str]) -> None:
    if not shown:
        st.info("Choose a loss above to fit a student under it.", icon=":material/tune:")
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
                st.caption(f"{card.notation or card.title} = {fit.loss:.3f} · {_numbers(fit)}")


def _numbers(fit: Fit) -> str:
    mean, deviation = spread(fit.probs)
    return f"mean {mean:.1f}, standard deviation {deviation:.2f}".replace("-", "−")


def _words(fits: dict[str, Fit], log_teacher: np.ndarray, distance: float) -> str:
    forward, reverse, js = (fits[loss] for loss in ("forward_kl", "reverse_kl", "js"))
    narrowest = (
        "**Reverse cross-entropy** finds the narrowest student there is, on the teacher's highest point "
        f"(width {fits['reverse_cross_entropy'].width:.2f}): it never asks for the shades."
    )
    if humps_in(log_teacher) == 1:
        return (
            "So close together, the teacher's humps are one, and a student with one hump can nearly copy it. "
            f"There is little to give up: the width is {forward.width:.2f} under **forward KL**, "
            f"{reverse.width:.2f} under **reverse KL** and {js.width:.2f} under **Jensen-Shannon**. **Soft "
            f"cross-entropy** finds the student of forward KL. {narrowest}"
        )
    valley = float(np.exp(forward.log_probs - log_teacher)[np.abs(LINE) <= 0.5].mean())
    covering = (
        "**Forward KL** (mode covering) weighs each place by the teacher. Where the teacher has something "
        f"and the student nothing, the logarithm explodes. Here "
        f"{STANCES[stance(forward, log_teacher, distance)].lower()}: {_numbers(forward)}."
    )
    if valley > 2:
        covering += f" The price: in the middle it claims {valley:,.0f} times what the teacher does."
    return "\n\n".join(
        (
            covering,
            "**Reverse KL** (mode seeking; Minka 2005, Divergence measures and message passing) weighs each "
            "place by the student. What it leaves out costs nothing, what it invents does. Here "
            f"{STANCES[stance(reverse, log_teacher, distance)].lower()}: {_numbers(reverse)}.",
            f"**Jensen-Shannon** lies between the two. Here "
            f"{STANCES[stance(js, log_teacher, distance)].lower()} (width "
            f"{js.width:.2f}). **Soft cross-entropy** finds the student of forward KL. {narrowest}",
        )
    )


@st.fragment
def text_lab() -> None:
    st.header("The same on a real text", anchor=False)
    st.markdown(
        "This student is so small that it can only back one class, more or less, and has to treat all others "
        "alike."
    )
    controls = Controls(PAGE, *NAMES, part="text")
    result = controls.open()
    example = choose_example(controls)
    if example is None:
        return
    examples, row = example
    temperature = controls.setting("temperature", "Temperature", 1.0)
    with result:
        _of_a_text(examples, row, temperature)


def _of_a_text(examples: Examples, row: int, temperature: float) -> None:
    log_teacher = log_softmax(examples.logits["teacher"][row], temperature)
    fits = {loss: fit_backed_class(log_teacher, loss) for loss in LOSSES}
    for column, loss in zip(st.columns(2, gap="large"), ("forward_kl", "reverse_kl"), strict=True):
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
    prose(_text_words(examples, row, log_teacher, fits))
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
        width=520,
        column_config=dict.fromkeys(
            ("Backed", "Each other"), st.column_config.NumberColumn(format="%.1f %%")
        ),
        alt="What the fitted student gives to the class that it backs and to each other one",
    )
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
    backed = percent(float(reverse.max()))
    turned = (
        f"Reverse KL shuns those, so it backs its class with {backed}: surer than its teacher."
        if float(reverse.max() - np.exp(log_teacher[first])) > 5e-3
        else "Here the teacher finds the others so alike that there is little to shun, and reverse KL does "
        f"nearly the same: it backs its class with {backed}."
    )
    return (
        f"{start} Forward KL keeps the first as it is and spreads the rest evenly, "
        f"{percent(float(forward.min()))} each, on unlikely classes too. {turned} A student that is large "
        "enough need not choose: each of these losses, except reverse cross-entropy, is smallest when the "
        "student gives exactly its teacher's answer."
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
            # Each is rounded, so that their last digits may not add up.
            st.latex(rf"{numbers[0]:.3f} \approx {numbers[1]:.3f} + {float(entropy(log_own)):.3f}")
            apart = f"differ by up to **{difference:.3f}**" if difference >= 0.0005 else "do not differ"
            st.markdown(f"{remark} They {apart} here.")
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
