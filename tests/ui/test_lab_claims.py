"""Lab 8, papers tested here: nothing of the answer before a guess, then picture, verdict and command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.jobs.store import Store
from kd_core.learn.claims import OUTCOMES, TEMPERATURES, ClaimName, claims, findings, right_option
from kd_core.learn.lab_results import LabConfig
from kd_core.learn.recorded import is_recorded, recorded_lab
from kd_core.system import formatting
from tests.ui.charts import alts
from tests.ui.lab_page import said
from tests.unit.learn.claimed import TRUTH, answers, cell, of_teachers, report, unseen

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/claims.py"
JOB = "20260131-143000-a1b2"
NAMES: list[ClaimName] = list(claims())
ABOUT = {"config": LabConfig().distil.change({"training.steps": 300}).model_dump(mode="json")}
ABOUT |= {"machine": {"processor": "AMD", "cores": 2, "torch": "2"}}


def measured(name: ClaimName) -> Any:
    """A lab of three classes with 20 texts each, whose numbers are easy to see."""
    if name == "cho2019":
        return of_teachers({1: 4, 2: 19, 5: 12, 10: 6}) | ABOUT
    seeds = (0, 1, 2)
    if name == "stanton2021":
        cells = [cell("alone", seed, answers({0: 8}, wrong=1)) for seed in seeds]
        cells += [cell("student", seed, answers({0: 20})) for seed in seeds]
        cells += [cell("student", seed, TRUTH, transfer=8_000) for seed in seeds]
        return report(cells, {"own": answers({0: 5}, wrong=1), "random": TRUTH}) | ABOUT
    cells = [cell("student", seed, TRUTH) for seed in seeds]
    for seed in seeds:
        cells += [unseen("alone", seed, place, 2) for place in range(3)]
        cells += [unseen("student", seed, place, 15, T) for place in range(3) for T in TEMPERATURES]
    return report(cells) | ABOUT


@pytest.fixture
def job(store: Store) -> Callable[..., str]:
    """A lab that was measured here, as far as its report goes."""

    def made(name: ClaimName, content: Any, status: Any = "done") -> str:
        config = LabConfig(lab=name).model_dump(mode="json")
        store.create_run(JOB, config, kind="lab", name="Mine", status=status)
        store.save_report(JOB, content)
        return JOB

    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_guess_then_the_verdict(app: App, job: Callable[..., str], name: ClaimName) -> None:
    content = measured(name)
    found = findings(name, content)
    assert found.main is not None
    page = app(PAGE, **{"claims.claim": claims()[name].paper, "job": job(name, content)})
    words, claim = said(page), claims()[name]
    assert claim.says in words
    assert not alts(page), "no picture before the guess"
    span = formatting.interval(found.main.low, found.main.high)
    for spoiler in (span, OUTCOMES[found.main.kind], f"record.py claim {name}"):
        assert spoiler not in words.replace(claim.here, "")
    page.button(key=f"claims.{name}.guess_0").click().run()
    words = said(page)
    if not is_recorded(name):  # else the guess is about what was recorded
        right = right_option(name, found)
        good = right == claim.options[0]
        assert (f"Right: {right}." if good else f"No. The answer is: {right}.") in words
    assert f"**{formatting.points(found.main.delta)}** ({span})" in words
    assert any(f" {OUTCOMES[found.main.kind]}]" in element.value for element in page.markdown)
    assert alts(page)[0].startswith(f"{claim.title}, by {claim.x.lower()}. ")
    assert not page.code, "the command measures what was recorded, with other settings"


@pytest.mark.parametrize("name", [name for name in NAMES if is_recorded(name)])
def test_what_was_recorded(app: App, name: ClaimName) -> None:
    found = findings(name, recorded_lab(name))
    assert found.main is not None
    page = app(PAGE, **{"claims.claim": claims()[name].paper})
    page.button(key=f"claims.{name}.guess_0").click().run()
    span = formatting.interval(found.main.low, found.main.high)
    assert f"**{formatting.points(found.main.delta)}** ({span})" in said(page)
    assert [code.value for code in page.code] == [f"python assets/record.py claim {name} --again"]
    if name == "cho2019":
        assert "Ours starts pre-trained and keeps its last weights" in said(page)


def test_a_measurement_that_ended_too_soon_says_so(app: App, job: Callable[..., str]) -> None:
    content = measured("hinton2015")
    soft = [found for found in content["cells"] if found["who"] == "student"]
    page = app(PAGE, job=job("hinton2015", content | {"cells": soft}))
    page.button(key="claims.hinton2015.guess_0").click().run()
    assert "It ended before it had a student of each kind" in said(page)


def test_each_class_by_itself(app: App, job: Callable[..., str]) -> None:
    page = app(PAGE, job=job("hinton2015", measured("hinton2015")))
    page.button(key="claims.hinton2015.guess_1").click().run()
    table = page.dataframe[0].value
    assert len(table) == 3 * 4
    of_b = table[table["Class"] == "b"]
    assert of_b["Recognised shifted"].tolist() == ["10.0 %", "75.0 %", "75.0 %", "75.0 %"]


def test_the_reset_button_takes_the_guess_back(app: App, job: Callable[..., str]) -> None:
    page = app(PAGE, job=job("hinton2015", measured("hinton2015")))
    page.button(key="claims.hinton2015.guess_1").click().run()
    assert alts(page)
    page.button(key="labs.reset").click().run()
    assert not alts(page)
    assert page.button(key="claims.hinton2015.guess_1")


def test_a_link_may_take_the_question_away(app: App, job: Callable[..., str]) -> None:
    page = app(PAGE, hide="question", job=job("hinton2015", measured("hinton2015")))
    assert "First a guess" not in said(page)
    assert alts(page)


def test_without_its_button_nothing_is_offered_to_measure(app: App) -> None:
    offered = "Measure it on this machine"
    assert offered in [expander.label for expander in app(PAGE).expander]
    assert offered not in [expander.label for expander in app(PAGE, hide="start").expander]


def test_a_claim_is_measured_here(app: App, store: Store) -> None:
    page = app(PAGE, **{"claims.claim": claims()["cho2019"].paper})
    assert "15 students, one after the other." in said(page)
    page.pills(key="claims.seeds").set_value([1]).run()
    page.button(key="claims.start").click().run()
    (job,) = store.runs(kind="lab")
    config = LabConfig.model_validate(job.config)
    assert config == LabConfig(lab="cho2019", seeds=(1,))
    assert job.name == "Cho and Hariharan 2019: The lessons' settings, 1 seed"
    assert page.selectbox(key="claims.source").value == job.id
    assert not alts(page), "the guess comes first here, too"
    assert page.button(key="claims.job.stop").label == "Stop"


def test_other_labs_are_not_shown_here(app: App, store: Store) -> None:
    store.create_run(JOB, LabConfig().model_dump(mode="json"), kind="lab", name="Transfer", status="stopped")
    assert len(app(PAGE).selectbox(key="claims.source").options) == 1
    assert (
        len(app("learn/labs/scripts/transfer.py", hide="question").selectbox(key="transfer.source").options)
        == 2
    )


@pytest.fixture
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.learn.labs.claims.is_recorded", lambda name: False)


@pytest.mark.usefixtures("unrecorded")
def test_a_measurement_under_way(app: App, store: Store, job: Callable[..., str]) -> None:
    content = measured("hinton2015")
    seed = [found for found in content["cells"] if found["seed"] == 0]
    soft = [found for found in seed if found["who"] == "student"]
    page = app(PAGE, job=job("hinton2015", {**content, "cells": soft}, "stopped"))
    assert "The verdict appears here, after your guess" in page.info[0].value
    assert not alts(page)
    store.save_report(JOB, {**content, "cells": seed})
    page.run()
    page.button(key="claims.hinton2015.guess_0").click().run()
    assert alts(page)


@pytest.mark.usefixtures("unrecorded")
def test_a_claim_that_is_not_recorded_says_what_to_do(app: App) -> None:
    page = app(PAGE)
    assert "do not come with KD Studio: measure it on this machine, below" in page.info[0].value
    assert page.selectbox(key="claims.source").options == ["None yet"]
