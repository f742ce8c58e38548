"""Lab 2, the loss: every number on the way from logits and a label to the push on each logit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.config import slider
from kd_core.distillation import roles
from kd_core.distillation.metrics import log_softmax
from kd_core.errors import KDError
from kd_core.learn import formulas
from kd_core.learn.anatomy import (
    Anatomy,
    anatomy,
    default_settings,
    divergence_terms,
    gradient_sizes,
    t_squared_growth,
)
from kd_core.learn.examples import Examples, shipped
from kd_core.learn.flow import loss_flow
from kd_core.objectives import CARDS
from kd_core.system.formatting import percent
from pages.learn.labs.controls import Controls, question
from pages.learn.labs.flow import flow
from pages.learn.labs.texts import choose_example
from pages.shared.charts import chart, is_dark
from pages.shared.text import escape, prose, term
from pages.shared.written import decimals, written

PAGE = "loss"
COLDEST, HOTTEST, _ = slider("objective.temperature")
CURVE = np.linspace(COLDEST, HOTTEST, 40)
STUDENTS = {
    "alone": roles.NAMES["alone"],
    "student": roles.NAMES["student"],
    "untrained": "Untrained: all logits 0",
}
LARGER, SAME, SMALLER = "More strongly", "As strongly as before", "More weakly"


@st.fragment
def loss_lab() -> None:
    names = ("source", "text", "student", "divergence", "temperature", "alpha", "t_squared")
    controls = Controls(PAGE, *names)
    if not _asked(controls):
        return
    result = controls.open()
    example = choose_example(controls)
    if example is None:
        return
    examples, row = example
    students = _choose_student(controls, examples)
    student = students[row]
    teacher, label = examples.logits["teacher"][row], int(examples.truth[row])
    objective = _choose_objective(controls)
    loss = anatomy(student, teacher, label, **objective)
    sizes = gradient_sizes(student, teacher, label, objective["divergence"], CURVE.tolist())
    with result:
        flow(
            loss_flow(
                loss,
                student,
                teacher,
                label,
                examples.labels,
                divergence=objective["divergence"],
                temperature=objective["temperature"],
                alpha=objective["alpha"],
            ),
            student="student" if st.session_state[controls.key("student")] == "student" else "alone",
            key=f"{PAGE}.flow",
            alt=f"From logits to the loss: soft loss {loss.soft:.3f}, hard loss {loss.hard:.3f}, total "
            f"{loss.total:.3f}",
        )
        first, second = st.columns(2, gap="large")
        with first:
            _bars(loss, examples, objective["alpha"])
        with second:
            _sizes(loss, sizes, objective)
        st.header("What you see", anchor=False)
        prose(_words(loss, examples, label, objective))
        if CARDS[objective["divergence"]].has_temperature:
            prose(_of_t_squared(loss, objective["temperature"], objective["t_squared"]))
            prose(_over_all_texts(examples, students, objective["divergence"]))
        prose(_of_this_loss(loss, student, teacher, label, objective))
        _formulas(loss, objective, examples.labels[label])
        _table(loss, student, teacher, examples, label)


def _choose_student(controls: Controls, examples: Examples) -> np.ndarray:
    """Its logits for every text, (texts, classes)."""
    name = controls.add(
        "student",
        "selectbox",
        "Student",
        list(STUDENTS),
        format_func=STUDENTS.__getitem__,
        help=f"{term('student')} Its logits are compared with the teacher's.",
    )
    if name == "untrained":
        return np.zeros_like(examples.logits["teacher"])
    return examples.logits[name]


def _choose_objective(controls: Controls) -> dict[str, Any]:
    unlike_others = [card for card in CARDS.values() if not card.of_distributions]
    divergence = controls.add(
        "divergence",
        "selectbox",
        "Soft loss",
        list(CARDS),
        format_func=lambda name: CARDS[name].title,
        help=" ".join([term("soft loss"), *(f"{card.title}: {escape(card.help)}" for card in unlike_others)]),
    )
    temperature = controls.setting("temperature", "Temperature")
    alpha = controls.setting("alpha", "Alpha: weight of the hard loss")
    t_squared = controls.add("t_squared", "toggle", "Times T²", value=True, help=term("T²"), in_view=True)
    if not CARDS[divergence].has_temperature:
        name = escape(CARDS[divergence].term)
        controls.note(f"The {name} has no temperature and no T²: moving them changes nothing.")
        t_squared = False
    return {"divergence": divergence, "temperature": temperature, "alpha": alpha, "t_squared": t_squared}


def _asked(controls: Controls) -> bool:
    """About forward KL, the recorded student alone, and the headline that the lab starts with."""
    try:
        examples = shipped()
    except KDError:  # the lab says what is missing
        return True
    row = examples.undecided
    student, teacher = examples.logits["alone"], examples.logits["teacher"]
    cold, hot = gradient_sizes(student[row], teacher[row], int(examples.truth[row]), "forward_kl", [1.0, 8.0])
    some = _apart(student, teacher)
    longer = t_squared_growth(student[some], teacher[some], examples.truth[some], "forward_kl", 1.0, 8.0) > 64
    return question(
        controls,
        "The soft loss compares student and teacher at a temperature T. For the headline "
        f"“{escape(examples.texts[row])}” the student alone disagrees with its teacher. Raise T from 1 to 8, "
        "without the factor T². How strongly does the soft loss push the student's logits then, that is, how "
        "long is its gradient?",
        (LARGER, SAME, SMALLER),
        LARGER if hot > 1.1 * cold else SMALLER if hot < cold / 1.1 else SAME,
        f"By forward KL its length goes from {cold:.3g} to {hot:.3g}{_ratio(cold, hot)}. T² = 64 gives that "
        "back where logits are small, and more than that where they are large. It is not so for every text: "
        f"on {int(longer.sum())} of {len(student)} headlines the push gets stronger. There both are sure, "
        "and at T = 1 hardly any push is left.",
    )


def _over_all_texts(examples: Examples, students: np.ndarray, divergence: str) -> str:
    """Whether T² keeps the gradient's size."""
    some = _apart(students, examples.logits["teacher"])
    if not len(some):  # the student is its teacher
        return "Nothing pushes a student that is its teacher."
    growth = t_squared_growth(
        students[some], examples.logits["teacher"][some], examples.truth[some], divergence, 1.0, 8.0
    )
    return (
        f"Over all {len(some):,} texts the soft gradient with T² is **{np.median(growth):.1f} times** as "
        "long at T = 8 as at T = 1 (the median). T² makes up for T where logits are small. Where they are "
        "large it does more, most of all for a trained student: another temperature also changes what alpha "
        "means."
    )


def _ratio(cold: float, hot: float) -> str:
    if not min(cold, hot):  # a student that is its teacher
        return ""
    return f", {cold / hot:.1f} times smaller" if hot < cold else f", {hot / cold:.1f} times larger"


def _formulas(loss: Anatomy, objective: dict[str, Any], label: str) -> None:
    place = st.expander(
        "The same as formulas", icon=":material/function:", key=f"{PAGE}.formulas", on_change="rerun"
    )
    if place.open:  # closed, it would cost time whenever a slider moves
        with place:
            _written(loss, objective, label)


def _written(loss: Anatomy, objective: dict[str, Any], label: str) -> None:
    first = (
        f"1 The divergence D of the softened probabilities, T\u00a0=\u00a0{objective['temperature']:g}"
        if CARDS[objective["divergence"]].has_temperature
        else f"1 The loss D, {CARDS[objective['divergence']].title}, which knows no temperature"
    )
    steps = (
        (
            first,
            formulas.divergence_line(loss, objective["divergence"]),
        ),
        (
            "2 The soft loss",
            formulas.soft_line(loss, objective["temperature"], objective["t_squared"]),
        ),
        (f"3 The hard loss, for the label y = {escape(label)}", formulas.hard_line(loss)),
        ("4 Both, mixed by alpha", formulas.total_line(loss, objective["alpha"])),
    )
    for number, (title, line) in enumerate(steps, 1):
        with st.container(gap="xxsmall", key=f"{PAGE}.step_{number}"):
            st.markdown(f"**{title}**")
            st.latex(line)
    st.caption("Rounded for reading. The page computes with all decimals; they are below the table.")


def _table(loss: Anatomy, student: np.ndarray, teacher: np.ndarray, examples: Examples, label: int) -> None:
    st.header("Class by class", anchor=False)
    names = [f"{name} (label)" if i == label else name for i, name in enumerate(examples.labels)]
    columns = {
        "Teacher z": teacher,
        "Student z": student,
        "Teacher z / T": loss.scaled_teacher,
        "Student z / T": loss.scaled_student,
        "Teacher p": loss.teacher,
        "Student p": loss.student,
        "Term of D": loss.terms,
        "Gradient": loss.gradient,
    }
    st.dataframe(
        written(pd.DataFrame({"Class": names} | columns), dict.fromkeys(columns, decimals(3))),
        hide_index=True,
        key=f"{PAGE}.classes",
        alt="Logits, softened logits, probabilities, terms of the divergence and gradient of each class",
    )
    more = st.expander(
        "More decimals, to check by hand",
        icon=":material/calculate:",
        key=f"{PAGE}.decimals",
        on_change="rerun",
    )
    if more.open:  # closed, it would cost a tenth of the time that the lab takes to follow a slider
        quantities = {
            "Divergence D": loss.divergence,
            "Factor (T², or 1)": loss.factor,
            "Soft loss": loss.soft,
            "Hard loss": loss.hard,
            "Total": loss.total,
            **loss.parts,
            "Length of the hard gradient": _length(loss.hard_gradient),
            "Length of the soft gradient": _length(loss.soft_gradient),
        }
        values = pd.DataFrame({"Quantity": list(quantities), "Value": list(quantities.values())})
        more.dataframe(
            written(values, {"Value": decimals(8)}),
            hide_index=True,
            key=f"{PAGE}.quantities",
            width="content",
            alt="Divergence, losses and lengths of the gradients with eight decimals",
        )


def _bars(loss: Anatomy, examples: Examples, alpha: float) -> None:
    most = int(np.abs(loss.gradient).argmax())
    chart(
        figures.gradient_bars(
            alpha * loss.hard_gradient,
            (1 - alpha) * loss.soft_gradient,
            examples.labels,
            title="Where the loss pushes the student's logits",
            dark=is_dark(),
        ),
        key=f"{PAGE}.gradient",
        alt=f"The strongest push is {-loss.gradient[most]:+.3f}, on {examples.labels[most]}",
    )
    st.caption(
        "The negative gradient: a training step raises the logits on the right and lowers those on the left."
    )


def _sizes(loss: Anatomy, sizes: np.ndarray, objective: dict[str, Any]) -> None:
    hard = _length(loss.hard_gradient)
    chart(
        figures.gradient_over_temperature(
            CURVE.tolist(),
            hard,
            sizes.tolist(),
            objective["temperature"],
            t_squared=objective["t_squared"] if CARDS[objective["divergence"]].has_temperature else None,
            dark=is_dark(),
        ),
        key=f"{PAGE}.sizes",
        alt=f"Length of the gradients: hard {hard:.3g} at every temperature; soft, without T², from "
        f"{sizes[0]:.3g} at T = {COLDEST:g} to {sizes[-1]:.3g} at T = {HOTTEST:g}",
    )
    st.caption(
        "Of each loss by itself, before alpha weighs it. The vertical line is at the temperature chosen."
    )


def _words(loss: Anatomy, examples: Examples, label: int, objective: dict[str, Any]) -> str:
    names, alpha, card = examples.labels, objective["alpha"], CARDS[objective["divergence"]]
    most = int(np.abs(loss.gradient).argmax())
    pushes = ((1 - alpha) * _length(loss.soft_gradient), alpha * _length(loss.hard_gradient))
    verb = "raises" if loss.gradient[most] < 0 else "lowers"
    softened = (
        f"Softened by T = {objective['temperature']:g}, the divergence of teacher and student is "
        f"{loss.divergence:.3f} nats ({card.title})."
        if card.has_temperature
        else f"The soft loss, {card.title}, is {loss.divergence:.3f}; it takes the logits as they are."
    )
    return "\n\n".join(
        [
            f"The student gives the label {escape(names[label])} {percent(loss.right)} at T = 1, so the "
            f"hard loss is {loss.hard:.3f}. {softened}",
            f"The strongest push {verb} the logit of {escape(names[most])}. Of the two pushes, weighed by "
            f"alpha = {alpha:g}, the soft one makes {percent(pushes[0] / sum(pushes), 0)}."
            if sum(pushes) > 1e-12
            else "Nothing pushes: the student is its teacher, and alpha leaves the label out.",
        ]
    )


def _of_t_squared(loss: Anatomy, temperature: float, t_squared: bool) -> str:
    soft, hard = _length(loss.soft_gradient), _length(loss.hard_gradient)
    if temperature == 1:  # there is nothing to compare with
        return (
            f"At T = 1 the factor T² is 1. The soft gradient has length {soft:.3g}, the hard one {hard:.3g}."
        )
    if t_squared:
        return (
            f"With T² the soft gradient has length {soft:.3g}; without it, {soft / temperature**2:.3g}. A "
            "T that is high against the logits makes it about T² times smaller: once because the logits are "
            "divided by T, and once because softened probabilities lie closer together (Hinton et al. 2015, "
            "arXiv 1503.02531, section 2). Switch “Times T²” off and move the temperature to its end to see "
            "the labels take over."
        )
    return (
        f"Without T² the soft gradient has length {soft:.3g}; with it, {soft * temperature**2:.3g}. The "
        f"hard one stays at {hard:.3g} whatever T is. When T is very high, the soft one shrinks like "
        "1/T² and alpha turns towards the labels. Below that it can grow, where both models are sure."
    )


def _of_this_loss(
    loss: Anatomy, student: np.ndarray, teacher: np.ndarray, label: int, objective: dict[str, Any]
) -> str:
    """What holds for some losses only."""
    divergence, temperature = objective["divergence"], objective["temperature"]
    if divergence in ("soft_cross_entropy", "reverse_cross_entropy"):
        return (
            "A cross-entropy is not 0 when the student has become the teacher: what is left then is the "
            "teacher's entropy. Compare the gradient with that of the KL of the same direction."
        )
    if divergence == "logit_mse":
        hot = [log_softmax(logits, HOTTEST) for logits in (student, teacher)]
        times = HOTTEST**2 * divergence_terms(hot[0], hot[1], "forward_kl").sum()
        difference = student - teacher
        centred = ((difference - difference.mean()) ** 2).sum() / (2 * len(difference))
        return (
            "It compares the logits as they are (Ba and Caruana 2014, arXiv 1312.6184; Kim et al. 2021, "
            "2105.08919), so the temperature moves nothing here. It is what forward KL with T² becomes when "
            "T is very high (Hinton et al. 2015, arXiv 1503.02531, section 2.1): with the mean difference "
            f"taken out and divided by twice the number of classes it is {centred:.3f} here, and forward KL "
            f"times T² at T = {HOTTEST:g} is {times:.3f}. It also asks for something that no softmax can "
            f"see: the same mean of the logits. The student's is {student.mean():.2f}, the teacher's "
            f"{teacher.mean():.2f}."
        ).replace(" -", " −")
    if divergence == "dkd":
        target, others = loss.parts.values()
        weight = default_settings(CARDS[divergence])["dkd_other_weight"]
        rest = 1 - float(loss.teacher[label])
        return (
            f"DKD takes forward KL apart (Zhao et al. 2022, arXiv 2203.08679): {target:.3f} between the "
            f"label and all the rest (TCKD), {others:.3f} among the rest (NCKD). Forward KL weighs the "
            f"second by what the teacher leaves for the rest: {target:.3f} + {rest:.3f} × {others:.3f} = "
            f"{target + rest * others:.3f}. So the surer the teacher, the less forward KL teaches of the "
            f"other classes; here that part counts {weight:g} times, however sure the teacher is at "
            f"T = {temperature:g}."
        )
    return ""


def _apart(students: np.ndarray, teachers: np.ndarray) -> np.ndarray:
    """The texts of which the two do not say the same, so that something pushes."""
    return np.flatnonzero(np.abs(students - teachers).max(axis=1) > 0)


def _length(gradient: np.ndarray) -> float:
    return float(np.linalg.norm(gradient))
