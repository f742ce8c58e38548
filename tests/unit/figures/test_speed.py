"""The picture of a benchmark's times, on the report of a real one."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from kd_core.deployment.capacity import BUSY, Requirement
from kd_core.figures import COLOURS, latency_by_batch
from kd_core.figures.speed import latency_by_load, servers_by_load
from tests import SAMPLES

REPORT = json.loads((SAMPLES / "bench.json").read_text("utf-8"))
CELLS = [cell for cell in REPORT["cells"] if (cell["length"], cell["threads"]) == ("texts", 1)]


@pytest.mark.parametrize("dark", [False, True])
def test_a_line_for_each_form(dark):
    figure = latency_by_batch(CELLS, "Test texts, 1 thread", (0.5, 500), dark=dark)
    assert figure.layout.title.text == "Test texts, 1 thread"
    names = [trace.name for trace in figure.data]
    assert names == [
        *("Teacher, PyTorch", "Teacher, ONNX", "Teacher, ONNX int8"),
        *("Distilled, PyTorch", "Distilled, ONNX", "Distilled, ONNX int8"),
    ]
    for trace in figure.data[:3]:
        assert trace.line.color == COLOURS["teacher"][dark]
    for trace in figure.data[3:]:
        assert trace.line.color == COLOURS["student"][dark]
    # Never by colour alone.
    assert len({(trace.line.dash, trace.marker.symbol) for trace in figure.data[:3]}) == 3


def test_values_and_scale():
    figure = latency_by_batch(CELLS, "", (0.5, 500))
    last = figure.data[-1]
    assert list(last.x) == ["1", "8", "32"]
    assert list(last.y) == [cell["p50"] for cell in CELLS if cell["form"] == "student-int8"]
    assert last.customdata[0][0] == "0.34 ms"
    low, high = figure.layout.yaxis.range
    assert (low, high) == pytest.approx((math.log10(0.5 / 1.4), math.log10(500 * 1.4)))
    assert figure.layout.yaxis.type == "log"


@pytest.mark.parametrize(("first", "side"), [(24.0, "top"), (15.0, "bottom"), (60.0, "bottom")])
def test_what_latency_is_asked_for_stands_where_no_curve_begins(first: float, side: str) -> None:
    need = Requirement("Teacher", 60.0, 40, 10, 48.0, "€", 5e6, 0.7, 33.0, False, ())
    times = [first * (1 + share) for share in BUSY]
    figure = latency_by_load([("teacher", "pytorch", times)], [need], 20)
    (asked,) = figure.layout.annotations
    assert (asked.text, asked.yanchor) == ("asked for: 20 ms", side)
    assert asked.y == math.log10(20)
    line, ring = figure.data
    assert (line.x[0], list(line.y)) == (100 * BUSY[0], times)
    assert (list(ring.x), list(ring.y)) == ([70], [33.0])
    assert figure.layout.yaxis.title.text == "p95 with waiting (ms, log scale)"
    low, high = (10**end for end in figure.layout.yaxis.range)
    lowest = 10 if first == 15 else 20  # the tick below the target and all times; 60 ms rise to 117
    assert (low, high) == pytest.approx((lowest * 10**-0.04, (200 if first == 60 else 50) * 10**0.04))
    endless = replace(need, latency_ms=math.inf)
    assert len(latency_by_load([("teacher", "pytorch", times)], [endless], 20).data) == 1


def test_servers_at_the_load_that_was_asked_for() -> None:
    need = Requirement("Teacher", 60.0, 40, 10, 48.0, "€", 5e6, 0.7, 33.0, False, ())
    figure = servers_by_load([("teacher", "pytorch", [5, 10, 15, 20])], [25, 50, 75, 100], [need], 50)
    stairs, mark = figure.data
    assert (list(stairs.x), list(stairs.y)) == ([25, 50, 75, 100], [5, 10, 15, 20])
    assert (list(mark.x), list(mark.y)) == ([50], [10])
    assert "<b>10 servers</b>" in [words.text for words in figure.layout.annotations]


def test_a_number_of_servers_stands_where_no_stairs_cross_it() -> None:
    """The teacher's go up on the left of the load, through what is above the student's."""
    needs = [
        Requirement(name, 60.0, 40, servers, 48.0, "€", 5e6, 0.7, 33.0, False, ())
        for name, servers in (("Teacher", 10), ("Student", 5))
    ]
    lines = [("teacher", "pytorch", [5, 10, 20]), ("student", "pytorch", [3, 5, 10])]
    figure = servers_by_load(lines, [25, 50, 100], needs, 50)
    sides = {note.text: (note.xanchor, note.yanchor, note.xshift) for note in figure.layout.annotations}
    assert sides["<b>10 servers</b>"] == ("right", "bottom", -6)
    assert sides["<b>5 servers</b>"] == ("left", "top", 6)
