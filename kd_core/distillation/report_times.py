"""What a report's latencies are worth: how and where they were taken, and when to doubt them. No torch."""

from __future__ import annotations

from collections.abc import Mapping

from kd_core.distillation.report import Report
from kd_core.distillation.roles import FLOOR, NAMES
from kd_core.system.formatting import beside_other_work, in_sentence, milliseconds, what_is_timed

# Where latencies stand side by side: ``validate`` times one of the students.
ONE_LATENCY = "All students have the same architecture, so their speed was measured once."
UNSTEADY = 8  # times its p50, from where a model's p95 is a reason to measure again


def doubt(report: Report) -> str:
    """``unsteady`` in a few words."""
    if _waited(report):
        return "timed beside other work"
    return "by times that vary widely" if unsteady(report) else ""


def unsteady(report: Report) -> str:
    """Why the latencies are to be doubted, in sentences; "" where they are not."""
    # Of a file of answers nothing is benchmarked; an export measures its student.
    how = "with an export" if report.teacher_is_file else "in the Speed tab of its report or with kd bench"
    if waited := _waited(report):
        return (
            f"{beside_other_work(waited)}, which slows a slow model more than a quick one: measure again "
            f"when the machine is idle, {how}."
        )
    for who in ("teacher", "student"):
        times = report.models[who].latency_ms
        if times and times.tail > UNSTEADY:
            whose = f"{in_sentence(NAMES[who])}: {milliseconds(times.p50)} and {milliseconds(times.p95)}"
            return (
                f"One in twenty answers took {times.tail:.0f} times as long as the median or longer "
                f"({whose}). Texts of very different lengths do that, and so does other work on the "
                f"machine: measure again when it is idle, {how}."
            )
    return ""


def _waited(report: Report) -> dict[str, float]:
    """Of which timed seconds how many went by beside other work, where these are too many."""
    return {
        NAMES[who]: time.waited
        for who in ("teacher", "student")
        if (time := report.models[who].latency_ms) and time.waited
    }


def latency_conditions(report: Report) -> str:
    """How latency was measured, in a sentence."""
    times, by, rows = report.timing, report.timed_by, report.rows["test"]
    machine = by.machine if by else report.machine
    texts = f"{times.texts:,} test texts"
    if rows < times.texts:  # they are asked in turn
        texts = f"{times.texts:,} answers to {rows:,} test texts"
    how = what_is_timed(times.batch, times.threads, times.tokenizer)
    where = f", in the {by.name}" if by else ""
    return (
        f"{how[0].upper()}{how[1:]}: median of {texts} of {times.mean_tokens:.0f} tokens on average{where}. "
        f"{measured_on(machine, machine.get('accelerator'))}"
    )


def timed_by(report: Report) -> str:
    """Whose the latencies are, in a sentence; "" where the run itself has timed all."""
    if report.timed_by is None:
        return ""
    untimed = f", which does not time {NAMES[FLOOR]}" if FLOOR in report.models else ""
    return f"Latencies are those of the {report.timed_by.name}{untimed}."


def measured_on(machine: Mapping[str, str | int], accelerator: str | int | None = None) -> str:
    parts = (machine["processor"], f"{machine['cores']} cores", f"{machine['memory_gb']} GB", accelerator)
    where = ", ".join(str(part) for part in parts if part)
    return f"{where}; {machine['os']}, Python {machine['python']}, PyTorch {machine['torch']}."
