"""Tests of the pictures of a benchmark's times, on the report of a real one."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from kd_core.deployment.capacity import BUSY, Requirement
from kd_core.figures import COLOURS, latency_by_batch
from kd_core.figures.speed import latency_by_load, servers_by_load
from tests import SAMPLES
from tests.unit.figures.sampled import annotations

REPORT = json.loads((SAMPLES / "bench.json").read_text("utf-8"))
CELLS = [cell for cell in REPORT["cells"] if (cell["length"], cell["threads"]) == ("texts", 1)]
NEED = Requirement("Teacher", 60.0, 40, 10, 48.0, "€", 5e6, 0.7, 33.0, False, ())


@pytest.mark.parametrize("dark", [False, True])
def test_each_form_has_a_line(dark) -> None:
    figure = latency_by_batch(CELLS, "Test texts, 1 thread", (0.5, 500), dark=dark)
    forms = [
        f"{who}, {form}" for who in ("Teacher", "Distilled") for form in ("PyTorch", "ONNX", "ONNX int8")
    ]
    assert [trace.name for trace in figure.data] == forms
    colours = [COLOURS["teacher"][dark]] * 3 + [COLOURS["student"][dark]] * 3
    assert [trace.line.color for trace in figure.data] == colours
    assert len({(trace.line.dash, trace.marker.symbol) for trace in figure.data[:3]}) == 3
    last = figure.data[-1]
    assert list(last.x) == ["1", "8", "32"]
    assert list(last.y) == [cell["p50"] for cell in CELLS if cell["form"] == "student-int8"]
    assert last.customdata[0][0] == "0.34 ms"


@pytest.mark.parametrize(("first", "side"), [(24.0, "top"), (15.0, "bottom")])
def test_latency_that_is_asked_for_stands_where_no_curve_begins(first: float, side: str) -> None:
    times = [first * (1 + share) for share in BUSY]
    figure = latency_by_load([("teacher", "pytorch", times)], [NEED], 20)
    (asked,) = figure.layout.annotations
    assert (asked.text, asked.yanchor, asked.y) == ("asked for: 20 ms", side, math.log10(20))
    line, ring = figure.data
    assert (list(line.y), list(ring.x), list(ring.y)) == (times, [70], [33.0])
    endless = replace(NEED, latency_ms=math.inf)
    assert len(latency_by_load([("teacher", "pytorch", times)], [endless], 20).data) == 1


def test_servers_at_the_load_that_is_asked_for() -> None:
    figure = servers_by_load([("teacher", "pytorch", [5, 10, 20])], [25, 50, 100], [NEED], 50)
    stairs, mark = ((list(trace.x), list(trace.y)) for trace in figure.data)
    assert (stairs, mark) == (([25, 50, 100], [5, 10, 20]), ([50], [10]))
    assert "<b>10 servers</b>" in annotations(figure)
