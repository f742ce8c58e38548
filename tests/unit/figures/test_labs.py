"""Pictures of the replay and of the labs that train."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core import figures
from kd_core.learn.claims import findings
from kd_core.learn.lab_results import size_table, transfer_table
from kd_core.learn.recorded import recorded_lab
from tests.unit.distillation.training.played import play
from tests.unit.learn.claimed import TRUTH, of_teachers, unseen
from tests.unit.learn.claimed import cell as student
from tests.unit.learn.claimed import report as of_claim
from tests.unit.learn.lab_cells import cell, report

EVIL = '<img src="http://127.0.0.1:9/x"> %{y}'


def many_classes(count: int):
    """Two texts; the teacher is sure of the last class, the student undecided at first and then sure too."""
    replay = play([[0, 0], [0, 0]], steps=(0, 10))
    sure = np.zeros((2, count), dtype=np.float32)
    sure[:, -1] = 50
    fields = {"labels": tuple(f"{EVIL} {i}" for i in range(count)), "texts": (EVIL, "b"), "teacher": sure}
    return type(replay)(**{**vars(replay), **fields, "student": np.stack([0 * sure, sure])})


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 8, 30])
def test_a_text_between_its_classes(classes: int, dark: bool) -> None:
    replay = many_classes(classes)
    start, end = (figures.replay_map(replay, moment, chosen=0, dark=dark) for moment in (0, 1))
    corners = [(note.x / 1.07, note.y / 1.07) for note in end.layout.annotations]
    assert len(corners) == min(classes, 8)

    def dots(figure):
        named = [trace for trace in figure.data if (trace.name or "").startswith("Student")]
        return [(x, y) for trace in named for x, y in zip(trace.x, trace.y, strict=True)]

    teacher = next(trace for trace in end.data if trace.name == "Teacher")
    target = corners[-1] if classes <= 8 else corners[classes_corner(end)]
    assert (teacher.x[0], teacher.y[0]) == pytest.approx(target)
    assert dots(end)[0] == pytest.approx(target), "as sure as its teacher: on the corner"
    if classes <= 8:
        assert dots(start)[0] == pytest.approx((0, 0), abs=1e-6), "undecided: in the middle"
    assert "<img" not in end.to_json()


def classes_corner(figure) -> int:
    """Of many classes the one that the teacher answers has a corner, before that of all others."""
    names = [note.text for note in figure.layout.annotations]
    assert names[-1] == "all others"
    return len(names) - 2


def test_agreement_and_answers() -> None:
    replay = play([[1, 1], [0, 1], [0, 1], [0, 0]])
    line, for_good, dot = figures.replay_agreement(replay, 1).data
    assert list(line.y) == [0, 50, 50, 100]
    assert list(for_good.y) == [0, 50, 50, 100]
    assert (list(dot.x), list(dot.y)) == ([25], [50])
    teacher, student = figures.replay_answers(replay, 0, 0).data
    assert student.name == "Student at step 0"
    assert teacher.x[0] == pytest.approx(100 * np.exp(4) / (np.exp(4) + 2))
    softened = figures.replay_answers(replay, 0, 0, temperature=4.0)
    assert softened.data[0].x[0] == pytest.approx(100 * np.exp(1) / (np.exp(1) + 2))
    assert figures.replay_in_words(replay, 1).startswith(
        "At step 25 of 100 the student answers 1 of 2 texts like its teacher (50 %); the mean divergence is"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_transfer_curve(dark: bool) -> None:
    cells = [cell("alone", 10), cell("none", 12), cell("many", 18, transfer=2000, seed=0)]
    curve = transfer_table(report(*cells, cell("many", 16, transfer=2000, seed=1)))
    figure = figures.transfer_curve(curve, 0.9, dark=dark)
    means = [trace for trace in figure.data if trace.error_y.array is not None]
    assert [trace.y[0] for trace in means] == pytest.approx([50, 60, 85])
    low = 85 - means[2].error_y.arrayminus[0]
    assert low == pytest.approx(100 * curve["low"].iloc[2])
    assert list(figure.layout.xaxis.ticktext) == ["alone", "0", "2,000"]
    assert [trace.y.tolist() for trace in figure.data if trace.marker.symbol == "line-ew-open"] == [[90, 80]]
    assert "Teacher<br>90.0 %" in [note.text for note in figure.layout.annotations]


def test_no_line_of_the_transfer_curve_goes_through_the_hard_answers() -> None:
    cells = [cell("alone", 10), cell("some", 14, transfer=2000), cell("many", 18, transfer=8000)]
    hard = cell("hard", 16, transfer=8000) | {"who": "hard_answers"}
    figure = figures.transfer_curve(transfer_table(report(*cells, hard)), 0.9)
    assert list(figure.layout.xaxis.ticktext) == ["alone", "2,000", "8,000", "8,000<br>hard"]
    line = figure.data[0]
    assert (line.mode, list(line.x), list(line.y)) == ("lines", [1, 2], pytest.approx([70, 90]))


def test_the_size_grid_marks_the_guess() -> None:
    cells = [cell("x", 10 + n, layers=n, hidden=h) for n in (1, 2) for h in (64, 128)]
    grid = size_table(report(*cells))
    figure = figures.size_grid(grid, marked={(2, 64): "your guess"})
    (heat,) = figure.data
    assert list(heat.x) == ["64", "128"]
    assert list(heat.y) == ["1", "2"]
    assert heat.text[1][0] == '<b>60.0 %</b><br><span style="font-size:11px">your guess</span>'
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].y1) == (-0.48, 1.47)
    assert figures.size_grid(grid, "params").data[0].text[0][1] == "<b>128,000</b>".replace(
        "128,000", "0.1 M"
    )


@pytest.mark.parametrize("dark", [False, True])
def test_a_claims_marks_have_their_interval_and_their_seeds(dark: bool) -> None:
    found = findings("cho2019", of_teachers({1: 4, 2: 19, 5: 12, 10: 6}))
    figure = figures.claim_chart(found.points, found.level, "Title", "Epochs", "Accuracy (%)", dark=dark)
    teacher, _, mine, seeds, level = figure.data
    assert (teacher.name, mine.name) == ("Teacher", "Its student")
    assert list(mine.y) == pytest.approx([100 * right / 60 for right in (44, 59, 52, 46)])
    low = found.points[found.points["series"] == "student"]["low"].iloc[0]
    assert mine.y[0] - mine.error_y.arrayminus[0] == pytest.approx(100 * low)
    assert len(seeds.y) == 4 * 3
    assert teacher.x[0] < mine.x[0], "side by side"
    assert list(figure.layout.xaxis.ticktext) == ["1", "2", "5", "10"]
    assert figure.layout.yaxis.title.text == "Accuracy (%)"
    assert level.name == "Student alone 83.3 %", "in the legend, where no mark can lie on it"
    assert list(level.y) == pytest.approx([100 * 5 / 6] * 2)


def test_a_random_teachers_students_have_a_panel_of_their_own() -> None:
    """Their shares are tens of points lower, and pressed flat what decides."""
    found = findings("stanton2021", recorded_lab("stanton2021"))
    figure = figures.claim_chart(found.points, found.level, "T", "Texts", "Share (%)")
    panels = {trace.name: trace.yaxis for trace in figure.data if trace.name}
    assert panels["Agrees with its teacher"] == panels["Is right"] == "y"
    assert panels["Agrees with a random teacher"] == panels["Is right, taught by it"] == "y2"
    assert figure.layout.yaxis2.domain[1] < figure.layout.yaxis.domain[0]
    assert figure.layout.yaxis2.title.text == "Share (%)"


def test_the_student_without_a_teacher_has_its_own_mark() -> None:
    cells = [student("student", 0, TRUTH), *(unseen("alone", 0, place, 2) for place in range(3))]
    cells += [unseen("student", 0, place, 15) for place in range(3)]
    found = findings("hinton2015", of_claim(cells))
    traces = [trace for trace in figures.claim_chart(found.points, None, "T", "x", "y").data if trace.name]
    assert [(trace.marker.symbol, trace.showlegend) for trace in traces] == [
        ("circle-open", True),
        ("square-open", False),
        ("circle", True),
        ("square", False),
    ]
