"""The Data page under test: sending a file, and what the page says of it."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from kd_core.config import TaskConfig
from kd_core.data import uploads
from kd_core.data.uploads import SavedTask, Upload

PAGE = "build/data/page.py"
ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))
FILMS = f"text,label\n{ROWS}"
Open = Callable[..., AppTest]


def send(test: AppTest, content: str | bytes, name: str = "films.csv", to: str = "file") -> AppTest:
    data = content if isinstance(content, bytes) else content.encode()
    return run(test.file_uploader(key=f"data.{to}").set_value((name, data, "text/csv")))


def run(widget) -> AppTest:
    test = widget.run()
    assert not test.exception
    return test


def values(elements) -> list[str]:
    return [element.value for element in elements]


def labels(elements) -> list[str]:
    return [element.label for element in elements]


def sizes(test: AppTest, tab: int) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.tabs[tab].metric}


def saved_films(name: str = "films.csv", content: str = FILMS) -> SavedTask:
    return uploads.save({"name": Upload(name, content.encode())}, TaskConfig())


def plain(markdown: str) -> str:
    """What a reader sees of escaped text."""
    import html

    return html.unescape(markdown).replace("\u2060", "")


def keys(test: AppTest) -> set[str]:
    return {button.key for button in test.button}
