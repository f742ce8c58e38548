"""A benchmark in words: under which conditions its numbers hold, and what they say.

Where a smaller model gains less than its size promises, ``notes`` says why: each sentence only where the
numbers show it, and with them. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from kd_core.deployment.reports import BenchCell, BenchReport, FormReport, Timing
from kd_core.deployment.runtimes import RUNTIME_NAMES, RUNTIMES, Runtime, form_name, name_of_form
from kd_core.distillation import metrics
from kd_core.distillation.report_times import measured_on
from kd_core.distillation.roles import NAMES, Role
from kd_core.system.formatting import compared, in_sentence, milliseconds, percent, ratio

UNDISTURBED = 1.5  # p95 over p50 of equal work; on an idle machine it is hardly above 1
LESS_GAIN = 0.8  # of the gain in large batches: what is called less
MOSTLY = 0.5
SLOWER = 1.3
ENOUGH = 8  # texts in a batch that are work for several threads
FASTER = 1.1  # less than this is called hardly faster, and 1 or less no faster
WASTE = 0.15


def notes(
    cells: Sequence[BenchCell], tokenizer_ms: Mapping[Role, Timing], left_out: Sequence[str] = ()
) -> list[str]:
    """``left_out``: what could not be measured, in sentences."""
    table = _Cells(cells)
    sentences = (
        _disturbed(cells),
        _shared_cores(table),
        _smaller_gain(table),
        _framework(table),
        _quantised(table),
        _threads(table),
        _padding(table),
        _tokenizer(table, tokenizer_ms),
    )
    return [*dict.fromkeys(left_out), *filter(None, sentences)]


class _Cells:
    """The cells by what they were measured with."""

    def __init__(self, cells: Sequence[BenchCell]) -> None:
        self._cells = {(c["form"], c["batch"], c["length"], c["threads"]): c for c in cells}
        self.keys = list(self._cells)
        self.batches = sorted({c["batch"] for c in cells})
        self.threads = sorted({c["threads"] for c in cells})
        self.lengths = list(dict.fromkeys(c["length"] for c in cells))
        self.even = sorted((length for length in self.lengths if length != "texts"), key=int)
        self.length = "texts" if "texts" in self.lengths else self.lengths[0]

    def cell(
        self, form: str, batch: int | None = None, length: str | None = None, threads: int | None = None
    ) -> BenchCell:
        """By default of the smallest batch, real texts, and the fewest threads."""
        wanted = (form, batch or self.batches[0], length or self.length, threads or self.threads[0])
        return self._cells[wanted]

    def p50(self, *wanted: Any, **named: Any) -> float:
        return float(self.cell(*wanted, **named)["p50"])


def _disturbed(cells: Sequence[BenchCell]) -> str | None:
    """Batches of one length are equal work, so what their times differ by came from elsewhere."""
    spreads = [
        cell["p95"] / cell["p50"]
        for cell in cells
        if cell["length"] != "texts" and cell["threads"] == 1 and cell["p95"] is not None
    ]
    if not spreads or median(spreads) < UNDISTURBED:
        return None
    return (
        f"Something else ran on this machine: of equal work on 1 thread, the 95th percentile is "
        f"{ratio(median(spreads))} the median. Times may be too long; measure again when it is idle."
    )


def waited(busy: float | None) -> list[str]:
    """A sentence where one thread computed for too small a share of the timed seconds."""
    if not (share := metrics.waited(busy)):
        return []
    return [
        f"While 1 thread was timed, the processor was at other work for {percent(share, 0)} of the time: "
        "times may be too long; measure again when this machine is idle."
    ]


def _shared_cores(table: _Cells) -> str | None:
    """The largest batch has work enough for all threads: they are slower there only where cores are taken."""
    few, many, batch, length = table.threads[0], table.threads[-1], table.batches[-1], table.lengths[-1]
    if few == many or batch < ENOUGH:
        return None
    times = {
        form: [table.p50(form, batch, length, threads) for threads in (few, many)]
        for form in dict.fromkeys(form for form, *_ in table.keys)
    }
    form = max(times, key=lambda form: times[form][1] / times[form][0])
    one, more = times[form]
    if more < SLOWER * one:
        return None
    return (
        f"Something else held some of the cores while {many} threads were timed: {name_of_form(form)} takes "
        f"{milliseconds(more)} on {many} threads and {milliseconds(one)} on {few} for a batch of {batch}, "
        f"though that is work enough for all. Do not trust the times on {many} threads; measure again when "
        "this machine is idle."
    )


def _smaller_gain(table: _Cells) -> str | None:
    """One text at a time, the student gains less than in large batches."""
    one, many = table.batches[0], table.batches[-1]
    gains: dict[Runtime, tuple[float, float]] = {}
    for runtime in RUNTIMES:
        small, large = (
            table.p50(f"teacher-{runtime}", batch) / table.p50(f"student-{runtime}", batch)
            for batch in (one, many)
        )
        if small < LESS_GAIN * large:
            gains[runtime] = (small, large)
    if not gains:
        return None
    each = [f"{ratio(s)} rather than {ratio(g)} in {RUNTIME_NAMES[r]}" for r, (s, g) in gains.items()]
    note = (
        f"With {_batch(one)} the student gains less on the teacher than in batches of {many}. Its speed is, "
        f"against the teacher's, {_and(each)}."
    )
    fixed = {runtime: _fixed(table, f"student-{runtime}") for runtime in gains}
    large_part = [
        f"{milliseconds(part)} of {milliseconds(whole)} in {RUNTIME_NAMES[runtime]}"
        for runtime, (part, whole) in fixed.items()
        if part > MOSTLY * whole
    ]
    if large_part:
        note += (
            f" Most of its time for {table.even[0]} tokens does not grow with the batch "
            f"({', '.join(large_part)}): it goes into calling one operation after another and reading the "
            "weights, which narrower layers hardly shorten."
        )
    return note


def _fixed(table: _Cells, form: str) -> tuple[float, float]:
    """Milliseconds that a batch takes however few texts it has, and those of the smallest batch.

    From the straight line through the smallest and the largest batch of the shortest texts of one length.
    """
    one, many = table.batches[0], table.batches[-1]
    if not table.even or one == many:
        return 0.0, 1.0
    first, last = table.p50(form, one, table.even[0]), table.p50(form, many, table.even[0])
    return first - one * (last - first) / (many - one), first


def _framework(table: _Cells) -> str | None:
    torch, onnx = table.p50("student-pytorch"), table.p50("student-onnx")
    if torch < 1.5 * onnx:
        return None
    return (
        f"With {_batch(table.batches[0])}, the same student takes {milliseconds(torch)} in PyTorch and "
        f"{milliseconds(onnx)} in ONNX Runtime: {milliseconds(torch - onnx)} are PyTorch's own, not the "
        "model's."
    )


def _quantised(table: _Cells) -> str | None:
    slow, gain = [], 0.0
    for who in ("teacher", "student"):
        onnx, int8 = table.p50(f"{who}-onnx"), table.p50(f"{who}-int8")
        if onnx < FASTER * int8:
            slow.append(f"the {in_sentence(NAMES[who])} ({milliseconds(int8)} against {milliseconds(onnx)})")
            gain = max(gain, onnx / int8)
    if not slow:
        return None
    return (
        f"With {_batch(table.batches[0])}, 8-bit weights are {_faster(gain)} for {_and(slow)}: turning "
        "activations into integers takes time too, which small matrices do not win back. They do make the "
        "file smaller."
    )


def _faster(gain: float) -> str:
    """Of a gain below ``FASTER``, the largest of all that are named with it."""
    return "no faster" if gain <= 1 else "hardly faster"


def _threads(table: _Cells) -> str | None:
    few, many = table.threads[0], table.threads[-1]
    if few == many:
        return None
    slow, worst, gain = [], 0.0, 0.0
    for who in ("teacher", "student"):
        for runtime in RUNTIMES:
            one, more = (table.p50(f"{who}-{runtime}", threads=n) for n in (few, many))
            if one < FASTER * more:
                form = in_sentence(form_name(who, runtime))
                slow.append(f"{form}: {milliseconds(one)} and {milliseconds(more)}")
                worst, gain = max(worst, more / one), max(gain, one / more)
    if not slow:
        return None
    note = (
        f"With {_batch(table.batches[0])}, {many} threads are {_faster(gain)} than {few} "
        f"({'; '.join(slow)}): there is too little work to share."
    )
    if worst > SLOWER:
        note += " After each operation they wait for one another, longest where another program holds a core."
    return note


def _padding(table: _Cells) -> str | None:
    many = table.batches[-1]
    cell = table.cell("student-pytorch", many)
    waste = 1 - cell["tokens"] / cell["padded_to"]
    if waste < WASTE:
        return None
    return (
        f"In batches of {many} test texts {percent(waste, 0)} of the work is padding: {cell['tokens']:.1f} "
        f"tokens on average are filled up to {cell['padded_to']:.1f}. Sorting texts by length avoids that."
    )


def _tokenizer(table: _Cells, tokenizer_ms: Mapping[Role, Timing]) -> str | None:
    times = {RUNTIME_NAMES[runtime]: table.p50(f"student-{runtime}") for runtime in RUNTIMES}
    fastest = min(times, key=lambda name: times[name])
    tokenizer = tokenizer_ms["student"]["p50"]
    if table.batches[0] * tokenizer < 0.2 * times[fastest]:
        return None
    return (
        f"Of the {milliseconds(times[fastest])} that the student takes in {fastest} with "
        f"{_batch(table.batches[0])}, the tokenizer takes {milliseconds(tokenizer)} for each text."
    )


def _batch(texts: int) -> str:
    return "one text at a time" if texts == 1 else f"batches of {texts}"


def _and(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def against(first: FormReport, form: FormReport) -> str:
    """ "30.4x smaller, 26.8x faster"; what is about the same is left out."""
    smaller, faster = (
        first["size_mb"] / form["size_mb"],
        first["latency_ms"]["p50"] / form["latency_ms"]["p50"],
    )
    gains = [
        compared(number, better, worse)
        for number, better, worse in ((smaller, "smaller", "larger"), (faster, "faster", "slower"))
        if ratio(number) != ratio(1)
    ]
    return ", ".join(gains)


def kind_of_texts(length: str) -> str:
    return "test texts" if length == "texts" else f"texts of {length} tokens"


def conditions(report: BenchReport) -> str:
    """Of everything in a benchmark's report, in sentences."""
    machine = report["machine"]
    passes = [cell["passes"] for cell in report["cells"]]
    return (
        f"Measured on {report['created'][:10]} in processes of their own, pinned to as many cores as "
        f"threads, after a warm-up; the forms took turns, batch by batch, {min(passes):,} to "
        f"{max(passes):,} batches in each cell. {_included(report)} {measured_on(machine)}"
    )


def with_tokenizer(report: BenchReport) -> bool:
    """Whether its times are from text to answer; those of version 0.1 are without the tokenizer."""
    return all(cell.get("tokenizer", False) for cell in report["cells"])


def _included(report: BenchReport) -> str:
    teacher, student = (milliseconds(report["tokenizer_ms"][who]["p50"]) for who in ("teacher", "student"))
    took = f"{teacher} for a text of the teacher, {student} for one of the student (median, 1 thread)"
    if with_tokenizer(report):
        return f"Times are from texts to answers, padding a batch and the tokenizer included: {took}."
    return f"Padding a batch is included, the tokenizer is not: it comes on top, {took}."
