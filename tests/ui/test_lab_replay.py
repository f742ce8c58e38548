"""Lab 6, replay: the numbers that a person reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from kd_core.distillation.training.replay import Replay
from kd_core.jobs.store import Store
from kd_core.learn.recorded import recorded_replay
from tests.ui.charts import alts
from tests.ui.lab_page import said
from tests.unit.figures.sampled import SAMPLE

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/replay.py"


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_the_recorded_run_from_start_to_end(app: App) -> None:
    page = app(PAGE, hide="question")
    assert page.select_slider[0].value == 0
    assert metrics(page) == {"Like the teacher": "12 of 50", "Divergence": "1.51 nats"}
    page.select_slider[0].set_value(900).run()
    assert metrics(page) == {"Like the teacher": "46 of 50", "Divergence": "0.16 nats"}
    assert alts(page)[0] == (
        "At step 900 of 900 the student answers 46 of 50 texts like its teacher (92 %); "
        "the mean divergence is 0.16 nats."
    )
    words = said(page)
    assert "Each corner is a class, and each mark an answer to one text" in words
    assert "at step 214 of 900, it agrees with its teacher on 44 of them" in words
    assert "On 38 it keeps that answer until the end" in words
    assert "On 8 more it agrees for good only later, and on 4 the two differ at the end." in words
    assert "changes from 1.51 to 0.16 nats" in words


def test_a_link_opens_a_moment(app: App) -> None:
    page = app(PAGE, **{"replay.moment": "400", "hide": "question"})
    assert page.select_slider[0].value == 400
    assert alts(page)[0].startswith("At step 400 of 900")


def test_learned_early_late_and_never(app: App) -> None:
    page = app(PAGE, hide="question")
    kinds = page.segmented_control(key="replay.learned")
    assert [option.content for option in kinds.proto.options] == [
        "Agrees early (38)",
        "Agrees late (8)",
        "Differs at the end (4)",
    ]
    table = page.dataframe[0].value
    assert len(table) == 8
    assert table["step"].is_monotonic_increasing
    assert (table["teacher"] == table["student"]).all()
    kinds.set_value("never").run()
    never = page.dataframe[0].value
    assert len(never) == 4
    assert "step" not in never  # since which they agree
    assert (never["teacher"] != never["student"]).all()


def test_playing_moves_on_and_ends(app: App) -> None:
    page = app(PAGE, hide="question")
    steps = recorded_replay().steps
    page.select_slider[0].set_value(steps[-3]).run()
    page.button(key="replay.play").click().run()
    assert page.select_slider[0].value == steps[-2]
    assert page.button(key="replay.play").label == "Pause"
    page.run()
    assert page.select_slider[0].value == steps[-1]
    assert page.button(key="replay.play").label == "Play"
    page.button(key="replay.play").click().run()
    assert page.select_slider[0].value == steps[1], "once more from the start"


def test_any_run_with_a_replay(app: App, store: Store, home: Path) -> None:
    labels = SAMPLE["labels"]
    for run_id in ("20260131-143000-a1b2", "20260131-143000-c3d4"):  # the second one has none
        objective = SAMPLE["config"]["objective"] | {"temperature": "auto"}  # as the command leaves it
        asked = SAMPLE["config"] | {"objective": objective}
        store.create_run(run_id, asked, status="done", name="Mine <b>")
        store.save_report(run_id, SAMPLE)
    folder = home / "runs" / "20260131-143000-a1b2"
    folder.mkdir(parents=True)
    student = np.zeros((2, 3, len(labels)), dtype=np.float32)
    student[1, :, 0] = 3
    Replay(
        labels=tuple(labels),
        texts=("one ![](http://127.0.0.1:9/x)", "two", "three"),
        truth=np.zeros(3, dtype=int),
        steps=(0, 7),
        teacher=student[1],
        student=student[::-1].copy(),
    ).write(folder)
    page = app(PAGE, hide="question")
    source = page.selectbox(key="replay.source")
    assert source.options == ["Recorded: BBC headlines", "Mine <b> · 20260131-143000-a1b2"]
    source.set_value("20260131-143000-a1b2").run()
    assert not page.exception
    assert page.select_slider[0].options == ["0", "7"]
    assert metrics(page)["Like the teacher"] == "3 of 3"


def test_a_link_hides_controls(app: App) -> None:
    page = app(PAGE, hide="play, question, speed")
    assert (
        "The link hides speed, which is not here. This lab has source, moment, play, view, text, question."
        in (said(page))
    )
    assert not page.radio
    assert page.select_slider[0].value == 0
