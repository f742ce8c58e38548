"""Report, Quality: whether more texts would help."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON
from kd_core.distillation.report import Report
from kd_core.jobs.store import Store
from kd_core.search.curve import CurveConfig, CurveResult, Gain
from tests import SAMPLES
from tests.ui.charts import alts

App = Callable[..., AppTest]
PAGE = "review/report/page.py"
RUN, JOB = "20260131-143000-a1b2", "20260131-150000-c3d4"


@pytest.fixture
def report(store: Store) -> dict[str, Any]:
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    store.create_run(RUN, LESSON.model_dump(mode="json"), name="Demo")
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    return report


def measured(report: dict[str, Any], parts: int) -> CurveResult:
    """So many of its parts are done, each of them a point below the one with more texts."""
    result = CurveResult.of(CurveConfig(run=RUN), Report.from_dict(report))
    done, left = result.left[:parts], result.left[parts:]
    whole = {part.kind: part for part in result.whole}
    accuracy = {who: value - 0.01 for who, value in result.whole[0].accuracy.items()}
    return result.model_copy(
        update={
            "left": left,
            "parts": tuple(
                part.model_copy(update={"accuracy": accuracy, "score": accuracy}) for part in done
            ),
            "gains": tuple(
                Gain(kind=p.kind, texts=p.texts, whole=whole[p.kind].texts, delta=0.01, low=0.002, high=0.018)
                for p in done
            ),
        }
    )


def kept(store: Store, result: CurveResult, status: str) -> None:
    store.create_run(JOB, result.config.model_dump(mode="json"), kind="curve")
    store.save_report(JOB, result.model_dump(mode="json"))
    store.set_status(JOB, status)


def words(page: AppTest) -> str:
    assert not page.exception
    return " ".join(element.value for element in page.markdown)


def test_it_says_what_it_will_do_and_one_click_queues_it(
    app: App, store: Store, report: dict[str, Any]
) -> None:
    page = app(PAGE, run=RUN)
    plan = CurveResult.of(CurveConfig(run=RUN), Report.from_dict(report)).plan
    assert plan in words(page)
    page.button(key="report.curve").click().run()
    (job,) = store.runs(kind="curve")
    assert CurveConfig.from_dict(job.config) == CurveConfig(run=RUN)
    assert "report.curve" not in [button.key for button in page.button]
    assert page.button(key="report.curve_job.stop")


def test_the_parts_that_are_done_are_shown_while_others_are_left(
    app: App, store: Store, report: dict[str, Any]
) -> None:
    result = measured(report, 1)
    kept(store, result, "running")
    page = app(PAGE, run=RUN)
    assert result.sentence not in words(page)  # nothing is claimed yet
    [alt] = [alt for alt in alts(page) if "by the number of" in alt]
    assert alt.startswith(f"Accuracy by the number of labelled texts: with {result.parts[0].texts:,} teacher")


def test_what_came_out_is_a_sentence_and_a_picture_of_each_kind(
    app: App, store: Store, report: dict[str, Any]
) -> None:
    result = measured(report, 4)
    assert result.next is None
    kept(store, result, "done")
    page = app(PAGE, run=RUN)
    assert result.sentence in words(page)
    assert [alt.split(":")[0] for alt in alts(page) if "by the number of" in alt] == [
        "Accuracy by the number of labelled texts",
        "Accuracy by the number of transfer texts",
    ]


def test_by_macro_f1_picture_and_sentence_name_it(app: App, store: Store, report: dict[str, Any]) -> None:
    report["config"]["training"]["metric"] = "macro_f1"
    result = measured(report, 4)
    kept(store, result, "done")
    page = app(PAGE, run=RUN)
    assert "+1.0 points of macro-F1 (95 % interval" in words(page)
    assert [alt.split(":")[0] for alt in alts(page) if "by the number of" in alt] == [
        "Macro-F1 by the number of labelled texts",
        "Macro-F1 by the number of transfer texts",
    ]


def test_one_that_failed_says_why_and_can_be_begun_again(
    app: App, store: Store, report: dict[str, Any]
) -> None:
    kept(store, measured(report, 1), "running")
    store.set_status(JOB, "failed", error="The disk is full.")
    page = app(PAGE, run=RUN)
    assert any("The disk is full." in error.value for error in page.error)
    assert page.button(key="report.curve")
