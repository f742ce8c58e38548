"""Tests of the figures of labs that train, of claims and of a replay."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_core import figures
from kd_core.distillation.training.replay import Replay
from kd_core.learn.claims import findings
from kd_core.learn.recorded import recorded_lab
from tests.unit.figures.sampled import EVIL, annotations


def replay(student: list, teacher: list, labels: tuple[str, ...], steps: tuple[int, ...]) -> Replay:
    texts = (EVIL, *(f"text {i}" for i in range(1, len(teacher))))
    arrays = (np.array(logits, dtype=np.float32) for logits in (teacher, student))
    return Replay(labels, texts, np.zeros(len(teacher), int), steps, *arrays)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 8, 30])
def test_text_lies_between_its_classes(classes: int, dark: bool) -> None:
    sure = [[0] * (classes - 1) + [50]] * 2
    labels = tuple(f"{i} {EVIL}" for i in range(classes))
    known = replay([[[0] * classes] * 2, sure], sure, labels, (0, 10))
    start, end = (figures.replay_map(known, moment, chosen=0, dark=dark) for moment in (0, 1))
    notes = end.layout.annotations
    assert len(notes) == min(classes, 8)
    # Of many classes the one that the teacher answers has a corner before that of all others.
    note = notes[-1] if classes <= 8 else notes[-2]
    assert (notes[-1].text == "all others") == (classes > 8)
    corner = pytest.approx((note.x / 1.07, note.y / 1.07))

    def dot(figure, name: str) -> tuple[float, float]:
        named = [trace for trace in figure.data if (trace.name or "").startswith(name) and len(trace.x)]
        return named[0].x[0], named[0].y[0]

    assert dot(end, "Teacher") == dot(end, "Student") == corner
    if classes <= 8:
        assert dot(start, "Student") == pytest.approx((0, 0), abs=1e-6), "undecided: in the middle"
    assert "<img" not in end.to_json().replace("\\u003c", "<")


def test_agreement_and_answers_of_a_replay() -> None:
    answers = 4 * np.eye(3)[[[1, 1], [0, 1], [0, 1], [0, 0]]]
    known = replay(answers.tolist(), [[4, 0, 0]] * 2, ("a", "b", "c"), (0, 25, 50, 100))
    line, for_good, dot = figures.replay_agreement(known, 1).data
    assert list(line.y) == list(for_good.y) == [0, 50, 50, 100]
    assert (list(dot.x), list(dot.y)) == ([25], [50])
    teacher, student = figures.replay_answers(known, 0, 0).data
    assert student.name == "Student at step 0"
    assert teacher.x[0] == pytest.approx(100 * np.exp(4) / (np.exp(4) + 2))
    softened = figures.replay_answers(known, 0, 0, temperature=4.0)
    assert softened.data[0].x[0] == pytest.approx(100 * np.exp(1) / (np.exp(1) + 2))
    assert figures.replay_in_words(known, 1).startswith(
        "At step 25 of 100 the student answers 1 of 2 texts like its teacher (50 %); the mean divergence is"
    )


def transfer_row(who: str, transfer: int, *accuracies: float) -> dict:
    mean = float(np.mean(accuracies))
    ends = {"accuracy": mean, "low": mean - 0.1, "high": mean + 0.05}
    return {"who": who, "transfer": transfer, "seeds": len(accuracies), "accuracies": list(accuracies)} | ends


@pytest.mark.parametrize("dark", [False, True])
def test_transfer_curve(dark: bool) -> None:
    rows = [("alone", 0, 0.5), ("student", 0, 0.6), ("hard_answers", 8000, 0.8), ("student", 8000, 0.9, 0.8)]
    curve = pd.DataFrame([transfer_row(*row) for row in rows])
    figure = figures.transfer_curve(curve, 0.95, dark=dark)
    means = [trace for trace in figure.data if trace.error_y.array is not None]
    assert [trace.y[0] for trace in means] == pytest.approx([50, 60, 85, 80])
    assert means[2].error_y.arrayminus[0] == pytest.approx(10)
    assert list(figure.layout.xaxis.ticktext) == ["alone", "0", "8,000", "8,000<br>hard"]
    line, *seeds = [trace for trace in figure.data if trace.error_y.array is None]
    assert (list(line.x), list(line.y)) == ([1, 2], pytest.approx([60, 85])), "not through the hard answers"
    assert [list(trace.y) for trace in seeds] == [pytest.approx([90, 80])]
    assert "Teacher<br>95.0 %" in annotations(figure)


def test_grid_of_sizes_marks_the_guess() -> None:
    rows = [(n, h, 0.5 + n / 20, 1000 * n * h) for n in (1, 2) for h in (64, 128)]
    grid = pd.DataFrame(rows, columns=["layers", "hidden", "accuracy", "params"])
    grid = grid.assign(low=0.4, high=0.7, embedding_share=0.5, latency_ms=[1.0, 2.0, 3.0, np.nan])
    figure = figures.size_grid(grid, marked={(2, 64): "your guess"})
    (heat,) = figure.data
    assert (list(heat.x), list(heat.y)) == (["64", "128"], ["1", "2"])
    assert heat.text[1][0].startswith("<b>60.0 %</b>")
    assert "your guess" in heat.text[1][0]
    assert "3.00 ms for one text" in heat.customdata[1][0]
    assert len(figure.layout.shapes) == 1
    for measure, said in (("params", "<b>0.1 M</b>"), ("embedding_share", "<b>50 %</b>")):
        assert figures.size_grid(grid, measure).data[0].text[0][1] == said
    assert figures.size_grid(grid, "latency_ms").data[0].text[0][1] == "<b>2.00 ms</b>"
    worse = figures.size_grid(grid, worse={(1, 64): True})
    assert [list(row) for row in worse.data[0].z] == [[0, 1], [1, 1]]


@pytest.mark.parametrize("dark", [False, True])
def test_claim_has_intervals_seeds_and_a_level(dark: bool) -> None:
    found = findings("cho2019", recorded_lab("cho2019"))
    figure = figures.claim_chart(found.points, found.level, "Title", "Epochs", "Accuracy (%)", dark=dark)
    teacher, _, mine, seeds, level = figure.data
    points = found.points[found.points["series"] == "student"]
    assert (teacher.name, mine.name) == ("Teacher", "Its student")
    assert list(mine.y) == pytest.approx((100 * points["mean"]).tolist())
    assert mine.y[0] - mine.error_y.arrayminus[0] == pytest.approx(100 * points["low"].iloc[0])
    assert len(seeds.y) == sum(map(len, points["values"]))
    assert teacher.x[0] < mine.x[0], "side by side"
    assert figure.layout.yaxis.title.text == "Accuracy (%)"
    assert level.name.startswith("Student alone ")
    assert list(level.y) == pytest.approx([100 * found.level[1]] * 2)


def test_students_of_a_random_teacher_have_a_panel_of_their_own() -> None:
    found = findings("stanton2021", recorded_lab("stanton2021"))
    figure = figures.claim_chart(found.points, found.level, "T", "Texts", "Share (%)")
    panels = {trace.name: trace.yaxis for trace in figure.data if trace.name}
    assert panels["Agrees with its teacher"] == panels["Is right"] == "y"
    assert panels["Agrees with a random teacher"] == panels["Is right, taught by it"] == "y2"
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0]
