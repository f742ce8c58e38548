"""What the labs have in common: cards, links that set and hide controls, a run's own texts, the glossary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.learn.glossary import terms
from pages.learn.labs.catalogue import LABS
from pages.shared.text import term
from tests.ui.lab_page import EVIL, RUN, run, said

__all__ = ["run"]  # a fixture
App = Callable[..., AppTest]
NAMED = [f"learn/labs/scripts/{name}.py" for name in ("temperature", "loss", "divergence")]


def test_a_card_for_each_lab(app: App) -> None:
    page = app().switch_page("learn/labs/page.py").run()  # its file is not named like its address
    links = [link.proto.label for link in page.main.get("page_link")]
    cards = [*(f"**{lab.title}**" for lab in LABS), "**Lessons**", "**Quiz**", "**Race**"]
    assert links == [*cards, "**Glossary**"]
    for lab in LABS:
        assert lab.question in said(page)
        assert f"{lab.minutes} minutes" in said(page)


@pytest.mark.parametrize("path", NAMED)
def test_a_link_hides_controls_and_asks_its_own_question(app: App, path: str) -> None:
    page = app(path, hide="source,text,question", ask=EVIL)
    assert f"**{EVIL}**" in said(page).replace("\u2060", "")
    assert not [element.value for element in page.markdown if "![" in element.value]
    assert not page.radio, "the lab's own question gives way"
    assert "The link hides" not in said(page)


@pytest.mark.parametrize("path", NAMED)
def test_a_link_that_hides_what_is_not_there_says_so(app: App, path: str) -> None:
    words = said(app(path, hide="temperatur, source"))
    assert words.count("The link hides temperatur, which is not here. This lab has ") == 1


@pytest.mark.parametrize("lab", [lab.name for lab in LABS if lab.name not in ("size", "claims")])
def test_a_guess_comes_before_the_lab(app: App, lab: str) -> None:
    """The question alone, and at most a picture of what is given; after any answer, the lab.

    Each claim of a paper has a question of its own: see ``test_lab_claims.py``.
    """
    page = app(f"learn/labs/scripts/{lab}.py")
    assert "**First a guess.**" in said(page)
    assert not [
        *page.header,
        *page.slider,
        *page.select_slider,
        *page.selectbox,
        *page.metric,
        *page.dataframe,
    ]
    answers = [button for button in page.button if button.key.startswith(f"{lab}.guess_")]
    assert len(answers) >= 2
    wrong_and_right = []
    for button in answers:
        again = app(f"learn/labs/scripts/{lab}.py")
        again.button(key=button.key).click().run()
        assert "**First a guess.**" not in said(again)
        assert [*again.selectbox, *again.slider]
        words = said(again)
        assert ("**Right: " in words) != ("**No. The answer is: " in words)
        wrong_and_right.append("**Right: " in words)
    assert sum(wrong_and_right) == 1


def test_a_hidden_control_still_takes_the_links_value(app: App) -> None:
    page = app(NAMED[0], **{"hide": "temperature,question", "temperature.temperature": "8"})
    assert page.slider(key="temperature.temperature").value == 8
    assert "At T = 8 it is 28.4 % and 26.8 %" in said(page)


@pytest.mark.parametrize("path", NAMED)
def test_the_texts_of_a_run(app: App, run: str, path: str) -> None:
    page = app(path, hide="question")
    name = path.split("/")[-1][:-3]
    source = page.selectbox(key=f"{name}.source")
    assert source.options == ["200 BBC headlines, recorded", f"Mine · {RUN}"]
    source.select(RUN).run()
    assert page.selectbox(key=f"{name}.text").options[1:] == ["2. =1+1", "3. c"]
    assert EVIL in said(page).replace("\u2060", "")
    kinds = (page.markdown, page.caption)
    assert not [element.value for kind in kinds for element in kind if "![" in element.value]


@pytest.mark.parametrize("path", NAMED)
def test_a_run_that_is_gone_says_so(app: App, run: str, home: Path, path: str) -> None:
    (home / "runs" / RUN / "predictions.parquet").unlink()
    page = app(path, hide="question")
    page.selectbox(key=f"{path.split('/')[-1][:-3]}.source").select(RUN).run()
    assert "The predictions of 20260131-143000-a1b2 are missing or damaged" in said(page)


def test_the_glossary(app: App) -> None:
    page = app("learn/glossary/page.py")
    assert said(page).count("**") == 2 * len(terms())
    page.text_input(key="glossary.search").set_value("mode seeking").run()
    assert "**Reverse KL** · mode seeking" in said(page)
    assert "**Temperature**" not in said(page)
    page.text_input(key="glossary.search").set_value("zebra").run()
    assert "No word here goes with “zebra”." in said(page)


def test_a_tooltip_says_what_the_glossary_says(app: App) -> None:
    page = app(NAMED[0], hide="question")
    assert page.slider(key="temperature.temperature").help == term("temperature")
    assert "Divides the logits of both models" in said(app("learn/glossary/page.py"))
    with pytest.raises(KeyError, match="there is no term 'zebra' in the glossary"):
        term("zebra")
