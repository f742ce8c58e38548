"""Lab 2: every number on the page is the one that scipy finds."""

from __future__ import annotations

import re
from collections.abc import Callable

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
from tests.ui.lab_page import said
from tests.unit.objectives.reference import by_scipy, tckd_nckd

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/loss.py"
COLDEST, HOTTEST, STEP = slider("objective.temperature")
TEMPERATURES = np.arange(COLDEST, HOTTEST + STEP / 2, STEP)


def test_fifty_random_settings_agree_with_scipy(app: App) -> None:
    known, random, page, seen = recorded(), np.random.default_rng(0), app(PAGE, hide="question"), set()
    page.session_state["loss.decimals"] = True  # opened
    for _ in range(50):
        row, name = int(random.integers(200)), str(random.choice(list(CARDS)))
        student = str(random.choice(list(STUDENTS)))
        t, alpha = float(random.choice(TEMPERATURES)), round(0.05 * int(random.integers(21)), 2)
        t_squared = bool(random.integers(2))
        page.selectbox(key="loss.text").select(row)
        page.selectbox(key="loss.student").select(student)
        page.selectbox(key="loss.divergence").select(name)
        page.slider(key="loss.temperature").set_value(t)
        page.slider(key="loss.alpha").set_value(alpha)
        page.toggle(key="loss.t_squared").set_value(t_squared).run()
        assert not page.exception

        z_t = known.logits["teacher"][row]
        z_s = np.zeros(5) if student == "untrained" else known.logits[student][row]
        p_s, p_t = special.softmax(z_s / t), special.softmax(z_t / t)
        divergence = by_scipy(name, z_s, z_t, t, int(known.truth[row]))
        factor = t * t if t_squared and CARDS[name].has_temperature else 1
        soft = divergence * factor
        hard = -special.log_softmax(z_s)[known.truth[row]]
        classes, quantities = (frame.value for frame in page.dataframe)
        value = dict(zip(quantities["Quantity"], quantities["Value"], strict=True))
        expected = {
            "Divergence D": divergence,
            "Factor (T², or 1)": factor,
            "Soft loss": soft,
            "Hard loss": hard,
            "Total": alpha * hard + (1 - alpha) * soft,
        }
        assert {key: value[key] for key in expected} == pytest.approx(expected, abs=1e-6)
        assert classes["Teacher z / T"].tolist() == pytest.approx((z_t / t).tolist(), abs=1e-6)
        assert classes["Student p"].tolist() == pytest.approx(p_s.tolist(), abs=1e-6)
        assert classes["Term of D"].sum() == pytest.approx(divergence, abs=1e-6)
        if CARDS[name].has_temperature:  # the other also moves the mean of the logits
            assert classes["Gradient"].sum() == pytest.approx(0, abs=1e-9)
        if name == "dkd":
            parts = tckd_nckd(p_s, p_t, int(known.truth[row]))
            assert (value["TCKD"], value["NCKD"]) == pytest.approx(parts, abs=1e-6)
        seen.add(name)
        shown, digits = (
            flow_numbers(page),
            {"D": divergence, "soft": soft, "hard": hard, "total": expected["Total"]},
        )
        assert {key: shown[key] for key in digits} == {key: number(value) for key, value in digits.items()}
        assert shown["p_student_0"] == number(p_s[0])
        pushes = -classes["Gradient"]
        assert [shown[f"g_{i}"] for i in range(5)] == [number(push, sign=True) for push in pushes]
    assert seen == set(CARDS), "each loss of the engine was among them"


def test_the_formulas_as_they_are_read(app: App) -> None:
    page = app(PAGE, hide="question")
    assert not page.latex
    page.session_state["loss.formulas"] = True  # opened
    divergence, soft, hard, total = (line.value for line in page.run().latex)
    assert r"\mathrm{KL}(p_t \,\|\, p_s) &= \sum_c p_t \log \frac{p_t}{p_s}" in divergence
    assert r"&= - 0.008 + 0.454 - 0.229 \\ &\quad + 0.069 + 0.031 \\ &= \mathbf{0.317}" in divergence
    assert soft.strip("$\n") == r"L_{\mathrm{soft}} = T^2 D = 4^2 \times 0.317 = \mathbf{5.076}"
    assert r"-\log 0.000664 \\ &= \mathbf{7.318}" in hard
    assert r"0.3 \times 7.318 + 0.7 \times 5.076 \\ &= \mathbf{5.749}" in total


def test_without_t_squared(app: App) -> None:
    page = app(PAGE, hide="question")
    assert "With T² the soft gradient has length 1.71; without it, 0.107." in said(page)
    page.toggle(key="loss.t_squared").set_value(False).run()
    assert "Without T² the soft gradient has length 0.107; with it, 1.71." in said(page)
    assert flow_numbers(page)["soft"] == "0.317"
    bars, sizes = alts(page)
    assert bars == "The strongest push is -0.358, on politics"
    assert sizes.startswith("Length of the gradients: hard 1.41 at every temperature; soft, without T², from")


def test_at_one_t_squared_is_not_compared_with_itself(app: App) -> None:
    words = said(app(PAGE, hide="question", **{"loss.temperature": "1"}))
    assert "At T = 1 the factor T² is 1." in words
    assert "without it" not in words


def test_what_t_squared_does_over_all_texts(app: App) -> None:
    """Forward KL's gradient, (p_s - p_t) / T, times T², by hand."""
    page, known = app(PAGE, hide="question"), recorded()

    def growth(student: np.ndarray) -> float:
        soft = [
            t * np.linalg.norm(special.softmax(student / t, 1) - special.softmax(teacher / t, 1), axis=1)
            for t in (1, 8)
        ]
        return float(np.median(soft[1] / soft[0]))

    teacher = known.logits["teacher"]
    trained, untrained = growth(known.logits["alone"]), growth(np.zeros_like(teacher))
    assert trained > 10 * untrained > 10
    assert f"with T² is **{trained:.1f} times** as long at T = 8 as at T = 1" in said(page)
    page.selectbox(key="loss.student").select("untrained").run()
    assert f"with T² is **{untrained:.1f} times** as long at T = 8 as at T = 1" in said(page)


def test_the_question_is_settled_by_numbers(app: App) -> None:
    page = app(PAGE)
    page.button(key="loss.guess_2").click().run()
    assert "Right: More weakly." in said(page)
    assert re.search(r"its length goes from 0\.866 to 0\.0236, \d+\.\d times smaller", said(page))


def test_a_student_that_is_its_teacher(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    known = recorded()
    monkeypatch.setitem(known.logits, "alone", known.logits["teacher"])
    page = app(PAGE, hide="question", **{"loss.alpha": "0"})
    assert "Nothing pushes: the student is its teacher, and alpha leaves the label out." in said(page)
    shown = flow_numbers(page)
    assert (shown["soft"], shown["total"]) == ("0.000", "0.000")


def test_the_logits_themselves(app: App) -> None:
    page = app(PAGE, hide="question", **{"loss.divergence": "Logit MSE"})
    known, row = recorded(), page.selectbox(key="loss.text").value
    student, teacher = known.logits["alone"][row], known.logits["teacher"][row]
    apart = student - teacher
    assert flow_numbers(page)["soft"] == f"{apart @ apart:.3f}"
    assert "With T²" not in said(page)
    hottest = TEMPERATURES[-1]
    p_s, p_t = (special.softmax(logits / hottest) for logits in (student, teacher))
    assert (
        f"it is {apart.var() / 2:.3f} here, and forward KL times T² at T = {hottest:g} is "
        f"{hottest**2 * stats.entropy(p_t, p_s):.3f}." in said(page)
    )
    page.slider(key="loss.temperature").set_value(12.0).run()
    assert flow_numbers(page)["soft"] == f"{apart @ apart:.3f}"


def test_the_two_parts_of_dkd(app: App) -> None:
    page = app(PAGE, hide="question", **{"loss.divergence": "DKD"})
    known, row = recorded(), page.selectbox(key="loss.text").value
    p_s, p_t = (special.softmax(known.logits[who][row] / 4) for who in ("alone", "teacher"))
    label = int(known.truth[row])
    target, others = tckd_nckd(p_s, p_t, label)
    page.session_state["loss.formulas"] = True
    line = page.run().latex[0].value
    assert (
        rf"1 \times {target:.3f} + 8 \times {others:.3f} \\ &= \mathbf{{{target + 8 * others:.3f}}}" in line
    )
    assert f"× {others:.3f} = {stats.entropy(p_t, p_s):.3f}." in said(page), "forward KL, put together again"
