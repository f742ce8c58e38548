"""Which of several measurements of a run's models counts, on numbers made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kd_core.config import DistillConfig
from kd_core.deployment.times import Measurement, least_disturbed, timed
from kd_core.distillation import report_tables, report_times
from kd_core.jobs.store import RunRow, Store
from tests import SAMPLES, disturbed, with_floor
from tests.unit.deployment.stairs import MACHINE, form

RUN = "20260131-143000-a1b2"
BOTH = (("teacher", "pytorch"), ("student", "pytorch"))


def measurement(kind: str, busy: float | None = None, forms: Any = BOTH, **changes: Any) -> Measurement:
    config = {name: changes.pop(name) for name in ("lengths",) if name in changes}
    job = RunRow("x", kind, "", "done", datetime(2026, 1, 31, tzinfo=UTC), config={"run": RUN, **config})
    timing = {"batch": 1, "threads": 1, "busy": busy} | changes
    return Measurement(dict.fromkeys(forms, timing), None if kind == "run" else job)


def test_a_benchmark_comes_before_an_export_and_that_before_the_run() -> None:
    own, export, bench, older = (measurement(kind) for kind in ("run", "export", "bench", "bench"))
    assert least_disturbed(own, []) is own
    assert least_disturbed(own, [export]) is export
    assert least_disturbed(own, [export, bench, older]) is bench


def test_what_other_work_disturbed_comes_last() -> None:
    own, export, bench = measurement("run", 0.9), measurement("export", 0.69), measurement("bench", 0.4)
    assert least_disturbed(own, [bench, export]) is own
    loud = measurement("run", 0.2)
    assert least_disturbed(loud, [bench, export]) is export, "the least of three"
    assert least_disturbed(loud, [bench, measurement("export", 0.7)]).waited(BOTH) == 0
    older = measurement("bench", 0.95)
    assert least_disturbed(loud, [bench, older, export]) is older


@pytest.mark.parametrize(
    "changes",
    [
        {"batch": 8},
        {"threads": 2},
        {"p95": None},
        {"lengths": ["64", "texts"]},
        {"forms": (("student", "pytorch"), ("student", "int8"))},
    ],
)
def test_another_kind_of_time_does_not_count(changes: dict[str, Any]) -> None:
    own = measurement("run", 0.2)
    assert least_disturbed(own, [measurement("bench", **changes)]) is own


def test_beside_a_teacher_that_is_a_file_the_student_is_all() -> None:
    own, export = (measurement(kind, forms=BOTH[1:]) for kind in ("run", "export"))
    assert least_disturbed(own, [export]) is export


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A run whose times were disturbed."""
    monkeypatch.setenv("KD_HOME", str(tmp_path))
    report = disturbed(with_floor(json.loads((SAMPLES / "report.json").read_text("utf-8"))))
    with closing(Store()) as opened:
        opened.create_run(RUN, DistillConfig().model_dump(mode="json"))
        opened.save_report(RUN, report)
        opened.set_status(RUN, "done")
        yield opened


def keep(store: Store, kind: Any, *times: float, run: str = RUN, busy: float = 0.9) -> None:
    """A job that has timed teacher and student, and the student in int8."""
    forms = [
        form(*model, 0.88, 3.0, p50) for model, p50 in zip((*BOTH, ("student", "int8")), times, strict=True)
    ]
    for one in forms:
        one["latency_ms"] |= {"busy": busy, "tokenizer": True}
    job = f"20260131-15000{len(store.runs())}-c3d4"
    store.create_run(job, {"run": run}, kind=kind)
    store.save_report(
        job, {"run": run, "forms": forms, "machine": {**MACHINE, "memory_gb": 8, "python": "3", "torch": "2"}}
    )
    store.set_status(job, "done")


def test_a_report_follows_what_was_measured_again(store: Store) -> None:
    report, measured = timed(store, RUN)
    assert (report, measured.kind) == (store.report(RUN), "distil")
    assert report_tables.kept(report)["latency"] == "7.2x faster than the teacher, timed beside other work"
    keep(store, "export", 8.0, 2.0, 1.0)
    report, measured = timed(store, RUN)
    assert {who: model.p50 for who, model in report.models.items()} == {
        "teacher": 8.0,
        "student": 2.0,
        "alone": 2.0,
        "labelled_only": 2.0,
        "tfidf": None,
    }
    assert report_tables.kept(report)["latency"] == "4.0x faster than the teacher"
    assert report_times.unsteady(report) == ""
    day = f"{measured.job.created.astimezone():%d %b %Y}"
    assert report_times.timed_by(report) == (
        f"Latencies are those of the export of {day}, which does not time TF-IDF."
    )
    assert report_times.latency_conditions(report) == (
        "From text to answer, tokenizer included, on 1 thread: median of 100 test texts of 9 tokens on "
        f"average, in the export of {day}. A processor, 2 cores, 8 GB; Linux x86_64, Python 3, PyTorch 2."
    )
    assert report.to_dict() == report.model_copy(update={"timed_by": None}).to_dict(), "it is never stored"
    keep(store, "bench", 9.0, 3.0, 0.5)
    keep(store, "export", 7.0, 1.0, 0.5)
    keep(store, "bench", 99.0, 1.0, 0.5, busy=0.3)
    keep(store, "bench", 50.0, 1.0, 0.5, run="another")
    report, measured = timed(store, RUN)
    assert (report.teacher.p50, report.student.p50) == (9.0, 3.0)
    assert measured.latencies["student", "int8"].p50 == 0.5


def test_forms_have_other_times_where_all_of_them_were_timed() -> None:
    forms = [form("teacher", "pytorch", 0.9, 90.0, 8.0), form("student", "int8", 0.9, 3.0, 0.4)]
    timing = {"batch": 1, "threads": 1, "p50": 1.0}
    both = Measurement({("teacher", "pytorch"): timing, ("student", "int8"): timing})
    assert [one["latency_ms"]["p50"] for one in both.retimed(forms)] == [1.0, 1.0]
    assert [one["latency_ms"]["p50"] for one in forms] == [8.0, 0.4]
    assert Measurement({("teacher", "pytorch"): timing}).retimed(forms) is None
