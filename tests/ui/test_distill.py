"""The Distill page before a run: its form, links that fill it in, Start, and the smallest student."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

# Before any Hugging Face library is imported: no test may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kd_core import job_kinds
from kd_core.config import DistillConfig, TaskConfig, slider
from kd_core.data import uploads
from kd_core.data.uploads import SavedTask, Upload
from kd_core.distillation.events import Estimated
from kd_core.job_kinds import prepare
from kd_core.jobs.store import Store
from kd_core.search.estimate import rung_seconds
from kd_core.search.ladder import LadderConfig, LadderResult, Rung
from kd_core.system import paths
from kd_core.system.formatting import duration
from pages.shared.run_form import consent, models, plan
from pages.shared.run_form.link import form_link, key
from tests import ROOT
from tests.ui.charts import alts
from tests.ui.finished import EVIL, OTHER, RUN, App, inert, keys, links, read

PAGE = "build/distill/page.py"
ANSWERS = ROOT / "assets" / "samples" / "answers-some-gold.csv"


@pytest.fixture(autouse=True)
def _speed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the speed of this machine known, and imports torch, without which the form is not complete."""
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    prepare()


def widget(page: AppTest, kind: str, place: str):
    return getattr(page, kind)(key=key(place))


def saved(rows: list[str], name: str = "films.csv") -> SavedTask:
    file = Upload(name, "\n".join(["text,label", *rows]).encode())
    return uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))


def saved_answers(**settings: object) -> SavedTask:
    file = Upload(ANSWERS.name, ANSWERS.read_bytes())
    return uploads.save({"name": file}, TaskConfig(knowledge=ANSWERS.name, **settings))


def under_way(store: Store, run_id: str = RUN) -> None:
    store.create_run(run_id, DistillConfig().model_dump(mode="json"), name="First try")
    store.claim("host:1:0", run_id)


# The form


def test_form_says_how_large_everything_is(app: App) -> None:
    page = app(PAGE)
    said = read(page) + "\n".join(each.label for each in page.expander)
    assert "1,256 training, 524 test and 12,000 transfer texts, 5 classes" in said
    assert "minilm-l6: 22.7 M parameters, 90.9 MB, 52 % embeddings" in said, "what auto is"
    assert "2.7 M parameters, 10.7 MB, 94 % embeddings" in said
    assert re.search(r"\*\*1 Teach\*\* · \d+ s", said)
    assert not page.warning
    before = page.button(key="distill.start").label
    assert before.startswith("Start distillation · ")
    widget(page, "selectbox", "student.model").select("medium").run()
    warned = "The student is larger than the teacher (34.5 M against 22.7 M parameters)"
    assert warned in read(page)
    assert page.button(key="distill.start").label != before


def test_outcome_chooses_a_student(app: App) -> None:
    page = app(PAGE)
    student = widget(page, "selectbox", "student.model")
    assert student.value == DistillConfig().student.model
    assert page.button_group(key="distill.outcome").value == "Size and speed"
    page.button_group(key="distill.outcome").set_value("Accuracy").run()
    assert widget(page, "selectbox", "student.model").value == "half"
    assert "12.3 M parameters" in read(page), "three layers of 384, 17,140 pieces"
    widget(page, "selectbox", "student.model").select("medium").run()
    assert page.button_group(key="distill.outcome").value is None


def test_temperature_and_alpha_are_drawn_without_a_new_plan(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def likeliest(page: AppTest) -> float:
        (said,) = (alt for alt in alts(page) if "at T" in alt)
        return max(float(share) for share in re.findall(r"([\d.]+) %", said.partition("at T")[2]))

    page, made = app(PAGE), []
    before = likeliest(page)
    assert {"teacher 40 %", "labels 60 %"} <= {caption.value for caption in page.caption}
    monkeypatch.setattr(plan, "make_plan", lambda *given: made.append(given))
    hottest = float(slider("objective.temperature")[1])
    widget(page, "slider", "objective.temperature").set_value(hottest).run()
    assert 20 < likeliest(page) < before, "nearer to a fifth for each of five classes"
    widget(page, "slider", "objective.alpha").set_value(0.9).run()
    assert {"teacher 10 %", "labels 90 %"} <= {caption.value for caption in page.caption}
    widget(page, "selectbox", "objective.divergence").select("dkd").run()
    widget(page, "slider", "objective.alpha").set_value(1.0).run()
    assert "Alpha is 1: the teacher is ignored" in read(page)
    assert not page.error
    assert not made


def test_run_can_start_before_torch_is_imported(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {name: module for name, module in sys.modules.items() if "distillation.pipeline" not in name}
    with monkeypatch.context() as cold:
        cold.setattr(job_kinds, "sys", SimpleNamespace(modules=modules))
        page = app(PAGE)
        assert "sizes and times follow in some seconds" in read(page)
        assert "training texts" not in read(page)
        page.button(key="distill.start").click().run()
    assert [run.status for run in store.runs()] == ["queued"]


def test_task_that_was_chosen_last_is_remembered(app: App) -> None:
    task = saved([f"Film {i},{i % 2}" for i in range(40)])
    page = app(PAGE)
    assert widget(page, "selectbox", "task.name").value == "bbc-headlines"
    widget(page, "selectbox", "task.name").select(task.id).run()

    def visit(path: str) -> str:
        page.switch_page("review/runs/page.py").run()
        # As in a browser: a link of the sidebar has no settings, and a page that was left no widgets.
        page.query_params.clear()
        del page.session_state[key("task.name")]
        page.switch_page(path).run()
        assert not page.exception
        return widget(page, "selectbox", "task.name").value

    assert (visit("build/search/page.py"), visit(PAGE)) == (task.id, task.id)
    uploads.delete(task.id)
    assert visit(PAGE) == "bbc-headlines"


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("Film", "1-films"),
        ("fi", "fi"),  # two begin so
        ("bbc-headlines", "bbc-headlines"),  # the bundled one
        ("/data/films.csv", "/data/films.csv"),
    ],
)
def test_beginning_of_a_task_name(monkeypatch: pytest.MonkeyPatch, typed: str, taken: str) -> None:
    """Calls what the list calls, since AppTest cannot type a new entry into it."""
    names = {"1-films": "films.csv", "2-figures": "figures.csv", "3-bbc": "bbc-headlines.csv"}
    monkeypatch.setattr(st, "session_state", {"distill.task": typed})
    models._typed("distill.task", names)
    assert st.session_state["distill.task"] == taken


def test_advice_changes_the_temperature_and_shows_a_class_as_it_is(app: App) -> None:
    rows = [
        f"A {animal} {i},{animal}"
        for animal, many in (("cat", 60), ("dog", 60), (EVIL, 6))
        for i in range(many)
    ]
    page = app(PAGE, **{key("task.name"): saved(rows).id})
    assert "A class is rare here, and at T = 2 a student may forget it" in read(page)
    assert f"The class '{EVIL}' has 4" in read(page)
    inert(page)
    page.button(key="distill.temperature_change").click().run()
    assert widget(page, "slider", "objective.temperature").value == 1
    assert "A class is rare" not in read(page)
    assert "distill.temperature_change" not in keys(page)


def test_sizes_of_student_and_teacher(app: App) -> None:
    task = {key("task.name"): saved([f"Film {i},{i % 2}" for i in range(40)]).id}
    page = app(PAGE, **task, **{"distill.student": "custom", "distill.student_hidden": "99"})
    heads = widget(page, "selectbox", "student.heads")
    assert (heads.options, heads.value) == (["1", "3", "9", "11"], 1)
    widget(page, "slider", "student.hidden").set_value(256).run()
    assert widget(page, "selectbox", "student.heads").options == ["1", "2", "4", "8", "16"]
    widget(page, "selectbox", "teacher.model").select("scratch").run()
    widget(page, "slider", "teacher.layers").set_value(4).run()
    assert not page.error
    assert "A teacher from scratch knows only this task's texts" in read(page)


def test_hub_teacher_without_a_network(app: App) -> None:
    name, page = "google-bert/bert-base-uncased", app()
    page.session_state[consent.AGREED] = {name}  # a link alone asks no Hub
    page.query_params[key("teacher.model")] = name
    page.switch_page(PAGE).run()
    assert "is not on this disk and the Hugging Face Hub cannot be reached" in page.error[0].value
    assert "Needs a network, unless it is on this disk already." in read(page)
    assert page.button(key="distill.start").disabled


def test_settings_that_are_wrong(app: App) -> None:
    page = app(PAGE)
    for place, value, said in (
        ("training.seeds", "1,x", "training.seeds must be a list of whole numbers"),
        ("training.seeds", "0, 1,2", ""),
        ("objective.class_weights", "spam=3", "class-weights names 'spam', not a class of this task"),
        ("objective.class_weights", "tech=3", ""),
    ):
        widget(page, "text_input", place).set_value(value).run()
        assert len(page.error) == bool(said)
        assert said in read(page)
        assert page.button(key="distill.start").disabled == bool(said)
    assert "3 trainings of each student, and their mean." in read(page)


def test_file_that_is_edited_is_read_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    file, named = home / "texts.csv", TaskConfig(name="~/texts.csv")
    assert plan.stamp(named) == []
    file.write_text("text,label\n")
    for second in (1, 2):
        os.utime(file, (second, second))
        assert plan.stamp(named) == [second * 10**9]


# Links


def test_link_fills_in_the_form(app: App) -> None:
    assert form_link(DistillConfig()) == {}
    changes = {
        "objective.temperature": 7.5,
        "objective.alpha": 0.9,
        "student.model": "custom",
        "student.hidden": 192,
        "student.heads": 6,
        "training.seeds": [0, 1],
        "controls.shifted": False,
    }
    wanted = DistillConfig().change(changes)
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
    page = app(PAGE, **link)
    page.button(key="distill.start").click().run()
    assert DistillConfig.from_dict(Store().runs()[0].config) == wanted


def test_link_of_a_saved_task_names_it(app: App) -> None:
    task = saved_answers(answers="probabilities", smoothing=0.2)
    changes = {"objective.class_weights": "billing=3", "training.metric": "f1:billing"}
    wanted = DistillConfig.from_dict({"task": task.config.model_dump(mode="json")})
    wanted = wanted.change({"objective.temperature": 4, **changes})
    link = form_link(wanted)
    assert link == {
        "distill.task": task.id,
        "distill.temperature": "4.0",
        "distill.class_weights": "billing=3",
        "distill.metric": "f1:billing",
    }
    page = app(PAGE, **link)
    assert "ladder.start" not in keys(page), "a file has no accuracy to keep"
    page.button(key="distill.start").click().run()
    assert DistillConfig.from_dict(Store().runs()[0].config) == wanted


# Start


def test_start_queues_one_run_however_often_it_is_clicked(app: App, store: Store) -> None:
    page = app(PAGE)
    for _ in range(2):
        page.button(key="distill.start").click().run()
    (run,) = store.runs()
    assert run.status == "queued"
    assert DistillConfig.from_dict(run.config) == DistillConfig().change({"objective.temperature": 2})
    assert page.query_params["run"] == run.id
    (entry,) = store.events(run.id)
    assert isinstance(entry.event, Estimated)
    assert entry.event.seconds["distil"] > 0


def test_second_run_waits(app: App, store: Store) -> None:
    store.create_run("20260101-115900-abcd", {}, kind="ladder", status="running")
    under_way(store)  # of this ladder: both are one job to wait for
    page = app(PAGE)
    assert "First try" in read(page), "the run that is under way is shown without being asked for"
    assert "The next one waits in the queue" in read(page)
    widget(page, "slider", "objective.alpha").set_value(0.5).run()
    page.button(key="distill.start").click().run()
    assert "Position 1 in the queue" in read(page)
    page.button(key="live.cancel").click().run()
    assert [run.status for run in store.runs(kind="distil")] == ["stopped", "running"]


def test_work_of_another_machine_keeps_nobody_waiting(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as there:
        there.setattr(paths, "folder_id", lambda: "")
        there.setattr(socket, "gethostname", lambda: "elsewhere")
        under_way(store)
        store.create_run(OTHER, DistillConfig().model_dump(mode="json"), name="Second try")
        store.create_run("ladder", LadderConfig().model_dump(mode="json"), kind="ladder")
    page = app(PAGE)
    assert "First try" not in read(page)
    assert "The next one waits" not in read(page)
    assert not page.sidebar.get("page_link"), "the strip is about this machine"
    watched = read(app(PAGE, run=OTHER))
    assert "Waits for its turn on elsewhere, where it was set up." in watched
    assert "The next one waits" not in watched
    page.button(key="distill.start").click().run()
    assert "Starts in a moment." in read(page)
    (progress,) = app(PAGE, ladder="ladder").main.get("progress")
    assert progress.proto.text == "Waits for its turn: one job at a time uses elsewhere"


# The smallest student

TFIDF = {"student": "tfidf", "run_id": "r1", "answer": "no", "kept": 0.912, "at_least": 0.88, "size_mb": 2.0}
TINY = {"student": "tiny", "run_id": "r1", "answer": "likely", "kept": 0.987, "at_least": 0.961}
RUNGS = (
    Rung(**TFIDF, latency_ms=0.4, texts=316),
    Rung(**TINY, params=2_700_000, size_mb=11.0, latency_ms=0.6, texts=316, needed=950),
)


def ladder(store: Store, status: str, *rungs: Rung, left: tuple[str, ...] = (), **changes: object) -> None:
    config = LadderConfig(students=("tiny", *left))
    result = LadderResult(config=config, rungs=rungs or RUNGS, teacher_params=22_700_000, **changes)
    store.create_run(RUN, config.model_dump(mode="json"), kind="ladder")
    store.save_report(RUN, result.model_dump(mode="json"))
    store.set_status(RUN, status)


def test_ladder_says_what_it_can_show_and_how_long_it_takes(app: App) -> None:
    page = app(PAGE)
    assert "Tries static, cnn, tiny, mini, third, half, in this order" in read(page)
    assert "316 validation texts" in read(page)
    assert page.button(key="ladder.start").label == "Find the smallest", "it is folded"
    page.session_state["ladder.fold"] = True
    page.run()
    asked = LadderConfig()
    plans = [plan.plan_of(asked.rung(student)) for student in asked.students]
    seconds = sum(rung_seconds(asked, plans, (), lambda: 1e12))
    assert page.button(key="ladder.start").label == f"Find the smallest · up to {duration(seconds)}"


def test_ladder_is_queued_once_with_the_settings_of_the_form(app: App, store: Store) -> None:
    asked = {"ladder.keep": "95", "ladder.within_ms": "0.4", key("objective.temperature"): "2"}
    page = app(PAGE, **asked)
    megabytes, milliseconds = (page.number_input(key=f"ladder.within_{unit}") for unit in ("mb", "ms"))
    assert (megabytes.value, milliseconds.value) == (None, 0.4)
    megabytes.set_value(5.0).run()
    for _ in range(2):
        page.button(key="ladder.start").click().run()
    (job,) = store.runs(kind="ladder")
    config = LadderConfig.from_dict(job.config)
    assert (config.keep, config.distill.objective.temperature) == (95.0, 2.0)
    assert (config.within_mb, config.within_ms) == (5.0, 0.4)
    assert page.query_params["ladder"] == job.id


def test_result_of_a_ladder(app: App, store: Store) -> None:
    tiny = RUNGS[1].model_copy(update={"score": 0.88, "waited": 0.45})
    failed = Rung(student="mini", run_id="", answer="failed", error="No *memory*.", kept=0.0, at_least=0.0)
    ladder(store, "done", RUNGS[0], tiny, failed, left=("mini",), teacher_score=0.9)
    page = app(PAGE, ladder=RUN)
    assert not page.success, "it is likely, not shown"
    assert (
        "Likely: tiny, with 12 % of the teacher's parameters, keeps 98.7 % of its accuracy on the validation "
        "texts, but they show only that it keeps 96.1 % or more. About 950 of them would settle it, if they "
        "say what these 316 do. On the test texts, which decided nothing: 88.0 %, the teacher 90.0 %, so it "
        "keeps 97.8 %." in read(page)
    )
    assert any("tiny 98.7 %, at least 96.1 %" in alt for alt in alts(page))
    table = next(frame.value for frame in page.dataframe if "Answer" in frame.value)
    assert table["Student"].tolist() == ["TF-IDF", "tiny", "mini"]
    assert table["Answer"].tolist() == ["No", "Likely", "Not possible"]
    assert links(page)["Open the report of tiny, with its test texts"] == "run=r1"
    assert "at other work for 45 % (tiny) of the time" in read(page)
    assert "mini: No *memory*." in read(page)
    page.button(key="ladder.close").click().run()
    assert "ladder" not in page.query_params


def test_ladder_under_way(app: App, store: Store) -> None:
    ladder(store, "queued", left=("mini",))
    page = app(PAGE, ladder=RUN)
    assert not [*page.success, *page.info], "nothing is claimed while students are left"
    assert len(next(frame.value for frame in page.dataframe if "Answer" in frame.value)) == 2
    assert page.button(key="ladder.job.stop")
    store.claim("host:1:0", RUN)
    live = {"label": "student tiny: training the distilled student", "step": 141, "steps": 400}
    store.write(RUN, [], {**live, "progress": 0.35})
    said = [bar.proto.text for bar in app(PAGE, ladder=RUN).get("progress")]
    assert said[0] == "Student tiny: training the distilled student · 35 % of all"
    store.set_command(RUN, "pause")
    store.set_status(RUN, "paused")
    page = app(PAGE, ladder=RUN)
    assert any(bar.proto.text.startswith("Paused · ") for bar in page.get("progress"))
    page.button(key="ladder.job.resume").click().run()
    assert store.command(RUN) == "run"


def test_link_to_no_ladder(app: App, store: Store) -> None:
    assert f"There is no run {RUN}; it may have been deleted." in read(app(PAGE, ladder=RUN))
    store.create_run(RUN, DistillConfig().model_dump(mode="json"), name="Demo")
    assert f"{RUN} is no ladder but another job: Demo." in read(app(PAGE, ladder=RUN))
