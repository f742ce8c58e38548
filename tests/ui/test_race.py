"""The race page: its lanes, its leader, its podium, and the recorded races."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.distillation.events import Evaluated
from kd_core.distillation.metrics import wilson
from kd_core.jobs.store import Store
from kd_core.learn.lab_results import unpack
from kd_core.learn.race import ALONE, RACES, lane_names
from kd_core.learn.recorded import recorded_lab, recorded_race
from pages.learn.race import recorded
from pages.shared.run_form import plan
from pages.shared.text import escape
from tests import SAMPLES
from tests.ui.charts import alts
from tests.ui.lab_page import App, act, said
from tests.unit.learn.raced import IDS, finished

PAGE = "learn/race/page.py"
LIVE = {"race.kind": "Live"}
GO = ("button", "race.go", None)


@pytest.fixture(autouse=True)
def _speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)  # a machine whose speed is known


def lane(store: Store, number: int, temperature: float, *accuracies: float) -> None:
    config = DistillConfig().change({"objective.temperature": temperature, "training.steps": 150})
    store.create_run(IDS[number], config.model_dump(mode="json"), name="Race")
    events = [Evaluated("teacher", 0, 100, 0.9, 0.3)] if accuracies else []
    events += [Evaluated("student", 0, 25 * i, value, 0.5) for i, value in enumerate(accuracies, 1)]
    store.write(IDS[number], [(datetime.now(UTC), event) for event in events])


def watch(app: App, lanes: int = 2) -> AppTest:
    return app(PAGE, runs=",".join(IDS[:lanes]))


def test_lanes_are_queued_together_with_one_seed(app: App, store: Store) -> None:
    page = app(PAGE, **LIVE)
    assert "waits in the queue" not in said(page)
    assert "a narrow win may be its luck" in said(page)
    page.selectbox(key="race.b_texts").select(500)
    act(page, ("button_group", "race.steps", 150), ("button", "race.start", None))
    runs = list(reversed(store.runs(kind="distil")))
    assert [run.name for run in runs] == ["Race A: T = 1, 12,000 texts", "Race B: T = 4, 500 texts"]
    assert {run.tags for run in runs} == {("race",)}
    assert [run.config["objective"]["temperature"] for run in runs] == [1, 4]
    trained = [run.config["training"] for run in runs]
    assert [(one["seeds"], one["steps"]) for one in trained] == [([0], 150)] * 2
    assert page.query_params["runs"] == ",".join(run.id for run in runs)
    assert "Nobody has started." in said(page)
    assert "The next one waits in the queue, then starts." in said(app(PAGE, **LIVE))
    act(page, ("button", "race.stop", None))
    assert {run.status for run in store.runs()} == {"stopped"}
    assert "The race is over without a podium" in said(page.run())
    assert "Nobody has started." not in said(page)


def test_no_two_lanes_are_the_same(app: App, store: Store) -> None:
    store.create_run(IDS[0], DistillConfig().model_dump(mode="json"), status="done")  # its folder is gone
    page = act(app(PAGE, **LIVE), ("button_group", "race.lanes", 3))
    assert page.slider(key="race.c_temperature").value == 12
    act(page, ("slider", "race.b_temperature", 12.0))
    assert "Two lanes have the same settings" in said(page)
    assert page.button(key="race.start").disabled


@pytest.mark.parametrize(
    ("lanes", "words"),
    [
        (
            ((1, 0.5, 0.7, 0.85), (8, 0.6, 0.75)),
            "At step 50, which all lanes have reached, B: T = 8 leads with 75.0 % of the validation texts, "
            "5.0 points before A: T = 1.",
        ),
        (
            ((1, 0.5, 0.75), (4, 0.5, 0.75), (8, 0.5, 0.75)),
            "At step 50, which all lanes have reached, A: T = 1, B: T = 4 and C: T = 8 are level with "
            "75.0 % of the validation texts.",
        ),
        (((1, 0.5), (8,)), "So far only A: T = 1 has started: 50.0 % at step 25."),
    ],
)
def test_leader_is_told_for_a_step_that_all_have_reached(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch, lanes: tuple[tuple[float, ...], ...], words: str
) -> None:
    # Drawn every two seconds: a place that is filled later would make the page jump.
    monkeypatch.setattr("streamlit.empty", lambda: pytest.fail("the page would jump"))
    for number, (temperature, *accuracies) in enumerate(lanes):
        lane(store, number, temperature, *accuracies)
    page = watch(app, len(lanes))
    assert words in said(page)
    first = lanes[0]
    assert f"A: T = 1 {100 * first[-1]:.1f} % at step {25 * len(first) - 25}; B: T = " in alts(page)[0]


def test_lane_tells_where_it_is_and_how_long_it_takes(app: App, store: Store) -> None:
    lane(store, 0, 1, 0.5)
    lane(store, 1, 8)
    store.claim("host:1:0", IDS[0])
    for live, shown in (
        ({}, "Getting ready"),
        ({"stage": "distil", "who": "student", "seconds_left": 14.0}, "Distilled student, 14 s left"),
        ({"seconds_left": None}, "Distilled student"),
        ({"stage": "validate", "who": None, "seconds_left": 3.0}, "4 Validate, 3 s left"),
    ):
        store.write(IDS[0], [], live)
        (bar,) = watch(app).main.get("progress")
        assert bar.proto.text == shown


@pytest.mark.parametrize(
    ("right", "words", "pair", "places"),
    [
        ((150, 184), "**B: T = 8 wins.**", "is better than A: T = 1: +17.0 points (+", ["1st", "2nd"]),
        (
            (182, 184),
            "share the first place: the test texts cannot tell them from the best.",
            "and A: T = 1 cannot be told apart: +1.0 points (−1.2 to +3.6",
            ["1st, shared"] * 2,
        ),
    ],
)
def test_podium(
    app: App, store: Store, home: Path, right: tuple[int, int], words: str, pair: str, places: list[str]
) -> None:
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    for number, (count, temperature) in enumerate(zip(right, (1, 8), strict=True)):
        lane(store, number, temperature, 0.8)
        finished(home, IDS[number], count)
        low, high = wilson(count / 200, 200)
        student = report["student"] | {"accuracy": count / 200, "low": low, "high": high}
        store.save_report(IDS[number], report | {"student": student})
        store.set_status(IDS[number], "done")
    page = watch(app)
    assert words in said(page)
    assert "leads with" not in said(page)
    assert f"B: T = 8 {pair}" in said(page)
    table = page.table[0].value
    assert table["Place"].tolist() == places
    assert table["Test accuracy"][0] == "92.0 % −4.6/+3.0"
    assert table["Gain over alone"][0] == escape("+3.6 points (+0.6 to +6.7)")
    cells = pd.DataFrame(recorded_lab("transfer")["cells"])
    same = cells[cells["who"] != "plain_start"].groupby(["who", "transfer"])["accuracy"]
    assert f"lie up to **{100 * (same.max() - same.min()).max():.1f} points** apart" in said(page)


def test_run_that_is_no_lane_or_gone(app: App, store: Store) -> None:
    lane(store, 0, 4, 0.5, 0.6)
    store.create_run(IDS[1], DistillConfig().model_dump(mode="json"))  # it left its number of steps open
    page = watch(app)
    assert "The race is over without a podium" not in said(page), "one of them has yet to run"
    assert alts(page)
    assert app(PAGE, runs="20260131-143000-dead").error


def test_recorded_race_from_bet_to_podium(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(recorded.time, "monotonic", lambda: now[0])
    page = app(PAGE)
    assert page.button(key="race.go").disabled
    lanes = page.radio(key="race.bet").options
    assert lanes == ["Student alone", "A: 0 texts", "B: 2,000 texts", "C: 12,000 texts"]
    assert "has not started" in alts(page)[0]
    act(page, ("radio", "race.bet", "A: 0 texts"), GO)
    now[0] += 5.5 * recorded.TICK
    page.run()
    looks = sorted({step for cell in recorded_race("few")["cells"] for step, _ in cell["curve"]})
    assert f"At step {looks[4]:,}, which all lanes have reached," in said(page)
    assert not page.subheader
    now[0] += len(looks) * recorded.TICK
    page.run()
    assert [header.value for header in page.subheader] == ["Podium"]
    assert "**B: 2,000 texts and C: 12,000 texts share the first place" in said(page)
    table = page.table[0].value
    assert set(table["Lane"]) == set(lanes)
    assert list(table["Lane"][table["Place"].str.startswith("1st")]) == ["B: 2,000 texts", "C: 12,000 texts"]
    assert "Your bet, A: 0 texts, came in 3rd, shared." in said(page)
    act(page, ("button", "race.reset", None))
    assert page.button(key="race.go").disabled
    # With 1,256 labelled texts, what the unlabelled ones add is less than 524 test texts can tell.
    act(page, ("segmented_control", "race.course", "texts"), ("radio", "race.bet", "A: 0 texts"), GO)
    now[0] += 60 * recorded.TICK
    page.run()
    assert set(page.table[0].value["Place"]) == {"1st, shared"}
    assert "Your bet, A: 0 texts, is among the first." in said(page)


@pytest.mark.parametrize("name", list(RACES))
def test_recorded_race_has_all_lanes_of_its_course(name: str) -> None:
    course, race = RACES[name], recorded_race(name)
    config = DistillConfig.from_dict({"version": 1} | race["config"])
    assert config.change(course.base) == config
    lanes = [ALONE, *lane_names([config.change(changes) for changes in course.lanes])]
    cells = race["cells"]
    assert [(cell["name"], cell["seed"]) for cell in cells] == [(one, i) for i in range(3) for one in lanes]
    assert {cell["transfer"] for cell in cells if cell["name"] == ALONE} == {0}
    for cell in cells:
        assert cell["curve"][-1][0] == 300
        right = unpack(cell["right"], race["test_texts"])
        assert right.mean() == pytest.approx(cell["accuracy"])
