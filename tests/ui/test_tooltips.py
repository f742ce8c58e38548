"""A word of the glossary that names a number or a control says on hover what the glossary says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.distillation.events import StageStarted
from kd_core.jobs.store import Store
from kd_core.learn.glossary import terms
from pages.shared.run_form import plan
from pages.shared.text import term
from tests.ui.pretended import done, report  # noqa: F401 (a finished run whose models are pretended)
from tests.ui.searched import searched

App = Callable[..., AppTest]
KINDS = ("metric", "slider", "select_slider", "selectbox", "multiselect", "toggle", "number_input", "pills")
LIVE = "20260131-160000-e5f6"
# Labels that are more than the word itself.
MORE = {
    "Temperatures to try": "temperature",
    "Alphas to try": "alpha",
    "Students": "student",
    "Soft losses": "soft loss",
    "Teachers of the folds": "teacher",
    "Alpha: weight of the hard loss": "alpha",
    "Transfer texts": "transfer set",
    "Training loss": "objective",
    "Median (p50)": "latency",
    "p95": "p50 and p95",
    "Distilled student agrees with the teacher": "fidelity",
    "Total": "objective",
    "Times T²": "T²",
    "**Teacher**": "teacher",
    "**Distilled student**": "student",
    "**Student alone**": "student alone",
}


def labelled(page: AppTest) -> list[tuple[str, str]]:
    """Each number, control and name in bold, with what it says on hover."""
    assert not page.exception
    found = [
        (element.label, element.help)
        for kind in KINDS
        for element in page.get(kind)
        if hasattr(element, "label")
    ]
    return found + [(text.value, text.proto.help) for text in page.markdown]


def check(page: AppTest, *wanted: str) -> None:
    """No term without its meaning, and those that this page is known for are there."""
    names = {name.casefold(): term.name for term in terms().values() for name in (term.name, *term.also)}
    found = labelled(page)
    meant = [(label, help, MORE.get(label) or names.get(label.casefold())) for label, help in found]
    without = [label for label, help, name in meant if name and term(name) not in (help or "")]
    assert without == []
    assert set(wanted) <= {label for label, _, name in meant if name}


@pytest.fixture(autouse=True)
def _speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda: 1e12)  # a machine whose speed is known


def test_in_the_labs(app: App) -> None:
    check(app("learn/labs/scripts/temperature.py", hide="question"), "Temperature")
    losses = ("Soft loss", "Temperature", "Alpha: weight of the hard loss", "Times T²")
    check(app("learn/labs/scripts/loss.py", hide="question"), *losses)
    check(app("learn/labs/scripts/divergence.py", hide="question"), "Temperature")
    check(app("learn/race/page.py", **{"race.kind": "Live"}), "Temperature", "Alpha")


def test_in_the_form(app: App, store: Store) -> None:
    check(app("build/distill/page.py"), "Temperature")


def test_in_a_search_and_its_form(app: App, store: Store) -> None:
    check(app("build/search/page.py"), "Temperatures to try", "Alphas to try", "Students", "Soft losses")
    searched(store)
    check(app("build/search/page.py", study="s"), "Student alone")


def test_in_the_live_view(app: App, store: Store) -> None:
    store.create_run(LIVE, DistillConfig().model_dump(mode="json"))
    store.set_status(LIVE, "running")
    now = datetime.now(UTC)
    store.write(LIVE, [(now, StageStarted("distil"))])
    check(app("build/distill/page.py", run=LIVE), "Training loss")


def test_in_the_report(app: App, done: Store) -> None:  # noqa: F811
    page = app("review/report/page.py")
    page.session_state["report.tab"] = "Speed"
    check(page.run(), "Median (p50)", "p95", "**Teacher**", "**Distilled student**")


def test_in_the_playground(app: App, done: Store) -> None:  # noqa: F811
    check(app("use/playground/page.py"), "**Teacher**", "**Distilled student**", "**Student alone**")
