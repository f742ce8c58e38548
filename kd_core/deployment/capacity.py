"""How many cores and servers a load needs: arithmetic on measured times, shown line by line. No torch.

How long a text then takes, waiting included, is simulated (``queueing``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kd_core.deployment.cascade_defaults import CORE_HOUR
from kd_core.deployment.queueing import lognormal, lognormal_mean, mean, p95_ms
from kd_core.deployment.reports import BenchReport, FormReport, by_metric
from kd_core.deployment.runtimes import Runtime, form_name
from kd_core.deployment.times import Measurement
from kd_core.distillation.report import Report
from kd_core.distillation.roles import Role
from kd_core.system.formatting import capitalised, in_sentence, milliseconds, percent
from kd_core.system.settings import Settings, setting

CASCADE = "Cascade of the two"
SECONDS_A_DAY = 86_400
LOADS = 200  # points of a line
BUSY = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
# What is compared: where most start, what distillation makes of it, and what quantisation makes of that.
FORMS: tuple[tuple[Role, Runtime], ...] = (
    ("teacher", "pytorch"),
    ("student", "pytorch"),
    ("student", "int8"),
)


class Load(Settings):
    """What is asked of a service, and what its computers are like."""

    million_texts: float = setting(50.0, "Texts to classify in a day, in millions", ge=1e-6, le=1_000_000)
    peak: float = setting(
        3.0,
        "How much busier the busiest moment is than the day's average",
        ge=1,
        le=1000,
        slider=(1, 10, 0.5),
    )
    target_ms: float = setting(
        20.0, "The longest that 19 of 20 texts may take, waiting included, in ms", gt=0, le=1_000_000
    )
    utilisation: int = setting(
        70,
        "How much of its time a core may be busy at the peak, in percent; the rest keeps queues short",
        ge=1,
        le=100,
        slider=(30, 100, 5),
    )
    cores_per_server: int = setting(4, "Cores that a server has", ge=1, le=1024)
    price: float = setting(CORE_HOUR, "Price of a core for an hour", ge=0, le=1_000_000)
    currency: str = setting(
        "€", "What prices are shown with, for example $ or SEK; may be empty", max_length=4
    )


@dataclass(frozen=True)
class Quality:
    """``span``: its 95 % interval; ``gap``: its score minus that of ``other``, text by text, with one."""

    score: float
    gap: tuple[float, float, float] | None = None
    other: str = ""
    span: tuple[float | None, float | None] | None = None
    metric: str = "accuracy"  # as in ``training.metric``


@dataclass(frozen=True)
class Measured:
    """What one form of a model takes on one core.

    ``p95_ms`` is of a whole batch, None where too few were timed to tell. ``tokenizer_ms``, of one text,
    comes on top; None where the times have it already, or nobody has measured it. ``quantiles`` are evenly
    spaced ones of a batch's time; without them, those of a log-normal distribution with the mean
    and ``p95_ms`` stand for them.
    """

    name: str
    batch: int
    texts_per_second: float
    p95_ms: float | None
    tokenizer_ms: float | None
    quantiles: tuple[float, ...] = ()
    quality: Quality | None = None

    @property
    def core_rate(self) -> float:
        """Texts per second of one core, tokenizer included."""
        return 1000 / (1000 / self.texts_per_second + (self.tokenizer_ms or 0.0))

    @property
    def service_ms(self) -> tuple[float, ...]:
        """Quantiles of a batch's time on a core, tokenizer included, scaled to the mean that was measured."""
        times = self.quantiles or lognormal(self._batch_ms, self.p95_ms or self._batch_ms)
        scale, tokenizer = self._batch_ms / mean(times), self.batch * (self.tokenizer_ms or 0.0)
        return tuple(round(scale * time + tokenizer, 6) for time in times)

    @property
    def _batch_ms(self) -> float:
        return 1000 * self.batch / self.texts_per_second


@dataclass(frozen=True)
class Requirement:
    name: str
    texts_per_second: float  # of one core, tokenizer included
    cores: int
    servers: int
    cost_per_day: float  # of whole servers
    currency: str
    most_texts_per_day: float  # what one server carries
    busy: float  # share of its time that a core is busy at the peak
    latency_ms: float | None  # 19 of 20 texts take no longer at the peak, waiting included; inf: no end
    meets_target: bool | None  # None where the latency is not known
    lines: tuple[str, ...]  # the arithmetic, with its numbers


def required(load: Load, measured: Measured) -> Requirement:
    """Cores = ceil(peak rate / (rate of a core x utilisation)), servers = ceil(cores / cores of a server).

    Peak rate = texts per day / 86,400 s x peak. Rate of a core = 1 / (time for one text, and in
    the tokenizer where that comes on top). The latency is simulated at the peak: the texts are spread over
    all servers, and the cores of a server share one queue.
    """
    texts_per_day = 1e6 * load.million_texts
    peak_rate = _peak_rate(load, load.million_texts)
    model_ms, core_rate = 1000 / measured.texts_per_second, measured.core_rate
    usable = core_rate * load.utilisation / 100
    share = peak_rate / usable
    cores = _cores(load, measured, load.million_texts)
    servers = math.ceil(cores / load.cores_per_server)
    cost = servers * load.cores_per_server * 24 * load.price
    busy = peak_rate / (core_rate * servers * load.cores_per_server)
    latency = None
    if measured.p95_ms is not None:
        (latency,) = p95_ms(
            measured.service_ms, measured.batch, (peak_rate / servers,), load.cores_per_server
        )
    meets = None if latency is None else latency <= load.target_ms
    a_text = f" in batches of {measured.batch}" if measured.batch > 1 else ""
    lines = (
        f"Peak load: {texts_per_day:,.0f} texts a day ÷ {SECONDS_A_DAY:,} s × {load.peak:g} "
        f"= {rounded(peak_rate)} texts/s",
        f"One core: 1,000 ms ÷ {_sum(model_ms, measured.tokenizer_ms)} for a text{a_text} "
        f"= {rounded(core_rate)} texts/s",
        f"Busy at most {load.utilisation} % of the time: {rounded(core_rate)} × {load.utilisation} % "
        f"= {rounded(usable)} texts/s",
        f"Cores: {rounded(peak_rate)} ÷ {rounded(usable)} = {_rounded_up(share, cores)}",
        f"Servers: {cores:,} ÷ {load.cores_per_server:,} cores = "
        f"{_rounded_up(cores / load.cores_per_server, servers)}",
        f"Price: {servers:,} × {load.cores_per_server:,} cores × 24 h × "
        f"{money(f'{load.price:g}', load.currency)} = {money(f'{cost:,.2f}', load.currency)} a day",
        f"Busy at the peak: {rounded(peak_rate)} ÷ ({servers:,} × {load.cores_per_server:,} × "
        f"{rounded(core_rate)}) = {percent(busy, 0)}",
        _latency_line(load, measured, latency),
    )
    return Requirement(
        name=measured.name,
        texts_per_second=core_rate,
        cores=cores,
        servers=servers,
        cost_per_day=cost,
        currency=load.currency,
        most_texts_per_day=usable * load.cores_per_server * SECONDS_A_DAY / load.peak,
        busy=busy,
        latency_ms=latency,
        meets_target=meets,
        lines=lines,
    )


def servers_by_load(load: Load, measured: Measured) -> list[int]:
    """How many servers it takes for each of ``loads``, all else as ``load`` says."""
    return [math.ceil(_cores(load, measured, texts) / load.cores_per_server) for texts in loads(load)]


def loads(load: Load) -> list[float]:
    """Millions of texts a day, evenly up to twice what is asked for."""
    return [2 * load.million_texts * part / LOADS for part in range(1, LOADS + 1)]


def _peak_rate(load: Load, million_texts: float) -> float:
    return 1e6 * million_texts / SECONDS_A_DAY * load.peak


def _cores(load: Load, measured: Measured, million_texts: float) -> int:
    share = _peak_rate(load, million_texts) / (measured.core_rate * load.utilisation / 100)
    return max(1, math.ceil(round(share, 9)))  # 2.0000000000000004 cores are two


def latency_by_load(load: Load, measured: Measured) -> list[float] | None:
    """p95 in ms where the cores of a server are as busy as ``BUSY`` says; None where it is not known."""
    if measured.p95_ms is None:
        return None
    service = measured.service_ms
    core_rate = 1000 * measured.batch / mean(service)
    rates = tuple(round(share * load.cores_per_server * core_rate, 6) for share in BUSY)
    return p95_ms(service, measured.batch, rates, load.cores_per_server)


def money(amount: str, currency: str) -> str:
    """ "€48.00", "48.00 SEK", "48.00"."""
    if currency.isalpha():
        return f"{amount} {currency}"
    return f"{currency}{amount}"


def saving(needs: Sequence[Requirement]) -> str:
    """What the last saves against the first, and whether they answer in time, in sentences. Where it saves
    nothing and another does, that which needs the fewest servers takes its place.

    Of one alone, whose teacher is a file, what it needs.
    """
    late = [need for need in needs if need.meets_target is False]
    if len(needs) == 1:
        needed = f"{capitalised(_the(needs[0].name))} {_needs(needs[0])}."
        return f"{needed} It does not answer in time." if late else needed
    fewest = min(reversed(needs), key=lambda need: need.servers)
    last = fewest if fewest.servers < needs[0].servers <= needs[-1].servers else needs[-1]
    if len({need.servers for need in needs}) > 1 and last.servers == needs[0].servers:
        saves = f"{capitalised(_the(needs[0].name))} {_needs(needs[0])}, and none of the others needs less."
    else:
        saves = _saving(needs[0], last)
    if len(late) == len(needs):
        return f"None of them answers in time. By the load alone: {saves[:1].lower()}{saves[1:]}"
    if last in late:
        return f"{saves} It does not answer in time."
    slow = f" {_servers(needs[0].servers).capitalize()} of {_the(needs[0].name)} would still answer too late."
    return saves + slow * (needs[0] in late)


def _saving(first: Requirement, last: Requirement) -> str:
    if first.servers == last.servers:
        return f"Each of them {_needs(first)}; a larger load tells them apart."
    change = first.cost_per_day - last.cost_per_day
    amount = money(f"{abs(change):,.2f}", first.currency)
    price = f", for {amount} {'less' if change > 0 else 'more'} a day" if change else ""
    return (
        f"{_servers(last.servers)} instead of {first.servers:,}{price}: {_the(last.name)} instead of "
        f"{_the(first.name)}."
    )


def _needs(need: Requirement) -> str:
    price = f", {money(f'{need.cost_per_day:,.2f}', need.currency)} a day" if need.cost_per_day else ""
    return f"needs {_servers(need.servers)} for this load{price}"


def _the(form: str) -> str:
    """ "the distilled student (PyTorch)" of "Distilled student, PyTorch"."""
    who, _, runtime = form.partition(", ")
    return f"the {in_sentence(who)}" + f" ({runtime})" * bool(runtime)


def _servers(number: int) -> str:
    return "1 server" if number == 1 else f"{number:,} servers"


def from_bench(report: BenchReport, batch: int) -> list[Measured]:
    """Teacher, student, and student in int8, on 1 thread and with test texts, from a benchmark's report."""
    cells = {(c["form"], c["batch"], c["length"], c["threads"]): c for c in report["cells"]}
    forms = {form["name"]: form for form in report["forms"]}
    threads, length = min(c["threads"] for c in report["cells"]), report["cells"][0]["length"]
    measured = []
    for who, runtime in FORMS:
        cell = cells[f"{who}-{runtime}", batch, length, threads]
        measured.append(
            Measured(
                form_name(who, runtime),
                batch,
                cell["texts_per_second"],
                cell["p95"],
                None if cell.get("tokenizer") else report["tokenizer_ms"][who]["p50"],
                tuple(cell.get("quantiles", ())),
                _quality(forms.get(f"{who}-{runtime}")),
            )
        )
    return measured


def one_at_a_time(report: Report, measurement: Measurement) -> list[Measured]:
    """The same as a run or an export has timed them, which ask one text at a time, and of a run in PyTorch.

    They keep two quantiles, so the rate is that of the log-normal distribution through them.
    """
    times = measurement.latencies
    forms = {(form["who"], form["runtime"]): form for form in (measurement.report or {}).get("forms", ())}
    return [
        Measured(
            form_name(*form),
            1,
            1000 / lognormal_mean(times[form].p50, times[form].p95),
            times[form].p95,
            None,
            quality=_quality(forms[form]) if forms else _quality_in(report, form[0]),
        )
        for form in FORMS
        if form in times
    ]


def with_teacher(forms: Sequence[Measured]) -> bool:
    """Whether the first two are teacher and student in PyTorch; a teacher that is a file has no speed."""
    return [form.name for form in forms[:2]] == [form_name(*form) for form in FORMS[:2]]


def cascaded(student: Measured, teacher: Measured, answered: float) -> Measured:
    """A student that is asked first and passes on what it is unsure of, one text at a time.

    Of the texts a share ``answered`` takes the student's time alone, the others the teacher's as well; the
    two times are taken to be independent. Raises: ValueError for batches.
    """
    if student.batch != 1 or teacher.batch != 1:
        raise ValueError("a cascade is planned one text at a time")
    first, second = np.array(student.service_ms), np.array(teacher.service_ms)
    times = np.concatenate([first, np.add.outer(first, second).ravel()])
    weights = np.repeat(
        [answered / len(first), (1 - answered) / (times.size - len(first))],
        [len(first), times.size - len(first)],
    )
    order = np.argsort(times)
    reached = np.cumsum(weights[order]) - weights[order] / 2
    quantiles = np.interp(np.linspace(0.005, 0.995, 100), reached, times[order])
    average = mean(student.service_ms) + (1 - answered) * mean(teacher.service_ms)
    return Measured(
        CASCADE,
        1,
        1000 / average,
        float(np.interp(0.95, reached, times[order])),
        None,
        tuple(quantiles.tolist()),
    )


def _quality(form: FormReport | None) -> Quality | None:
    if form is None:
        return None
    (own,), _ = by_metric([form], "accuracy")
    pair, span = own.get("paired"), (own["low"], own["high"])
    metric = own["judged"]["metric"] if "judged" in own else "accuracy"
    if pair is None:
        return Quality(own["accuracy"], span=span, metric=metric)
    other = "the teacher" if own["runtime"] == "pytorch" else "the same in PyTorch"
    return Quality(own["accuracy"], (pair["delta"], pair["low"], pair["high"]), other, span, metric)


def _quality_in(report: Report, who: Role) -> Quality:
    model, metric = report.models[who], report.metric
    over = report.over_teacher if metric == "accuracy" else report.over_by_metric.get("teacher")
    gap = over if who == "student" else None
    apart = (gap.delta, gap.low, gap.high) if gap else None
    other = "the teacher" if gap else ""
    return Quality(model.by(metric), apart, other, model.interval(metric), metric)


def _latency_line(load: Load, measured: Measured, latency: float | None) -> str:
    if latency is None or measured.p95_ms is None:
        return f"Latency (p95): too few batches of {measured.batch} were timed to tell"
    alone = measured.p95_ms + measured.batch * (measured.tokenizer_ms or 0.0)
    filling = f"until {measured.batch} texts have come and " if measured.batch > 1 else ""
    served = f"{milliseconds(alone)} without waiting"
    if math.isinf(latency):
        return f"Latency (p95): {served}; with it there is no end: more comes than the cores can do"
    verdict = "within" if latency <= load.target_ms else "over"
    return (
        f"Latency (p95): {served}; waiting {filling}for a free core included, {milliseconds(latency)} by "
        f"simulation, {verdict} the {load.target_ms:g} ms asked for"
    )


def _rounded_up(share: float, whole: int) -> str:
    """40.02 -> "a little more than 40, rounded up to 41", which three digits would not say."""
    said = rounded(share)
    if said == rounded(whole - 1):
        said = f"a little more than {whole - 1:,}"
    return f"{said}, rounded up to {whole:,}"


def _sum(model_ms: float, tokenizer_ms: float | None) -> str:
    """ "(1.40 ms model + 0.10 ms tokenizer)"."""
    if tokenizer_ms is None:
        return milliseconds(model_ms)
    return f"({milliseconds(model_ms)} model + {milliseconds(tokenizer_ms)} tokenizer)"


def rounded(value: float) -> str:
    """Three digits or more: 1,408; 34.7; 0.0352."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
