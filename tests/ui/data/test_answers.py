"""A file of a teacher's answers becomes a task."""

from __future__ import annotations

import pytest

from kd_core.data import uploads
from kd_core.data.apart import read_file
from kd_core.data.table import Table
from pages.build.data import answers
from tests.ui.data.page import PAGE, Open, run, sizes, values


def test_a_sample_of_answers_is_one_click_and_becomes_a_task(app: Open) -> None:
    test = run(app(PAGE).button(key="data.sample.answers-some-gold.csv").click())
    answer_columns = next(box for box in test.multiselect if box.label == "Columns of answers")
    assert answer_columns.value == ["prob_billing", "prob_delivery", "prob_technical"]
    assert next(box for box in test.selectbox if box.label == "Gold labels").value == "gold"
    assert sizes(test, 2) == {
        "Training texts": "72",
        "Validation texts": "18",
        "Test texts": "30",
        "Transfer texts": "180",
        "Classes": "3",
    }
    box = next(box for box in test.text_input if box.label == "Name of the task")
    test = run(box.set_value("Support of May"))
    test = run(test.button(key="data.save_answers").click())
    (saved,) = uploads.saved()
    assert saved.config.knowledge == saved.config.name
    assert saved.name == "Support-of-May.csv"
    assert test.selectbox(key="data.task").value == saved.id


def test_labels_alone_offer_their_smoothing_and_no_gold(app: Open) -> None:
    test = run(app(PAGE).button(key="data.sample.answers-labels.csv").click())
    assert [box.label for box in test.slider] == ["Smoothing"]
    assert "They carry no dark knowledge" in " ".join(values(test.caption))
    assert "what is measured is agreement with the teacher" in " ".join(values(test.caption))


def test_a_file_of_answers_is_read_once_however_often_the_page_is_drawn(
    app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def read(data: bytes, name: str) -> Table:
        reads.append(name)
        return read_file(data, name)

    monkeypatch.setattr(answers, "read_file", read)
    test = run(app(PAGE).button(key="data.sample.answers-labels.csv").click())
    run(test.slider[0].set_value(0.3))
    assert reads == ["answers-labels.csv"]
