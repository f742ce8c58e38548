"""The capacity page: a load in, servers and their arithmetic out."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from pages.shared.text import escape
from tests import disturbed, without_gold
from tests.ui.charts import alts
from tests.ui.kept_run import kept_run
from tests.ui.speed.benched import EVIL, NEWER, RUN, App, keep, sample, words

PAGE = "review/capacity/page.py"
OTHER = "20260131-160000-e5f6"


def servers(page: Any) -> list[str]:
    assert not page.exception
    return [metric.value for metric in page.metric if metric.label == "Servers"]


def test_without_a_run_it_says_what_to_do(app: App, store: Store) -> None:
    page = app(PAGE)
    assert page.info[0].value.startswith("No run is done yet.")
    assert page.main.get("page_link")[0].proto.label == "Set up a distillation"


def test_from_a_benchmark(app: App, benched: Store) -> None:
    page = app(PAGE)
    # 50 M a day x 3 are 1,736 texts/s; a core does 93, 499 and 2,264, seven tenths of it at most.
    assert servers(page) == ["7", "2", "1"]
    table = page.dataframe[0].value.set_index("Model")
    assert table["Texts/s of a core"].tolist() == ["92.9", "499", "2,264"]
    assert table["Cores"].tolist() == ["27", "5", "2"]
    assert table["Price a day"].tolist() == ["€33.60", "€9.60", "€4.80"]
    assert (
        "1 server instead of 7, for €28.80 less a day: the distilled student (ONNX int8) instead of the "
        "teacher (PyTorch)." in words(page)
    )
    assert "Peak load: 50,000,000 texts a day ÷ 86,400 s × 3 = 1,736 texts/s" in page.text[0].value
    assert "pinned to as many cores as threads" in words(page)
    assert "An open mark is your load at its peak." in words(page)
    assert "How the times spread was not kept here" in words(page), "the sample is of an older version"
    busy = table["Busy at the peak"].tolist()
    assert busy == ["67 %", "43 %", "19 %"]
    assert alts(page)[0] == (
        "Servers by texts a day. At 50 million: Teacher, PyTorch: 7 servers; Distilled student, PyTorch: "
        "2 servers; Distilled student, ONNX int8: 1 server"
    )
    spoken = alts(page)[1].split("; ")
    assert [said.rpartition(": ")[2].split(",")[0] for said in spoken] == busy


def test_a_core_that_is_nearly_always_busy(app: App, benched: Store) -> None:
    # 92.6 of the 92.9 texts/s that one core of the teacher does.
    one = {"capacity.cores_per_server": "1", "capacity.utilisation": "100"}
    page = app(PAGE, **one | {"capacity.peak": "1", "capacity.million_texts": "8.0"})
    badges = [text.value for text in page.markdown if "badge" in text.value]
    assert ["Too slow" in badge for badge in badges] == [True, False, False]


def test_a_target_that_the_teacher_misses(app: App, benched: Store) -> None:
    page = app(PAGE, **{"capacity.target_ms": "9"})
    badges = [text.value for text in page.markdown if "badge" in text.value]
    assert ["Too slow" in badge for badge in badges] == [True, False, False]
    assert "over the 9\xa0ms asked for" in page.text[0].value


def test_a_load_that_cannot_be_is_a_sentence(app: App, benched: Store) -> None:
    page = app(PAGE)
    page.number_input(key="capacity.target_ms").set_value(0).run()
    assert not page.exception
    assert page.error[0].value == escape("target_ms must be above 0 and at most 1,000,000, got 0.0")


def test_the_load_is_in_the_address(app: App, benched: Store) -> None:
    page = app(PAGE, **{"capacity.million_texts": "200", "capacity.cores_per_server": "16"})
    assert page.number_input(key="capacity.million_texts").value == 200
    assert servers(page) == ["7", "2", "1"]
    page.number_input(key="capacity.cores_per_server").set_value(4).run()
    assert servers(page) == ["27", "5", "2"]


def test_a_currency_of_ones_own(app: App, benched: Store) -> None:
    page = app(PAGE, **{"capacity.currency": "$", "capacity.utilisation": "35"})
    # Half as busy as by default: twice the cores, 54 of them in 14 servers.
    assert page.dataframe[0].value["Price a day"].tolist()[0] == "$67.20"
    saved = next(text.value for text in page.markdown if "less a day" in text.value)
    assert saved.startswith(f"**1 server instead of 14, for {escape('$')}62.40 less a day"), "no formula"
    assert "Busy at most 35\xa0% of the time: 92.9 × 35\xa0% = 32.5 texts/s" in page.text[0].value
    page.text_input(key="capacity.currency").set_value("").run()
    assert page.dataframe[0].value["Price a day"].tolist()[0] == "67.20"


def test_batches(app: App, benched: Store) -> None:
    page = app(PAGE)
    page.segmented_control(key="capacity.batch").set_value(32).run()
    assert int(servers(page)[0]) < 7
    assert "in batches of 32" in page.text[0].value


def test_from_the_run_alone(app: App, done: Store) -> None:
    page = app(PAGE)
    # 1,736 texts/s; 12.1 ms and 1.69 ms are 83 and 593 texts/s.
    assert servers(page) == ["8", "2"]
    assert "These times come from the run itself" in words(page)
    (link,) = [link.proto for link in page.main.get("page_link")]
    assert (link.label, link.query_string) == (
        "Open the report's Speed tab",
        f"run={RUN}&report.tab=Speed",
    )
    assert "tokenizer)" not in page.text[0].value


def test_times_beside_other_work_are_doubted_where_the_servers_stand(app: App, done: Store) -> None:
    """The only caveat was the last line of the page."""
    done.save_report(RUN, disturbed(sample("report.json")))
    page = app(PAGE)
    assert servers(page) == ["8", "2"]
    (warning,) = page.warning
    assert html.unescape(warning.value).endswith(
        "for 60 % (teacher), 60 % (distilled student) of the time, which slows a slow model more than a "
        "quick one: measure again when the machine is idle, in the Speed tab of its report or with kd bench."
    )
    blocks = list(page.main.children.values())
    saved = next(at for at, block in enumerate(blocks) if "instead of 8" in getattr(block, "value", ""))
    assert [block.type for block in blocks[saved : saved + 3]] == ["markdown", "warning", "page_link"]
    assert [link.proto.label for link in page.main.get("page_link")] == ["Open the report's Speed tab"]
    assert "other work" not in words(page), "and not once more at the end"
    keep(done, NEWER, sample("bench.json") | {"run": RUN})
    page = app(PAGE)
    assert servers(page) == ["7", "2", "1"]
    assert not page.warning


def test_from_an_export(app: App, done: Store) -> None:
    """What the run had timed beside other work was counted with, though an export had timed it again."""
    done.save_report(RUN, disturbed(sample("report.json")))
    done.create_run(NEWER, {"run": RUN}, kind="export")
    done.save_report(NEWER, sample("bench.json") | {"run": RUN})  # it has all that an export has
    done.set_status(NEWER, "done")
    page = app(PAGE)
    assert list(page.dataframe[0].value["Model"]) == [
        "Teacher, PyTorch",
        "Distilled student, PyTorch",
        "Distilled student, ONNX int8",
    ]
    # Means of the log-normal distributions through 9.22 and 17.4 ms, and so on.
    assert list(page.dataframe[0].value["Texts/s of a core"]) == ["101", "461", "2,779"]
    assert not page.warning
    day = f"{done.run(NEWER).created.astimezone():%d %b %Y}"
    assert f"These times come from the export of {day}: one text at a time." in words(page)


@pytest.mark.parametrize("run", ["../../etc", EVIL])
def test_a_run_that_is_not_there(app: App, benched: Store, run: str) -> None:
    page = app(PAGE, run=run)
    assert page.error[0].value == f"There is no run {escape(run)}; it may have been deleted."
    assert not page.selectbox


def test_a_link_chooses_the_run_though_another_was_chosen(app: App, benched: Store) -> None:
    benched.create_run(OTHER, DistillConfig().model_dump(mode="json"), name="Other", status="done")
    benched.save_report(OTHER, benched.report_json(RUN))
    page = app(PAGE)
    assert page.selectbox(key=f"capacity.run.{OTHER}").select(RUN).run().query_params["run"] == RUN
    page.query_params["run"] = OTHER
    assert page.run().selectbox(key=f"capacity.run.{OTHER}").value == OTHER


def test_a_cascade_is_planned_like_a_model(app: App, store: Store, home: Path) -> None:
    kept_run(store, home, rows=2000)
    page = app(PAGE)
    assert [name for name in page.dataframe[0].value["Model"] if "Cascade" in name] == []
    page = page.toggle(key="capacity.cascade").set_value(True).run()
    table = page.dataframe[0].value.set_index("Model")
    rates = [float(rate.replace(",", "")) for rate in table["Texts/s of a core"]]
    assert list(table.index)[-1] == "Cascade of the two"
    assert rates[0] < rates[2] < rates[1]  # between teacher and student
    assert "which is 90.0 % of the test texts, and passes the rest on." in words(page)
    assert "the cascade has its numbers in the table" in words(page), "it is not on the pictures"
    link = next(x.proto for x in page.main.get("page_link") if x.proto.label == "Choose the threshold")
    assert link.query_string == f"run={RUN}&tradeoffs.agree=97"


def test_what_is_lost_stands_beside_what_is_saved(app: App, benched: Store) -> None:
    page = app(PAGE)
    accuracies = [metric.value for metric in page.metric if metric.label == "Accuracy"]
    forms = {form["name"]: form for form in sample("bench.json")["forms"]}
    names = ("teacher-pytorch", "student-pytorch", "student-int8")
    assert accuracies == [f"{100 * forms[name]['accuracy']:.1f} %" for name in names]
    assert "kept no comparison; measure again in the report." in words(page), "the sample is of 0.1"
    report = sample("bench.json")
    pair = {"lost": 6, "gained": 1, "texts": 524, "delta": -0.0095, "low": -0.0200, "high": -0.0010}
    report["forms"] = [form | {"paired": pair} for form in report["forms"]]
    keep(benched, NEWER, report | {"run": RUN})
    said = words(app(PAGE)).replace("\xa0", " ")
    assert "−0.9 points against the teacher (95 % interval −2.0 to −0.1)." in said
    assert "−0.9 points against the same in PyTorch" in said
    assert "That may be nothing." not in said


def test_all_but_two_questions_are_folded(app: App, benched: Store) -> None:
    page = app(PAGE)
    folded = {box.label for box in page.expander[0].number_input} | {
        slider.label for slider in page.expander[0].slider
    }
    assert page.expander[0].label == "Peak, servers and prices"
    asked = {box.label for box in page.number_input} | {slider.label for slider in page.slider}
    assert asked - folded == {"Texts a day (millions)", "Latency at most (ms, p95)"}


def test_agreement_is_not_called_accuracy(app: App, benched: Store) -> None:
    assert "Accuracy" in [metric.label for metric in app(PAGE).metric]
    benched.save_report(RUN, without_gold(benched.report_json(RUN)))
    labels = [metric.label for metric in app(PAGE).metric]
    assert "Agreement" in labels
    assert "Accuracy" not in labels
