"""The frame and the first page: the demo's button, the last runs, and what is running."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core import config
from kd_core.distillation.events import Progress, StageStarted
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.store import Store
from kd_core.learn.lessons import lessons
from pages.shared.state import runner
from pages.shared.text import escape
from tests import ROOT, SAMPLES

App = Callable[..., AppTest]
DEMO: dict[str, Any] = config.DEMO.model_dump(mode="json")
FIRST, SECOND = "20260131-143000-a1b2", "20260131-150000-c3d4"


def report() -> dict[str, Any]:
    sample = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    accuracies = {"teacher": 0.895, "student": 0.871, "alone": 0.823}
    models = {who: sample[who] | {"accuracy": accuracy} for who, accuracy in accuracies.items()}
    verdict = {"kind": "helped", "delta": 0.048, "low": 0.021, "high": 0.076}
    return sample | models | {"verdict": sample["verdict"] | verdict}


def texts(app: AppTest) -> list[str]:
    assert not app.exception
    return [element.value for element in (*app.markdown, *app.caption)]


def labels(app: AppTest, kind: str = "page_link") -> list[str]:
    return [element.proto.label for element in app.get(kind)]


def test_a_fresh_home_says_what_to_do_first(app: App) -> None:
    home = app()
    assert home.title[0].value == "KD Studio"
    assert home.button(key="home.demo").label == "Run the demo · a few minutes"
    assert [line for line in texts(home) if line[2:3].isdigit()] == [
        "**1 Teach**",
        "**2 Record**",
        "**3 Distill**",
        "**4 Validate**",
    ]
    assert "**No runs yet**" in texts(home)
    assert labels(home) == ["New here? 10-minute lesson", "Bring texts of your own", "Set up a distillation"]


def test_who_has_texts_gets_to_the_upload(app: App) -> None:
    (own,) = (link for link in app().get("page_link") if link.proto.label == "Bring texts of your own")
    assert (own.proto.page, own.proto.query_string) == ("data", "data.view=Upload+your+own")


@pytest.mark.parametrize("name", ["flow.svg", "flow-tall.svg"])
def test_its_picture_has_the_teachers_labels_and_the_control(name: str) -> None:
    picture = (ROOT / "assets" / name).read_text("utf-8")
    assert "the teacher, which learns from their hard labels" in picture
    assert {">Hard labels<", ">1 Teach<", ">Student alone<", ">the control<"} <= set(
        re.findall(r">[^<>]+<", picture)
    )


def test_who_is_new_gets_to_the_first_lesson(app: App) -> None:
    (lesson,) = (link for link in app().get("page_link") if link.proto.label.startswith("New here?"))
    assert lesson.proto.page == "lessons"
    assert lesson.proto.query_string == f"lesson={next(iter(lessons()))}"


def test_the_demo_is_queued_once(app: App, store: Store) -> None:
    home = app()
    home.button(key="home.demo").click().run()
    app().button(key="home.demo").click().run()  # another tab
    (run,) = store.runs()
    assert (run.name, run.status, run.task, run.student) == ("Demo", "queued", "bbc-headlines", "cnn")
    assert run.config == DEMO


def test_the_demo_leads_to_its_live_view(app: App, store: Store) -> None:
    home = app()
    home.button(key="home.demo").click().run()
    assert not home.exception
    assert home.title[0].value == "Distill"
    assert home.query_params["run"] == store.runs()[0].id


def test_a_finished_demo_can_be_run_again(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, name="Demo", status="done")
    app().button(key="home.demo").click().run()
    assert [run.status for run in store.runs()] == ["queued", "done"]


def test_a_run_that_is_below_tfidf_says_so_in_the_list(app: App, store: Store) -> None:
    worse = {"kind": "hurt", "delta": -0.145, "low": -0.2, "high": -0.1}
    store.create_run(FIRST, DEMO, name="First", status="running")
    store.save_report(FIRST, report() | {"over_floor": report()["verdict"] | worse})
    store.set_status(FIRST, "done")
    assert any("TF-IDF does better" in text for text in texts(app()))


def test_the_last_runs_lead_to_their_reports(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, name="First", status="running")
    store.save_report(FIRST, report())
    store.set_status(FIRST, "done")
    home = app()
    assert labels(home)[2:] == ["**First**", "All runs"]
    link = home.get("page_link")[2].proto
    assert (link.page, link.query_string) == ("report", f"run={FIRST}")
    assert [(metric.label, metric.value) for metric in home.metric] == [
        ("Teacher", "89.5 %"),
        ("Student", "87.1 %"),
        ("Alone", "82.3 %"),
    ]
    assert any("Better" in text for text in texts(home)), "of one seed, and not that distillation helped"
    assert not any("Helped" in text for text in texts(home))
    assert escape("+4.8 points of accuracy over itself alone") in texts(home)


def test_the_numbers_of_a_run_are_of_what_it_is_judged_by(app: App, store: Store) -> None:
    """A student may gain macro-F1 over the student alone and be right less often."""
    judged = report()
    judged["config"]["training"]["metric"] = "macro_f1"
    judged["student"] |= {"macro_f1": 0.6}
    judged["alone"] |= {"macro_f1": 0.552}
    store.create_run(FIRST, DEMO, name="First", status="running")
    store.save_report(FIRST, judged)
    store.set_status(FIRST, "done")
    home = app()
    assert [metric.value for metric in home.metric][1:] == ["60.0 %", "55.2 %"]
    assert escape("+4.8 points of macro-F1 over itself alone") in texts(home)


def test_a_name_is_text_and_nothing_else(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, name="![](http://127.0.0.1:9/x) <b>*1*</b>", status="queued")
    home = app()
    assert not any("![](" in text or "<b>" in text for text in (*labels(home), *texts(home)))


@pytest.mark.parametrize(
    ("status", "error", "shown"),
    [("failed", "The disk is full.", "The disk is full."), ("interrupted", None, "Interrupted")],
)
def test_a_run_that_ended_early_says_why(
    app: App, store: Store, status: Any, error: str | None, shown: str
) -> None:
    store.create_run(FIRST, DEMO, status="running")
    store.set_status(FIRST, status, error)
    home = app()
    assert any(shown in text for text in texts(home))
    assert labels(home)[2] == "**bbc-headlines: auto → cnn**"  # it has no name


@pytest.mark.parametrize(
    "page",
    ["start/home/page.py", "build/data/page.py", "review/runs/page.py"],
)
def test_every_page_shows_what_is_running(app: App, store: Store, page: str) -> None:
    store.create_run(FIRST, DEMO, name="First", status="running")
    record = Recorder(store, FIRST)
    record(StageStarted("distil"))
    record.close()
    store.create_run(SECOND, DEMO, name="Second")
    sidebar = app(page).sidebar
    link = sidebar.get("page_link")[0].proto
    assert (link.label, link.page, link.query_string) == ("**First**", "distill", f"run={FIRST}")
    where, queue = (caption.value for caption in sidebar.caption)
    done, stage = where.split(" · ")
    assert done.endswith(" %"), "of the whole run, as the bar: it is not the stage's"
    assert stage == "3 Distill"
    assert queue == "1 run waits in the queue"


def test_a_job_of_a_kind_that_is_not_known_leads_to_the_runs(app: App, store: Store) -> None:
    newer: Any = "pruning"
    store.create_run(FIRST, DEMO, kind=newer, status="running")
    link = app().sidebar.get("page_link")[0].proto
    assert (link.page, link.query_string) == ("runs", "")


def test_the_next_run_is_shown_while_none_is_running(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, name="First")
    store.create_run(SECOND, DEMO, name="Second")
    sidebar = app("review/runs/page.py").sidebar
    (link,) = sidebar.get("page_link")
    assert (link.proto.label, link.proto.query_string) == ("**First**", f"run={FIRST}")
    where, queue = (caption.value for caption in sidebar.caption)
    assert (where, queue) == ("Waits for its turn", "1 run waits in the queue")


def test_the_strip_is_away_when_nothing_runs(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, name="First", status="done")
    sidebar = app().sidebar
    assert not sidebar.get("page_link")
    assert not sidebar.caption


def test_what_a_job_does_is_no_markup(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, kind="ladder", status="running")
    record = Recorder(store, FIRST)
    record(Progress(None, "![x](http://127.0.0.1:9/x): record", 1, 4))
    record.close()
    where = app().sidebar.caption[0].value
    assert "![" not in where
    assert html.unescape(where).replace("\u2060", "").startswith("25 % · ![x](http://127.0.0.1:9/x): record")


def test_a_paused_run_says_so(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, name="First", status="paused")
    assert app().sidebar.caption[0].value == "0 % · Paused"


def test_the_strip_says_why_queued_runs_do_not_start(app: App, store: Store) -> None:
    store.create_run("20260131-143000-a1b2", DEMO)
    runner().state.set("The disk is *full*.")
    said = app().sidebar.caption[0].value
    assert said == (
        ":material/warning: Queued runs do not start: The disk is &#42;full&#42;. It is tried again."
    )
