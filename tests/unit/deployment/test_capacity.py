"""Capacity on numbers that were worked out by hand."""

import json
import math
from dataclasses import replace

import pytest

from kd_core.deployment.capacity import (
    BUSY,
    FORMS,
    Load,
    Measured,
    Quality,
    cascaded,
    from_bench,
    latency_by_load,
    loads,
    money,
    one_at_a_time,
    required,
    saving,
    servers_by_load,
    with_teacher,
)
from kd_core.deployment.queueing import mean
from kd_core.deployment.runtimes import form_name
from kd_core.deployment.times import Measurement, own_times
from kd_core.distillation.report import Report
from kd_core.errors import ConfigError
from tests import SAMPLES

# 8.64 million texts a day are 100 a second on average, 300 at the peak.
LOAD = Load(million_texts=8.64, peak=3, target_ms=20, utilisation=50, cores_per_server=4, price=0.25)


def test_a_load_worked_out_by_hand():
    # 9 ms + 1 ms = 10 ms a text: 100 texts/s, 50 at half; 300 / 50 = 6 cores, 2 servers, 2 x 4 x 24 x 0.25.
    found = required(LOAD, Measured("Teacher", 1, 1000 / 9, 19.0, 1.0))
    assert found.texts_per_second == pytest.approx(100)
    assert (found.cores, found.servers, found.cost_per_day) == (6, 2, 48)
    assert found.most_texts_per_day == pytest.approx(50 * 4 * 86_400 / 3)
    # 300 texts/s on 8 cores of 100: 38 % busy, so hardly a text waits. 19 of 20 were done in 20 ms before.
    assert found.busy == pytest.approx(0.375)
    assert found.latency_ms == pytest.approx(20, abs=3)
    assert found.lines == (
        "Peak load: 8,640,000 texts a day ÷ 86,400 s × 3 = 300 texts/s",
        "One core: 1,000 ms ÷ (9.00 ms model + 1.00 ms tokenizer) for a text = 100 texts/s",
        "Busy at most 50 % of the time: 100 × 50 % = 50 texts/s",
        "Cores: 300 ÷ 50 = 6, rounded up to 6",
        "Servers: 6 ÷ 4 cores = 1.5, rounded up to 2",
        "Price: 2 × 4 cores × 24 h × €0.25 = €48.00 a day",
        "Busy at the peak: 300 ÷ (2 × 4 × 100) = 38 %",
        "Latency (p95): 20.0 ms without waiting; waiting for a free core included, "
        f"{found.latency_ms:.1f} ms by simulation, over the 20 ms asked for",
    )
    just = LOAD.model_copy(update={"target_ms": found.latency_ms})
    assert required(just, Measured("Teacher", 1, 1000 / 9, 19.0, 1.0)).meets_target is True


def test_a_batch_waits_for_all_its_texts():
    # 8 texts in 16 ms: 2 ms each, 2.5 with the tokenizer; a server gets 300 texts/s, one each 3.3 ms.
    found = required(LOAD, Measured("Student", 8, 500, 17.0, 0.5))
    assert (found.texts_per_second, found.servers) == (pytest.approx(400), 1)
    assert mean(Measured("Student", 8, 500, 17.0, 0.5).service_ms) == pytest.approx(16 + 8 * 0.5)
    assert found.lines[1] == (
        "One core: 1,000 ms ÷ (2.00 ms model + 0.50 ms tokenizer) for a text in batches of 8 = 400 texts/s"
    )
    # The first of a batch waits for seven more: 23 ms on average, and 20 ms are over before it is served.
    assert 20 + 17 < found.latency_ms < 60
    assert found.meets_target is False
    assert found.lines[-1] == (
        "Latency (p95): 21.0 ms without waiting; waiting until 8 texts have come and for a free core "
        f"included, {found.latency_ms:.1f} ms by simulation, over the 20 ms asked for"
    )


def test_a_core_that_is_always_busy_keeps_no_latency():
    """8.64 million texts a day on one core that does just so many: formerly within 20 ms."""
    load = LOAD.model_copy(update={"peak": 1, "utilisation": 100, "cores_per_server": 1})
    found = required(load, Measured("Student", 1, 100, 12.0, None))
    assert (found.cores, found.busy, found.meets_target) == (1, pytest.approx(1), False)
    assert found.latency_ms == math.inf
    assert found.lines[-1] == (
        "Latency (p95): 12.0 ms without waiting; with it there is no end: more comes than the cores can do"
    )
    calm = required(
        load.model_copy(update={"million_texts": 1000 / 1e6}), Measured("S", 32, 3000, 12.0, None)
    )
    assert calm.meets_target is False, "32 of 1,000 texts a day are not there within 20 ms"


def test_the_spread_of_the_measured_times_counts():
    """Half the texts take 1 ms and half 19: they wait longer than if each took 10."""
    even = Measured("Even", 1, 100, 10.0, None, (10.0,) * 3)
    spread = Measured("Spread", 1, 100, 19.0, None, (1.0, 1.0, 19.0, 19.0))
    load = LOAD.model_copy(update={"cores_per_server": 1, "utilisation": 80})
    one, other = (required(load, form) for form in (even, spread))
    assert one.cores == other.cores == 4
    assert other.latency_ms > 1.3 * one.latency_ms
    assert mean(spread.service_ms) == pytest.approx(10)


def test_latency_by_load_goes_through_the_load():
    form = Measured("Student", 1, 100, 12.0, None)
    load = LOAD.model_copy(update={"peak": 2.4, "utilisation": 60})  # 240 a second on 4 cores of 100
    need = required(load, form)
    assert need.busy == pytest.approx(0.6)
    curve = dict(zip(BUSY, latency_by_load(load, form), strict=True))
    assert curve[0.6] == pytest.approx(need.latency_ms, rel=0.02)
    assert list(curve.values()) == sorted(curve.values())
    assert latency_by_load(load, Measured("Student", 32, 100, None, None)) is None


def test_servers_by_load_go_through_the_load():
    form = Measured("Teacher", 1, 1000 / 9, 19.0, 1.0)
    stairs = dict(zip(loads(LOAD), servers_by_load(LOAD, form), strict=True))
    assert stairs[LOAD.million_texts] == required(LOAD, form).servers == 2
    # 6 cores at 8.64 million: 1.44 million a core, and 4 cores a server.
    assert stairs[2 * LOAD.million_texts] == 3
    assert max(texts for texts, servers in stairs.items() if servers == 1) == pytest.approx(5.76, rel=0.02)


def test_what_was_not_measured_is_not_counted():
    found = required(LOAD, Measured("Student", 32, 1000, None, None))
    assert found.texts_per_second == 1000
    assert (found.latency_ms, found.meets_target) == (None, None)
    assert found.lines[1] == "One core: 1,000 ms ÷ 1.00 ms for a text in batches of 32 = 1,000 texts/s"
    assert found.lines[-1] == "Latency (p95): too few batches of 32 were timed to tell"


def test_a_tokenizer_that_the_times_include_is_not_counted_twice():
    found = required(LOAD, Measured("Student", 1, 500, 4.0, None))
    assert found.texts_per_second == 500
    assert found.lines[-1].startswith("Latency (p95): 4.00 ms without waiting; ")


@pytest.mark.parametrize(("peak_rate", "cores"), [(1, 1), (30, 1), (30.001, 2), (60, 2), (90, 3)])
def test_rounding_up(peak_rate, cores):
    """90 texts/s over 30 a core is 3.0000000000000004 in floating point."""
    load = Load(million_texts=peak_rate * 0.0864, peak=1, utilisation=30)
    found = required(load, Measured("Student", 1, 100, 1.0, None))
    assert found.cores == cores
    if peak_rate == 30.001:
        assert found.lines[3] == "Cores: 30 ÷ 30 = a little more than 1, rounded up to 2"


def test_saving():
    teacher = required(LOAD, Measured("Teacher", 1, 100, 1.0, None))
    student = required(LOAD, Measured("Student", 1, 1000, 1.0, None))
    assert (
        saving([teacher, student])
        == "1 server instead of 2, for €24.00 less a day: the student instead of the teacher."
    )
    assert saving([student, teacher]).startswith("2 servers instead of 1, for €24.00 more a day")
    assert saving([student, student]) == (
        "Each of them needs 1 server for this load, €24.00 a day; a larger load tells them apart."
    )
    # A cascade that needs as many as the teacher hides nothing of the student between them.
    assert saving([teacher, student, teacher]) == saving([teacher, student])
    many = replace(teacher, name="Cascade", servers=7)
    assert saving([teacher, student, many]) == saving([teacher, student])
    assert saving([teacher, many, teacher]) == (
        "The teacher needs 2 servers for this load, €48.00 a day, and none of the others needs less."
    )


def test_of_a_teacher_that_is_a_file_there_is_no_cascade_to_plan():
    """An export with int8 has timed its student in two forms."""
    teacher, student, int8 = (Measured(form_name(*form), 1, 100, 1.0, None) for form in FORMS)
    assert with_teacher([teacher, student, int8])
    assert with_teacher([teacher, student])
    assert not with_teacher([student, int8])
    assert not with_teacher([student])


def test_a_student_whose_teacher_is_a_file_is_compared_with_nobody():
    alone = replace(
        required(LOAD, Measured("Distilled student, PyTorch", 1, 1000, 1.0, None)), meets_target=True
    )
    needs = "The distilled student (PyTorch) needs 1 server for this load, €24.00 a day."
    assert saving([alone]) == needs
    assert saving([replace(alone, meets_target=False)]) == f"{needs} It does not answer in time."


def test_a_saving_is_none_where_it_comes_too_late():
    teacher, student = (
        replace(required(LOAD, Measured(name, 1, rate, 1.0, None)), meets_target=False)
        for name, rate in (("Teacher", 100), ("Student", 1000))
    )
    saves = "1 server instead of 2, for €24.00 less a day: the student instead of the teacher."
    assert saving([teacher, student]) == f"None of them answers in time. By the load alone: {saves}"
    in_time = replace(teacher, meets_target=True)
    assert saving([in_time, student]) == f"{saves} It does not answer in time."
    still = "2 servers of the teacher would still answer too late."
    assert saving([teacher, replace(student, meets_target=True)]) == f"{saves} {still}"


@pytest.mark.parametrize(("currency", "shown"), [("$", "$1.50"), ("SEK", "1.50 SEK"), ("", "1.50")])
def test_a_sign_comes_before_the_amount_and_a_word_after_it(currency, shown):
    assert money("1.50", currency) == shown


def test_without_a_price():
    free = LOAD.model_copy(update={"price": 0.0})
    needs = [required(free, Measured(name, 1, rate, 1.0, None)) for name, rate in (("A", 100), ("B", 1000))]
    assert saving(needs) == "1 server instead of 2: the B instead of the A."


def test_a_load_that_cannot_be():
    with pytest.raises(ConfigError) as caught:
        Load.from_dict(
            {
                "million_texts": 0,
                "target_ms": 0,
                "utilisation": 101,
                "cores_per_server": 0,
                "price": -1,
                "currency": "euros",
            }
        )
    assert caught.value.problems == (
        "million_texts must be between 1e-06 and 1,000,000, got 0",
        "target_ms must be above 0 and at most 1,000,000, got 0",
        "utilisation must be between 1 and 100, got 101",
        "cores_per_server must be between 1 and 1,024, got 0",
        "price must be between 0 and 1,000,000, got -1",
        "currency must be a text of 4 characters at most, got 'euros'",
    )


def cell(form, batch, threads, rate, length="texts"):
    return {
        "form": form,
        "batch": batch,
        "length": length,
        "threads": threads,
        "texts_per_second": rate,
        "p95": 1000 * batch / rate,
    }


def test_from_a_benchmark():
    forms = {"teacher-pytorch": 100, "teacher-onnx": 150, "student-pytorch": 500, "student-int8": 2000}
    cells = [
        cell(form, batch, threads, rate * threads * batch, length)
        for threads in (1, 2)
        for length in ("texts", "16")
        for batch in (1, 8)
        for form, rate in forms.items()
    ]
    times = {"teacher": {"p50": 0.1}, "student": {"p50": 0.2}}
    report = {"cells": cells, "tokenizer_ms": times, "forms": []}
    assert from_bench(report, 8) == [
        Measured("Teacher, PyTorch", 8, 800, 10.0, 0.1),
        Measured("Distilled student, PyTorch", 8, 4000, 2.0, 0.2),
        Measured("Distilled student, ONNX int8", 8, 16000, 0.5, 0.2),
    ]
    new = {"tokenizer": True, "quantiles": [8.0, 9.0, 11.0]}  # as version 0.1 did not measure
    report["cells"] = [cell | new for cell in cells]
    assert from_bench(report, 8)[0] == Measured("Teacher, PyTorch", 8, 800, 10.0, None, (8, 9, 11))

    pair = {"delta": -0.02, "low": -0.03, "high": -0.01}
    span = {"low": 0.8, "high": 0.95}
    report["forms"] = [
        {"name": "teacher-pytorch", "runtime": "pytorch", "accuracy": 0.9, **span},
        {"name": "student-pytorch", "runtime": "pytorch", "accuracy": 0.88, "paired": pair, **span},
        {"name": "student-int8", "runtime": "int8", "accuracy": 0.86, "paired": pair, **span},
    ]
    assert [form.quality for form in from_bench(report, 8)] == [
        Quality(0.9, span=(0.8, 0.95)),
        Quality(0.88, (-0.02, -0.03, -0.01), "the teacher", (0.8, 0.95)),
        Quality(0.86, (-0.02, -0.03, -0.01), "the same in PyTorch", (0.8, 0.95)),
    ]


def test_from_the_run_alone():
    sample = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    sample["teacher"]["latency_ms"] |= {"p50": 10.0, "p95": 12.0}
    sample["student"]["latency_ms"] |= {"p50": 2.0, "p95": 3.0}
    report = Report.model_validate(sample)
    teacher, student = one_at_a_time(report, own_times(report))
    assert (teacher.name, teacher.p95_ms) == ("Teacher, PyTorch", 12.0)
    assert (student.name, student.p95_ms) == ("Distilled student, PyTorch", 3.0)
    # The mean of a log-normal distribution is above its median.
    assert teacher.texts_per_second == pytest.approx(1000 / (10 * math.exp(0.1108**2 / 2)), rel=0.001)


def test_from_an_export() -> None:
    """It has the student in int8 too, and its own accuracies."""
    latency = {"p50": 2.0, "p95": 2.0, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 9.0}
    forms = [
        {"who": who, "runtime": runtime, "accuracy": 0.9, "low": 0.8, "high": 0.95, "latency_ms": latency}
        for who, runtime in (("teacher", "pytorch"), ("student", "pytorch"), ("student", "int8"))
    ]
    timings = {(form["who"], form["runtime"]): latency for form in forms}
    report = Report.model_validate_json((SAMPLES / "report.json").read_bytes())
    found = one_at_a_time(report, Measurement(timings, report={"forms": forms}))
    assert found == [
        Measured(name, 1, 500, 2.0, None, quality=Quality(0.9, span=(0.8, 0.95)))
        for name in ("Teacher, PyTorch", "Distilled student, PyTorch", "Distilled student, ONNX int8")
    ]


def test_where_a_run_is_judged_by_macro_f1_its_models_are_here_too() -> None:
    sample = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    sample["config"]["training"]["metric"] = "macro_f1"
    sample["over_by_metric"] = {"teacher": sample["verdict"] | {"delta": -0.04, "low": -0.07, "high": -0.01}}
    sample["student"]["macro_f1_interval"] = (0.7, 0.8)
    report = Report.model_validate(sample)
    teacher, student = (form.quality for form in one_at_a_time(report, own_times(report)))
    assert teacher == Quality(sample["teacher"]["macro_f1"], metric="macro_f1")
    gap = (-0.04, -0.07, -0.01)
    assert student == Quality(sample["student"]["macro_f1"], gap, "the teacher", (0.7, 0.8), "macro_f1")
    assert report.measured["macro_f1"] == "macro-F1"

    latency = {"p50": 2.0, "p95": 2.0, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 9.0}
    pair = {"lost": 2, "gained": 1, "texts": 10, "delta": -0.2, "low": -0.5, "high": 0.1}
    judged = {"metric": "macro_f1", "score": 0.6, "low": 0.4, "high": 0.7, "paired": pair}
    int8 = {"who": "student", "runtime": "int8", "accuracy": 0.9, "low": 0.8, "high": 0.95, "judged": judged}
    timings = {("student", "int8"): latency}
    (found,) = one_at_a_time(report, Measurement(timings, report={"forms": [int8 | {"latency_ms": latency}]}))
    same = "the same in PyTorch"
    assert found.quality == Quality(0.6, (-0.2, -0.5, 0.1), same, (0.4, 0.7), "macro_f1")


def test_a_cascade_takes_the_students_time_and_sometimes_the_teachers_too():
    """1 ms always, and 9 ms more for a quarter of the texts: 3.25 ms a text, and 10 ms for 19 of 20."""
    student, teacher = Measured("s", 1, 1000, 1.0, None), Measured("t", 1, 1000 / 8, 8.0, 1.0)
    pair = cascaded(student, teacher, 0.75)
    assert 1000 / pair.texts_per_second == pytest.approx(3.25)
    assert pair.p95_ms == pytest.approx(10, rel=0.01)
    assert pair.quantiles[70] == pytest.approx(1)
    assert mean(pair.service_ms) == pytest.approx(3.25)
    assert cascaded(student, teacher, 1.0).p95_ms == pytest.approx(1)
    # The middle of three quarters is at 0.375, that of the last quarter at 0.875, and 0.625 half way.
    even = [replace(form, quantiles=(ms,)) for form, ms in ((student, 1.0), (teacher, 8.0))]
    assert cascaded(*even, 0.75).quantiles[62] == pytest.approx((1 + 10) / 2)
    # 300 texts/s at the peak, half of 307.7 a core: 2 cores, one server; the teacher alone, 111 a core: 6.
    assert (required(LOAD, pair).cores, required(LOAD, teacher).cores) == (2, 6)
    with pytest.raises(ValueError, match="one text at a time"):
        cascaded(student, Measured("t", 8, 100, 8.0, None), 0.5)
