"""Lab 4, what the student learns from: recorded numbers, and a measurement of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig, of_today
from kd_core.distillation.events import TrainingStarted
from kd_core.jobs import runner as runner_module
from kd_core.jobs.store import Store
from kd_core.learn.lab_results import LabConfig
from kd_core.learn.recorded import recorded_lab
from kd_core.system.formatting import duration
from tests.ui.charts import alts
from tests.ui.lab_page import said
from tests.unit.figures.sampled import SAMPLE

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/transfer.py"
JOB = "20260131-143000-a1b2"


def test_the_recorded_curve(app: App) -> None:
    page = app(PAGE, hide="question")
    assert alts(page)[0] == (
        "Student alone 85.6 %, Distilled, 0 transfer texts 86.2 %, Distilled, 500 transfer texts 85.8 %, "
        "Distilled, 2,000 transfer texts 87.4 %, Hard answers, 8,000 transfer texts 87.1 %, "
        "Distilled, 8,000 transfer texts 87.6 %; teacher 89.1 %"
    )
    assert page.selectbox(key="transfer.source").options[0] == "Recorded: BBC headlines, 5 seeds"
    table = page.dataframe[0].value
    assert table["Accuracy"].tolist()[0] == "85.6 % ± 3.0"
    assert table["Seeds"].tolist()[5] == "87.6 %, 87.8 %, 88.2 %, 88.0 %, 86.6 %"
    gains = ["+0.6 points", "+0.2 points", "+1.8 points", "+1.6 points", "+2.1 points"]
    assert table["Over alone"].tolist() == ["", *gains]
    words = said(page)
    assert "Distilled on the labelled texts only: **+0.6 points** (−2.6 to +3.8) over the student" in words
    assert "with 8,000 transfer texts: **+2.1 points** (−0.6 to +4.7) over the student alone, no" in words
    assert "same student from random weights that brings it **+13.7 points** (+8.5 to +19.0)." in words


def test_soft_labels_are_told_from_more_texts(app: App) -> None:
    words = said(app(PAGE, hide="question"))
    assert "A step with transfer texts has twice the rows" in words
    assert "all of the teacher's probabilities make **+0.5 points** (" in words
    assert "the gain may come from more texts alone, as far as these texts can tell." in words
    assert "2 layers of 128, which starts from the fine-tuned teacher's vectors of the word pieces;" in words


def test_the_question(app: App) -> None:
    page = app(PAGE)
    page.button(key="transfer.guess_1").click().run()
    words = said(page)
    assert "No. The answer is: What its weights begin with." in words
    assert "Over random weights the start brings +13.7 points (+8.5 to +19.0)." in words
    assert re.search(r"add \+0\.6 points \(\S+ to \S+\), those to 8,000 further texts another \+1\.5", words)


def test_what_is_hidden_leaves_no_caption(app: App) -> None:
    page = app(PAGE, hide="question,settings,sizes,seeds,start")
    assert "one after the other" not in said(page)
    assert not [expander for expander in page.expander if expander.label == "Measure it on this machine"]


def test_a_measurement_is_queued_as_it_was_chosen(app: App, store: Store) -> None:
    page = app(PAGE, hide="question")
    assert "21 students, one after the other." in said(page)
    page.pills(key="transfer.sizes").set_value([0, 8000]).run()
    page.pills(key="transfer.seeds").set_value([1, 4]).run()
    assert "10 students, one after the other." in said(page)
    page.button(key="transfer.start").click().run()
    (job,) = store.runs(kind="lab")
    config = LabConfig.model_validate(job.config)
    assert (config.transfer, config.seeds) == ((0, 8000), (1, 4))
    assert config == LabConfig(transfer=(0, 8000), seeds=(1, 4))
    assert job.name == "The lessons' settings, 2 seeds"
    assert page.selectbox(key="transfer.source").value == job.id
    assert "The first result appears here" in page.info[0].value
    assert page.button(key="transfer.job.stop").label == "Stop"


def test_a_second_click_measures_nothing_twice(app: App, store: Store) -> None:
    page = app(PAGE, hide="question")
    page.button(key="transfer.start").click().run()
    page.button(key="transfer.start").click().run()
    (job,) = store.runs(kind="lab")
    assert page.selectbox(key="transfer.source").value == job.id


def test_a_queue_that_is_full_says_so(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "MOST_QUEUED", 0)
    page = app(PAGE, hide="question")
    page.button(key="transfer.start").click().run()
    assert not page.exception
    assert "0 runs wait in the queue, and at most 0 may." in page.error[0].value


def test_nothing_chosen_cannot_be_measured(app: App) -> None:
    page = app(PAGE, hide="question")
    page.pills(key="transfer.seeds").set_value([]).run()
    assert page.button(key="transfer.start").disabled


def test_the_settings_of_a_run_and_how_long_it_takes(app: App, store: Store) -> None:
    store.create_run(JOB, SAMPLE["config"], status="done", name="Mine")
    store.save_report(JOB, SAMPLE)
    page = app(PAGE, hide="question")
    students = sum(len(SAMPLE[who]["seeds"]) for who in ("student", "alone", "labelled_only") if SAMPLE[who])
    takes = duration(21 * SAMPLE["seconds"]["distil"] / students)
    assert f"21 students, one after the other, {takes} by the last run. " in said(page)
    # One that came from the cache took no time.
    store.write(JOB, [(datetime.now(UTC), TrainingStarted("alone", 0, 300, cached=True))])
    page = app(PAGE, hide="question")
    takes = duration(21 * SAMPLE["seconds"]["distil"] / (students - 1))
    assert f"21 students, one after the other, {takes} by the last run. " in said(page)
    page.selectbox(key="transfer.settings").set_value(JOB).run()
    page.button(key="transfer.start").click().run()
    (job,) = store.runs(kind="lab")
    base = DistillConfig.from_dict(of_today(SAMPLE["config"]))
    assert LabConfig.model_validate(job.config) == LabConfig(distil=base)
    assert job.name == "Mine, 3 seeds"


def test_the_settings_of_a_run_that_are_no_longer_legal_are_named(app: App, store: Store) -> None:
    config = SAMPLE["config"] | {"objective": SAMPLE["config"]["objective"] | {"sharpness": 2}}
    store.create_run(JOB, config, status="done", name="Of a newer version")
    store.save_report(JOB, SAMPLE)
    page = app(PAGE, hide="question")
    page.selectbox(key="transfer.settings").set_value(JOB).run()
    page.button(key="transfer.start").click().run()
    assert not page.exception
    assert "sharpness is not a setting" in page.error[0].value
    assert not store.runs(kind="lab")


def test_intervals_appear_as_they_are_measured(app: App, store: Store) -> None:
    store.create_run(JOB, LabConfig().model_dump(mode="json"), kind="lab", name="Lab", status="stopped")
    report = recorded_lab("transfer")
    store.save_report(JOB, {**report, "cells": report["cells"][:1]})
    page = app(PAGE, job=JOB, hide="question")
    assert alts(page)[0] == "Student alone 85.5 %; teacher 89.1 %"
    assert "The student alone and a distilled one are needed for a comparison" in said(page)
    assert page.button(key="transfer.job.again").label == "Start it again"
    store.save_report(JOB, {**report, "cells": report["cells"][:2]})
    page.run()
    assert page.dataframe[0].value["Over alone"].tolist() == ["", "+1.0 points"]
