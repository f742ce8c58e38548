"""Lab 1: the numbers that a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import special, stats
from streamlit.proto.Metric_pb2 import Metric
from streamlit.testing.v1 import AppTest

from kd_core.config import DEMO, slider
from kd_core.jobs.store import Store
from kd_core.learn.recorded import recorded
from tests import SAMPLES, without_gold
from tests.ui.charts import alts
from tests.ui.lab_page import said

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/temperature.py"
COLDEST, HOTTEST, _ = slider("objective.temperature")


def test_an_undecided_headline_as_it_is_and_softened(app: App) -> None:
    page = app(PAGE, hide="question")
    numbers = page.dataframe[0].value
    assert numbers["Class"].tolist() == ["sports", "entertainment", "politics", "tech", "business"]
    assert numbers["Logit"].tolist() == pytest.approx([2.3438, 2.2188, -0.9922, -1.3828, -1.6641])
    assert numbers["T = 1"].round(1).tolist() == [51.0, 45.0, 1.8, 1.2, 0.9]
    assert numbers["T = 4"].round(1).tolist() == [31.6, 30.6, 13.7, 12.4, 11.6]
    assert (page.metric[0].value, page.metric[0].delta) == ("1.51 nats", "+0.64 against T = 1")
    words = said(page)
    assert (
        "the teacher gives sports 51.0 % and entertainment 45.0 %. At T = 4 it is 31.6 % and 30.6 %" in words
    )
    assert "entertainment is 48.6 times as likely as business" in words
    assert "At T = 4 it is 2.6 times as likely" in words


def answer(page: AppTest, temperature: float) -> np.ndarray:
    """The teacher's, to the text that is chosen, by scipy."""
    row = page.selectbox(key="temperature.text").value
    return special.softmax(recorded().logits["teacher"][row] / temperature)


def test_the_slider_moves_all(app: App) -> None:
    page = app(PAGE, hide="question")
    page.slider(key="temperature.temperature").set_value(0.5).run()
    assert page.metric[0].label == "Entropy at T = 0.5"
    assert page.metric[0].delta.startswith("−0.1")
    assert page.metric[0].proto.direction == Metric.NONE, "an arrow would point up: no hyphen, no minus"
    assert "At T = 0.5 it is 56.1 % and 43.7 %" in said(page)
    (bars, entropy, similarity) = alts(page)
    assert bars == "The teacher's answer at T = 0.5: sports 56.1 %, entertainment 43.7 %"
    cold, hot = (stats.entropy(answer(page, t)) for t in (COLDEST, HOTTEST))
    assert entropy == (
        f"Entropy of the answer: {cold:.2f} nats at T = {COLDEST:g}, {hot:.2f} at T = {HOTTEST:g}"
    )
    assert similarity == "Which classes the teacher finds alike, at T = 1"


def test_over_all_texts(app: App) -> None:
    page = app(PAGE, hide="question")
    undecided, doubtful = page.dataframe[1].value, page.dataframe[2].value
    assert undecided["Text"][0] == "Players sought for $1m prize"
    assert np.all(np.diff(undecided["Entropy"]) <= 0)
    assert list(doubtful) == ["Text", "Sure", "Label", "Teacher"]
    text, sure, label, teacher = doubtful.iloc[0]
    assert (text, label, teacher) == ("Howard hits back at mongrel jibe", "politics", "sports")
    assert sure == pytest.approx(95, abs=0.5)
    words = said(page)
    assert "The teacher disagrees with 21 of 200 labels" in words
    assert "44 % of what is left of sports goes to entertainment" in words


def test_at_one_nothing_is_compared_with_itself(app: App) -> None:
    page = app(PAGE, hide="question", **{"temperature.temperature": "1"})
    assert list(page.dataframe[0].value) == ["Class", "Logit", "T = 1"]
    assert not page.metric[0].delta
    assert "At T = 1 it is" not in said(page)


@pytest.mark.parametrize(
    ("choice", "verdict"), [(0, "Right: The same as before."), (1, "No. The answer is: The same as before.")]
)
def test_the_question(app: App, choice: int, verdict: str) -> None:
    page = app(PAGE)
    page.button(key=f"temperature.guess_{choice}").click().run()
    assert verdict in said(page)
    second, first = np.sort(100 * answer(page, HOTTEST))[-2:]
    assert (
        f"At T = {HOTTEST:g} sports still leads, with {first:.1f} % against {second:.1f} % for entertainment"
        in said(page)
    )


def test_a_run_without_a_student_alone_is_not_among_the_texts(app: App, store: Store) -> None:
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    for run, content in (("20260131-143000-a1b2", report), ("20260131-150000-c3d4", without_gold(report))):
        store.create_run(run, DEMO.model_dump(mode="json"), name="Mine", status="done")
        store.save_report(run, content)
    options = app(PAGE, hide="question").selectbox(key="temperature.source").options
    assert options == ["200 BBC headlines, recorded", "Mine · 20260131-143000-a1b2"]
