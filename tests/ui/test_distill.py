"""The Distill page: what the form says, what a link sets, what Start does, and the view of a run."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from types import SimpleNamespace

from tests import ROOT, SAMPLES

# Before any Hugging Face library is imported: no test may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import streamlit as st
from streamlit.proto.Block_pb2 import Block
from streamlit.testing.v1 import AppTest

from kd_core import job_kinds
from kd_core.config import DistillConfig, TaskConfig, slider
from kd_core.data import uploads
from kd_core.data.uploads import Upload
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
from kd_core.figures.split import loss_split
from kd_core.job_kinds import prepare
from kd_core.jobs.store import Store
from kd_core.search.ladder import LadderConfig
from kd_core.system import paths
from pages.shared.run_form import consent, models, plan
from pages.shared.run_form.link import form_link, key
from tests.ui.charts import alts

PAGE = "build/distill/page.py"
RUN = "20260101-120000-abcd"
App = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _speed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known, and which has imported torch."""
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    prepare()


def texts(test: AppTest) -> str:
    """All that a person reads, in order of kind."""
    kinds = (test.title, test.subheader, test.markdown, test.caption, test.info, test.warning, test.error)
    said = [element.value for elements in kinds for element in elements]
    return "\n".join([*said, *(expander.label for expander in test.expander)]).replace("\u00a0", " ")


def widget(test: AppTest, kind: str, place: str):
    return getattr(test, kind)(key=key(place))


def write(store: Store, *events: object, run: str = RUN) -> None:
    store.write(run, [(datetime.now(UTC), event) for event in events])


def step(number: int, who: str = "student", loss: float = 0.5) -> Step:
    return Step(who, 0, number, 100, loss, 0.7, 0.4, 0.0, 5e-4, 1240.0)


def under_way(store: Store, run: str = RUN) -> None:
    store.create_run(run, DistillConfig().model_dump(mode="json"), name="First try")
    store.claim("host:1:0", run)


# The form


def test_the_form_says_how_large_everything_is(app: App) -> None:
    test = app(PAGE)
    assert not test.exception
    said = texts(test)
    assert "1,256 training, 524 test and 12,000 transfer texts, 5 classes" in said
    assert "22.7 M parameters, 90.9 MB, 52 % embeddings" in said
    assert "2.7 M parameters, 10.7 MB, 94 % embeddings" in said
    assert re.search(r"\*\*1 Teach\*\* · \d+ s", said)
    assert re.search(r"\*\*4 Validate\*\* · \d", said)
    assert "The teacher reads every text once" in said
    assert test.button(key="distill.start").label.startswith("Start distillation · ")


def test_a_larger_student_is_announced_larger_and_slower(app: App) -> None:
    test = app(PAGE)
    before = test.button(key="distill.start").label
    widget(test, "selectbox", "student.model").select("medium").run()
    assert "34.5 M parameters" in texts(test)
    assert (
        "The student is larger than the teacher (34.5 M against 22.7 M parameters)" in test.warning[0].value
    )
    assert test.button(key="distill.start").label != before


def test_a_student_of_few_texts_is_filled_up_or_warned_about(app: App) -> None:
    test = app(PAGE)
    widget(test, "selectbox", "student.model").select("tiny").run()
    widget(test, "slider", "task.transfer_texts").set_value(0).run()
    assert "2.7 M parameters, 10.6 MB, 84 % embeddings" in texts(test)
    assert not test.warning
    widget(test, "number_input", "student.fill_vocabulary").set_value(0).run()
    assert "1.1 M parameters, 4.4 MB, 62 % embeddings" in texts(test)
    (warning,) = test.warning
    assert "80 % of the validation and test texts hold a word piece that the student lacks" in warning.value


def test_the_form_shows_how_temperature_softens_a_real_answer(app: App) -> None:
    def likeliest(test: AppTest) -> float:
        """In percent, at the temperature of the form."""
        (said,) = (alt for alt in alts(test) if "at T" in alt)
        return max(float(share) for share in re.findall(r"([\d.]+) %", said.partition("at T")[2]))

    test = app(PAGE)
    before = likeliest(test)
    widget(test, "slider", "objective.temperature").set_value(float(slider("objective.temperature")[1])).run()
    assert 20 < likeliest(test) < before, "nearer to a fifth for each of five classes"


def test_what_matters_most_chooses_a_student(app: App) -> None:
    test = app(PAGE)
    assert widget(test, "selectbox", "student.model").value == DistillConfig().student.model
    assert test.button_group(key="distill.outcome").value == "Smallest"
    test.button_group(key="distill.outcome").set_value("Most accurate").run()
    assert widget(test, "selectbox", "student.model").value == "half"
    assert "12.3 M parameters" in texts(test)  # three layers of 384, 17,140 pieces
    widget(test, "selectbox", "student.model").select("medium").run()
    assert test.button_group(key="distill.outcome").value is None
    assert widget(test, "selectbox", "student.model").value == "medium"


def test_alpha_draws_how_the_loss_is_split(app: App) -> None:
    test = app(PAGE)
    assert {"teacher 40 %", "labels 60 %"} <= {caption.value for caption in test.caption}
    widget(test, "slider", "objective.alpha").set_value(0.9).run()
    assert {"teacher 10 %", "labels 90 %"} <= {caption.value for caption in test.caption}
    pictures = (picture for image in test.get("image") for picture in image.proto.imgs)
    (drawn,) = (picture for picture in pictures if picture.alt.startswith("The loss:"))
    assert drawn.alt == "The loss: teacher 10 %, labels 90 %"
    assert b64decode(drawn.url.partition(",")[2]).decode() == loss_split(0.9)


def test_on_a_cold_server_the_form_is_there_and_can_start_before_torch_is(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {
        name: module for name, module in sys.modules.items() if name != "kd_core.distillation.pipeline"
    }
    monkeypatch.setattr(job_kinds, "sys", SimpleNamespace(modules=modules))
    test = app(PAGE)
    assert not test.exception
    assert "sizes and times follow in some seconds" in texts(test)
    assert "training texts" not in texts(test)
    test.button(key="distill.start").click().run()
    assert [run.status for run in store.runs()] == ["queued"]
    monkeypatch.undo()


def test_the_task_that_was_chosen_last_is_there_on_the_next_page(app: App) -> None:
    file = Upload("films.csv", "\n".join(["text,label", *(f"Film {i},{i % 2}" for i in range(40))]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    test = app(PAGE)
    assert widget(test, "selectbox", "task.name").value == "bbc-headlines"
    widget(test, "selectbox", "task.name").select(saved.id).run()

    def visit(page: str) -> str:
        test.switch_page("review/runs/page.py").run()
        # As in a browser: a link of the sidebar has no settings, and a page that was left no widgets.
        test.query_params.clear()
        del test.session_state[key("task.name")]
        test.switch_page(page).run()
        assert not test.exception
        return widget(test, "selectbox", "task.name").value

    assert (visit("build/search/page.py"), visit(PAGE)) == (saved.id, saved.id)
    uploads.delete(saved.id)
    assert visit(PAGE) == "bbc-headlines"


def test_the_beginning_of_a_saved_tasks_name_means_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that takes new entries offers what is typed as one; AppTest cannot type one into it."""
    names = {"1-films": "films.csv", "2-figures": "figures.csv", "3-bbc": "bbc-headlines.csv"}
    for said, taken in (
        ("Film", "1-films"),
        ("fi", "fi"),  # two begin so
        ("bbc-headlines", "bbc-headlines"),  # the bundled one
        ("/data/films.csv", "/data/films.csv"),
    ):
        monkeypatch.setattr(st, "session_state", {"distill.task": said})
        models._typed("distill.task", names)
        assert st.session_state["distill.task"] == taken


def test_the_doctor_speaks_before_the_start(app: App) -> None:
    test = app(PAGE)
    assert not test.warning
    widget(test, "slider", "objective.alpha").set_value(1.0).run()
    assert "Alpha is 1: the teacher is ignored" in test.warning[0].value


def test_where_a_class_is_rare_a_lower_temperature_is_a_click_away(app: App) -> None:
    texts_of = {"cat": 60, "dog": 60, "owl": 6}
    rows = [f"A {animal} {i},{animal}" for animal, many in texts_of.items() for i in range(many)]
    file = Upload("animals.csv", "\n".join(["text,label", *rows]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    test = app(PAGE, **{key("task.name"): saved.id})
    assert "A class is rare here, and at T = 2 a student may forget it" in texts(test)
    test.button(key="distill.temperature_change").click().run()
    assert widget(test, "slider", "objective.temperature").value == 1
    assert "A class is rare" not in texts(test)
    assert "distill.temperature_change" not in [button.key for button in test.button]


def test_a_class_in_the_doctors_words_is_no_markup(app: App) -> None:
    texts_of = {"cat": 60, "dog": 60, "![x](http://127.0.0.1:9/x)": 6}
    rows = [f"A {animal} {i},{animal}" for animal, many in texts_of.items() for i in range(many)]
    file = Upload("animals.csv", "\n".join(["text,label", *rows]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    (said,) = (info.value for info in app(PAGE, **{key("task.name"): saved.id}).info if "fair" in info.value)
    assert "![" not in said
    assert "The class '![x](http://127.0.0.1:9/x)' has 4" in unescape(said).replace("\u2060", "")


def test_only_heads_that_divide_the_hidden_size_are_offered(app: App) -> None:
    test = app(PAGE)
    widget(test, "selectbox", "student.model").select("custom").run()
    widget(test, "slider", "student.hidden").set_value(192).run()
    heads = widget(test, "selectbox", "student.heads")
    assert heads.options == ["1", "2", "3", "4", "6", "8", "12", "16"]
    heads.select(6).run()
    assert not test.error
    widget(test, "slider", "student.hidden").set_value(256).run()
    assert widget(test, "selectbox", "student.heads").options == ["1", "2", "4", "8", "16"]
    assert not test.error


def test_a_teacher_from_scratch_has_sliders(app: App) -> None:
    test = app(PAGE)
    widget(test, "selectbox", "teacher.model").select("scratch").run()
    widget(test, "slider", "teacher.layers").set_value(4).run()
    assert not test.error
    assert "A teacher from scratch knows only this task's texts" in texts(test)


def test_a_hub_id_without_a_network_gets_a_clear_word(app: App) -> None:
    name, test = "google-bert/bert-base-uncased", app()
    test.session_state[consent.AGREED] = {name}  # a link alone asks no Hub
    test.query_params[key("teacher.model")] = name
    test.switch_page(PAGE).run()
    assert "is not on this disk and the Hugging Face Hub cannot be reached" in test.error[0].value
    assert "Without a network there are the teachers minilm-l6, minilm-l3, scratch" in test.error[0].value
    assert test.button(key="distill.start").disabled


def test_seeds_say_what_they_ask_for(app: App) -> None:
    test = app(PAGE)
    one = "One training of each student. Type 0,1,2 for three, and chance counts for less."
    assert one in [caption.value for caption in test.caption]
    widget(test, "text_input", "training.seeds").set_value("0, 1,2").run()
    said = [caption.value for caption in test.caption]
    assert "3 trainings of each student, and their mean." in said
    assert one not in said


def test_all_problems_are_shown_and_nothing_can_start(app: App) -> None:
    test = app(PAGE)
    widget(test, "text_input", "training.seeds").set_value("1,x").run()
    assert len(test.error) == 1
    assert "training.seeds must be a list of whole numbers" in test.error[0].value.replace("&#46;", ".")
    assert test.button(key="distill.start").disabled


def test_what_the_task_forbids_the_objective_is_said_before_the_start(app: App) -> None:
    test = app(PAGE)
    widget(test, "text_input", "objective.class_weights").set_value("spam=3").run()
    (error,) = test.error
    assert "class-weights names 'spam', not a class of this task" in error.value
    assert test.button(key="distill.start").disabled
    widget(test, "text_input", "objective.class_weights").set_value("tech=3").run()
    assert not test.error
    sample = ROOT / "assets" / "samples" / "answers-some-gold.csv"
    file = Upload(sample.name, sample.read_bytes())
    saved = uploads.save({"name": file}, TaskConfig(knowledge=sample.name))
    test = app(PAGE, **{key("task.name"): saved.id, key("objective.hidden_weight"): "0.5"})
    (error,) = test.error
    assert "hidden-weight compares inner states, and the teacher is a file" in error.value


def test_sliders_that_change_no_size_compute_no_plan_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    test, made = app(PAGE), []
    monkeypatch.setattr(plan, "make_plan", lambda *given: made.append(given))
    widget(test, "slider", "objective.temperature").set_value(8.0).run()
    widget(test, "slider", "objective.alpha").set_value(0.5).run()
    widget(test, "selectbox", "objective.divergence").select("dkd").run()
    assert not test.exception
    assert not test.error
    assert not made


def test_a_file_that_is_named_from_the_home_folder_is_read_again_after_an_edit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    file, named = home / "texts.csv", TaskConfig(name="~/texts.csv")
    assert plan.stamp(named) == []
    file.write_text("text,label\n")
    for second in (1, 2):
        os.utime(file, (second, second))
        assert plan.stamp(named) == [second * 10**9]


# Links


def test_a_link_fills_in_the_form(app: App) -> None:
    wanted = DistillConfig().change(
        {
            "objective.temperature": 7.5,
            "objective.alpha": 0.9,
            "student.model": "custom",
            "student.hidden": 192,
            "student.heads": 6,
            "training.seeds": [0, 1],
            "controls.shifted": False,
        }
    )
    link = form_link(wanted)
    assert link == {
        "distill.student": "custom",
        "distill.student_hidden": "192",
        "distill.student_heads": "6",
        "distill.temperature": "7.5",
        "distill.alpha": "0.9",
        "distill.seeds": "0,1",
        "distill.shifted": "False",
    }
    test = app(PAGE, **link)
    test.button(key="distill.start").click().run()
    assert DistillConfig.from_dict(Store().runs()[0].config) == wanted


def test_the_default_form_has_an_empty_link() -> None:
    assert form_link(DistillConfig()) == {}


# Start


def test_start_queues_one_run_however_often_it_is_clicked(app: App, store: Store) -> None:
    test = app(PAGE)
    for _ in range(2):
        test.button(key="distill.start").click().run()
    (run,) = store.runs()
    assert run.status == "queued"
    assert DistillConfig.from_dict(run.config) == DistillConfig().change({"objective.temperature": 2})
    assert test.query_params["run"] == run.id
    (entry,) = store.events(run.id)
    assert isinstance(entry.event, Estimated)
    assert entry.event.seconds["distil"] > 0


def test_a_second_run_waits_and_says_so(app: App, store: Store) -> None:
    under_way(store)
    test = app(PAGE)
    assert "First try" in texts(test), "the run that is under way is shown without being asked for"
    assert "The next one waits in the queue" in texts(test)
    widget(test, "slider", "objective.alpha").set_value(0.5).run()
    test.button(key="distill.start").click().run()
    assert "Position 1 in the queue" in texts(test)
    test.button(key="live.cancel").click().run()
    assert [run.status for run in store.runs()] == ["stopped", "running"]


def test_a_ladder_and_its_run_are_one_job_to_wait_for(app: App, store: Store) -> None:
    store.create_run("20260101-115900-abcd", {}, kind="ladder", status="running")
    under_way(store)
    waiting = "20260101-120100-abcd"
    store.create_run(waiting, DistillConfig().model_dump(mode="json"))
    assert "Position 1 in the queue" in texts(app(PAGE, run=waiting))


def test_what_another_machine_does_keeps_nobody_waiting(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a database that a team shares."""
    queued = "20260101-130000-abcd"
    with monkeypatch.context() as there:
        there.setattr(paths, "folder_id", lambda: "")
        there.setattr(socket, "gethostname", lambda: "elsewhere")
        under_way(store)
        store.create_run(queued, DistillConfig().model_dump(mode="json"), name="Second try")
        store.create_run("ladder", LadderConfig().model_dump(mode="json"), kind="ladder")
    test = app(PAGE)
    assert "First try" not in texts(test)
    assert "The next one waits" not in texts(test)
    assert not test.sidebar.get("page_link"), "the strip is about this machine"
    watched = app(PAGE, run=queued)
    assert "Waits for its turn on elsewhere, where it was set up." in texts(watched)
    assert "The next one waits" not in texts(watched)
    test.button(key="distill.start").click().run()
    assert "Starts in a moment." in texts(test)
    (progress,) = app(PAGE, ladder="ladder").main.get("progress")
    assert progress.proto.text == "Waits for its turn: one job at a time uses elsewhere"


# The view of a run


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
    store.set_status(RUN, "paused")
    test.run()
    test.button(key="live.resume").click().run()
    assert store.command(RUN) == "run"
    store.set_status(RUN, "running")
    test.run()
    test.button(key="live.stop").click().run()
    assert store.command(RUN) == "stop"


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


def test_answers_of_a_teacher_class_weights_and_metric_are_duplicated(app: App, home: Path) -> None:
    """A task that was saved on the Data page comes back by its name, with all that reads it."""
    sample = ROOT / "assets" / "samples" / "answers-some-gold.csv"
    saved = uploads.save(
        {"name": Upload(sample.name, sample.read_bytes())},
        TaskConfig(knowledge=sample.name, answers="probabilities", smoothing=0.2),
    )
    task = saved.config.model_dump(mode="json")
    wanted = DistillConfig.from_dict({"task": task}).change(
        {"objective.temperature": 4, "objective.class_weights": "billing=3", "training.metric": "f1:billing"}
    )
    link = form_link(wanted)
    assert link == {
        "distill.task": saved.id,
        "distill.temperature": "4.0",
        "distill.class_weights": "billing=3",
        "distill.metric": "f1:billing",
    }
    test = app(PAGE, **link)
    test.button(key="distill.start").click().run()
    assert DistillConfig.from_dict(Store().runs()[0].config) == wanted


def test_answers_of_a_file_that_was_never_saved_are_duplicated_with_all_that_reads_them(
    app: App, tmp_path: Path
) -> None:
    """A run of the command names a file; the link of its "Duplicate" has every setting.

    AppTest cannot press Start beside a name that was typed in.
    """
    file = tmp_path / "answers.csv"
    lines = ["text,checked,score a,score b"]
    lines += [f"text number {i},{'ab'[i % 2]},{60 + i % 2},{40 - i % 2}" for i in range(60)]
    file.write_text("\n".join(lines))
    wanted = DistillConfig().change(
        {
            "task.knowledge": str(file),
            "task.text_column": "text",
            "task.label_column": "checked",
            "task.answer_columns": ["score a", "score b"],
            "task.answers": "probabilities",
            "task.gold": "rows",
            "task.normalise": True,
            "task.smoothing": 0.25,
            "objective.class_weights": "a=2",
            "training.metric": "f1:b",
        }
    )
    link, test = form_link(wanted), app()
    assert len(link) == 11
    test.session_state[consent.AGREED] = {str(file)}
    for place, value in link.items():
        test.query_params[place] = value
    test.switch_page(PAGE).run()
    assert not test.error, texts(test)
    assert {place: str(test.session_state[place]) for place in link} == link
    assert "the teacher is the file" in texts(test), "what stands there was read"
