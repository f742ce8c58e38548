"""Distill's other question: the smallest student that keeps enough."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# Before any Hugging Face library is imported: no test may reach the network.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.data import uploads
from kd_core.job_kinds import prepare
from kd_core.jobs.estimate import estimate
from kd_core.jobs.store import Store
from kd_core.search.estimate import rung_seconds
from kd_core.search.ladder import LadderConfig, LadderResult, Rung
from kd_core.system.formatting import duration
from pages.shared.run_form import plan
from pages.shared.run_form.link import key
from tests.ui.charts import alts

PAGE = "build/distill/page.py"
JOB = "20260101-120000-abcd"
RUNGS = (
    Rung(
        student="tfidf",
        run_id="r1",
        answer="no",
        kept=0.912,
        at_least=0.88,
        size_mb=2.0,
        latency_ms=0.4,
        texts=316,
    ),
    Rung(
        student="tiny",
        run_id="r1",
        answer="likely",
        kept=0.987,
        at_least=0.961,
        params=2_700_000,
        size_mb=11.0,
        latency_ms=0.6,
        texts=316,
        needed=950,
    ),
)
App = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _speed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known, and which has imported torch."""
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    prepare()


def ladder(store: Store, rungs: tuple[Rung, ...], status: str, metric: str = "accuracy") -> None:
    config = LadderConfig(students=("tiny", "mini") if status != "done" else ("tiny",))
    store.create_run(JOB, config.model_dump(mode="json"), kind="ladder")
    result = LadderResult(config=config, rungs=rungs, teacher_params=22_700_000, metric=metric)
    store.save_report(JOB, result.model_dump(mode="json"))
    store.set_status(JOB, status)


def test_before_the_start_it_says_what_the_validation_texts_can_show(app: App) -> None:
    page = app(PAGE)
    said = next(caption.value for caption in page.caption if "an equal student is shown" in caption.value)
    assert said.startswith("Tries static, cnn, tiny, mini, third, half, in this order")
    assert "316 validation texts" in said


def test_an_open_one_says_how_long_it_takes_at_the_most(app: App) -> None:
    page = app(PAGE)
    assert page.button(key="ladder.start").label == "Find the smallest"  # nobody sees it
    page.session_state["ladder.fold"] = True
    page.run()
    assert not page.exception
    asked = LadderConfig()
    plans = [plan.plan_of(asked.rung(student)) for student in asked.students]
    seconds = sum(rung_seconds(asked, plans, (), lambda: 1e12))
    assert seconds > estimate(plans[0], (), lambda: 1e12).total
    assert page.button(key="ladder.start").label == f"Find the smallest · up to {duration(seconds)}"


def test_the_start_queues_one_ladder_with_the_forms_settings(app: App, store: Store) -> None:
    page = app(PAGE, **{"ladder.keep": "95", key("objective.temperature"): "2"})
    page.button(key="ladder.start").click().run()
    (job,) = store.runs(kind="ladder")
    config = LadderConfig.from_dict(job.config)
    assert (config.keep, config.distill.objective.temperature) == (95.0, 2.0)
    assert (config.within_mb, config.within_ms) == (None, None)
    assert page.query_params["ladder"] == job.id
    page.button(key="ladder.start").click().run()
    assert [again.id for again in store.runs(kind="ladder")] == [job.id]


def test_its_limits_reach_the_job_from_the_form_and_from_a_link(app: App, store: Store) -> None:
    page = app(PAGE, **{"ladder.within_ms": "0.4"})
    megabytes, milliseconds = (page.number_input(key=f"ladder.within_{unit}") for unit in ("mb", "ms"))
    assert (megabytes.value, milliseconds.value) == (None, 0.4)
    megabytes.set_value(5.0).run()
    page.button(key="ladder.start").click().run()
    (job,) = store.runs(kind="ladder")
    config = LadderConfig.from_dict(job.config)
    assert (config.within_mb, config.within_ms) == (5.0, 0.4)


def test_what_came_out_is_a_sentence_a_picture_a_table_and_a_link(app: App, store: Store) -> None:
    ladder(store, RUNGS, "done")
    page = app(PAGE, ladder=JOB)
    assert not page.success, "it is likely, not shown"
    assert [info.value.replace("\u00a0", " ") for info in page.info if "keeps" in info.value] == [
        "Likely: tiny, with 12 % of the teacher's parameters, keeps 98.7 % of its accuracy on the validation "
        "texts, but they show only that it keeps 96.1 % or more. About 950 of them would settle it, if they "
        "say what these 316 do."
    ]
    assert any("tiny 98.7 %, at least 96.1 %" in alt for alt in alts(page))
    table = next(frame.value for frame in page.dataframe if "Answer" in frame.value)
    assert table["Student"].tolist() == ["TF-IDF", "tiny"]
    assert table["Answer"].tolist() == ["No", "Likely"]
    assert any(link.proto.query_string == "run=r1" for link in page.get("page_link"))


def test_what_the_chosen_one_has_on_the_test_texts_is_said_where_it_is_said_that_it_keeps_enough(
    app: App, store: Store
) -> None:
    tested = RUNGS[1].model_copy(update={"score": 0.88})
    result = LadderResult(
        config=LadderConfig(students=("tiny",)), rungs=(tested,), teacher_params=22_700_000, teacher_score=0.9
    )
    ladder(store, RUNGS, "done")
    store.save_report(JOB, result.model_dump(mode="json"))
    said = [info.value.replace("\u00a0", " ") for info in app(PAGE, ladder=JOB).info]
    on_test = "On the test texts, which decided nothing: 88.0 %, the teacher 90.0 %, so it keeps 97.8 %."
    assert any(on_test in one for one in said)


def test_milliseconds_beside_other_work_are_said_to_be(app: App, store: Store) -> None:
    slow = RUNGS[1].model_copy(update={"waited": 0.45})
    ladder(store, (RUNGS[0], slow), "done")
    captions = [caption.value for caption in app(PAGE, ladder=JOB).caption]
    assert any("at other work for 45 % (tiny) of the time" in said for said in captions)


def test_where_f1_decides_each_place_says_so(app: App, store: Store) -> None:
    ladder(store, RUNGS, "done", "f1:sports")
    page = app(PAGE, ladder=JOB, **{key("training.metric"): "f1:sports"})
    assert page.slider(key="ladder.keep").label == "Keep at least (% of the teacher's F1 of sports)"
    said = next(caption.value for caption in page.caption if "an equal student is shown" in caption.value)
    assert (
        "316 validation texts, 75 of them 'sports' (as good for F1 of sports as 75 for accuracy), an" in said
    )
    assert "keeps 98.7 % of its F1 of sports on the validation texts" in page.info[0].value.replace(
        "\u00a0", " "
    )
    assert any("Share of the teacher's F1 of sports on the validation texts" in alt for alt in alts(page))


def test_nothing_is_claimed_while_students_are_left(app: App, store: Store) -> None:
    ladder(store, RUNGS, "queued")
    page = app(PAGE, ladder=JOB)
    assert not [*page.success, *page.info]
    assert len(next(frame.value for frame in page.dataframe if "Answer" in frame.value)) == 2
    assert page.button(key="ladder.job.stop")


def test_how_far_it_is_has_a_unit_and_its_models_their_names(app: App, store: Store) -> None:
    ladder(store, RUNGS[:1], "queued")
    store.claim("host:1:0", JOB)
    live = {"label": "student tiny: training the distilled student", "step": 141, "steps": 400}
    store.write(JOB, [], {**live, "progress": 0.35})
    likely = RUNGS[1].model_copy(update={"answer": "likely"})
    config = LadderConfig(students=("tiny", "mini"))
    result = LadderResult(config=config, rungs=(likely,), teacher_params=22_700_000)
    store.save_report(JOB, result.model_dump(mode="json"))
    page = app(PAGE, ladder=JOB)
    said = [bar.proto.text for bar in page.get("progress")]
    assert said[0] == "Student tiny: training the distilled student · 35 % of all"
    assert any(
        link.proto.label == "Open the report of tiny, with its test texts" for link in page.get("page_link")
    )


def test_a_ladder_that_was_paused_from_a_terminal_says_so_and_goes_on(app: App, store: Store) -> None:
    ladder(store, RUNGS, "queued")
    store.claim("host:1:0", JOB)
    store.set_command(JOB, "pause")
    store.set_status(JOB, "paused")
    page = app(PAGE, ladder=JOB)
    assert any(bar.proto.text.startswith("Paused · ") for bar in page.get("progress"))
    page.button(key="ladder.job.resume").click().run()
    assert store.command(JOB) == "run"


def test_a_ladder_that_is_gone_is_said(app: App) -> None:
    page = app(PAGE, ladder=JOB)
    assert [error.value for error in page.error] == [f"There is no run {JOB}; it may have been deleted."]


def test_a_link_to_a_job_of_another_kind_is_said(app: App, store: Store) -> None:
    store.create_run(JOB, DistillConfig().model_dump(mode="json"), name="Demo")
    page = app(PAGE, ladder=JOB)
    assert [error.value for error in page.error] == [f"{JOB} is no ladder but another job: Demo."]
    assert not page.exception


def test_a_teacher_that_is_a_file_has_no_ladder(app: App) -> None:
    page = app("build/data/page.py").button(key="data.sample.answers-some-gold.csv").click().run()
    page.button(key="data.save_answers").click().run()
    (saved,) = uploads.saved()
    page = app(PAGE, **{key("task.name"): saved.id})
    assert not page.exception
    assert page.selectbox(key=key("task.name")).value == saved.id
    assert not page.button(key="distill.start").disabled
    assert "ladder.start" not in {button.key for button in page.button}
