"""The Capacity page: a load in, servers and their arithmetic out."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.jobs.store import Store
from pages.shared.text import escape
from tests import disturbed, without_gold
from tests.ui.charts import alts
from tests.ui.finished import (
    EVIL,
    RUN,
    THIRD,
    App,
    benchmark,
    finish,
    inert,
    kept_run,
    links,
    numbers,
    read,
    sample,
)

PAGE = "review/capacity/page.py"


def servers(page: AppTest) -> list[str]:
    assert not page.exception
    return [metric.value for metric in page.metric if metric.label == "Servers"]


def column(page: AppTest, name: str) -> list[str]:
    return page.dataframe[0].value[name].tolist()


@pytest.fixture
def done(store: Store) -> Store:
    return finish(store)


@pytest.fixture
def benched(done: Store) -> Store:
    benchmark(done)
    return done


def test_without_a_run(app: App) -> None:
    page = app(PAGE)
    assert page.info[0].value.startswith("No run is done yet.")
    assert "Set up a distillation" in links(page)


def test_answer_from_a_benchmark(app: App, benched: Store) -> None:
    page = app(PAGE)
    # 50 M a day x 3 are 1,736 texts/s; a core does 93, 499 and 2,264, seven tenths of it at most.
    assert servers(page) == ["7", "2", "1"]
    assert column(page, "Texts/s of a core") == ["92.9", "499", "2,264"]
    assert column(page, "Cores") == ["27", "5", "2"]
    assert column(page, "Price a day") == ["€33.60", "€9.60", "€4.80"]
    busy = column(page, "Busy at the peak")
    assert busy == ["67 %", "43 %", "19 %"]
    said = read(page)
    assert (
        "1 server instead of 7, for €28.80 less a day: the distilled student (ONNX int8) instead of the "
        "teacher (PyTorch)." in said
    )
    assert "An open mark is your load at its peak." in said
    assert "How the times spread was not kept here" in said, "the sample is of an older version"
    assert "kept no comparison; measure again in the report." in said
    assert "Peak load: 50,000,000 texts a day ÷ 86,400 s × 3 = 1,736 texts/s" in page.text[0].value
    of_servers, of_latency = alts(page)
    assert of_servers.startswith("Servers by texts a day. At 50 million: Teacher, PyTorch: 7 servers; ")
    assert [each.rpartition(": ")[2].split(",")[0] for each in of_latency.split("; ")] == busy
    folded = page.expander[0]
    shown = {box.label for box in (*page.number_input, *page.slider)}
    hidden = {box.label for box in (*folded.number_input, *folded.slider)}
    assert shown - hidden == {"Texts a day (millions)", "Latency at most (ms, p95)"}


def test_teacher_that_is_too_slow(app: App, benched: Store) -> None:
    page = app(PAGE, **{"capacity.target_ms": "9"})
    badges = [text.value for text in page.markdown if "badge" in text.value]
    assert ["Too slow" in badge for badge in badges] == [True, False, False]
    assert "over the 9\xa0ms asked for" in page.text[0].value


def test_load_is_read_from_the_link_and_changed(app: App, benched: Store) -> None:
    page = app(PAGE, **{"capacity.million_texts": "200", "capacity.cores_per_server": "16"})
    assert page.number_input(key="capacity.million_texts").value == 200
    assert servers(page) == ["7", "2", "1"]
    page.number_input(key="capacity.cores_per_server").set_value(4).run()
    assert servers(page) == ["27", "5", "2"]
    page.segmented_control(key="capacity.batch").set_value(32).run()
    assert int(servers(page)[0]) < 27
    assert "in batches of 32" in page.text[0].value
    page.number_input(key="capacity.target_ms").set_value(0).run()
    assert "target_ms must be above 0 and at most 1,000,000, got 0.0" in read(page)


def test_currency(app: App, benched: Store) -> None:
    page = app(PAGE, **{"capacity.currency": "$", "capacity.utilisation": "35"})
    # Half as busy as by default: twice the cores, 54 of them in 14 servers.
    assert column(page, "Price a day")[0] == "$67.20"
    saved = next(text.value for text in page.markdown if "less a day" in text.value)
    assert saved.startswith(f"**1 server instead of 14, for {escape('$')}62.40 less a day"), "no formula"
    assert "Busy at most 35\xa0% of the time: 92.9 × 35\xa0% = 32.5 texts/s" in page.text[0].value
    page.text_input(key="capacity.currency").set_value("").run()
    assert column(page, "Price a day")[0] == "67.20"


def test_answer_from_the_run_alone(app: App, done: Store) -> None:
    page = app(PAGE)
    assert servers(page) == ["8", "2"], "12.1 ms and 1.69 ms are 83 and 593 texts/s"
    assert "These times come from the run itself" in read(page)
    assert links(page)["Open the report's Speed tab"] == f"run={RUN}&report.tab=Speed"
    done.save_report(RUN, disturbed(sample()))
    page = app(PAGE)
    (warning,) = page.warning
    assert "for 60 % (teacher), 60 % (distilled student) of the time" in read(page)
    assert "measure again when the machine is idle, in the Speed tab" in warning.value
    blocks = list(page.main.children.values())
    saved = next(at for at, block in enumerate(blocks) if "instead of 8" in getattr(block, "value", ""))
    assert [block.type for block in blocks[saved : saved + 3]] == ["markdown", "warning", "page_link"]
    assert read(page).count("other work") == 1
    benchmark(done)
    page = app(PAGE)
    assert servers(page) == ["7", "2", "1"]
    assert not page.warning


@pytest.mark.parametrize("run", ["../../etc", EVIL])
def test_link_to_no_run(app: App, benched: Store, run: str) -> None:
    page = app(PAGE, run=run)
    assert f"There is no run {run}; it may have been deleted." in read(page)
    inert(page)
    assert not page.selectbox


def test_link_chooses_the_run(app: App, benched: Store) -> None:
    finish(benched, THIRD, name=EVIL)
    page = app(PAGE)
    assert page.selectbox(key=f"capacity.run.{THIRD}").select(RUN).run().query_params["run"] == RUN
    page.query_params["run"] = THIRD
    assert page.run().selectbox(key=f"capacity.run.{THIRD}").value == THIRD
    inert(page)


def test_cascade_is_planned_like_a_model(app: App, store: Store, home: Path) -> None:
    kept_run(store, home, rows=2000)
    page = app(PAGE)
    assert not any("Cascade" in name for name in column(page, "Model"))
    page = page.toggle(key="capacity.cascade").set_value(True).run()
    assert column(page, "Model")[-1] == "Cascade of the two"
    teacher, student, both = (float(rate.replace(",", "")) for rate in column(page, "Texts/s of a core"))
    assert teacher < both < student
    assert "which is 90.0 % of the test texts, and passes the rest on." in read(page)
    assert "the cascade has its numbers in the table" in read(page)
    assert links(page)["Choose the threshold"] == f"run={RUN}&tradeoffs.agree=97"


def test_score_that_each_form_loses(app: App, done: Store) -> None:
    report = sample("bench.json")
    pair = {"lost": 6, "gained": 1, "texts": 524, "delta": -0.0095, "low": -0.0200, "high": -0.0010}
    benchmark(done, forms=[form | {"paired": pair} for form in report["forms"]])
    page = app(PAGE)
    forms = {form["name"]: form for form in report["forms"]}
    shown = [metric.value for metric in page.metric if metric.label == "Accuracy"]
    wanted = (forms[name]["accuracy"] for name in ("teacher-pytorch", "student-pytorch", "student-int8"))
    assert shown == [f"{100 * accuracy:.1f} %" for accuracy in wanted]
    assert "−0.9 points against the teacher (95 % interval −2.0 to −0.1)." in read(page)
    assert "−0.9 points against the same in PyTorch" in read(page)
    assert "That may be nothing." not in read(page)
    done.save_report(RUN, without_gold(sample()))
    assert {"Agreement", "Accuracy"} & set(numbers(app(PAGE))) == {"Agreement"}
