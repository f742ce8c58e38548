"""Lab 1: the numbers that a person reads."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from scipy import special, stats
from streamlit.proto.Metric_pb2 import Metric
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON, slider
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
    styler = page.dataframe[0].proto.arrow_data.styler.display_values
    assert pa.ipc.open_stream(styler).read_pandas()["Logit"].tolist()[-2:] == ["−1.62", "−3.48"]
    assert numbers["Class"].tolist() == ["entertainment", "politics", "sports", "tech", "business"]
    assert numbers["Logit"].tolist() == pytest.approx([3.2188, 2.75, -0.8555, -1.625, -3.4844])
    assert numbers["T = 1"].round(1).tolist() == [60.5, 37.9, 1.0, 0.5, 0.1]
    assert numbers["T = 4"].round(1).tolist() == [36.6, 32.5, 13.2, 10.9, 6.8]
    assert (page.metric[0].value, page.metric[0].delta) == ("1.43 nats", "+0.68 against T = 1")
    words = said(page)
    assert (
        "the teacher gives entertainment 60.5 % and politics 37.9 %. At T = 4 it is 36.6 % and 32.5 %"
        in words
    )
    assert "politics is 510 times as likely as business" in words
    assert "At T = 4 it is 4.8 times as likely" in words


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
    assert "At T = 0.5 it is 71.8 % and 28.1 %" in said(page)
    (bars, entropy, similarity) = alts(page)
    assert bars == "The teacher's answer at T = 0.5: entertainment 71.8 %, politics 28.1 %"
    cold, hot = (stats.entropy(answer(page, t)) for t in (COLDEST, HOTTEST))
    assert entropy == (
        f"Entropy of the answer: {cold:.2f} nats at T = {COLDEST:g}, {hot:.2f} at T = {HOTTEST:g}"
    )
    assert similarity == "Which classes the teacher finds alike, at T = 1"


def test_over_all_texts(app: App) -> None:
    page = app(PAGE, hide="question")
    undecided, doubtful = page.dataframe[1].value, page.dataframe[2].value
    assert undecided["Text"][0] == "Falconer rebuts 'charade' claims"
    assert np.all(np.diff(undecided["Entropy"]) <= 0)
    assert list(doubtful) == ["Text", "Sure", "Label", "Teacher"]
    text, sure, label, teacher = doubtful.iloc[0]
    assert (text, label, teacher) == ("Howard hits back at mongrel jibe", "politics", "sports")
    assert sure == pytest.approx(99.7, abs=0.05)
    words = said(page)
    assert "The teacher disagrees with 20 of 200 labels" in words
    assert "83 % of what is left of business goes to politics" in words


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
    shares = f"with {first:.1f} % against {second:.1f} % for politics"
    assert f"At T = {HOTTEST:g} entertainment still leads, {shares}" in said(page)


def test_a_run_without_a_student_alone_is_not_among_the_texts(app: App, store: Store) -> None:
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    for run, content in (("20260131-143000-a1b2", report), ("20260131-150000-c3d4", without_gold(report))):
        store.create_run(run, LESSON.model_dump(mode="json"), name="Mine", status="done")
        store.save_report(run, content)
    options = app(PAGE, hide="question").selectbox(key="temperature.source").options
    assert options == ["200 BBC headlines, recorded", "Mine · 20260131-143000-a1b2"]
