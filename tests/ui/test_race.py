"""The race page: lanes, queue, leader, podium."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests import SAMPLES

# Before any Hugging Face library is imported: no test may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import streamlit as st
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
from tests.ui.charts import alts
from tests.ui.lab_page import said
from tests.unit.learn.raced import IDS, finished

PAGE = "learn/race/page.py"
LIVE = {"race.kind": "Live"}
App = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _speed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known."""
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)


def lane(store: Store, number: int, temperature: float, *accuracies: float) -> None:
    config = DistillConfig().change({"objective.temperature": temperature, "training.steps": 150})
    store.create_run(IDS[number], config.model_dump(mode="json"), name="Race")
    events = [Evaluated("teacher", 0, 100, 0.9, 0.3)] if accuracies else []
    events += [Evaluated("student", 0, 25 * i, value, 0.5) for i, value in enumerate(accuracies, 1)]
    store.write(IDS[number], [(datetime.now(UTC), event) for event in events])


def test_lanes_are_queued_together_with_one_seed(app: App, store: Store) -> None:
    page = app(PAGE, **LIVE)
    page.selectbox(key="race.b_texts").select(500)
    page.button_group(key="race.steps").set_value(150).run()
    page.button(key="race.start").click().run()
    assert not page.exception
    runs = list(reversed(store.runs(kind="distil")))
    assert [run.name for run in runs] == ["Race A: T = 1, 12,000 texts", "Race B: T = 4, 500 texts"]
    assert {run.tags for run in runs} == {("race",)}
    assert [run.config["objective"]["temperature"] for run in runs] == [1, 4]
    assert all(run.config["training"]["seeds"] == [0] for run in runs)
    assert all(run.config["training"]["steps"] == 150 for run in runs)
    assert page.query_params["runs"] == ",".join(run.id for run in runs)
    assert "Nobody has started." in said(page)
    page.button(key="race.stop").click().run()
    assert {run.status for run in store.runs()} == {"stopped"}


def test_three_lanes_and_none_twice(app: App, store: Store) -> None:
    page = app(PAGE, **LIVE)
    page.button_group(key="race.lanes").set_value(3).run()
    assert page.slider(key="race.c_temperature").value == 12
    page.slider(key="race.b_temperature").set_value(12.0).run()
    assert "Two lanes have the same settings" in said(page)
    assert page.button(key="race.start").disabled
    assert store.runs() == []


def test_a_race_beside_a_run_says_that_it_will_wait(app: App, store: Store) -> None:
    assert "waits in the queue" not in said(app(PAGE, **LIVE))
    store.create_run("20260101-000000-0001", DistillConfig().model_dump(mode="json"))
    assert "The next one waits in the queue, then starts." in said(app(PAGE, **LIVE))


def test_who_leads_is_said_for_a_step_that_both_have_reached(app: App, store: Store) -> None:
    lane(store, 0, 1, 0.5, 0.7, 0.85)
    lane(store, 1, 8, 0.6, 0.75)
    page = app(PAGE, runs=",".join(IDS[:2]))
    assert (
        "At step 50, which all lanes have reached, B: T = 8 leads with 75.0 % of the validation texts, "
        "5.0 points before A: T = 1." in said(page)
    )
    assert alts(page)[0] == (
        "Validation accuracy over the steps. A: T = 1 85.0 % at step 75; B: T = 8 75.0 % at step 50"
    )


def test_all_who_are_level_are_named(app: App, store: Store) -> None:
    for number, temperature in enumerate((1, 4, 8)):
        lane(store, number, temperature, 0.5, 0.75)
    assert (
        "At step 50, which all lanes have reached, A: T = 1, B: T = 4 and C: T = 8 are level with 75.0 % of "
        "the validation texts." in said(app(PAGE, runs=",".join(IDS)))
    )


def test_nothing_of_a_race_under_way_is_filled_in_later(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is drawn every two seconds, and each time the page was shorter for a moment, and jumped."""
    emptied: list[str] = []
    monkeypatch.setattr("streamlit.empty", lambda: emptied.append("") or st.container())
    lane(store, 0, 1, 0.5)
    lane(store, 1, 8)
    assert "So far only A: T = 1 has started: 50.0 %" in said(app(PAGE, runs=",".join(IDS[:2])))
    assert emptied == []


def test_a_lane_says_where_it_is_and_a_time_left_only_where_there_is_one(app: App, store: Store) -> None:
    lane(store, 0, 1, 0.5)
    lane(store, 1, 8)
    store.claim("host:1:0", IDS[0])

    def shown(**live: object) -> str:
        store.write(IDS[0], [], live)
        page = app(PAGE, runs=",".join(IDS[:2]))
        assert "So far only A: T = 1 has started: 50.0 % at step 25." in said(page)
        (bar,) = page.main.get("progress")
        return bar.proto.text

    assert shown() == "Getting ready"
    assert shown(stage="distil", who="student", seconds_left=14.0) == "Distilled student, 14 s left"
    assert shown(seconds_left=None) == "Distilled student"
    assert shown(stage="validate", who=None, seconds_left=3.0) == "4 Validate, 3 s left"


def podium(store: Store, home: Path, *right: int) -> None:
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    for number, (count, temperature) in enumerate(zip(right, (1, 8), strict=True)):
        lane(store, number, temperature, 0.8)
        finished(home, IDS[number], count)
        low, high = wilson(count / 200, 200)
        student = report["student"] | {"accuracy": count / 200, "low": low, "high": high}
        store.save_report(IDS[number], report | {"student": student})
        store.set_status(IDS[number], "done")


def test_a_podium_with_a_winner(app: App, store: Store, home: Path) -> None:
    podium(store, home, 150, 184)
    page = app(PAGE, runs=",".join(IDS[:2]))
    assert "**B: T = 8 wins.**" in said(page)
    assert "leads with" not in said(page)
    assert "B: T = 8 is better than A: T = 1: +17.0 points (+" in said(page)
    table = page.table[0].value
    assert table["Place"].tolist() == ["1st", "2nd"]
    assert table["Test accuracy"][0] == "92.0 % −4.6/+3.0"
    assert table["Gain over alone"][0] == escape("+3.6 points (+0.6 to +6.7)")


def test_how_much_a_seed_decides(app: App, store: Store, home: Path) -> None:
    assert "a narrow win may be its luck" in said(app(PAGE, **LIVE))
    podium(store, home, 182, 184)
    by_setting: dict[tuple[str, int], list[float]] = {}
    for cell in recorded_lab("transfer")["cells"]:
        if cell["who"] != "plain_start":  # which differ more, and do not race
            by_setting.setdefault((cell["who"], cell["transfer"]), []).append(cell["accuracy"])
    widest = max(max(values) - min(values) for values in by_setting.values())
    assert widest > 0
    assert f"lie up to **{100 * widest:.1f} points** apart" in said(app(PAGE, runs=",".join(IDS[:2])))


def test_a_podium_that_two_share(app: App, store: Store, home: Path) -> None:
    podium(store, home, 182, 184)
    page = app(PAGE, runs=",".join(IDS[:2]))
    assert "share the first place: the test texts cannot tell them from the best." in said(page)
    assert "B: T = 8 and A: T = 1 cannot be told apart: +1.0 points (−1.2 to +3.6" in said(page)
    assert page.table[0].value["Place"].tolist() == ["1st, shared", "1st, shared"]


def test_a_race_that_was_stopped_is_over(app: App, store: Store) -> None:
    for number, temperature in enumerate((1, 8)):
        lane(store, number, temperature)
        store.set_status(IDS[number], "stopped")
    page = app(PAGE, runs=",".join(IDS[:2]))
    assert "The race is over without a podium" in said(page)
    assert "Nobody has started." not in said(page)


def test_a_run_that_left_its_steps_open_can_be_in_a_race(app: App, store: Store) -> None:
    lane(store, 0, 4, 0.5, 0.6)
    store.create_run(IDS[1], DistillConfig().model_dump(mode="json"), name="No lane")
    page = app(PAGE, runs=",".join(IDS[:2]))
    assert not page.exception
    assert "The race is over without a podium" not in said(page), "one of them has yet to run"
    assert alts(page)


def test_a_race_that_is_gone_says_so(app: App) -> None:
    page = app(PAGE, runs="20260131-143000-dead")
    assert page.error
    assert not page.exception


# A recorded race


def test_a_recorded_race_starts_after_a_bet_and_ends_with_a_podium(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(recorded.time, "monotonic", lambda: now[0])
    page = app(PAGE)
    assert page.button(key="race.go").disabled
    lanes = page.radio(key="race.bet").options
    assert lanes == ["Student alone", "A: 0 texts", "B: 2,000 texts", "C: 12,000 texts"]
    assert "has not started" in alts(page)[0]
    page.radio(key="race.bet").set_value("A: 0 texts").run()
    page.button(key="race.go").click().run()
    assert "Nobody has started." in said(page)
    now[0] += 5.5 * recorded.TICK
    page.run()
    looks = sorted({step for cell in recorded_race("few")["cells"] for step, _ in cell["curve"]})
    assert f"At step {looks[4]:,}, which all lanes have reached," in said(page)
    assert "Podium" not in [header.value for header in page.subheader]
    now[0] += len(looks) * recorded.TICK
    page.run()
    assert "Podium" in [header.value for header in page.subheader]
    assert "leads with" not in said(page), "on the validation texts: the podium may say something else"
    assert "**B: 2,000 texts and C: 12,000 texts share the first place" in said(page)
    table = page.table[0].value
    assert sorted(table["Lane"]) == sorted(lanes)
    first = table["Place"].str.startswith("1st")
    assert list(table["Lane"][first]) == ["B: 2,000 texts", "C: 12,000 texts"]
    assert "Your bet, A: 0 texts, came in 3rd, shared." in said(page)
    assert "over texts and seeds, 3 for each lane" in said(page)
    page.button(key="race.reset").click().run()
    assert page.radio(key="race.bet").value is None
    assert page.button(key="race.go").disabled


def test_a_recorded_race_may_be_won_by_all(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1,256 labelled texts, what the unlabelled ones add is less than 524 test texts can tell."""
    now = [100.0]
    monkeypatch.setattr(recorded.time, "monotonic", lambda: now[0])
    page = app(PAGE)
    page.segmented_control(key="race.course").set_value("texts").run()
    page.radio(key="race.bet").set_value("A: 0 texts").run()
    page.button(key="race.go").click().run()
    now[0] += 60 * recorded.TICK
    page.run()
    assert set(page.table[0].value["Place"]) == {"1st, shared"}
    assert "Your bet, A: 0 texts, is among the first." in said(page)


def test_the_recorded_lanes_differ_in_what_they_say() -> None:
    for name, course in RACES.items():
        report = recorded_race(name)
        config = DistillConfig.from_dict({"version": 1} | report["config"])
        assert config.change(course.base) == config
        lanes = lane_names([config.change(changes) for changes in course.lanes])
        cells = report["cells"]
        assert [cell["name"] for cell in cells[:4]] == [ALONE, *lanes]
        assert {(cell["name"], cell["seed"]) for cell in cells} == {
            (lane, seed) for lane in (ALONE, *lanes) for seed in (0, 1, 2)
        }
        for cell in cells:
            assert cell["curve"][-1][0] == 300
            assert np.isclose(unpack(cell["right"], report["test_texts"]).mean(), cell["accuracy"])
        assert {cell["transfer"] for cell in cells if cell["name"] == ALONE} == {0}
