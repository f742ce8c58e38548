"""The view of a run on the Distill page: under way, ended early, and done."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from streamlit.proto.Block_pb2 import Block
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.distillation.events import (
    STEP_SENTENCES,
    Estimated,
    Evaluated,
    Note,
    Resolved,
    StageFinished,
    StageStarted,
    Step,
    TrainingStarted,
)
from kd_core.job_kinds import prepare
from kd_core.jobs.store import Store
from pages.shared.run_form import plan
from tests.ui.charts import alts
from tests.ui.finished import EVIL, RUN, App, inert, links, numbers, read, sample

PAGE = "build/distill/page.py"


@pytest.fixture(autouse=True)
def run(store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """Adds a run that is under way."""
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    prepare()
    store.create_run(RUN, DistillConfig().model_dump(mode="json"), name="First try")
    store.claim("host:1:0", RUN)
    return RUN


def write(store: Store, *events: object, **live: object) -> None:
    store.write(RUN, [(datetime.now(UTC), event) for event in events], live)


def step(number: int, who: str = "student", loss: float = 0.5) -> Step:
    return Step(who, 0, number, 100, loss, 0.7, 0.4, 0.0, 5e-4, 1240.0)


def stages(page: AppTest) -> dict[str, object]:
    """Returns the steps of the run by name; those of the next run come after them."""
    steps = [box for box in page.expander if re.match(r"\*\*[1-4] ", box.label)]
    return {box.label.split()[1]: box for box in steps[:4]}


def test_what_a_run_says_before_and_between_its_steps(app: App, store: Store) -> None:
    before = read(app(PAGE, run=RUN))
    assert "Reads the texts and loads the teacher, which takes longer while this machine has other" in before
    assert "Between two steps." not in before
    reading = {"stage": "teach", "step": 60, "steps": 60, "label": "texts read for the new head"}
    write(store, StageStarted("teach"), Note("Models *start* anew."), **reading)
    page = app(PAGE, run=RUN)
    assert stages(page)["Teach**"].label == "**1 Teach** · starting", "reading is no share of a training"
    assert [info.value for info in page.info] == ["Models &#42;start&#42; anew."]
    write(store, **reading | {"who": "teacher", "step": 3, "label": None})
    assert stages(app(PAGE, run=RUN))["Teach**"].label == "**1 Teach** · 5 %"
    write(store, StageFinished("teach", 20.0))
    assert "Between two steps." in read(app(PAGE, run=RUN))


@pytest.mark.parametrize(("seconds", "said"), [(60.0, False), (200.0, True)])
def test_run_that_is_slow_says_why(app: App, store: Store, seconds: float, said: bool) -> None:
    expected = Estimated({"teach": 20.0, "record": 10.0, "distil": 50.0, "validate": 5.0}, {})
    pace = {"spent": seconds, "progress": 0.3, "costs": {"teach": [seconds, 40.0]}}
    write(store, expected, StageStarted("distil"), pace=pace)
    slow = "It takes 5 times as long as estimated. If this machine has other work: what the dashboard trains"
    assert (slow in read(app(PAGE, run=RUN))) is said


def test_numbers_of_a_run_under_way(app: App, store: Store) -> None:
    write(store, StageStarted("teach"), Evaluated("teacher", 0, 40, 0.875, 0.4), StageFinished("teach", 21.0))
    write(store, StageStarted("record"), StageFinished("record", 0.1, cached=True), StageStarted("distil"))
    write(store, TrainingStarted("student", 0, 100), step(1), step(46, loss=0.42))
    write(store, Evaluated("student", 0, 40, 0.812, 0.6))
    page = app(PAGE, run=RUN)
    assert "First try" in read(page)
    assert "Updated " in read(page)
    shown = numbers(page)
    assert (shown["Training loss"], shown["Texts per second"]) == ("0.420", "1,240")
    assert (shown["Learning rate"], shown["Validation"]) == ("0.0005", "81.2 %")
    steps = stages(page)
    assert [name.strip("*") for name in steps] == ["Teach", "Record", "Distill", "Validate"]
    assert steps["Teach**"].label.endswith("21 s")
    assert steps["Record**"].label.endswith("from the cache")
    assert all(box.proto.type == Block.Expandable.STEP for box in steps.values())
    assert steps["Record**"].caption[0].value == STEP_SENTENCES["record"]


def test_curve_is_of_the_metric_that_chooses_the_weights(app: App, store: Store) -> None:
    settings = {"training": {"metric": "macro_f1"}, "objective": {"temperature": 1.0}}
    write(store, Resolved(settings, 2, {}, {}), StageStarted("teach"))
    write(store, Evaluated("teacher", 0, 40, 0.96, 0.4, score=0.7), StageStarted("distil"))
    write(store, TrainingStarted("student", 0, 100), Evaluated("student", 0, 40, 0.95, 0.6, score=0.625))
    write(store, step(46))
    page = app(PAGE, run=RUN)
    (shown,) = [metric for metric in page.metric if metric.label == "Validation"]
    assert (shown.value, shown.help) == ("62.5 %", "Macro-F1 on the validation texts, latest look")
    assert "Validation macro-F1 over the steps, with the teacher's as a line." in alts(page)


def test_pause_resume_and_stop(app: App, store: Store) -> None:
    page = app(PAGE, run=RUN)
    page.button(key="live.pause").click().run()
    assert store.command(RUN) == "pause"
    assert "Pausing · " in page.get("progress")[0].proto.text, "until its step is done"
    assert page.button(key="live.pause").disabled
    assert app(PAGE, run=RUN).button(key="live.pause").disabled, "in another tab, too"
    store.set_status(RUN, "paused")
    page.run().button(key="live.resume").click().run()
    assert store.command(RUN) == "run"
    store.set_status(RUN, "running")
    assert not page.run().button(key="live.pause").disabled, "whoever set it going again"
    page.button(key="live.stop").click().run()
    assert store.command(RUN) == "stop"
    assert "Stopping · " in page.get("progress")[0].proto.text
    assert page.button(key="live.stop").disabled


def test_run_that_was_shown_stays_when_it_is_stopped_until_it_is_closed(app: App, store: Store) -> None:
    page = app(PAGE)
    assert page.query_params["run"] == RUN
    store.set_status(RUN, "stopped")
    assert "First try" in read(page.run())
    page.button(key="distill.close").click().run()
    assert "run" not in page.query_params
    assert "What will happen" in read(page)


@pytest.mark.parametrize(
    ("status", "began", "says", "again"),
    [
        ("interrupted", True, "About the last half minute of training is lost", "Resume from the last"),
        ("stopped", True, "Stopped. Its last checkpoint is kept.", "Resume from the last checkpoint"),
        ("failed", False, "Correct what the message names", "Start it again"),
        ("interrupted", False, "The program that ran it went away. It ended before its", "Start it again"),
        ("stopped", False, "Stopped. It ended before its first training step", "Start it again"),
    ],
)
def test_run_that_ended_early_is_resumed(
    app: App, store: Store, status: str, began: bool, says: str, again: str
) -> None:
    if began:
        write(store, TrainingStarted("teacher", 0, 100), step(1, "teacher"), step(7, "teacher", loss=0.42))
    store.set_status(RUN, status, f"The disk {EVIL} is full." if status == "failed" else None)
    page = app(PAGE, run=RUN)
    assert says in read(page)
    assert (f"The disk {EVIL} is full." in read(page)) == (status == "failed")
    inert(page)
    assert ("Its last checkpoint is kept." in read(page)) == (began and status == "stopped")
    assert ("no curves and no checkpoint yet." in read(page)) == (not began)
    assert (numbers(page).get("Training loss") == "0.420") == began
    curves = [alt for alt in alts(page) if alt.startswith("Training loss over the steps")]
    assert curves == (["Training loss over the steps: teacher."] if began else [])
    button = page.button(key="live.resume")
    assert button.label.startswith(again)
    button.click().run()
    assert store.run(RUN).status == "queued"


@pytest.mark.parametrize(
    ("estimated", "took", "said"),
    [
        (300.0, 40.0, "It took 40 s; the estimate was about 5 min, 8 times that."),
        (4.0, 130.0, "It took about 2 min; the estimate was 4 s, 32 times too short."),
        (50.0, 60.0, "It took 60 s; the estimate was 50 s, 17 % too short."),
    ],
)
def test_finished_run(app: App, store: Store, estimated: float, took: float, said: str) -> None:
    write(store, Estimated({"teach": estimated}, {}))
    changes = {"cached": {}, "teacher_key": "none", "seconds": {"teach": took}}
    store.save_report(RUN, sample() | {"sentence": "Distillation helped: +4.8 points."} | changes)
    store.set_status(RUN, "done")
    page = app(PAGE, run=RUN)
    assert "Distillation helped: +4.8 points." in read(page)
    assert said in read(page)
    assert links(page)["Open the report"] == f"run={RUN}"


def test_link_to_no_run(app: App, store: Store) -> None:
    page = app(PAGE, run="20260101-120000-ffff")
    assert "it may have been deleted" in page.error[0].value
    assert "22.7 M parameters" in read(page), "the form still works"
    store.create_run("job", {"run": RUN}, kind="bench", name="Benchmark of Demo")
    assert "job is no distillation but another job: Benchmark of Demo." in read(app(PAGE, run="job"))
