"""Lab 3: what each loss makes of a student that is too small, in the words and numbers of the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.jobs.store import Store
from pages.learn.labs.divergence import LOSSES
from tests.ui.charts import alts
from tests.ui.lab_page import run, said  # noqa: F401 (a finished run of one's own)

App = Callable[..., AppTest]
PAGE = "learn/labs/scripts/divergence.py"


def humps(page: AppTest) -> list[str]:
    return [alt for alt in alts(page) if "hump" in alt]


def test_forward_kl_is_there_at_first(app: App) -> None:
    page = app(PAGE, hide="question")
    assert humps(page) == [
        "Forward KL: the student's hump is at 0.7, 3.20 wide",
        "Reverse KL: the student's hump is at 3.0, 0.80 wide",
    ]
    assert "KL(teacher ‖ student) = 0.653 · mean 0.6, standard deviation 3.05" in said(page)
    assert "in the middle it claims 164 times what the teacher does" in said(page)


def test_only_forward_kl_is_there_before_the_answer(app: App) -> None:
    page = app(PAGE)
    assert humps(page) == ["Forward KL: the student's hump is at 0.7, 3.20 wide"]
    page.button(key="divergence.guess_0").click().run()
    assert "**No. The answer is: It sits on one hump.** You said: It covers both humps." in words(page)
    page.slider(key="divergence.distance").set_value(1.0).run()
    assert "**No. The answer is: It sits on one hump.**" in words(page), (
        "moving a slider makes no guess right"
    )


def words(page: AppTest) -> str:
    return said(page).replace("]", "")


def test_one_hump_is_not_called_two(app: App) -> None:
    page = app(PAGE, hide="question")
    page.slider(key="divergence.distance").set_value(1.0).run()
    assert "the teacher's humps are one" in said(page)
    assert "both humps" not in said(page)


def test_all_five_and_none(app: App) -> None:
    page = app(PAGE, hide="question")
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
    assert page.info[0].value == "Choose a loss above to fit a student under it."


def test_closer_humps_make_jensen_shannon_cover_both(app: App) -> None:
    page = app(PAGE, hide="question")
    assert "Here it sits on one hump (width 0.80)" in said(page)
    page.slider(key="divergence.distance").set_value(4.0).run()
    assert "Here it covers both humps (width 2.09)" in said(page)


def test_what_a_loss_is_known_for_is_not_said_of_the_fit(app: App) -> None:
    """With nearly all of the teacher in one hump, the loss that covers modes sits on it."""
    page = app(PAGE, hide="question")
    page.slider(key="divergence.share").set_value(5).run()
    assert "**Forward KL** (mode covering) weighs" in said(page)
    assert "Here it sits on one hump: mean −2.7, standard deviation 1.53" in said(page)


def test_the_same_on_a_real_text(app: App) -> None:
    page = app(PAGE, hide="question")
    table = page.dataframe[0].value
    assert table["Backed"].round(1).tolist()[:5] == pytest.approx([60.4, 93.3, 77.4, 60.4, 100.0], abs=0.15)
    assert "Forward KL keeps the first as it is and spreads the rest evenly, 9.9 % each" in said(page)
    assert "backs its class with 93.3 %: surer than its teacher" in said(page)
    page.slider(key="divergence.temperature").set_value(20.0).run()
    assert "nearly the same: it backs its class with 23.4 %." in said(page)
    assert "surer than its teacher" not in said(page)


def test_the_entropy_that_is_between_them(app: App) -> None:
    page = app(PAGE, hide="question")
    lines = [line.value.strip("$\n") for line in page.latex]
    assert lines[1::2] == ["4.564 \\approx 3.815 + 0.750", "0.973 \\approx 0.962 + 0.011"]
    same, other = (text.value for text in page.markdown if " here." in text.value)
    assert same.endswith("They do not differ here.")
    assert other.endswith("They differ by up to **0.010** here.")


def test_who_uses_which(app: App) -> None:
    page = app(PAGE, hide="question")
    (literature,) = (text.value for text in page.markdown if "MiniLLM" in text.value)
    lines = dict(line.removeprefix("- **").split(".** ") for line in literature.splitlines())
    assert set(lines) == {card.title for card in LOSSES.values()}, "none is left out"
    assert lines["Reverse KL"] == "For text that is generated: MiniLLM (Gu et al. 2023, 2306.08543)."
    assert all(re.search(r"20\d\d, (arXiv )?\d{4}\.\d{5}|20\d\d \(arXiv", line) for line in lines.values())


def test_two_classes_leave_nothing_to_choose(
    app: App,
    run: str,  # noqa: F811
    home: Path,
    store: Store,
) -> None:
    """A student with one number can be any teacher of two classes: no claim that one KL is surer."""
    folder = home / "runs" / run
    report = json.loads((folder / "report.json").read_text("utf-8")) | {"labels": ["no", "yes"]}
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    store.save_report(run, report)
    frame = pd.DataFrame({"text": ["a", "b"], "label": [0, 1]})
    for who in ("teacher", "student-0", "alone-0"):
        frame[who] = [[1.0, 0.0], [0.0, 2.0]]
    frame.to_parquet(folder / "predictions.parquet")
    page = app(PAGE, hide="question")
    page.selectbox(key="divergence.source").select(run).run()
    assert "this student can copy its teacher" in said(page)
    assert "surer than its teacher" not in said(page)
    table = page.dataframe[0].value  # sigmoid(1) = 0.731, and all of it under reverse cross-entropy
    assert table["Backed"].round(0).tolist()[:5] == [73, 73, 73, 73, 100]
