"""Finished runs and benchmarks in the store, without any training, and what a page shows of them."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON, DistillConfig
from kd_core.deployment.benchmark import BenchConfig
from kd_core.jobs.store import Store
from tests import SAMPLES

App = Callable[..., AppTest]
RUN, OTHER, THIRD = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ :material/bomb:"


def sample(name: str = "report.json") -> dict[str, Any]:
    return json.loads((SAMPLES / name).read_text("utf-8"))


def finish(
    store: Store,
    run_id: str = RUN,
    report: dict[str, Any] | None = None,
    name: str = "Demo",
    **changes: Any,
) -> Store:
    """Adds a finished run; ``changes`` are settings, with two underscores for the dot."""
    config = LESSON.change({place.replace("__", "."): value for place, value in changes.items()})
    store.create_run(run_id, config.model_dump(mode="json"), name=name)
    store.save_report(run_id, report or sample())
    store.set_status(run_id, "done")
    return store


def benchmark(store: Store, job_id: str = OTHER, run_id: str = RUN, **changes: Any) -> None:
    store.create_run(job_id, BenchConfig(run=run_id).model_dump(mode="json"), kind="bench")
    store.save_report(job_id, sample("bench.json") | {"run": run_id} | changes)
    store.set_status(job_id, "done")


def kept_run(store: Store, home: Path, rows: int = 40) -> dict[str, Any]:
    """Adds a run that has its folder too, on ``rows`` texts about films, and returns its report.

    Its teacher is sure that the numbers 3 and 6 have a wrong label. The student is unsure of every tenth
    text, and wrong there.
    """
    file, labels = home / "films.csv", ["neg", "pos"]
    texts = [f"film number {i}" for i in range(rows)]
    pd.DataFrame({"text": texts, "label": [labels[i % 2] for i in range(rows)]}).to_csv(file, index=False)
    report = sample()
    config = DistillConfig.from_dict({"version": 1, **report["config"]}).change({"task.name": str(file)})
    report |= {"run_id": RUN, "labels": labels, "config": config.model_dump(mode="json")}
    folder = home / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    truth = np.arange(rows) % 2
    says = np.where(np.isin(np.arange(rows), (3, 6)), 1 - truth, truth)
    teacher = np.where(says[:, None] == np.arange(2), 4.0, -4.0)
    teacher[6] /= 4
    student = np.where(np.arange(rows)[:, None] % 10 == 0, -0.01 * teacher, teacher)
    for name, part in (("validation", slice(0, rows // 2)), ("predictions", slice(rows // 2, rows))):
        table = {"text": texts[part], "label": truth[part], "teacher": list(teacher[part])}
        table |= {"student-0": list(student[part]), "alone-0": list(student[part])}
        pd.DataFrame(table).to_parquet(folder / f"{name}.parquet")
    store.create_run(RUN, config.model_dump(mode="json"), name="Films")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    return report


def plain(markdown: str) -> str:
    """Returns escaped Markdown as a reader sees it."""
    return html.unescape(markdown).replace("\u2060", "").replace("\u00a0", " ")


def read(page: AppTest) -> str:
    """Returns all that a person reads outside tables, numbers and controls."""
    assert not page.exception
    kinds = (page.title, page.subheader, page.markdown, page.caption)
    kinds += (page.info, page.success, page.warning, page.error)
    return "\n".join(plain(element.value) for kind in kinds for element in kind)


def numbers(page: AppTest) -> dict[str, str]:
    """Returns the numbers of the page by their labels."""
    return {plain(metric.label): metric.value for metric in page.metric}


def links(page: AppTest) -> dict[str, str]:
    """Returns the parameters of the links of the page by the links' labels."""
    assert not page.exception
    return {link.proto.label: link.proto.query_string for link in page.main.get("page_link")}


def keys(page: AppTest) -> set[str | None]:
    return {button.key for button in page.button}


def inert(page: AppTest, *hostile: str) -> None:
    """Checks that nothing which the browser reads as Markdown holds hostile text as it is."""
    assert not page.exception
    texts = list(_markdown(page.main))
    assert texts
    parts = hostile or ("![", "<b>", "$x$", ":material/bomb:")
    assert [text for text in texts if any(part in text for part in parts)] == []


def _markdown(block: Any) -> Iterator[str]:
    for child in getattr(block, "children", {}).values():
        yield from _markdown(child)
    if block.type not in ("text", "code", "arrow_data_frame"):
        proto = getattr(block, "proto", None)
        fields = (getattr(proto, field, "") for field in ("body", "label", "help"))
        yield from (value for value in fields if isinstance(value, str) and value)
