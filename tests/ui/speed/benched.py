"""A run and its benchmark in the store, and what a page says of them."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

from kd_core.deployment.benchmark import BenchConfig
from kd_core.jobs.store import Store
from tests import SAMPLES

App = Callable[..., AppTest]
RUN, JOB, NEWER = "20260131-143000-a1b2", "20260131-150000-c3d4", "20260131-160000-e5f6"
EVIL = "![x](http://127.0.0.1:9/x) <b>$x$ :material/home:"


def sample(name: str) -> dict[str, Any]:
    return json.loads((SAMPLES / name).read_text("utf-8"))


def keep(store: Store, job_id: str, report: dict[str, Any], run_id: str = RUN) -> None:
    store.create_run(job_id, BenchConfig(run=run_id).model_dump(mode="json"), kind="bench")
    store.save_report(job_id, report)
    store.set_status(job_id, "done")


def words(page: AppTest) -> str:
    """All that a person reads outside tables; word joiners, which ``escape`` puts in, are invisible."""
    kinds = (page.markdown, page.caption, page.info, page.error)
    texts = (element.value for kind in kinds for element in kind)
    return html.unescape("\n".join(texts)).replace("\u2060", "")
