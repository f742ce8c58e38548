from __future__ import annotations

from kd_core.distillation import report_tables, report_times
from kd_core.distillation.report import Report

read = Report.model_validate


def test_a_time_that_other_work_disturbed_is_no_headline(report: dict) -> None:
    assert report_times.unsteady(read(report)) == ""
    times = report["student"]["latency_ms"] | {"p50": 1.33, "p95": 41.5}
    disturbed = read(report | {"student": report["student"] | {"latency_ms": times}})
    said = (
        "One in twenty answers took 31 times as long as the median or longer (distilled student: 1.33 ms and "
        "41.5 ms). Texts of very different lengths do that, and so does other work on the machine"
    )
    assert report_times.unsteady(disturbed).startswith(said)
    assert report_tables.kept(disturbed)["latency"].endswith(
        "x faster than the teacher, by times that vary widely"
    )
    for p95, is_said in ((16, False), (16.1, True)):
        report["teacher"]["latency_ms"] |= {"p50": 2.0, "p95": p95}
        assert bool(report_times.unsteady(read(report))) is is_said, "from eight times the median on"


def test_times_that_were_taken_beside_other_work_are_said_to_be(report: dict) -> None:
    for busy, is_said in ((None, False), (0.7, False), (0.3, True)):
        times = report["teacher"]["latency_ms"] | {"p50": 2.0, "p95": 2.6, "busy": busy}
        loaded = read(report | {"teacher": report["teacher"] | {"latency_ms": times}})
        assert bool(report_times.unsteady(loaded)) is is_said
        assert report_tables.kept(loaded)["latency"].endswith("teacher, timed beside other work") is is_said
    said = "the processor was at other work for 70 % (teacher) of the time, which"
    assert said in report_times.unsteady(loaded)


def test_conditions_of_the_latency(report: dict) -> None:
    assert report_times.latency_conditions(read(report)) == (
        "One text, without the tokenizer, on 1 thread: median of 100 test texts of 9 tokens on average. "
        "Intel(R) Xeon(R) Processor, 2 cores, 25 GB; Linux x86_64, Python 3.11.7, PyTorch 2.13.0+cpu."
    )
    report["student"]["latency_ms"]["tokenizer"] = True  # as version 0.1 did not
    assert report_times.timed_by(read(report)) == ""
    assert report_times.latency_conditions(read(report)).startswith(
        "From text to answer, tokenizer included, on 1 thread: median of 100 "
    )
    report["machine"]["accelerator"] = "a fast one"
    assert "25 GB, a fast one; " in report_times.latency_conditions(read(report))
    report["rows"]["test"] = 100
    assert ": median of 100 test texts of 9 tokens" in report_times.latency_conditions(read(report))
    report["rows"]["test"] = 30
    assert ": median of 100 answers to 30 test texts of 9 tokens" in report_times.latency_conditions(
        read(report)
    )
