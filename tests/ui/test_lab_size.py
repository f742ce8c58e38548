"""Lab 5, how small it can be: nothing measured is shown before the guess."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.learn.lab_results import size_table, smallest
from kd_core.learn.recorded import recorded_lab
from kd_core.system.formatting import percent
from tests.ui.charts import alts
from tests.ui.test_lab_pages import said

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/size.py"


def alt(page: AppTest) -> str:
    return alts(page)[0]


def options(page: AppTest, name: str) -> list[str]:
    return [option.content for option in page.segmented_control(key=f"size.{name}").proto.options]


def guess(page: AppTest, layers: int, width: int) -> AppTest:
    page.segmented_control(key="size.layers").set_value(layers).run()
    return page.segmented_control(key="size.width").set_value(width).run()


def test_before_the_guess_only_what_needs_no_training(app: App) -> None:
    page = app(PAGE)
    assert options(page, "measure") == ["Parameters", "Embedding share"]
    assert alt(page).startswith("Parameters by layers and width. 1 x 64: ")
    assert page.button(key="size.reveal").disabled
    assert not page.dataframe
    assert "How the accuracy grows is for you to guess" in said(page)


def test_the_reveal(app: App) -> None:
    grid, teacher = size_table(recorded_lab("size")), recorded_lab("size")["teacher"]["accuracy"]
    answer = smallest(grid, 0.97 * teacher)
    assert answer
    assert len(grid) == 16
    page = guess(app(PAGE), 4, 256)
    page.button(key="size.reveal").click().run()
    assert not page.exception
    assert options(page, "measure")[0] == "Accuracy"
    assert alt(page).startswith("Accuracy by layers and width. 1 x 64: ")
    words = said(page)
    name = f"{answer['layers']} {'layer' if answer['layers'] == 1 else 'layers'} of {answer['hidden']}"
    assert (
        f"The smallest that keeps 97 % of the teacher's accuracy ({percent(0.97 * teacher)}) is **{name}**"
        in words
    )
    assert "Your guess, 4 layers of 256, has " in words
    assert len(page.dataframe[0].value) == 16
    assert page.dataframe[0].value["Student"].tolist()[0] == "1 layer of 64"


def test_a_right_guess_and_a_goal_out_of_reach(app: App) -> None:
    grid, teacher = size_table(recorded_lab("size")), recorded_lab("size")["teacher"]["accuracy"]
    answer = smallest(grid, 0.97 * teacher)
    assert answer
    page = guess(app(PAGE), answer["layers"], answer["hidden"])
    page.button(key="size.reveal").click().run()
    assert "Your guess" not in said(page)


def test_a_link_may_take_the_question_away(app: App) -> None:
    assert "First a guess" in said(app(PAGE))
    page = app(PAGE, hide="question", **{"size.keep": "95"})
    assert "First a guess" not in said(page)
    assert page.slider(key="size.keep").value == 95
