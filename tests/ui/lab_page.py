"""What the tests of Learn share: reading pages, using controls, and a finished run with hostile texts."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from tests import SAMPLES

App = Callable[..., AppTest]
RUN = "20260131-143000-a1b2"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ :material/home:"


def said(page: AppTest) -> str:
    """Return all that a person reads, in order of kind."""
    assert not page.exception
    kinds = (page.title, page.header, page.markdown, page.caption, page.info, page.warning, page.error)
    words = html.unescape("\n".join(element.value for elements in kinds for element in elements))
    return words.replace("\u00a0", " ")  # which keeps a number and its unit on one line


def act(page: AppTest, *steps: tuple[str, str, Any]) -> AppTest:
    """Use controls one after the other: ``("slider", key, value)``; ``("button", key, None)`` is a click."""
    for kind, key, value in steps:
        widget = getattr(page, kind)(key=key)
        (widget.click() if kind == "button" else widget.set_value(value)).run()
        assert not page.exception
    return page


def images(page: AppTest) -> list[str]:
    """Return what would be drawn as an image or a link of hostile Markdown."""
    elements = (*page.markdown, *page.caption, *page.error, *page.info, *page.warning)
    return [element.value for element in elements if "![" in element.value]


@pytest.fixture
def run(store: Store, home: Path) -> str:
    """Store a finished run with three texts, one of them and a class with markup in them."""
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    report["labels"][0] = EVIL
    store.create_run(RUN, DistillConfig().model_dump(mode="json"), name="Mine")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    folder = home / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    logits = [[2.0, 1.9, 0, 0, 0], [0, 4.0, 0, 0, 0], [0, 0, 0, 0, 4.0]]
    frame = pd.DataFrame({"text": [EVIL, "=1+1", "c"], "label": [0, 1, 0]})
    for who in ("teacher", "student-0", "alone-0"):
        frame[who] = logits
    frame.to_parquet(folder / "predictions.parquet")
    return RUN
