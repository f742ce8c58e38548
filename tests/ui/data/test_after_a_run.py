"""The Data page after a run: labels to look at again, and texts to ask the teacher about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.data import load_task, uploads
from kd_core.deployment import ask
from kd_core.jobs.store import Store
from pages.build.data import ask_next as next_page
from pages.shared.run_form import plan
from tests.ui.kept_run import RUN, kept_run

Open = Callable[..., AppTest]
PAGE = "build/data/page.py"
DOUBTFUL, NEXT = {"data.view": "Doubtful labels"}, {"data.view": "What to ask next"}


def words(page: AppTest) -> str:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.error, page.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_without_a_run_both_say_what_to_do(app: Open) -> None:
    assert "the labels that its teacher contradicts appear here" in words(app(PAGE, **DOUBTFUL))
    assert "It takes a trained student to tell what it does not know" in words(app(PAGE, **NEXT))


def test_labels_are_marked_and_a_run_with_the_mended_file_is_one_click(
    app: Open, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)
    kept_run(store, home)
    page = app(PAGE, **DOUBTFUL)
    assert "**2 labels that the teacher contradicts**, the surest first" in words(page)
    assert "By its labels, the teacher is right on" in words(page)
    assert page.tabs[3].dataframe[0].value["text"].to_list() == ["film number 3", "film number 6"]
    assert page.button(key="data.mend").disabled
    # AppTest has no hand for an editor's cells; the browser's test in tests/e2e marks them.
    marked = ask.suspects(RUN).assign(mark=["wrong label", "right label"])
    monkeypatch.setattr("streamlit.data_editor", lambda *args, **kwargs: marked)
    page = page.run()
    assert "2 of 2 marked, 1 text to be mended" in words(page)
    page = page.button(key="data.mend").click().run()
    assert not page.exception
    (run,) = store.runs(status=("queued",))
    assert run.name == "Films, 1 text mended"
    (saved,) = uploads.saved()
    config = DistillConfig.from_dict(run.config)
    assert config.task.name == saved.config.name
    task = load_task(config.task)
    labels = {
        row["text"]: task.labels[row["label"]]
        for split in (task.train, task.validation, task.test)
        for row in split
    }
    assert (labels["film number 3"], labels["film number 6"]) == ("neg", "neg")
    assert page.title[0].value == "Distill"


def test_a_mark_does_not_read_the_task_again(
    app: Open, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_run(store, home)
    found, reads = ask.suspects(RUN), []
    monkeypatch.setattr(ask, "suspects", lambda run_id: reads.append(run_id) or found)
    page = app(PAGE, **DOUBTFUL)
    for mark in ("wrong label", "right label"):
        marked = found.assign(mark=[mark, None])
        monkeypatch.setattr("streamlit.data_editor", lambda *args, marked=marked, **kwargs: marked)
        page = page.run()
    assert "1 of 2 marked, 0 texts to be mended" in words(page)
    assert reads == [RUN]


def test_a_run_that_has_kept_nothing_says_so(app: Open, store: Store, home: Path) -> None:
    kept_run(store, home)
    (home / "runs" / RUN / "validation.parquet").unlink()
    assert "are missing or damaged: validation.parquet cannot be read" in words(app(PAGE, **DOUBTFUL))


def test_texts_to_ask_about_come_as_a_file(
    app: Open, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The student is a stand-in for the page alone: tests/unit/deployment/test_ask.py asks a real one."""
    kept_run(store, home)
    asked: list[object] = []

    def choose(run_id: str, texts: list[str], count: int, by: str) -> tuple[list[str], int]:
        asked.append((run_id, len(texts), count, by))
        return texts[:count], len(texts)

    monkeypatch.setattr(next_page, "_choose", choose)
    page = app(PAGE, **NEXT)
    assert page.button(key="data.ask").disabled
    content = pd.DataFrame({"text": [f"new film {i}" for i in range(30)]}).to_csv(index=False).encode()
    page.file_uploader(key="data.ask_file").set_value(("pool.csv", content, "text/csv"))
    page.number_input(key="data.ask_count").set_value(5)
    page = page.selectbox(key="data.ask_by").set_value("margin").run()
    page = page.button(key="data.ask").click().run()
    assert asked == [(RUN, 30, 5, "margin")]
    assert "5 of 30 new texts, the least sure first." in words(page)
    assert "Label them, add them to your labelled texts" in words(page), "a person knows, the teacher guesses"
    assert page.tabs[4].dataframe[0].value["text"].to_list() == [f"new film {i}" for i in range(5)]
    page = page.number_input(key="data.ask_count").set_value(6).run()
    assert not page.tabs[4].dataframe  # what was chosen was for another number


def test_a_pool_that_is_too_small_says_so(app: Open, store: Store, home: Path) -> None:
    """All texts of the run's own task are known to it."""
    kept_run(store, home)
    page = app(PAGE, **NEXT)
    content = pd.DataFrame({"text": ["film number 3", "a new film"]}).to_csv(index=False).encode()
    page.file_uploader(key="data.ask_file").set_value(("pool.csv", content, "text/csv"))
    page.number_input(key="data.ask_count").set_value(2).run()
    monkey = pytest.MonkeyPatch()
    monkey.setattr("kd_core.deployment.forms.open_form", lambda *args: None)
    page = page.button(key="data.ask").click().run()
    monkey.undo()
    assert "The number of texts must be between 1 and the 1 new text of the pool, got 2" in words(page)


@pytest.mark.parametrize(
    ("content", "asks", "answer"),
    [
        ("text\nun café crème\ntrois films\n".encode("latin-1"), "Encoding", "latin-1"),
        ("alpha,beta\nun café crème,another text\ntrois films,one\n".encode(), "Text column", "alpha"),
    ],
)
def test_what_a_pool_leaves_open_is_asked_for(
    app: Open,
    store: Store,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    asks: str,
    answer: str,
) -> None:
    kept_run(store, home)
    given: list[str] = []
    monkeypatch.setattr(next_page, "_choose", lambda run, texts, *_: given.extend(texts) or (texts, 2))
    page = app(PAGE, **NEXT)
    page.file_uploader(key="data.ask_file").set_value(("pool.csv", content, "text/csv"))
    page = page.run()
    assert page.button(key="data.ask").disabled
    (box,) = (box for box in page.selectbox if box.label == asks)
    page = box.set_value(answer).run()
    page = page.button(key="data.ask").click().run()
    assert not page.exception
    assert given == ["un café crème", "trois films"]
