"""The labs that measure on this machine: on papers' claims and on transfer texts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kd_core.config import DistillConfig, of_today
from kd_core.distillation.events import TrainingStarted
from kd_core.jobs import runner as runner_module
from kd_core.jobs.store import Store
from kd_core.learn.claims import OUTCOMES, TEMPERATURES, ClaimName, claims, findings, right_option
from kd_core.learn.lab_results import LabConfig
from kd_core.learn.recorded import is_recorded, recorded_lab
from kd_core.system import formatting
from tests.ui.charts import alts
from tests.ui.lab_page import RUN, App, act, said
from tests.unit.figures.sampled import SAMPLE
from tests.unit.learn.claimed import TRUTH, answers, cell, of_teachers, report, unseen

CLAIMS, TRANSFER = "learn/labs/scripts/claims.py", "learn/labs/scripts/transfer.py"
NAMES: list[ClaimName] = list(claims())
MEASURE = "Measure it on this machine"


def measured(name: ClaimName) -> Any:
    """Return a lab of three classes with 20 texts each, whose numbers are easy to see."""
    config = LabConfig().distil.change({"training.steps": 300}).model_dump(mode="json")
    about = {"config": config, "machine": {"processor": "AMD", "cores": 2, "torch": "2"}}
    seeds = (0, 1, 2)
    if name == "cho2019":
        return of_teachers({1: 4, 2: 19, 5: 12, 10: 6}) | about
    if name == "stanton2021":
        cells = [cell("alone", seed, answers({0: 8}, wrong=1)) for seed in seeds]
        cells += [cell("student", seed, answers({0: 20})) for seed in seeds]
        cells += [cell("student", seed, TRUTH, transfer=8_000) for seed in seeds]
        return report(cells, {"own": answers({0: 5}, wrong=1), "random": TRUTH}) | about
    cells = [cell("student", seed, TRUTH) for seed in seeds]
    for seed in seeds:
        cells += [unseen("alone", seed, place, 2) for place in range(3)]
        cells += [unseen("student", seed, place, 15, T) for place in range(3) for T in TEMPERATURES]
    return report(cells) | about


def keep(store: Store, name: ClaimName, content: Any, status: Any = "done") -> str:
    """Store a lab that was measured here."""
    config = LabConfig(lab=name).model_dump(mode="json")
    store.create_run(RUN, config, kind="lab", name="Mine", status=status)
    store.save_report(RUN, content)
    return RUN


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_verdict_after_the_guess(app: App, store: Store, name: ClaimName, recorded: bool) -> None:
    claim, content = claims()[name], recorded_lab(name) if recorded else measured(name)
    found = findings(name, content)
    assert found.main is not None
    job = {} if recorded else {"job": keep(store, name, content)}
    page = app(CLAIMS, **{"claims.claim": claim.paper}, **job)
    words, span = said(page), formatting.interval(found.main.low, found.main.high)
    assert claim.says in words
    assert not alts(page)
    command = f"python assets/record.py claim {name} --again"
    for spoiler in (span, OUTCOMES[found.main.kind], command):
        assert spoiler not in words.replace(claim.here, "")
    guess = ("button", f"claims.{name}.guess_0", None)
    words = said(act(page, guess))
    asked = findings(name, recorded_lab(name)) if is_recorded(name) else found
    right = right_option(name, asked)
    assert (f"Right: {right}." if right == claim.options[0] else f"No. The answer is: {right}.") in words
    assert f"**{formatting.points(found.main.delta)}** ({span})" in words
    assert f" {OUTCOMES[found.main.kind]}]" in words
    assert alts(page)[0].startswith(f"{claim.title}, by {claim.x.lower()}. ")
    assert [code.value for code in page.code] == [command] * recorded
    if not recorded and name == "hinton2015":
        of_b = page.dataframe[0].value.query("Class == 'b'")["Recognised shifted"]
        assert of_b.tolist() == ["10.0 %", "75.0 %", "75.0 %", "75.0 %"]
    act(page, ("button", "labs.reset", None))
    assert not alts(page)
    assert page.button(key=guess[1])


def test_claim_whose_measurement_ended_too_soon(app: App, store: Store) -> None:
    content = measured("hinton2015")
    soft = [found for found in content["cells"] if found["who"] == "student"]
    page = app(CLAIMS, job=keep(store, "hinton2015", content | {"cells": soft}))
    act(page, ("button", "claims.hinton2015.guess_0", None))
    assert "It ended before it had a student of each kind" in said(page)


def test_claim_that_is_not_recorded(app: App, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.learn.labs.claims.is_recorded", lambda name: False)
    page = app(CLAIMS)
    assert "do not come with KD Studio: measure it on this machine, below" in page.info[0].value
    assert page.selectbox(key="claims.source").options == ["None yet"]
    content = measured("hinton2015")
    seed = [found for found in content["cells"] if found["seed"] == 0]
    soft = [found for found in seed if found["who"] == "student"]
    page = app(CLAIMS, job=keep(store, "hinton2015", {**content, "cells": soft}, "stopped"))
    assert "The verdict appears here, after your guess" in page.info[0].value
    assert not alts(page)
    store.save_report(RUN, {**content, "cells": seed})
    page.run()
    act(page, ("button", "claims.hinton2015.guess_0", None))
    assert alts(page)


@pytest.mark.parametrize("page", [CLAIMS, TRANSFER])
def test_hidden_button_offers_no_measurement(app: App, page: str) -> None:
    assert MEASURE in [expander.label for expander in app(page, hide="question").expander]
    hidden = app(page, hide="question,settings,sizes,seeds,start")
    assert MEASURE not in [expander.label for expander in hidden.expander]
    assert "one after the other" not in said(hidden)


def test_claim_is_queued(app: App, store: Store) -> None:
    page = app(CLAIMS, **{"claims.claim": claims()["cho2019"].paper})
    assert "15 students, one after the other." in said(page)
    act(page, ("pills", "claims.seeds", [1]), ("button", "claims.start", None))
    (job,) = store.runs(kind="lab")
    assert LabConfig.model_validate(job.config) == LabConfig(lab="cho2019", seeds=(1,))
    assert job.name == "Cho and Hariharan 2019: The lessons' settings, 1 seed"
    assert page.selectbox(key="claims.source").value == job.id
    assert not alts(page)
    assert page.button(key="claims.job.stop").label == "Stop"
    assert len(app(TRANSFER, hide="question").selectbox(key="transfer.source").options) == 1


def test_transfer_is_queued_once(app: App, store: Store) -> None:
    page = app(TRANSFER, hide="question")
    assert "21 students, one after the other." in said(page)
    act(page, ("pills", "transfer.seeds", []))
    assert page.button(key="transfer.start").disabled
    act(page, ("pills", "transfer.sizes", [0, 8000]), ("pills", "transfer.seeds", [1, 4]))
    assert "10 students, one after the other." in said(page)
    act(page, *[("button", "transfer.start", None)] * 2)
    (job,) = store.runs(kind="lab")
    assert LabConfig.model_validate(job.config) == LabConfig(transfer=(0, 8000), seeds=(1, 4))
    assert job.name == "The lessons' settings, 2 seeds"
    assert page.selectbox(key="transfer.source").value == job.id
    assert "The first result appears here" in page.info[0].value


def test_full_queue_says_so(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "MOST_QUEUED", 0)
    page = act(app(TRANSFER, hide="question"), ("button", "transfer.start", None))
    assert "0 runs wait in the queue, and at most 0 may." in page.error[0].value


def test_transfer_with_the_settings_of_a_run(app: App, store: Store) -> None:
    store.create_run(RUN, SAMPLE["config"], status="done", name="Mine")
    store.save_report(RUN, SAMPLE)
    students = sum(len(SAMPLE[who]["seeds"]) for who in ("student", "alone", "labelled_only") if SAMPLE[who])
    for trained in (students, students - 1):
        page = app(TRANSFER, hide="question")
        takes = formatting.duration(21 * SAMPLE["seconds"]["distil"] / trained)
        assert f"21 students, one after the other, {takes} by the last run. " in said(page)
        # One that came from the cache took no time.
        store.write(RUN, [(datetime.now(UTC), TrainingStarted("alone", 0, 300, cached=True))])
    act(page, ("selectbox", "transfer.settings", RUN), ("button", "transfer.start", None))
    (job,) = store.runs(kind="lab")
    assert LabConfig.model_validate(job.config) == LabConfig(
        distil=DistillConfig.from_dict(of_today(SAMPLE["config"]))
    )
    assert job.name == "Mine, 3 seeds"


def test_settings_of_a_run_that_are_no_longer_legal(app: App, store: Store) -> None:
    config = SAMPLE["config"] | {"objective": SAMPLE["config"]["objective"] | {"sharpness": 2}}
    store.create_run(RUN, config, status="done", name="Of a newer version")
    store.save_report(RUN, SAMPLE)
    page = app(TRANSFER, hide="question")
    act(page, ("selectbox", "transfer.settings", RUN), ("button", "transfer.start", None))
    assert "sharpness is not a setting" in page.error[0].value
    assert not store.runs(kind="lab")


def test_transfer_while_it_is_measured(app: App, store: Store) -> None:
    store.create_run(RUN, LabConfig().model_dump(mode="json"), kind="lab", name="Lab", status="stopped")
    content = recorded_lab("transfer")
    store.save_report(RUN, {**content, "cells": content["cells"][:1]})
    page = app(TRANSFER, job=RUN, hide="question")
    assert alts(page)[0] == "Student alone 85.5 %; teacher 89.1 %"
    assert "The student alone and a distilled one are needed for a comparison" in said(page)
    assert page.button(key="transfer.job.again").label == "Start it again"
    store.save_report(RUN, {**content, "cells": content["cells"][:2]})
    page.run()
    assert page.dataframe[0].value["Over alone"].tolist() == ["", "+1.0 points"]
