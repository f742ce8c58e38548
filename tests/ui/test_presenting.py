"""The presenter view, and what Reset puts back, on labs and lessons."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from pages.learn.labs.catalogue import LABS
from pages.shared import addresses
from tests.ui.lab_page import said

App = Callable[..., AppTest]


def test_it_is_switched_on_by_a_button_and_by_a_link(app: App) -> None:
    page = app(addresses.lab("temperature"))
    assert "Present" in [button.label for button in page.button]
    page.button(key="presenting.switch").click().run()
    assert page.button(key="presenting.switch").label == "Leave presenter view"
    page.button(key="presenting.switch").click().run()
    assert page.button(key="presenting.switch").label == "Present"
    linked = app(addresses.lab("temperature"), view="presenter")
    linked.run()
    assert linked.button(key="presenting.switch").label == "Leave presenter view"
    linked.button(key="presenting.switch").click().run()
    assert linked.button(key="presenting.switch").label == "Present"


def test_whoever_presents_need_not_answer_first(app: App) -> None:
    page = app(addresses.LESSONS, lesson="alpha")
    page.button(key="lessons.next").click().run()
    assert "Answer first." in said(page)
    assert [header.value for header in page.header] == ["A question first"]
    page.button(key="presenting.switch").click().run()
    assert not page.header, "the line above says it"
    page.button(key="lessons.next").click().run()
    assert page.query_params["step"] == "2"


def test_reset_is_how_a_link_opened_the_lab(app: App) -> None:
    page = app(addresses.lab("loss"), **{"loss.temperature": "8"})
    page.button(key="loss.guess_0").click().run()
    page.slider(key="loss.temperature").set_value(2.0).run()
    page.slider(key="loss.alpha").set_value(0.9).run()
    page.button(key="labs.reset").click().run()
    assert not page.slider, "it is asked again"
    page.button(key="loss.guess_0").click().run()
    assert page.slider(key="loss.temperature").value == 8
    assert page.slider(key="loss.alpha").value == 0.3


def test_reset_of_a_lab_hides_what_was_revealed(app: App) -> None:
    page = app(addresses.lab("size"))
    page.button_group(key="size.layers").set_value(1)
    page.button_group(key="size.width").set_value(64).run()
    page.button(key="size.reveal").click().run()
    assert "size.reveal" not in [button.key for button in page.button]
    page.button(key="labs.reset").click().run()
    assert page.button(key="size.reveal").disabled


@pytest.mark.parametrize("lab", [lab.name for lab in LABS])
def test_every_lab_has_a_reset(app: App, lab: str) -> None:
    page = app(addresses.lab(lab))
    page.button(key="labs.reset").click().run()
    assert not page.exception
    assert page.title


def test_reset_of_a_lesson(app: App) -> None:
    page = app(addresses.LESSONS, lesson="alpha")
    page.radio(key="lessons.answer_alpha").set_value("politics, as the label says").run()
    page.button(key="lessons.reset").click().run()
    assert page.radio(key="lessons.answer_alpha").value is None
    lab = app(addresses.LESSONS, lesson="alpha", step="2")
    lab.slider(key="loss.alpha").set_value(0.9).run()
    lab.button(key="lessons.reset").click().run()
    assert lab.slider(key="loss.alpha").value == 0.3
