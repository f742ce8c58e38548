"""Lab 3: what each loss makes of a student that is too small, in the words and numbers of the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from tests.ui.test_lab_pages import said

App = Callable[..., AppTest]
PAGE = "app_pages/learn/divergence.py"


def humps(page: AppTest) -> list[str]:
    return [alt for chart in page.get("plotly_chart") if "hump" in (alt := chart.proto.alt)]


def test_forward_kl_is_there_at_first(app: App) -> None:
    page = app(PAGE)
    assert humps(page) == ["Forward KL: the student's hump is at 0.7, 3.20 wide"]
    assert "KL(teacher ‖ student) = 0.653 · centre 0.7 · width 3.20" in said(page)
    assert "in the middle it claims 164 times what the teacher does" in said(page)


def test_an_answer_shows_the_other_way_round(app: App) -> None:
    page = app(PAGE)
    page.radio(key="divergence.guess").set_value("It covers both humps").run()
    assert "It is another one: it sits on one hump." in said(page)
    assert humps(page)[1] == "Reverse KL: the student's hump is at 3.0, 0.80 wide"


def test_all_five_and_none(app: App) -> None:
    page = app(PAGE)
    losses = page.get("pills")[0] if page.get("pills") else page.button_group(key="divergence.losses")
    losses.set_value(["forward_kl", "reverse_kl", "js", "soft_cross_entropy", "reverse_cross_entropy"]).run()
    assert [alt.split(":")[0] for alt in humps(page)] == [
        "Forward KL",
        "Reverse KL",
        "Jensen-Shannon",
        "Soft cross-entropy",
        "Reverse cross-entropy",
    ]
    assert humps(page)[4].endswith("at 3.0, 0.20 wide")
    losses = page.get("pills")[0] if page.get("pills") else page.button_group(key="divergence.losses")
    losses.set_value([]).run()
    assert page.info[0].value == "Choose a loss on the left to fit a student under it."


def test_closer_humps_make_jensen_shannon_cover_both(app: App) -> None:
    page = app(PAGE)
    assert "here it sits on one hump (width 0.80)" in said(page)
    page.slider(key="divergence.distance").set_value(4.0).run()
    assert "here it covers both humps (width 2.09)" in said(page)


def test_the_same_on_a_real_text(app: App) -> None:
    page = app(PAGE)
    table = page.dataframe[0].value
    assert table["Backed"].round(1).tolist() == pytest.approx([51.0, 80.4, 66.2, 51.0, 100.0], abs=0.15)
    assert "Forward KL keeps the first as it is and spreads the rest evenly, 12.2 % each" in said(page)
    assert "backs its class with 80.4 %" in said(page)


def test_the_entropy_that_is_between_them(app: App) -> None:
    page = app(PAGE)
    lines = [line.value.strip("$\n") for line in page.latex]
    assert lines[1::2] == ["1.146 = 0.274 + 0.873", "0.714 = 0.211 + 0.502"]
    same, other = (text.value for text in page.markdown if "They differ by up to" in text.value)
    assert same.endswith("They differ by up to **0.000** here.")
    assert other.endswith("They differ by up to **0.246** here.")


def test_who_uses_which(app: App) -> None:
    literature = app(PAGE).dataframe[1].value
    assert dict(zip(literature["Loss"], literature["Where"], strict=True))["Reverse KL"] == (
        "MiniLLM (Gu et al. 2024), for text that is generated"
    )
