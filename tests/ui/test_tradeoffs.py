"""The Trade-offs page: what is compared, the best within limits and its rivals, and the cascade."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.deployment.queueing import lognormal_mean
from kd_core.deployment.tradeoffs import Limits
from kd_core.distillation.metrics import wilson
from kd_core.jobs.store import Store
from pages.review.tradeoffs.view import _nearest
from pages.shared.text import escape
from tests import disturbed, with_floor, without_gold
from tests.ui.charts import charts
from tests.ui.finished import (
    EVIL,
    OTHER,
    RUN,
    THIRD,
    App,
    benchmark,
    finish,
    inert,
    kept_run,
    links,
    numbers,
    plain,
    read,
    sample,
)

PAGE = "review/tradeoffs/page.py"


@pytest.fixture
def runs(store: Store) -> Store:
    return finish(store)


@pytest.fixture
def benched(runs: Store) -> Store:
    """Adds the demo's student in int8: 87.0 %, 2.7 MB, 0.6 ms."""
    low, high = wilson(0.87, 524)
    latency = {"p50": 0.6, "p95": 0.9, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 9.0}
    form = {"who": "student", "runtime": "int8", "accuracy": 0.87, "low": low, "high": high}
    form |= {"name": "student-int8", "size_mb": 2.7, "params": 2_673_669, "latency_ms": latency}
    benchmark(runs, forms=[form])
    return runs


def table(page: AppTest) -> pd.DataFrame:
    assert not page.exception
    return page.dataframe[0].value


def show(page: AppTest, *models: str) -> AppTest:
    return page.button_group(key="tradeoffs.models").set_value(list(models)).run()


def test_without_runs(app: App) -> None:
    page = app(PAGE)
    assert "What does compression cost, and what does it buy?" in read(page)
    assert "No run is done yet. The models of each finished run appear here" in read(page)
    assert "Set up a distillation" in links(page)


def test_models_of_a_first_run(app: App, store: Store) -> None:
    finish(store, name=EVIL)
    page = app(PAGE)
    inert(page)
    assert table(page)["run"].tolist() == [EVIL] * 3
    assert table(page)["model"].tolist() == ["Distilled student", "Teacher", "Student alone"]
    assert table(page)["form"].unique().tolist() == ["PyTorch"]
    assert table(page)["interval"].tolist() == ["± 2.8", "± 2.8", "± 3.1"]
    said = read(page)
    assert f"**Most accurate:** distilled student, PyTorch of {EVIL}" in said, "as the teacher, but smaller"
    assert "Picked from 3 by the texts that it is judged on: luck is picked too" in said
    # The teacher. Of the student alone the run's report says that it is worse, text by text.
    assert "1 other that fits may be as good: 524 texts cannot tell them apart." in said
    assert "ONNX and int8 forms of these models appear here once a run is exported or" in said
    assert f"There is no run {RUN}" in said, "so that there is no cascade"
    assert table(show(page, "labelled_only"))["model"].tolist() == ["Distilled on labelled texts only"]
    assert "Choose more models, or other texts." in read(show(page))


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("teacher,distilled", ["teacher", "student"]),
        ("Student alone, TEACHER, nobody", ["alone", "teacher"]),
        ("labelled_only", ["labelled_only"]),
    ],
)
def test_link_with_models(app: App, runs: Store, typed: str, shown: list[str]) -> None:
    page = app(PAGE, **{"tradeoffs.models": typed, "tradeoffs.against": "latency"})
    assert page.button_group(key="tradeoffs.models").value == shown
    assert page.button_group(key="tradeoffs.against").value == "latency"
    assert page.toggle(key="tradeoffs.log_latency").value, "ratios are read as distances"


def test_tfidf_is_a_model_of_its_own_kind(app: App, store: Store) -> None:
    finish(store, report=with_floor(sample()))
    page = app(PAGE, **{"tradeoffs.size": "1"})
    assert "**Best that fits:** TF-IDF, scikit-learn of Demo" in read(page)
    assert list(numbers(page).values()) == ["80.9 %", "0.8 MB", "1.50 ms"]
    assert "TF-IDF counts words and letters, with logistic regression" in read(page)
    page.selectbox(key="tradeoffs.texts").select("typos").run()
    assert numbers(page)["Accuracy"] == "60.0 %"
    assert "TF-IDF" not in read(show(page, "student"))


def test_best_within_limits(app: App, benched: Store) -> None:
    page = app(PAGE, **{"tradeoffs.size": "20", "tradeoffs.latency": "2", "tradeoffs.accuracy": "85"})
    assert "**Best that fits:** distilled student, PyTorch of Demo" in read(page)
    assert list(numbers(page).values())[:2] == ["87.6 %", "10.7 MB"]
    assert page.metric[0].delta == "± 2.8"
    assert "1 other that fits may be as good: 524 texts cannot tell them apart." in read(page)
    assert "The smallest: distilled student, ONNX int8 of Demo, 2.7 MB." in read(page)
    assert table(page)["fits"].tolist() == [True, True, False, False]
    page.number_input(key="tradeoffs.size").set_value(5.0).run()
    assert list(numbers(page).values()) == ["87.0 %", "2.7 MB", "0.60 ms"]
    assert "may be as good" not in read(page)
    page.number_input(key="tradeoffs.accuracy").set_value(87.2).run()
    assert "**Nothing is within these limits**" in read(page)
    assert "something fits from: at most 10.7 MB, or at least 87 %." in read(page)
    page.number_input(key="tradeoffs.size").set_value(1.0)
    page.number_input(key="tradeoffs.accuracy").set_value(99.0).run()
    assert "Not even with one limit less. Loosen more than one of them." in read(page)
    page = app(PAGE, **{"tradeoffs.texts": "typos"})
    assert table(page).set_index("model").loc["Teacher", "accuracy"] == pytest.approx(72.3, abs=0.05)
    assert "1 of 4 models were not measured on typos" in read(page)


def test_limits_that_are_named_are_met_when_they_are_typed() -> None:
    said = _nearest(Limits(size=10.744, latency=1.6871, accuracy=0.9239))
    assert said.endswith("fits from: at most 10.8 MB, or at most 1.69 ms, or at least 92.3 %.")
    assert _nearest(Limits(size=0.0391, latency=12.12)).endswith("at most 0.0391 MB, or at most 12.2 ms.")


def test_runs_without_names_and_students_of_one_kind(app: App, store: Store) -> None:
    finish(store, name="")
    report = sample()
    report["student"] |= {"accuracy": 0.87, "low": 0.84, "high": 0.87}
    report["student"]["latency_ms"]["p50"] /= 2
    finish(store, OTHER, report, "")
    page = show(app(PAGE), "student")
    does = "bbc-headlines: minilm-l6 → tiny"
    assert table(page)["run"].tolist() == [f"{does} (a1b2)", f"{does} (c3d4)"]
    assert table(page)["interval"].tolist() == ["± 2.8", "−3.0/+0.0"]
    assert f"**Most accurate:** distilled student, PyTorch of {does} (a1b2)" in read(page)
    assert "1 other that fits may be as good" in read(page)
    assert "The fastest" not in read(page), "the same network, so the difference is the machine's"
    assert "Marks that cost the same stand a few pixels apart" in read(page)
    page.button_group(key="tradeoffs.against").set_value("latency").run()
    assert "Marks that cost the same" not in read(page), "they are apart as it is"


def test_tasks_are_not_mixed(app: App, runs: Store) -> None:
    finish(runs, OTHER, name="b", task__name="/b/mine.csv")
    finish(runs, THIRD, name="a", task__name="/a/mine.csv")
    finish(runs, "20260131-170000-0000", without_gold(sample()), name="Without")
    page = app(PAGE)
    tasks = ["bbc-headlines (agreement)", "/a/mine.csv", "/b/mine.csv", "bbc-headlines"]
    assert page.selectbox(key="tradeoffs.task").options == tasks, "the newest comes first"
    assert set(table(page)["run"]) == {"Without"}
    assert page.metric[0].label == "Agreement"
    layout = json.loads(charts(page)[0]["figure"])["layout"]
    assert layout["yaxis"]["title"]["text"] == "Agreement on test texts (%)"
    page.selectbox(key="tradeoffs.task").select("bbc-headlines").run()
    assert set(table(page)["run"]) == {"Demo"}
    assert page.selectbox(key=f"tradeoffs.cascade_run.{RUN}").value == RUN, "of the same task"
    assert app(PAGE, run=OTHER).selectbox(key=f"tradeoffs.cascade_run.{OTHER}").value == OTHER


def test_times_of_two_machines_are_not_mixed(app: App, runs: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "there")
    finish(runs, OTHER, name="Elsewhere")
    page = app(PAGE)
    assert "All of them" not in read(page)
    conditions = "there, 1 thread, batch 1, without tokenizer"
    assert len(page.selectbox(key="tradeoffs.timed_on").options) == 2
    page.selectbox(key="tradeoffs.timed_on").select(conditions).run()
    assert "timed on another machine, beside other work or otherwise than on there, 1 thread" in read(page)
    assert set(table(page)["run"]) == {"Demo", "Elsewhere"}
    assert set(table(page)[table(page)["latency"].notna()]["run"]) == {"Elsewhere"}
    runs.delete_run(OTHER)
    runs.save_report(RUN, disturbed(sample()))
    assert "All of them were timed beside other work" in read(app(PAGE))


def test_chosen_row_leads_to_its_report(app: App, benched: Store) -> None:
    page = app(PAGE)
    assert "A click on a mark opens its report" in read(page)
    row = table(page)["form"].tolist().index("ONNX int8")
    page.session_state["tradeoffs.chosen"] = f"{RUN} student int8"
    page.run()
    assert "**Chosen:** distilled student, ONNX int8 of Demo" in read(page)
    key = page.dataframe[0].proto.id.rpartition("-")[2]
    assert page.session_state[key]["selection"]["rows"] == [row]
    assert links(page)["Open the report"] == f"run={RUN}"


def test_models_of_a_run_that_is_judged_by_an_f1(app: App, benched: Store) -> None:
    report = sample()
    report["config"]["training"]["metric"] = f"f1:{EVIL}"
    for who in ("teacher", "student", "alone", "labelled_only"):
        for seed in report[who]["seeds"].values():
            seed["per_class"][0]["name"] = EVIL
    benched.save_report(RUN, report)
    page = app(PAGE)
    f1 = report["alone"]["seeds"]["0"]["per_class"][0]["f1"]
    rows = next(frame.value for frame in page.dataframe if "accuracy" in frame.value)
    assert rows.set_index("model").loc["Student alone", "accuracy"] == round(100 * f1, 1)
    assert "ONNX int8" not in set(rows["form"]), "it was measured in accuracy alone"
    assert "1 of 4 models were measured by an older version, which kept no" in read(page)
    assert page.metric[0].label == escape(f"F1 of {EVIL}")
    inert(page)
    page.selectbox(key="tradeoffs.texts").set_value("typos").run()
    assert page.metric[0].label == "Accuracy"


# The cascade


def promise(page: AppTest) -> str:
    said = next(text.value for text in page.markdown if ".** The pair was to" in text.value)
    assert "95\u00a0% confidence" in said, "a number and its sign stay on one line"
    return plain(said)


def test_cascade_keeps_its_promise_and_has_a_price(app: App, store: Store, home: Path) -> None:
    report = kept_run(store, home, rows=2000)
    page = app(PAGE)
    assert "Add the student in int8" in [button.label for button in page.button]
    said = promise(page)
    assert "90.0 % of the test texts" in said
    assert (
        "to agree with the teacher on 97.0 % of all texts, with 95 % confidence; on 1,000 test texts" in said
    )
    said = promise(page.slider(key="tradeoffs.agree").set_value(80.0).run())
    assert "The student answers every text, however sure it is, and passes none on." in said
    assert "80.0 % of all texts, with 95 % confidence; on 1,000 test texts this held: 90.0 %" in said
    page.slider(key="tradeoffs.agree").set_value(97.0).run()
    page.button_group(key="tradeoffs.judge").set_value("gold").run()
    assert "The pair was to be right on 97.0 % of all texts, with 95 % confidence" in promise(page)
    assert "this held: 100.0 %" in promise(page)
    assert any("--agree 97 --right" in code.value for code in page.code)
    student, teacher = (
        lognormal_mean(report[who]["latency_ms"]["p50"], report[who]["latency_ms"]["p95"])
        for who in ("student", "teacher")
    )
    for price in (0.05, 0.1):
        page.number_input(key="tradeoffs.core_hour").set_value(price).run()
        cost = (student + 0.1 * teacher) * price / 3.6  # the student answers 9 in 10 texts
        assert numbers(page)["A million texts cost"] == f"€{cost:.2f}"
