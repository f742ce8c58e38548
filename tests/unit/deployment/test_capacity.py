"""Capacity planning on numbers that were worked out by hand."""

import json
import math
from dataclasses import replace

import pytest

from kd_core.deployment import capacity
from kd_core.deployment.capacity import FORMS, Load, Measured, Quality, one_at_a_time, required
from kd_core.deployment.queueing import mean
from kd_core.deployment.runtimes import form_name
from kd_core.deployment.times import Measurement, own_times
from kd_core.distillation.report import Report
from kd_core.errors import ConfigError
from tests import SAMPLES

# 8.64 million texts a day are 100 a second on average, 300 at the peak.
LOAD = Load(million_texts=8.64, peak=3, target_ms=20, utilisation=50, cores_per_server=4, price=0.25)
TEACHER = Measured("Teacher", 1, 1000 / 9, 19.0, 1.0)
ONCE = {"p50": 2.0, "p95": 2.0, "batch": 1, "threads": 1, "texts": 100, "mean_tokens": 9.0}


def form(name, rate=100.0, p95=1.0, batch=1):
    return Measured(name, batch, rate, p95, None)


def load(**changes):
    return LOAD.model_copy(update=changes)


def test_requirement_by_hand():
    # 9 ms + 1 ms = 10 ms a text: 100 texts/s, 50 at half; 300 / 50 = 6 cores, 2 servers, 2 x 4 x 24 x 0.25.
    found = required(LOAD, TEACHER)
    assert found.texts_per_second == pytest.approx(100)
    assert (found.cores, found.servers, found.cost_per_day, found.currency) == (6, 2, 48, "€")
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
    assert found.meets_target is False
    just = required(load(target_ms=found.latency_ms), TEACHER)
    assert just.meets_target is True, "the target itself is met"
    assert ", within the " in just.lines[-1]


@pytest.mark.parametrize("batch", [8, 2])
def test_requirement_in_batches(batch):
    # 8 texts in 16 ms: 2 ms each, 2.5 with the tokenizer; a server gets 300 texts/s, one each 3.3 ms.
    form = Measured("Student", batch, 500, 17.0, 0.5)
    found = required(LOAD, form)
    assert (found.texts_per_second, found.servers) == (pytest.approx(400), 1)
    assert mean(form.service_ms) == pytest.approx(batch * 2.5)
    assert found.lines[1] == (
        "One core: 1,000 ms ÷ (2.00 ms model + 0.50 ms tokenizer) for a text "
        f"in batches of {batch} = 400 texts/s"
    )
    assert found.lines[-1].startswith(
        f"Latency (p95): {17 + batch / 2:.1f} ms without waiting; waiting until {batch} texts have come and "
        f"for a free core included, {found.latency_ms:.1f} ms by simulation"
    )
    if batch == 8:  # the first waits for seven more: 23 ms on average, and 20 ms are over before it is served
        assert 20 + 17 < found.latency_ms < 60
        assert found.meets_target is False


def test_overloaded_core_has_no_latency():
    found = required(load(peak=1, utilisation=100, cores_per_server=1), form("Student", 100, 12.0))
    assert (found.cores, found.busy, found.meets_target) == (1, pytest.approx(1), False)
    assert found.latency_ms == math.inf
    assert found.lines[-1] == (
        "Latency (p95): 12.0 ms without waiting; with it there is no end: more comes than the cores can do"
    )


def test_batch_that_fills_slowly_is_late():
    calm = load(peak=1, million_texts=1000 / 1e6)
    assert required(calm, form("S", 3000, 12.0, batch=32)).meets_target is False


def test_spread_of_service_times_lengthens_waiting():
    even = Measured("Even", 1, 100, 10.0, None, (10.0,) * 3)
    spread = Measured("Spread", 1, 100, 19.0, None, (1.0, 1.0, 19.0, 19.0))
    one, other = (required(load(cores_per_server=1, utilisation=80), each) for each in (even, spread))
    assert one.cores == other.cores == 4
    assert other.latency_ms > 1.3 * one.latency_ms
    assert mean(spread.service_ms) == pytest.approx(10)


def test_latency_by_load():
    asked, student = load(peak=2.4, utilisation=60), form("Student", 100, 12.0)  # 240 a second on 4 cores
    need = required(asked, student)
    assert need.busy == pytest.approx(0.6)
    curve = dict(zip(capacity.BUSY, capacity.latency_by_load(asked, student), strict=True))
    assert curve[0.6] == pytest.approx(need.latency_ms, rel=0.02)
    assert list(curve) == sorted(curve)
    assert list(curve.values()) == sorted(curve.values())
    assert math.isfinite(curve[0.95])
    assert capacity.latency_by_load(asked, form("Student", p95=None)) is None


def test_servers_by_load():
    stairs = dict(zip(capacity.loads(LOAD), capacity.servers_by_load(LOAD, TEACHER), strict=True))
    assert len(stairs) == 200
    assert (min(stairs), max(stairs)) == pytest.approx((0.0864, 17.28))
    assert stairs[LOAD.million_texts] == required(LOAD, TEACHER).servers == 2
    # 6 cores at 8.64 million: 1.44 million a core, and 4 cores a server.
    assert stairs[2 * LOAD.million_texts] == 3
    assert max(texts for texts, servers in stairs.items() if servers == 1) == pytest.approx(5.76, rel=0.02)


def test_unknown_p95_and_included_tokenizer():
    found = required(LOAD, form("Student", 1000, None, batch=32))
    assert (found.latency_ms, found.meets_target) == (None, None)
    assert found.lines[1] == "One core: 1,000 ms ÷ 1.00 ms for a text in batches of 32 = 1,000 texts/s"
    assert found.lines[-1] == "Latency (p95): too few batches of 32 were timed to tell"
    found = required(LOAD, form("Student", 500, 4.0))
    assert found.texts_per_second == 500
    assert found.lines[-1].startswith("Latency (p95): 4.00 ms without waiting; ")


@pytest.mark.parametrize(
    ("peak_rate", "rate", "cores", "line"),
    [
        (1, 100, 1, "Cores: 1 ÷ 30 = 0.0333, rounded up to 1"),
        (30, 100, 1, "Cores: 30 ÷ 30 = 1, rounded up to 1"),
        (30.001, 100, 2, "Cores: 30 ÷ 30 = a little more than 1, rounded up to 2"),
        (60, 100, 2, "Cores: 60 ÷ 30 = 2, rounded up to 2"),
        (90, 100, 3, "Cores: 90 ÷ 30 = 3, rounded up to 3"),  # 3.0000000000000004 in floating point
        (1 / 86.4, 1e9, 1, "Cores: 0.0116 ÷ 300,000,000 = "),
    ],
)
def test_cores_are_rounded_up(peak_rate, rate, cores, line):
    asked = Load(million_texts=peak_rate * 0.0864, peak=1, utilisation=30)
    found = required(asked, form("Student", rate))
    assert found.cores == cores
    assert found.lines[3].startswith(line)


def test_written_numbers():
    values = {1408.2: "1,408", 100: "100", 99.96: "100", 99.6: "99.6", 0.03521: "0.0352"}
    assert [capacity.rounded(value) for value in values] == list(values.values())
    amounts = {"$": "$1.50", "SEK": "1.50 SEK", "": "1.50"}
    assert [capacity.money("1.50", currency) for currency in amounts] == list(amounts.values())


def needs(servers, late="", price=0.25):
    """Requirements by their numbers of servers; those whose place ``late`` has do not answer in time."""
    names, found = ("Teacher", "Student", "Cascade", "Other"), required(LOAD, form("x"))
    found = [replace(found, name=names[place], servers=n) for place, n in enumerate(servers)]
    in_time = [str(place) not in late for place in range(len(servers))]
    costs = [n * 4 * 24 * price for n in servers]
    return [replace(f, cost_per_day=c, meets_target=m) for f, c, m in zip(found, costs, in_time, strict=True)]


NEEDS = "The teacher needs {} for this load, €{}.00 a day"
SAVES = "1 server instead of 2, for €24.00 less a day: the student instead of the teacher."


@pytest.mark.parametrize(
    ("servers", "late", "said"),
    [
        ((2, 1), "", SAVES),
        ((1, 2), "", "2 servers instead of 1, for €24.00 more a day: the student instead of the teacher."),
        (
            (1, 1),
            "",
            "Each of them" + NEEDS.format("1 server", 24)[11:] + "; a larger load tells them apart.",
        ),
        # The last saves nothing: the one that needs the fewest takes its place, of equals the later.
        ((2, 1, 2), "", SAVES),
        ((2, 1, 7), "", SAVES),
        ((2, 1, 1, 2), "", SAVES.replace("student", "cascade")),
        ((3, 1, 2), "", "2 servers instead of 3, for €24.00 less a day: the cascade instead of the teacher."),
        ((2, 7, 2), "", f"{NEEDS.format('2 servers', 48)}, and none of the others needs less."),
        ((2, 1), "01", f"None of them answers in time. By the load alone: {SAVES}"),
        ((2, 1), "1", f"{SAVES} It does not answer in time."),
        ((2, 1), "0", f"{SAVES} 2 servers of the teacher would still answer too late."),
        ((1,), "", f"{NEEDS.format('1 server', 24)}."),
        ((1,), "0", f"{NEEDS.format('1 server', 24)}. It does not answer in time."),
    ],
)
def test_saving(servers, late, said):
    assert capacity.saving(needs(servers, late)) == said


def test_saving_without_a_price_and_with_a_runtime():
    assert (
        capacity.saving(needs((2, 1), price=0))
        == "1 server instead of 2: the student instead of the teacher."
    )
    [one] = needs((1,), price=0)
    alone = replace(one, name="Distilled student, PyTorch")
    assert capacity.saving([alone]) == "The distilled student (PyTorch) needs 1 server for this load."


def test_teacher_without_speed_leaves_no_cascade():
    teacher, student, int8 = (form(form_name(*name)) for name in FORMS)
    assert capacity.with_teacher([teacher, student, int8])
    assert capacity.with_teacher([teacher, student])
    assert not capacity.with_teacher([student, int8])
    assert not capacity.with_teacher([student])


@pytest.mark.parametrize(
    ("field", "legal", "refused", "said"),
    [
        ("million_texts", (1e-6, 1_000_000), (0, 1_000_001), "must be between 1e-06 and 1,000,000"),
        ("peak", (1, 1000), (0.99, 1001), "must be between 1 and 1,000"),
        ("target_ms", (0.001, 1_000_000), (0, 1_000_001), "must be above 0 and at most 1,000,000"),
        ("utilisation", (1, 100), (0, 101), "must be between 1 and 100"),
        ("cores_per_server", (1, 1024), (0, 1025), "must be between 1 and 1,024"),
        ("price", (0, 1_000_000), (-1, 1_000_001), "must be between 0 and 1,000,000"),
        ("currency", ("", "euro"), ("euros",), "must be a text of 4 characters at most"),
    ],
)
def test_limits_of_a_load(field, legal, refused, said):
    assert tuple(Load().model_dump().values()) == (50.0, 3.0, 20.0, 70, 4, 0.05, "€")
    for value in legal:
        assert getattr(Load.from_dict({field: value}), field) == value
    for value in refused:
        with pytest.raises(ConfigError, match=f"^{field} {said}, got "):
            Load.from_dict({field: value})


def test_forms_of_a_benchmark():
    rates = {"teacher-pytorch": 100, "teacher-onnx": 150, "student-pytorch": 500, "student-int8": 2000}

    def cell(name, batch, length, threads):
        rate = rates[name] * threads * batch
        about = {"form": name, "batch": batch, "length": length, "threads": threads}
        return about | {"texts_per_second": rate, "p95": 1000 * batch / rate}

    places = [(batch, length, n) for n in (1, 2) for length in ("texts", "16") for batch in (1, 8)]
    cells = [cell(name, *place) for place in places for name in rates]
    times = {"teacher": {"p50": 0.1}, "student": {"p50": 0.2}}
    report = {"cells": cells, "tokenizer_ms": times, "forms": []}
    assert capacity.from_bench(report, 8) == [
        Measured("Teacher, PyTorch", 8, 800, 10.0, 0.1),
        Measured("Distilled student, PyTorch", 8, 4000, 2.0, 0.2),
        Measured("Distilled student, ONNX int8", 8, 16000, 0.5, 0.2),
    ]
    new = {"tokenizer": True, "quantiles": [8.0, 9.0, 11.0]}  # as version 0.1 did not measure
    report["cells"] = [cell | new for cell in cells]
    assert capacity.from_bench(report, 8)[0] == Measured("Teacher, PyTorch", 8, 800, 10.0, None, (8, 9, 11))

    pair, span = {"delta": -0.02, "low": -0.03, "high": -0.01}, {"low": 0.8, "high": 0.95}
    report["forms"] = [
        {"name": "teacher-pytorch", "runtime": "pytorch", "accuracy": 0.9, **span},
        {"name": "student-pytorch", "runtime": "pytorch", "accuracy": 0.88, "paired": pair, **span},
        {"name": "student-int8", "runtime": "int8", "accuracy": 0.86, "paired": pair, **span},
    ]
    gap, span = (-0.02, -0.03, -0.01), (0.8, 0.95)
    assert [form.quality for form in capacity.from_bench(report, 8)] == [
        Quality(0.9, span=span),
        Quality(0.88, gap, "the teacher", span),
        Quality(0.86, gap, "the same in PyTorch", span),
    ]


def sample():
    return json.loads((SAMPLES / "report.json").read_text("utf-8"))


def test_rate_and_quality_of_a_run():
    values = sample()
    values["teacher"]["latency_ms"] |= {"p50": 10.0, "p95": 12.0}
    values["student"]["latency_ms"] |= {"p50": 2.0, "p95": 3.0}
    values["over_teacher"] = values["verdict"] | {"delta": -0.02, "low": -0.05, "high": 0.01}
    report = Report.model_validate(values)
    teacher, student = one_at_a_time(report, own_times(report))
    assert (teacher.name, teacher.batch, teacher.p95_ms) == ("Teacher, PyTorch", 1, 12.0)
    assert (student.name, student.p95_ms) == ("Distilled student, PyTorch", 3.0)
    # The mean of a log-normal distribution is above its median.
    assert teacher.texts_per_second == pytest.approx(1000 / (10 * math.exp(0.1108**2 / 2)), rel=0.001)
    spans = [report.models[who].interval("accuracy") for who in ("teacher", "student")]
    assert teacher.quality == Quality(report.teacher.accuracy, span=spans[0])
    assert student.quality == Quality(report.student.accuracy, (-0.02, -0.05, 0.01), "the teacher", spans[1])


def exported(report, *forms):
    """Return what capacity takes from an export that has timed and judged ``forms``."""
    forms = [form | {"accuracy": 0.9, "low": 0.8, "high": 0.95, "latency_ms": ONCE} for form in forms]
    timings = {(form["who"], form["runtime"]): ONCE for form in forms}
    return one_at_a_time(report, Measurement(timings, report={"forms": forms}))


def test_forms_of_an_export():
    found = exported(
        Report.model_validate(sample()), *({"who": who, "runtime": runtime} for who, runtime in FORMS)
    )
    assert found == [
        Measured(form_name(*name), 1, 500, 2.0, None, quality=Quality(0.9, span=(0.8, 0.95)))
        for name in FORMS
    ]


def test_quality_in_macro_f1():
    values = sample()
    values["config"]["training"]["metric"] = "macro_f1"
    values["over_by_metric"] = {"teacher": values["verdict"] | {"delta": -0.04, "low": -0.07, "high": -0.01}}
    values["student"]["macro_f1_interval"] = (0.7, 0.8)
    report = Report.model_validate(values)
    teacher, student = (form.quality for form in one_at_a_time(report, own_times(report)))
    assert teacher == Quality(values["teacher"]["macro_f1"], metric="macro_f1")
    gap = (-0.04, -0.07, -0.01)
    assert student == Quality(values["student"]["macro_f1"], gap, "the teacher", (0.7, 0.8), "macro_f1")

    pair = {"lost": 2, "gained": 1, "texts": 10, "delta": -0.2, "low": -0.5, "high": 0.1}
    judged = {"metric": "macro_f1", "score": 0.6, "low": 0.4, "high": 0.7, "paired": pair}
    (found,) = exported(report, {"who": "student", "runtime": "int8", "judged": judged})
    same = "the same in PyTorch"
    assert found.quality == Quality(0.6, (-0.2, -0.5, 0.1), same, (0.4, 0.7), "macro_f1")


def test_cascade_of_two_forms_by_hand():
    """Take 1 ms always, and 9 ms more for a quarter of the texts: 3.25 ms a text, and 10 ms for 19 of 20."""
    student, teacher = Measured("s", 1, 1000, 1.0, None), Measured("t", 1, 1000 / 8, 8.0, 1.0)
    pair = capacity.cascaded(student, teacher, 0.75)
    assert 1000 / pair.texts_per_second == pytest.approx(3.25)
    assert pair.p95_ms == pytest.approx(10, rel=0.01)
    assert pair.quantiles[70] == pytest.approx(1)
    assert mean(pair.service_ms) == pytest.approx(3.25)
    assert (pair.name, pair.batch, pair.tokenizer_ms) == ("Cascade of the two", 1, None)
    assert capacity.cascaded(student, teacher, 1.0).p95_ms == pytest.approx(1)
    # The middle of three quarters is at 0.375, that of the last quarter at 0.875, and 0.625 half way.
    even = [replace(form, quantiles=(ms,)) for form, ms in ((student, 1.0), (teacher, 8.0))]
    assert capacity.cascaded(*even, 0.75).quantiles[62] == pytest.approx((1 + 10) / 2)
    # 300 texts/s at the peak, half of 307.7 a core: 2 cores, one server; the teacher alone, 111 a core: 6.
    assert (required(LOAD, pair).cores, required(LOAD, teacher).cores) == (2, 6)
    for batches in ((1, 8), (8, 1)):
        with pytest.raises(ValueError, match="one text at a time"):
            capacity.cascaded(replace(student, batch=batches[0]), replace(teacher, batch=batches[1]), 0.5)
