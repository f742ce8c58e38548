"""The first page, what is around every page, and who may see it."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kd_core import config
from kd_core.distillation.events import Progress, StageStarted
from kd_core.jobs.recorder import Recorder
from kd_core.jobs.runner import Runner
from kd_core.jobs.store import Store
from kd_core.learn.lessons import lessons
from pages.shared.live_job import under_way
from pages.shared.state import runner
from pages.shared.text import escape
from tests import ROOT, SAMPLES
from tests.ui.lab_page import EVIL, App, images

DEMO: dict[str, Any] = config.DEMO.model_dump(mode="json")
FIRST, SECOND = "20260131-143000-a1b2", "20260131-150000-c3d4"
CLIENT = {
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": "not a secret",
    "client_id": "kd",
    "client_secret": "not one either",
    "server_metadata_url": "http://127.0.0.1:9/.well-known/openid-configuration",
}


def finished(store: Store, changes: Callable[[dict[str, Any]], object] = bool) -> None:
    """Store a run of the demo whose student gains 4.8 points, changed by ``changes``."""
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    for who, accuracy in {"teacher": 0.895, "student": 0.871, "alone": 0.823}.items():
        report[who]["accuracy"] = accuracy
    report["verdict"] |= {"kind": "helped", "delta": 0.048, "low": 0.021, "high": 0.076}
    changes(report)
    store.create_run(FIRST, DEMO, name="First", status="running")
    store.save_report(FIRST, report)
    store.set_status(FIRST, "done")


def texts(page: AppTest) -> list[str]:
    assert not page.exception
    return [element.value for element in (*page.markdown, *page.caption)]


def links(page: Any) -> list[Any]:
    return [link.proto for link in page.get("page_link")]


def captions(page: AppTest) -> list[str]:
    return [caption.value for caption in page.sidebar.caption]


def test_fresh_home_says_what_to_do_first(app: App) -> None:
    home = app()
    assert home.title[0].value == "KD Studio"
    assert "**No runs yet**" in texts(home)
    assert [(link.label, link.page, link.query_string) for link in links(home)] == [
        ("New here? 10-minute lesson", "lessons", f"lesson={next(iter(lessons()))}"),
        ("Bring texts of your own", "data", "data.view=Upload+your+own"),
        ("Set up a distillation", "distill", ""),
    ]


def test_demo_is_queued_once_and_can_run_again(app: App, store: Store) -> None:
    home, other_tab = app(), app()
    for page in (home, other_tab):
        page.button(key="home.demo").click().run()
        assert page.title[0].value == "Distill"
        (run,) = store.runs()
        assert page.query_params["run"] == run.id
    assert (run.name, run.status, run.task, run.student) == ("Demo", "queued", "bbc-headlines", "cnn")
    assert run.config == DEMO
    store.set_status(run.id, "done")
    app().button(key="home.demo").click().run()
    assert [run.status for run in store.runs()] == ["queued", "done"]


def test_last_runs_lead_to_their_reports(app: App, store: Store) -> None:
    finished(store)
    home = app()
    found = [(link.label, link.page, link.query_string) for link in links(home)][2:]
    assert found == [("**First**", "report", f"run={FIRST}"), ("All runs", "runs", "")]
    assert [metric.value for metric in home.metric] == ["89.5 %", "87.1 %", "82.3 %"]
    words = "\n".join(texts(home))
    assert "Better" in words, "of one seed, and not that distillation helped"
    assert "Helped" not in words
    assert escape("+4.8 points of accuracy over itself alone") in words


def test_last_runs_show_what_they_are_judged_by(app: App, store: Store) -> None:
    def change(report: dict[str, Any]) -> None:
        report["config"]["training"]["metric"] = "macro_f1"
        report["student"]["macro_f1"], report["alone"]["macro_f1"] = 0.6, 0.552
        worse = {"kind": "hurt", "delta": -0.145, "low": -0.2, "high": -0.1}
        report["over_floor"] = report["verdict"] | worse

    finished(store, change)
    home = app()
    assert [metric.value for metric in home.metric][1:] == ["60.0 %", "55.2 %"]
    assert escape("+4.8 points of macro-F1 over itself alone") in texts(home)
    assert any("TF-IDF does better" in text for text in texts(home))


@pytest.mark.parametrize(("status", "error"), [("failed", f"{EVIL} is full."), ("interrupted", None)])
def test_run_that_ended_early_says_why(app: App, store: Store, status: Any, error: str | None) -> None:
    store.create_run(FIRST, DEMO, status="running")
    store.set_status(FIRST, status, error)
    store.create_run(SECOND, DEMO, name=EVIL, status="done")
    home = app()
    assert ("is full." if error else "Interrupted") in "\n".join(texts(home))
    labels = "\n".join(link.label for link in links(home))
    assert "**bbc-headlines: auto → cnn**" in labels, "it has no name"
    assert "![" not in labels
    assert not images(home)


# The strip in the sidebar


@pytest.mark.parametrize("page", ["start/home/page.py", "build/data/page.py", "review/runs/page.py"])
def test_every_page_shows_what_is_running(app: App, store: Store, page: str) -> None:
    store.create_run(FIRST, DEMO, name="First", status="running")
    record = Recorder(store, FIRST)
    record(StageStarted("distil"))
    record.close()
    store.create_run(SECOND, DEMO, name="Second")
    shown = app(page)
    (link,) = links(shown.sidebar)
    assert (link.label, link.page, link.query_string) == ("**First**", "distill", f"run={FIRST}")
    where, queue = captions(shown)
    done, stage = where.split(" · ")
    assert done.endswith(" %"), "of the whole run, as the bar: it is not the stage's"
    assert (stage, queue) == ("3 Distill", "1 run waits in the queue")


@pytest.mark.parametrize(
    ("kind", "status", "link", "caption"),
    [
        ("distil", "queued", ("distill", f"run={FIRST}"), "Waits for its turn"),
        ("distil", "paused", ("distill", f"run={FIRST}"), "0 % · Paused"),
        ("ladder", "running", ("distill", f"ladder={FIRST}"), "0 % · Starting"),
        ("pruning", "running", ("runs", ""), "0 % · Starting"),  # of a newer version
        ("distil", "done", None, None),
    ],
)
def test_strip_by_kind_and_status(
    app: App, store: Store, kind: Any, status: Any, link: tuple[str, str] | None, caption: str | None
) -> None:
    store.create_run(FIRST, DEMO, kind=kind, status=status)
    page = app()
    assert [(one.page, one.query_string) for one in links(page.sidebar)] == ([link] if link else [])
    assert captions(page) == ([caption] if caption else [])


def test_strip_says_why_queued_runs_do_not_start(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO)
    store.create_run(SECOND, DEMO)
    runner().state.set("The disk is *full*.")
    trouble = "Queued runs do not start: The disk is &#42;full&#42;. It is tried again."
    queue = ["Waits for its turn", "1 run waits in the queue"]
    page = app()
    assert captions(page) == [f":material/warning: {trouble}", *queue]
    assert [link.query_string for link in links(page.sidebar)] == [f"run={FIRST}"]


def test_what_a_job_does_is_inert(app: App, store: Store) -> None:
    store.create_run(FIRST, DEMO, kind="ladder", status="running")
    record = Recorder(store, FIRST)
    record(Progress(None, f"{EVIL}: record", 1, 4))
    record.close()
    (where,) = captions(app())
    assert "![" not in where
    assert html.unescape(where).replace("\u2060", "").startswith(f"25 % · {EVIL}: record")


# Who may see it, and what sessions share


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("address", "secrets", "buttons", "errors"),
    [
        ("localhost", {}, ["Run the demo · a few minutes"], []),
        ("0.0.0.0", {}, [], ["This server can be reached from the network, but no log-in is configured."]),
        ("localhost", {"auth": CLIENT}, ["Log in"], []),
        ("0.0.0.0", {"auth": CLIENT}, ["Log in"], []),
    ],
)
def test_access(
    monkeypatch: pytest.MonkeyPatch, address: str, secrets: Any, buttons: list[str], errors: list[str]
) -> None:
    get = st.get_option
    monkeypatch.setattr(st, "get_option", lambda name: address if name == "server.address" else get(name))
    test = AppTest.from_file(str(ROOT / "pages" / "main.py"), default_timeout=30)
    for name, value in secrets.items():
        test.secrets[name] = value
    test.run()
    assert [title.value for title in test.title] == ["KD Studio"]
    assert [button.label for button in test.button] == buttons
    assert [error.value.split(" Start")[0] for error in test.error] == errors


def test_all_sessions_share_one_runner(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Runner] = []
    monkeypatch.setattr(Runner, "start", lambda self: started.append(self))
    app()
    app("review/runs/page.py")
    assert len(started) == 1


def test_waiting_run_of_a_newer_version_blocks_no_other(store: Store) -> None:
    store.create_run("20260101-000000-aaaa", DEMO | {"version": 99, "of tomorrow": 1})
    assert under_way(config.DEMO, "distil") is None
    store.create_run("20260101-000000-bbbb", DEMO)
    found = under_way(config.DEMO, "distil")
    assert found is not None
    assert found.id == "20260101-000000-bbbb"


def test_pages_do_not_import_torch() -> None:
    shared = ("shared.state", "shared.fields", "sidebar", "start.home.recent_runs")
    check = "".join(f"import pages.{module}\n" for module in shared) + "import sys\n"
    check += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0
