"""The trade-offs page: what is compared, the best within limits and its rivals, the model that is chosen."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.deployment.queueing import lognormal_mean
from kd_core.deployment.tradeoffs import Limits
from kd_core.distillation.metrics import wilson
from kd_core.jobs.store import Store
from kd_core.system.formatting import count, megabytes, milliseconds
from pages.review.tradeoffs.view import _nearest
from pages.shared.text import escape
from tests import SAMPLES, disturbed, with_floor, without_gold
from tests.ui.charts import alts, charts
from tests.ui.kept_run import kept_run
from tests.ui.speed.benched import keep, sample

App = Callable[..., AppTest]
PAGE = "review/tradeoffs/page.py"
FIRST, SECOND = "20260131-143000-a1b2", "20260131-150000-c3d4"
BENCH = "20260131-160000-e5f6"
NO_BREAK = "\u00a0"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$"


@pytest.fixture
def report() -> dict[str, Any]:
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))


def finish(store: Store, run_id: str, report: dict[str, Any], name: str, task: str = "bbc-headlines") -> None:
    store.create_run(run_id, DistillConfig().change({"task.name": task}).model_dump(mode="json"), name=name)
    store.save_report(run_id, report)
    store.set_status(run_id, "done")


@pytest.fixture
def runs(store: Store, report: dict[str, Any]) -> Store:
    finish(store, FIRST, report, "Demo")
    return store


@pytest.fixture
def benched(runs: Store) -> Store:
    """The demo's student in int8: 87.0 %, 2.7 MB, 0.6 ms."""
    low, high = wilson(0.87, 524)
    latency = {"p50": 0.6, "p95": 0.9, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 9.0}
    form = {"who": "student", "runtime": "int8", "accuracy": 0.87, "low": low, "high": high}
    form |= {"name": "student-int8", "size_mb": 2.7, "params": 2_673_669, "latency_ms": latency}
    runs.create_run(BENCH, {"run": FIRST}, kind="bench")
    runs.save_report(BENCH, {"run": FIRST, "forms": [form]})
    runs.set_status(BENCH, "done")
    return runs


def words(page: AppTest) -> str:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.error)
    return "\n".join(element.value for kind in kinds for element in kind).replace(NO_BREAK, " ")


def metrics(page: AppTest) -> list[str]:
    return [metric.value for metric in page.metric]


def test_without_runs_it_says_what_to_do(app: App) -> None:
    page = app(PAGE)
    assert "What does compression cost, and what does it buy?" in words(page)
    assert "No run is done yet. The models of each finished run appear here" in words(page)
    assert "Set up a distillation" in [link.proto.label for link in page.get("page_link")]


def test_a_first_run_shows_its_models_and_how_to_get_more(app: App, runs: Store) -> None:
    page = app(PAGE)
    assert page.dataframe[0].value["model"].tolist() == ["Distilled student", "Teacher", "Student alone"]
    assert page.dataframe[0].value["form"].unique().tolist() == ["PyTorch"]
    assert page.dataframe[0].value["interval"].tolist() == ["± 2.8", "± 2.8", "± 3.1"]
    shown = page.dataframe[0]
    said = pa.ipc.open_stream(shown.proto.arrow_data.styler.display_values).read_pandas()
    for column, words_of in (("size", megabytes), ("latency", milliseconds), ("params", count)):
        assert said[column].tolist() == [words_of(number) for number in shown.value[column]]
        assert "format" not in json.loads(shown.proto.columns)[column]["type_config"], "it would win"
    for cost in ("size", "latency"):
        page.button_group(key="tradeoffs.against").set_value(cost).run()
        assert page.toggle(key=f"tradeoffs.log_{cost}").value, "ratios are read as distances"
    page.button_group(key="tradeoffs.against").set_value("size").run()
    assert "**Most accurate:** distilled student, PyTorch of Demo" in words(
        page
    )  # as the teacher, but smaller
    assert "Picked from 3 by the texts that it is judged on: luck is picked too" in words(page)
    # The teacher. Of the student alone the run's report says that it is worse, text by text.
    assert "1 other that fits may be as good: 524 texts cannot tell them apart." in words(page)
    assert "ONNX and int8 forms of these models appear here once a run is exported or" in words(page)


def test_the_floor_is_a_model_of_its_own_kind(app: App, store: Store, report: dict[str, Any]) -> None:
    finish(store, FIRST, with_floor(report), "Demo")
    page = app(PAGE, **{"tradeoffs.size": "1"})
    assert "**Best that fits:** TF-IDF, scikit-learn of Demo" in words(page)
    assert metrics(page) == ["80.9 %", "0.8 MB", "1.50 ms"]
    first = page.dataframe[0].value.iloc[0]
    assert [first["model"], first["form"], round(first["params"], -3)] == ["TF-IDF", "scikit-learn", 139_000]
    assert math.isnan(first["flops"])
    assert "TF-IDF counts words and letters, with logistic regression" in words(page)
    page.selectbox(key="tradeoffs.texts").select("typos").run()
    assert metrics(page)[0] == "60.0 %"
    page.button_group(key="tradeoffs.models").set_value(["student"]).run()
    assert "TF-IDF" not in words(page)


def test_the_best_within_limits_is_named(app: App, benched: Store) -> None:
    page = app(PAGE, **{"tradeoffs.size": "20", "tradeoffs.latency": "2", "tradeoffs.accuracy": "85"})
    assert "**Best that fits:** distilled student, PyTorch of Demo" in words(page)
    assert metrics(page)[:2] == ["87.6 %", "10.7 MB"]
    assert page.metric[0].delta == "± 2.8"
    assert "1 other that fits may be as good: 524 texts cannot tell them apart." in words(page)
    assert "The smallest: distilled student, ONNX int8 of Demo, 2.7 MB." in words(page)
    assert page.dataframe[0].value["fits"].tolist() == [True, True, False, False]
    page.number_input(key="tradeoffs.size").set_value(5.0).run()
    assert "**Best that fits:** distilled student, ONNX int8 of Demo" in words(page)
    assert metrics(page) == ["87.0 %", "2.7 MB", "0.60 ms"]
    assert "may be as good" not in words(page)


def test_runs_without_names_are_told_apart_and_one_kind_of_student_has_one_speed(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    runs.rename(FIRST, "")
    report["student"]["accuracy"] = 0.87
    report["student"]["latency_ms"]["p50"] /= 2
    finish(runs, SECOND, report, "")
    page = app(PAGE)
    does = "bbc-headlines: minilm-l6 → cnn"
    assert set(page.dataframe[0].value["run"]) == {f"{does} (a1b2)", f"{does} (c3d4)"}
    page.button_group(key="tradeoffs.models").set_value(["student"]).run()
    assert f"**Most accurate:** distilled student, PyTorch of {does} (a1b2)" in words(page)
    assert "1 other that fits may be as good" in words(page)
    assert "The fastest" not in words(page), "the same network, so the difference is the machine's"
    assert "Marks that cost the same stand a few pixels apart" in words(page)
    page.button_group(key="tradeoffs.against").set_value("latency").run()
    assert "Marks that cost the same" not in words(page), "they are apart as it is"


def test_a_teacher_is_not_called_by_its_students_name(app: App, runs: Store) -> None:
    page = app(PAGE, **{"tradeoffs.models": "Teacher"})
    assert "minilm-l6, 22.7 M parameters" in words(page)
    assert page.dataframe[0].value["architecture"].tolist() == ["minilm-l6"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("teacher,distilled", ["teacher", "student"]),
        ("Student alone, TEACHER, nobody", ["alone", "teacher"]),
        ("labelled_only", ["labelled_only"]),
    ],
)
def test_a_link_takes_models_as_a_person_types_them(
    app: App, runs: Store, typed: str, shown: list[str]
) -> None:
    page = app(PAGE, **{"tradeoffs.models": typed, "tradeoffs.against": "latency"})
    assert page.button_group(key="tradeoffs.models").value == shown
    assert page.button_group(key="tradeoffs.against").value == "latency"


def test_what_would_do_fits_when_it_is_typed() -> None:
    said = _nearest(Limits(size=10.744, latency=1.6871, accuracy=0.9239))
    assert said.endswith("fits from: at most 10.8 MB, or at most 1.69 ms, or at least 92.3 %.")
    assert _nearest(Limits(size=0.0391, latency=12.12)).endswith("at most 0.0391 MB, or at most 12.2 ms.")


def test_limits_that_nothing_meets_say_what_would_do(app: App, benched: Store) -> None:
    page = app(PAGE, **{"tradeoffs.size": "5", "tradeoffs.accuracy": "87.2"})
    assert "**Nothing is within these limits**" in words(page)
    assert "something fits from: at most 10.7 MB, or at least 87 %." in words(page)
    page.number_input(key="tradeoffs.accuracy").set_value(87.0).run()
    page.number_input(key="tradeoffs.size").set_value(10.7).run()
    assert "**Nothing is within these limits**" not in words(page)
    page.number_input(key="tradeoffs.size").set_value(1.0).run()
    page.number_input(key="tradeoffs.accuracy").set_value(99.0).run()
    assert "Not even with one limit less. Loosen more than one of them." in words(page)


def test_tasks_are_not_mixed_and_the_newest_comes_first(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    finish(runs, SECOND, report, "Own texts", "/data/mine.csv")
    page = app(PAGE)
    assert page.selectbox(key="tradeoffs.task").options == ["mine.csv", "bbc-headlines"]
    assert page.dataframe[0].value["run"].unique().tolist() == ["Own texts"]
    page.selectbox(key="tradeoffs.task").select("bbc-headlines").run()
    assert page.dataframe[0].value["run"].unique().tolist() == ["Demo"]
    assert page.selectbox(key=f"tradeoffs.cascade_run.{FIRST}").value == FIRST, "of the same task"


def test_files_of_one_name_are_told_apart_by_their_folders(
    app: App, runs: Store, report: dict[str, Any]
) -> None:
    finish(runs, SECOND, report, "b", "/b/mine.csv")
    finish(runs, BENCH, report, "a", "/a/mine.csv")
    assert app(PAGE).selectbox(key="tradeoffs.task").options == [
        "/a/mine.csv",
        "/b/mine.csv",
        "bbc-headlines",
    ]


def test_accuracy_on_corrupted_texts(app: App, benched: Store) -> None:
    page = app(PAGE, **{"tradeoffs.texts": "typos"})
    accuracies = dict(page.dataframe[0].value[["model", "accuracy"]].to_numpy())
    assert accuracies["Teacher"] == pytest.approx(72.3, abs=0.05)
    assert "1 of 4 models were not measured on typos" in words(page)


def test_models_can_be_hidden(app: App, runs: Store) -> None:
    page = app(PAGE)
    page.button_group(key="tradeoffs.models").set_value(["labelled_only"]).run()
    assert page.dataframe[0].value["model"].tolist() == ["Distilled on labelled texts only"]
    page.button_group(key="tradeoffs.models").set_value([]).run()
    assert "Choose more models, or other texts." in words(page)


def test_times_of_two_machines_are_not_mixed(
    app: App, runs: Store, report: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "there")
    finish(runs, SECOND, report, "Elsewhere")
    page = app(PAGE)
    machines = page.selectbox(key="tradeoffs.timed_on").options
    assert "there, 1 thread, batch 1, without tokenizer" in machines
    assert len(machines) == 2
    page.selectbox(key="tradeoffs.timed_on").select("there, 1 thread, batch 1, without tokenizer").run()
    assert (
        "models were timed on another machine, beside other work or otherwise than on there, 1 thread"
        in words(page)
    )
    table = page.dataframe[0].value
    assert table[table["latency"].notna()]["run"].unique().tolist() == ["Elsewhere"]
    assert set(table["run"]) == {"Demo", "Elsewhere"}


def test_times_that_other_work_disturbed_are_not_beside_others(
    app: App, store: Store, report: dict[str, Any]
) -> None:
    """TF-IDF kept the 6.9 ms of a busy machine beside a benchmark's times of the others."""
    finish(store, FIRST, disturbed(with_floor(report)), "Demo")
    page = app(PAGE, **{"tradeoffs.against": "latency"})
    assert "All of them were timed beside other work" in words(page)
    assert page.dataframe[0].value["latency"].notna().all()
    keep(store, BENCH, sample("bench.json") | {"run": FIRST})
    page = app(PAGE, **{"tradeoffs.against": "latency"})
    assert "All of them" not in words(page)
    assert "1 of 9 models were timed on another machine, beside other work or otherwise" in words(page)
    table = page.dataframe[0].value.set_index(["model", "form"])["latency"].round(2)
    assert table["Teacher", "PyTorch"] == 9.22
    assert table["Student alone", "PyTorch"] == table["Distilled student", "PyTorch"] == 1.57
    assert table["Distilled student", "ONNX int8"] == 0.34
    assert math.isnan(table["TF-IDF", "scikit-learn"])


def test_an_interval_that_ends_at_100_percent_has_two_sides(
    app: App, store: Store, report: dict[str, Any]
) -> None:
    report["student"] |= {"accuracy": 1.0, "low": 0.94, "high": 1.0}
    finish(store, FIRST, report, "Demo")
    assert app(PAGE).dataframe[0].value["interval"].iloc[0] == "−6.0/+0.0"


def test_a_chosen_row_leads_to_its_report(app: App, benched: Store) -> None:
    page = app(PAGE)
    assert "A click on a mark opens its report" in words(page)
    table = page.dataframe[0]
    row = table.value["form"].tolist().index("ONNX int8")
    page.session_state["tradeoffs.chosen"] = f"{FIRST} student int8"
    page.run()
    assert "**Chosen:** distilled student, ONNX int8 of Demo" in words(page)
    key = page.dataframe[0].proto.id.rpartition("-")[2]
    assert page.session_state[key]["selection"]["rows"] == [row]
    (*_, link) = [link for link in page.get("page_link") if link.proto.label == "Open the report"]
    assert link.proto.query_string == f"run={FIRST}"


def test_a_name_is_shown_as_it_is(app: App, store: Store, report: dict[str, Any]) -> None:
    finish(store, FIRST, report, EVIL)
    page = app(PAGE)
    assert "![x](" not in words(page)
    assert "<b>" not in words(page)
    assert page.dataframe[0].value["run"].tolist() == [EVIL] * 3


# The cascade


def promise(page: AppTest) -> str:
    said = next(text.value for text in page.markdown if ".** The pair was to" in text.value)
    assert f"95{NO_BREAK}% confidence" in said, "a number and its sign stay on one line"
    return said.replace(NO_BREAK, " ")


def test_a_cascade_says_what_it_promises_and_how_the_test_texts_took_it(
    runs: Store, report: dict[str, Any], app: App, home: Path
) -> None:
    """The student is sure of 9 texts in 10 and right there; the teacher's classes are in turn."""
    folder = home / "runs" / FIRST
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    for file, rows in (("validation.parquet", 600), ("predictions.parquet", 500)):
        teacher = [[5.0, 0.0] if i % 2 else [0.0, 5.0] for i in range(rows)]
        student = [[0.1, 0.0] if i % 10 == 0 else teacher[i] for i in range(rows)]
        pd.DataFrame({"teacher": teacher, "student-0": student, "alone-0": student}).to_parquet(folder / file)
    page = app(PAGE)
    said = promise(page)
    assert "90.0 % of the test texts" in said
    assert "97.0 % of all texts, with 95 % confidence; on 500 test texts this held: 100.0 %" in said
    page = page.slider(key="tradeoffs.agree").set_value(80.0).run()
    said = promise(page)
    assert "The student answers every text, however sure it is, and passes none on." in said
    assert "80.0 % of all texts, with 95 % confidence; on 500 test texts this held: 90.0 %" in said


def test_a_link_opens_the_cascade_of_its_run(runs: Store, report: dict[str, Any], app: App) -> None:
    finish(runs, SECOND, report, "Second")
    assert app(PAGE).selectbox(key=f"tradeoffs.cascade_run.{SECOND}").value == SECOND
    assert app(PAGE, run=FIRST).selectbox(key=f"tradeoffs.cascade_run.{FIRST}").value == FIRST


def test_a_run_without_its_folder_says_why_there_is_no_cascade(runs: Store, app: App) -> None:
    assert f"There is no run {FIRST}" in words(app(PAGE))


def test_a_cascade_can_promise_to_be_right_and_says_what_it_costs(app: App, store: Store, home: Path) -> None:
    """The student answers 9 in 10 texts; the teacher errs on 1 of 1,000 test texts, number 1,006 of 2,000."""
    report = kept_run(store, home, rows=2000)
    page = app(PAGE)
    assert "Add the student in int8" in [button.label for button in page.button]
    page.button_group(key="tradeoffs.judge").set_value("gold").run()
    said = promise(page)
    assert "The pair was to be right on 97.0 % of all texts, with 95 % confidence" in said
    assert "this held: 100.0 %" in said
    assert any("--agree 97 --right" in code.value for code in page.code)
    student, teacher = (
        lognormal_mean(ms["p50"], ms["p95"])
        for ms in (report["student"]["latency_ms"], report["teacher"]["latency_ms"])
    )
    (cost,) = (metric for metric in page.metric if metric.label == "A million texts cost")
    assert cost.value == f"€{(student + 0.1 * teacher) * 0.05 / 3.6:.2f}"
    page.number_input(key="tradeoffs.core_hour").set_value(0.1).run()
    (cost,) = (metric for metric in page.metric if metric.label == "A million texts cost")
    assert cost.value == f"€{(student + 0.1 * teacher) * 0.1 / 3.6:.2f}"


def test_a_cascade_takes_the_times_that_the_page_shows(app: App, store: Store, home: Path) -> None:
    """Its teacher alone took 47.5 ms, below one of 13.5."""
    report = disturbed(kept_run(store, home, rows=2000))
    store.save_report(FIRST, report)
    (home / "runs" / FIRST / "report.json").write_text(json.dumps(report))
    page = app(PAGE)
    alone = lognormal_mean(12.12, 12.92)
    assert f"with the teacher alone {alone:.1f} ms (timed in turns, by p50 and p95)" in promise(page)
    assert "at other work for 60 % (teacher), 60 % (distilled student) of the time" in words(page)
    keep(store, BENCH, sample("bench.json") | {"run": FIRST})
    page = app(PAGE)
    assert f"with the teacher alone {lognormal_mean(9.2217, 17.448):.2f} ms" in promise(page)
    assert "at other work" not in words(page)


def test_what_no_gold_label_judges_is_called_agreement(app: App, store: Store, report) -> None:
    finish(store, FIRST, report, "With labels")
    finish(store, SECOND, without_gold(report), "Without")
    page = app(PAGE)
    assert page.selectbox(key="tradeoffs.task").options == ["bbc-headlines (agreement)", "bbc-headlines"]
    assert page.metric[0].label == "Agreement"
    assert set(page.dataframe[0].value["run"]) == {"Without"}
    assert "Agreement on" in [box.label for box in page.selectbox]
    assert "models, agreement on test texts against size" in alts(page)[0]
    layout = json.loads(charts(page)[0]["figure"])["layout"]
    assert layout["yaxis"]["title"]["text"] == "Agreement on test texts (%)"


# By an F1


@pytest.mark.parametrize(("metric", "name"), [("macro_f1", "Macro-F1"), (f"f1:{EVIL}", f"F1 of {EVIL}")])
def test_models_of_a_run_that_is_judged_by_an_f1_are_compared_in_that(
    app: App, benched: Store, report: dict[str, Any], metric: str, name: str
) -> None:
    report["config"]["training"]["metric"] = metric
    for who in ("teacher", "student", "alone", "labelled_only"):
        for seed in report[who]["seeds"].values():
            seed["per_class"][0]["name"] = EVIL
    benched.save_report(FIRST, report)
    page = app(PAGE)
    seed = report["alone"]["seeds"]["0"]
    expected = {"Macro-F1": report["alone"]["macro_f1"]}.get(name, seed["per_class"][0]["f1"])
    row = next(table.value for table in page.dataframe if "accuracy" in table.value)
    (shown,) = row[row["model"] == "Student alone"]["accuracy"]
    assert shown == round(100 * expected, 1)
    assert "ONNX int8" not in set(row["form"]), "it was measured in accuracy alone"
    assert "1 of 4 models were measured by an older version, which kept no" in words(page)
    assert page.metric[0].label == escape(name)
    assert page.selectbox(key="tradeoffs.texts").label == f"{escape(name)} on"
    page.selectbox(key="tradeoffs.texts").set_value("typos").run()
    assert page.metric[0].label == "Accuracy"
    assert not page.exception
