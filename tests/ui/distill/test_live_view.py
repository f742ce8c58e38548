"""The view of a run: under way, ended early, and done."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from streamlit.proto.Block_pb2 import Block

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
from kd_core.jobs.store import Store
from tests import SAMPLES
from tests.ui.charts import alts
from tests.ui.distill.page import PAGE, RUN, App, texts, under_way


def write(store: Store, *events: object, run: str = RUN) -> None:
    store.write(run, [(datetime.now(UTC), event) for event in events])


def step(number: int, who: str = "student", loss: float = 0.5) -> Step:
    return Step(who, 0, number, 100, loss, 0.7, 0.4, 0.0, 5e-4, 1240.0)


def test_what_comes_before_a_training_is_no_share_of_it(app: App, store: Store) -> None:
    under_way(store)
    reading = {"stage": "teach", "who": None, "step": 60, "steps": 60, "label": "texts read for the new head"}
    store.write(RUN, [(datetime.now(UTC), StageStarted("teach"))], reading)
    assert "**1 Teach** · starting" in [box.label for box in app(PAGE, run=RUN).expander]
    store.write(RUN, [], reading | {"who": "teacher", "step": 3, "label": None})
    assert "**1 Teach** · 5 %" in [box.label for box in app(PAGE, run=RUN).expander]


@pytest.mark.parametrize(("seconds", "said"), [(60.0, False), (200.0, True)])
def test_a_run_that_hardly_gets_on_says_why(app: App, store: Store, seconds: float, said: bool) -> None:
    under_way(store)
    expected = Estimated({"teach": 20.0, "record": 10.0, "distil": 50.0, "validate": 5.0}, {})
    pace = {"spent": seconds, "progress": 0.3, "costs": {"teach": [seconds, 40.0]}}
    store.write(
        RUN, [(datetime.now(UTC), expected), (datetime.now(UTC), StageStarted("distil"))], {"pace": pace}
    )
    slow = "It takes 5 times as long as estimated. If this machine has other work: what the dashboard trains"
    assert (slow in texts(app(PAGE, run=RUN))) is said


def test_a_run_under_way_shows_its_numbers(app: App, store: Store) -> None:
    under_way(store)
    write(store, StageStarted("teach"), Evaluated("teacher", 0, 40, 0.875, 0.4))
    write(
        store, StageFinished("teach", 21.0), StageStarted("record"), StageFinished("record", 0.1, cached=True)
    )
    write(store, StageStarted("distil"), TrainingStarted("student", 0, 100), step(1), step(46, loss=0.42))
    write(store, Evaluated("student", 0, 40, 0.812, 0.6))
    test = app(PAGE, run=RUN)
    assert not test.exception
    said = texts(test)
    assert "First try" in said
    assert "21 s" in said
    assert "from the cache" in said
    numbers = {metric.label: metric.value for metric in test.metric}
    assert numbers["Training loss"] == "0.420"
    assert numbers["Texts per second"] == "1,240"
    assert numbers["Learning rate"] == "0.0005"
    assert numbers["Validation"] == "81.2 %"
    assert "Updated " in said
    steps = {box.label.split()[1]: box for box in test.expander if re.match(r"\*\*[1-4] ", box.label)}
    assert [name.strip("*") for name in steps] == ["Teach", "Record", "Distill", "Validate"]
    assert all(box.proto.type == Block.Expandable.STEP for box in steps.values())
    assert steps["Record**"].caption[0].value == STEP_SENTENCES["record"]


def test_where_macro_f1_chooses_the_weights_the_curve_is_of_it(app: App, store: Store) -> None:
    under_way(store)
    settings = {"training": {"metric": "macro_f1"}, "objective": {"temperature": 1.0}}
    write(store, Resolved(settings, 2, {}, {}), StageStarted("teach"))
    write(store, Evaluated("teacher", 0, 40, 0.96, 0.4, score=0.7), StageStarted("distil"))
    write(store, TrainingStarted("student", 0, 100), Evaluated("student", 0, 40, 0.95, 0.6, score=0.625))
    write(store, step(46))
    test = app(PAGE, run=RUN)
    assert not test.exception
    (shown,) = [metric for metric in test.metric if metric.label == "Validation"]
    assert (shown.value, shown.help) == ("62.5 %", "Macro-F1 on the validation texts, latest look")
    assert "Validation macro-F1 over the steps, with the teacher's as a line." in alts(test)


def test_a_note_of_the_run_is_shown(app: App, store: Store) -> None:
    under_way(store)
    assert not app(PAGE, run=RUN).info
    write(store, Note("Models *start* anew."), StageStarted("teach"))
    assert [info.value for info in app(PAGE, run=RUN).info] == ["Models &#42;start&#42; anew."]


def test_pause_resume_and_stop_reach_the_run(app: App, store: Store) -> None:
    under_way(store)
    test = app(PAGE, run=RUN)
    test.button(key="live.pause").click().run()
    assert store.command(RUN) == "pause"
    assert "Pausing · " in test.get("progress")[0].proto.text, "until its step is done"
    assert test.button(key="live.pause").disabled
    assert app(PAGE, run=RUN).button(key="live.pause").disabled, "in another tab, too"
    store.set_status(RUN, "paused")
    test.run()
    test.button(key="live.resume").click().run()
    assert store.command(RUN) == "run"
    store.set_status(RUN, "running")
    test.run()
    assert not test.button(key="live.pause").disabled, "whoever set it going again"
    test.button(key="live.stop").click().run()
    assert store.command(RUN) == "stop"
    assert "Stopping · " in test.get("progress")[0].proto.text
    assert test.button(key="live.stop").disabled


def test_a_run_that_nobody_linked_to_stays_when_it_is_stopped(app: App, store: Store) -> None:
    under_way(store)
    test = app(PAGE)
    assert test.query_params["run"] == RUN
    store.set_status(RUN, "stopped")
    test.run()
    assert "First try" in texts(test)
    assert "Start it again" in [button.label for button in test.button]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            "interrupted",
            "The program that ran it went away. About the last half minute of training is lost at most.",
        ),
        ("stopped", "Stopped. Its last checkpoint is kept."),
    ],
)
def test_a_run_that_ended_early_can_be_resumed(app: App, store: Store, status: str, says: str) -> None:
    under_way(store)
    write(store, TrainingStarted("teacher", 0, 100), step(1, "teacher"), step(7, "teacher", loss=0.42))
    store.set_status(RUN, status)
    test = app(PAGE, run=RUN)
    assert says in texts(test)
    numbers = {metric.label: metric.value for metric in test.metric}
    assert numbers["Training loss"] == "0.420", "how far it came, though no student has begun"
    assert "Training loss over the steps: teacher." in alts(test)
    resume = test.button(key="live.resume")
    assert resume.label == "Resume from the last checkpoint"
    resume.click().run()
    assert store.run(RUN).status == "queued"


@pytest.mark.parametrize("status", ["failed", "interrupted", "stopped"])
def test_a_run_that_ended_before_it_began_shows_a_sentence_and_no_empty_charts(
    app: App, store: Store, status: str
) -> None:
    under_way(store)
    store.set_status(RUN, status, "The disk is full." if status == "failed" else None)
    test = app(PAGE, run=RUN)
    assert "It ended before its first training step, so there are no curves and no checkpoint yet." in texts(
        test
    )
    assert ("Correct what the message names" in texts(test)) == (status == "failed")
    assert "checkpoint is kept" not in texts(test)
    assert "not begun" in texts(test)
    assert not [alt for alt in alts(test) if "over the steps" in alt]
    assert "Training loss" not in [metric.label for metric in test.metric]
    again = test.button(key="live.resume")
    assert again.label == "Start it again"
    again.click().run()
    assert store.run(RUN).status == "queued"


def test_a_failed_run_says_why_without_becoming_markup(app: App, store: Store) -> None:
    under_way(store)
    store.set_status(RUN, "failed", "The loss became nan ![x](http://127.0.0.1:9/x)")
    test = app(PAGE, run=RUN)
    assert "The loss became nan" in test.error[0].value
    assert "![x](" not in test.error[0].value


def test_before_its_first_step_a_run_says_what_it_does(app: App, store: Store) -> None:
    under_way(store)
    before = texts(app(PAGE, run=RUN))
    assert "Reads the texts and loads the teacher, which takes longer while this machine has other" in before
    assert "Between two steps." not in before
    write(store, StageStarted("teach"), StageFinished("teach", 20.0))
    assert "Between two steps." in texts(app(PAGE, run=RUN))


@pytest.mark.parametrize(
    ("estimated", "took", "said"),
    [
        (300.0, 40.0, "It took 40 s; the estimate was about 5 min, 8 times that."),
        (4.0, 130.0, "It took about 2 min; the estimate was 4 s, 32 times too short."),
    ],
)
def test_an_estimate_that_was_far_off_is_told_in_times(
    app: App, store: Store, estimated: float, took: float, said: str
) -> None:
    under_way(store)
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    write(store, Estimated({"teach": estimated}, {}))
    store.save_report(RUN, report | {"cached": {}, "teacher_key": "none", "seconds": {"teach": took}})
    store.set_status(RUN, "done")
    assert said in texts(app(PAGE, run=RUN))


def test_a_finished_run_shows_its_verdict_and_how_far_off_the_estimate_was(app: App, store: Store) -> None:
    under_way(store)
    sample = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    sentence = "Distillation helped: +4.8 points over the same student trained alone."
    report = sample | {"sentence": sentence, "cached": {}, "teacher_key": "none"}
    write(store, Estimated({"teach": 20.0, "distil": 30.0}, {}))
    store.save_report(RUN, report | {"seconds": {"teach": 25.0, "distil": 35.0}})
    store.set_status(RUN, "done")
    test = app(PAGE, run=RUN)
    said = texts(test).replace("&#43;", "+").replace("&#46;", ".")
    assert "+4.8 points over the same student trained alone" in said
    assert "It took 60 s; the estimate was 50 s, 17 % too short." in said


def test_a_run_that_is_over_can_be_closed(app: App, store: Store) -> None:
    under_way(store)
    store.set_status(RUN, "stopped")
    test = app(PAGE, run=RUN)
    test.button(key="distill.close").click().run()
    assert "run" not in test.query_params
    assert "What will happen" in texts(test)


def test_a_run_that_was_deleted_in_another_tab_is_said_to_be_gone(app: App) -> None:
    test = app(PAGE, run=RUN)
    assert "it may have been deleted" in test.error[0].value
    assert "22.7 M parameters" in texts(test), "the form still works"
