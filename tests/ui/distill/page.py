"""The Distill page under test: what it says, its widgets, and a run that is under way."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from pages.shared.run_form.link import key

PAGE = "build/distill/page.py"
RUN = "20260101-120000-abcd"
App = Callable[..., AppTest]


def texts(test: AppTest) -> str:
    """All that a person reads, in order of kind."""
    kinds = (test.title, test.subheader, test.markdown, test.caption, test.info, test.warning, test.error)
    said = [element.value for elements in kinds for element in elements]
    return "\n".join([*said, *(expander.label for expander in test.expander)]).replace("\u00a0", " ")


def widget(test: AppTest, kind: str, place: str):
    return getattr(test, kind)(key=key(place))


def under_way(store: Store, run: str = RUN) -> None:
    store.create_run(run, DistillConfig().model_dump(mode="json"), name="First try")
    store.claim("host:1:0", run)
