"""Lab 5, how small it can be: nothing measured is shown before the guess."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.learn.lab_results import against_best, size_table, smallest
from kd_core.learn.recorded import recorded_lab
from tests.ui.charts import alts, charts
from tests.ui.lab_page import said

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/size.py"


def options(page: AppTest, name: str) -> list[str]:
    return [option.content for option in page.segmented_control(key=f"size.{name}").proto.options]


def guess(page: AppTest, layers: int, width: int) -> AppTest:
    page.segmented_control(key="size.layers").set_value(layers).run()
    return page.segmented_control(key="size.width").set_value(width).run()


def test_before_the_guess_only_what_needs_no_training(app: App) -> None:
    page = app(PAGE)
    assert "First a guess" in said(page)
    assert alts(page)[0].startswith("Parameters by layers and width. 1 x 64: ")
    assert page.button(key="size.reveal").disabled
    assert not [*page.dataframe, *page.slider]
    assert "How the accuracy grows is for you to guess" in said(page)


def test_the_reveal(app: App) -> None:
    grid = size_table(recorded_lab("size"))
    answer = smallest(grid, grid["accuracy"].max() - 0.01)
    assert answer
    assert len(grid) == 16
    page = guess(app(PAGE), 4, 256)
    page.button(key="size.reveal").click().run()
    assert not page.exception
    assert options(page, "measure")[0] == "Accuracy"
    assert alts(page)[0].startswith("Accuracy by layers and width. 1 x 64: ")
    words = said(page)
    name = f"{answer['layers']} {'layer' if answer['layers'] == 1 else 'layers'} of {answer['hidden']}"
    assert f"No. The answer is: {name}." in words
    assert "You said: 4 layers of 256." in words
    assert f"The smallest within 1 point of it is **{name}**" in words
    assert len(page.dataframe[0].value) == 16
    assert page.dataframe[0].value["Student"].tolist()[0] == "1 layer of 64"


def test_what_cannot_be_told_apart_has_one_colour(app: App) -> None:
    (grid,) = charts(app(PAGE, hide="question"))
    cells = [cell for row in json.loads(grid["figure"])["data"][0]["z"] for cell in row]
    pairs = against_best(recorded_lab("size")).values()
    assert sum(pair.kind == "hurt" for pair in pairs) == 1, "by an interval of its own"
    assert min(pair.p_value for pair in pairs) > 0.05 / 15
    assert set(cells) == {1}, "one of 15 that are compared with the best is what chance gives"


def test_the_slider_changes_the_answer(app: App) -> None:
    page = app(PAGE, hide="question")
    found = []
    for points in (0.0, 0.5, 1.0):
        page.slider(key="size.give_up").set_value(points).run()
        [name] = re.findall(r"The smallest within \S+ points? of it is \*\*(.+?)\*\*", said(page))
        found.append(name)
    assert found == ["4 layers of 64", "2 layers of 64", "1 layer of 64"]


def test_speed_does_not_follow_parameters(app: App) -> None:
    words = said(app(PAGE, hide="question"))
    assert "4 layers of 64 have 1.1 times the parameters and 1.6 times the time" in words
    assert "1 layer of 256 has 4.5 times the parameters and 1.3 times the time" in words


def test_a_right_guess(app: App) -> None:
    page = guess(app(PAGE), 1, 64)
    page.button(key="size.reveal").click().run()
    assert "Right: 1 layer of 64." in said(page)
    assert "Your guess has" not in said(page)


def test_a_link_may_take_the_question_away(app: App) -> None:
    page = app(PAGE, hide="question", **{"size.give_up": "2"})
    assert "First a guess" not in said(page)
    assert page.slider(key="size.give_up").value == 2
