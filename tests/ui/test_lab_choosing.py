"""Lab 7, choosing: what the best of several is worth, and the folds."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.learn.choosing import best_of
from kd_core.learn.recorded import recorded_lab
from kd_core.system.formatting import percent
from tests.ui.charts import alts
from tests.ui.lab_page import said

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/choosing.py"


def test_the_best_number_flatters_the_more_the_more_are_tried(app: App) -> None:
    seen, unseen = best_of(recorded_lab("size"))
    page = app(PAGE, hide="question")
    page.slider(key="choosing.tried").set_value(16).run()
    assert alts(page)[0] == (
        f"The best of 16 students: {percent(seen[15])} on the texts that it was picked by, "
        f"{percent(unseen[15])} on others"
    )
    assert "by, and 87.8 % on other texts: 1.2 points less" in said(page)
    page.slider(key="choosing.tried").set_value(9).run()
    assert "88.8 % on the texts that it was picked by, and 87.8 % on other texts: 1.0 points" in said(page)
    page.slider(key="choosing.tried").set_value(1).run()
    assert "With one student there is nothing to pick" in said(page)


def test_folds_take_a_training_each(app: App) -> None:
    page = app(PAGE, hide="question", **{"choosing.folds": "5"})
    assert alts(page)[1].startswith(
        "The training texts in 5 parts. Each of 5 trainings learns from all but one"
    )
    assert "Each setting is trained 5 times" in said(page)
    assert "here 80 % of them" in said(page)


def test_the_question(app: App) -> None:
    page = app(PAGE)
    page.button(key="choosing.guess_1").click().run()
    assert "No. The answer is: Fewer, on average." in said(page)
