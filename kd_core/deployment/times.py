"""The times of a run's models that all pages go by: those of one measurement, as a whole. No torch.

A run times its models at its end, and a benchmark and an export time them again. Times of two sittings do not
compare: what else a machine does slows a slow model more than a quick one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from kd_core.deployment.reports import FormReport, LatencyReport
from kd_core.deployment.runtimes import Runtime
from kd_core.distillation.metrics import Latency, waited
from kd_core.distillation.report import Report, TimedBy
from kd_core.distillation.roles import STUDENTS, Role
from kd_core.errors import RunError
from kd_core.jobs.states import JobKind

if TYPE_CHECKING:
    from kd_core.jobs.store import RunRow, Store

Form = tuple[Role, Runtime]

PAIR: tuple[Form, ...] = (("teacher", "pytorch"), ("student", "pytorch"))
# The first times for longest, and in a process of its own.
NAMES: dict[JobKind, str] = {"bench": "benchmark", "export": "export"}


@dataclass(frozen=True)
class Measurement:
    """``timings``: by form, fields of ``Latency``. ``job``: who has taken them; None: the run itself."""

    timings: Mapping[Form, Mapping[str, Any]]
    job: RunRow | None = None
    report: Any = None

    @property
    def kind(self) -> str:
        return self.job.kind if self.job else "distil"

    @property
    def name(self) -> str:
        """ "benchmark of 31 Jan 2026"; "run" of the run's own."""
        return f"{NAMES[self.job.kind]} of {self.job.created.astimezone():%d %b %Y}" if self.job else "run"

    @property
    def latencies(self) -> dict[Form, Latency]:
        """Of what ``has`` is true of."""
        return {form: Latency(**timing) for form, timing in self.timings.items() if self.has(form)}

    def timing(self, who: Role, runtime: Runtime) -> Mapping[str, Any] | None:
        """The students of a run share one architecture, so that one may be timed for all."""
        like = "student" if who in STUDENTS else who
        return self.timings.get((who, runtime)) or self.timings.get((like, runtime))

    def has(self, form: Form) -> bool:
        """Whether it has timed that one test text at a time, on one thread, often enough for a p95."""
        timing = self.timings.get(form)
        lengths = self.job.config.get("lengths") if self.job else None
        return (
            timing is not None
            and timing["batch"] == timing["threads"] == 1
            and timing.get("p95", 0) is not None
            and (not lengths or lengths[0] == "texts")
        )

    def retimed(self, forms: Sequence[FormReport]) -> list[FormReport] | None:
        """``forms`` with its times; None where it has not timed all of them."""
        names = [(form["who"], form["runtime"]) for form in forms]
        if not all(map(self.has, names)):
            return None
        latencies = [cast(LatencyReport, self.timings[name]) for name in names]
        return [{**form, "latency_ms": timing} for form, timing in zip(forms, latencies, strict=True)]

    def waited(self, pair: Sequence[Form]) -> float:
        """The share of the time that went by beside other work; 0 where that is nothing to speak of."""
        return max((waited(self.timings[form].get("busy")) for form in pair), default=0.0)


def least_disturbed(own: Measurement, others: Sequence[Measurement]) -> Measurement:
    """Of several, a benchmark comes before an export, that before the run's own, and a newer one first.

    ``others``, newest first, count where they have timed all of ``PAIR`` that the run has.
    """
    pair = [form for form in PAIR if form in own.timings]
    whole = [other for other in others if all(map(other.has, pair))]
    kinds: list[str] = [*NAMES, "distil"]
    ranked = sorted([*whole, own], key=lambda measurement: kinds.index(measurement.kind))
    return min(ranked, key=lambda measurement: measurement.waited(pair))


def own_times(report: Report) -> Measurement:
    """As a run itself has taken them, in PyTorch."""
    models = report.models.items()
    return Measurement(
        {(who, "pytorch"): asdict(model.latency_ms) for who, model in models if model.latency_ms}
    )


def timed(store: Store, run_id: str) -> tuple[Report, Measurement]:
    """A run's report with the latencies of the measurement to go by, and that. Raises: RunError.

    What a later measurement leaves out, as TF-IDF, has none.
    """
    report = store.report(run_id)
    own = own_times(report)
    others = []
    for kind in NAMES:
        for job in store.runs(kind=kind, status=("done",)):
            if job.config.get("run") == run_id:
                with suppress(RunError):  # its folder is gone
                    found = store.report_json(job.id)
                    timings = {(form["who"], form["runtime"]): form["latency_ms"] for form in found["forms"]}
                    others.append(Measurement(timings, job, found))
    best = least_disturbed(own, others)
    return (report if best is own else _with_times(report, best)), best


def _with_times(report: Report, measurement: Measurement) -> Report:
    models = {
        who: model.model_copy(update={"latency_ms": Latency(**timing) if timing else None})
        for who, model in report.models.items()
        for timing in [measurement.timing(who, "pytorch")]
    }
    by = TimedBy(measurement.name, measurement.report["machine"])
    return report.model_copy(update={"models": models, "timed_by": by})
