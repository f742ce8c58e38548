"""The lab on the loss: every number on the page is the one that scipy finds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import special, stats
from streamlit.testing.v1 import AppTest

from kd_core.config import slider
from kd_core.learn.flow import number
from kd_core.learn.recorded import recorded
from kd_core.objectives import CARDS
from pages.learn.labs.loss import STUDENTS
from tests.ui.charts import alts, flow_numbers
from tests.ui.lab_page import App, act, said
from tests.unit.objectives.reference import by_scipy, tckd_nckd

PAGE = "learn/labs/scripts/loss.py"
COLDEST, HOTTEST, STEP = slider("objective.temperature")
TEMPERATURES = np.arange(COLDEST, HOTTEST + STEP / 2, STEP)


def opened(app: App, **settings: str) -> AppTest:
    return app(PAGE, hide="question", **{f"loss.{name}": value for name, value in settings.items()})


def example(page: AppTest, student: str = "alone") -> tuple[np.ndarray, np.ndarray, int]:
    """Return the logits of student and teacher and the label, for the text that is chosen."""
    known, row = recorded(), page.selectbox(key="loss.text").value
    return known.logits[student][row], known.logits["teacher"][row], int(known.truth[row])


@pytest.mark.parametrize("name", list(CARDS))
def test_numbers_agree_with_scipy(app: App, name: str) -> None:
    known, random, page = recorded(), np.random.default_rng(list(CARDS).index(name)), opened(app)
    page.session_state["loss.decimals"] = True  # opened
    for student, t_squared in zip(STUDENTS, (True, False, True), strict=True):
        row, alpha = int(random.integers(200)), round(0.05 * int(random.integers(21)), 2)
        t = float(random.choice(TEMPERATURES))
        page.selectbox(key="loss.text").select(row)
        page.selectbox(key="loss.student").select(student)
        page.selectbox(key="loss.divergence").select(name)
        page.slider(key="loss.temperature").set_value(t)
        page.slider(key="loss.alpha").set_value(alpha)
        page.toggle(key="loss.t_squared").set_value(t_squared).run()
        assert not page.exception

        z_t, label = known.logits["teacher"][row], int(known.truth[row])
        z_s = np.zeros(5) if student == "untrained" else known.logits[student][row]
        p_s, p_t = special.softmax(z_s / t), special.softmax(z_t / t)
        divergence = by_scipy(name, z_s, z_t, t, label)
        soft = divergence * (t * t if t_squared and CARDS[name].has_temperature else 1)
        hard = -special.log_softmax(z_s)[label]
        total = alpha * hard + (1 - alpha) * soft
        classes, quantities = (frame.value for frame in page.dataframe)
        value = dict(zip(quantities["Quantity"], quantities["Value"], strict=True))
        expected = {"Divergence D": divergence, "Soft loss": soft, "Hard loss": hard, "Total": total}
        if name == "dkd":
            expected |= zip(("TCKD", "NCKD"), tckd_nckd(p_s, p_t, label), strict=True)
        assert {key: value[key] for key in expected} == pytest.approx(expected, abs=1e-6)
        assert classes["Teacher z / T"].tolist() == pytest.approx((z_t / t).tolist(), abs=1e-6)
        assert classes["Student p"].tolist() == pytest.approx(p_s.tolist(), abs=1e-6)
        assert classes["Term of D"].sum() == pytest.approx(divergence, abs=1e-6)
        if CARDS[name].has_temperature:  # the other also moves the mean of the logits
            assert classes["Gradient"].sum() == pytest.approx(0, abs=1e-9)
        shown = {"D": divergence, "soft": soft, "hard": hard, "total": total, "p_student_0": p_s[0]}
        texts = {key: number(value) for key, value in shown.items()}
        texts |= {f"g_{i}": number(-push, sign=True) for i, push in enumerate(classes["Gradient"])}
        flow = flow_numbers(page)
        assert {key: flow[key] for key in texts} == texts


def test_t_squared_scales_the_soft_gradient(app: App) -> None:
    page = opened(app)
    z_s, z_t, _ = example(page)
    apart = special.softmax(z_s / 4) - special.softmax(z_t / 4)  # forward KL's gradient, times T
    without, scaled = (f"{np.linalg.norm(apart) * factor:.3g}" for factor in (1 / 4, 4))
    assert f"With T² the soft gradient has length {scaled}; without it, {without}." in said(page)
    act(page, ("toggle", "loss.t_squared", False))
    assert f"Without T² the soft gradient has length {without}; with it, {scaled}." in said(page)
    bars, sizes = alts(page)
    assert bars == "The strongest push is -0.358, on politics"
    assert sizes.startswith("Length of the gradients: hard ")
    act(page, ("slider", "loss.temperature", 1.0), ("selectbox", "loss.student", "untrained"))
    assert "At T = 1 the factor T² is 1." in said(page)
    cold, hot = (
        t * np.linalg.norm(0.2 - special.softmax(recorded().logits["teacher"] / t, 1), axis=1) for t in (1, 8)
    )
    growth = np.median(hot / cold)
    assert f"with T² is **{growth:.1f} times** as long at T = 8 as at T = 1" in said(page)


def test_question_is_settled_by_numbers(app: App) -> None:
    page = act(app(PAGE), ("button", "loss.guess_2", None))
    assert "Right: More weakly." in said(page)
    assert re.search(r"its length goes from 0\.866 to 0\.0236, \d+\.\d times smaller", said(page))


def test_nothing_pushes_a_student_that_is_its_teacher(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recorded().logits, "alone", recorded().logits["teacher"])
    page = opened(app, alpha="0")
    assert "Nothing pushes: the student is its teacher, and alpha leaves the label out." in said(page)
    assert [flow_numbers(page)[key] for key in ("soft", "total")] == ["0.000", "0.000"]


def test_logit_mse_has_no_temperature(app: App) -> None:
    page = opened(app, divergence="Logit MSE")
    student, teacher, _ = example(page)
    apart = student - teacher
    hot = HOTTEST**2 * stats.entropy(special.softmax(teacher / HOTTEST), special.softmax(student / HOTTEST))
    assert "With T²" not in said(page)
    assert f"it is {apart.var() / 2:.3f} here, and forward KL times T² at T = {HOTTEST:g} is {hot:.3f}." in (
        said(page)
    )
    for temperature in (12.0, 1.0):
        assert flow_numbers(page)["soft"] == f"{apart @ apart:.3f}"
        act(page, ("slider", "loss.temperature", temperature))


def test_parts_of_dkd_make_forward_kl_again(app: App) -> None:
    page = opened(app, divergence="DKD")
    z_s, z_t, label = example(page)
    p_s, p_t = special.softmax(z_s / 4), special.softmax(z_t / 4)
    target, others = tckd_nckd(p_s, p_t, label)
    page.session_state["loss.formulas"] = True
    line = page.run().latex[0].value
    assert (
        rf"1 \times {target:.3f} + 8 \times {others:.3f} \\ &= \mathbf{{{target + 8 * others:.3f}}}" in line
    )
    assert f"× {others:.3f} = {stats.entropy(p_t, p_s):.3f}." in said(page)
