"""The staircase in words, and as a figure."""

from __future__ import annotations

import numpy as np
import pytest

from kd_core.deployment.paired import compare, judge, reference
from kd_core.deployment.reports import by_metric
from kd_core.deployment.runtimes import split_form
from kd_core.deployment.staircase import conditions, doubt, label, sentences, short_label, steps, table
from kd_core.figures import staircase
from tests.unit.deployment.stairs import FORMS, MACHINE, form


def test_the_order_of_the_stairs_is_not_that_of_the_report():
    assert [short_label(form) for form in steps(FORMS)] == ["Teacher", "Distilled", "ONNX", "ONNX int8"]
    assert [label(form) for form in steps(FORMS[:2])] == ["Teacher, PyTorch", "Distilled student, ONNX int8"]


def test_what_each_step_costs_and_buys():
    assert sentences(FORMS) == {
        "Distilled": "9.0x smaller and 8.0x faster than the teacher; 0.6 points more accurate than the "
        "teacher",
        "ONNX": "7.5x smaller and 10.0x faster than the teacher; as accurate as the distilled student",
        "ONNX int8": "30.0x smaller and 20.0x faster than the teacher; 0.2 points less accurate than the "
        "distilled student",
    }


def test_a_loss_is_judged_text_by_text():
    """10 texts lost, none gained: within ± 2.9 of either accuracy, and yet a loss."""
    right = np.arange(524) >= 50
    quantised = right & (np.arange(524) >= 60)
    pairs = compare({"student-pytorch": right, "student-onnx": right, "student-int8": quantised})
    assert set(pairs) == {"student-onnx", "student-int8"}
    assert pairs["student-int8"]["high"] < 0
    int8 = form("student", "int8", quantised.mean(), 3.0, 0.4) | {"paired": pairs["student-int8"]}
    onnx = form("student", "onnx", right.mean(), 10.0, 1.0) | {"paired": pairs["student-onnx"]}
    said = sentences([FORMS[1], form("student", "pytorch", right.mean(), 10.0, 1.0), onnx, int8])
    assert said["ONNX"].endswith("as accurate as the distilled student: no text lost or gained of 524")
    low, high = (100 * pairs["student-int8"][end] for end in ("low", "high"))
    assert said["ONNX int8"].endswith(
        "1.9 points less accurate than the distilled student: 10 texts lost, 0 gained of 524, 95 % interval "
        f"−{-low:.1f} to −{-high:.1f}"
    )
    assert table([int8]).loc[0, "Text by text"] == f"10 lost, 0 gained (−{-low:.1f} to −{-high:.1f})"


def test_what_each_form_is_compared_with():
    assert [reference(name) for name in ("teacher-pytorch", "teacher-int8", "student-pytorch")] == [
        None,
        "teacher-pytorch",
        "teacher-pytorch",
    ]


def test_a_slower_form():
    bad = form("student", "int8", 0.80, 180.0, 16.0)
    said = sentences([FORMS[1], FORMS[4], bad])["ONNX int8"]
    assert said == (
        "2.0x larger and 2.0x slower than the teacher; 8.2 points less accurate than the distilled student"
    )


def test_the_table():
    row = table(FORMS).iloc[1].to_dict()
    assert row == {
        "Form": "Teacher, PyTorch",
        "Accuracy": "87.6 % −3.0/+2.0",
        "Text by text": "",
        "Parameters": "22.7 M",
        "Size": "90.0 MB",
        "Latency p50": "8.00 ms",
        "p95": "16.0 ms",
        "Tokens": "9.0",
    }


def test_the_conditions():
    said = conditions(FORMS, MACHINE, 1_524)
    assert said.startswith(
        "Accuracy: each form was run on all 1,524 test texts, in fp32 or, one by one, in int8; where the run "
        "computed in bf16, its report may have a text or two more or less. ± is half of the 95 % interval, "
        "−/+ are its two sides where they differ."
    )
    assert "one text, without the tokenizer, on 1 thread, 100 test texts, 9 to 11 tokens on average" in said
    assert ", 9 tokens on average" in conditions(FORMS[1:], MACHINE, 524)


def test_times_beside_other_work_are_said_to_be():
    assert doubt(FORMS) == "", "nobody has looked"
    for busy, is_said in ((0.9, False), (0.3, True)):
        forms = [form | {"latency_ms": form["latency_ms"] | {"busy": busy}} for form in FORMS[1:2]]
        said = "the processor was at other work for 70 % (teacher, PyTorch) of the time: export again when"
        assert (said in doubt(forms)) is is_said


@pytest.mark.parametrize(
    ("measure", "values", "written"),
    [
        (
            "size",
            (90, 10, 12, 3),
            ["90.0 MB", "10.0 MB|9.0x|smaller", "12.0 MB|7.5x|smaller", "3.0 MB|30.0x|smaller"],
        ),
        (
            "latency",
            (8, 1, 0.8, 0.4),
            ["8.00 ms", "1.00 ms|8.0x|faster", "0.80 ms|10.0x|faster", "0.40 ms|20.0x|faster"],
        ),
        (
            "accuracy",
            (87.6, 88.2, 88.2, 88.0),
            ["87.6 %|−3.0/+2.0", "88.2 %|−3.0/+2.0", "88.2 %|−3.0/+2.0", "88.0 %|−3.0/+2.0"],
        ),
    ],
)
@pytest.mark.parametrize("dark", [False, True])
def test_the_figure(measure, values, written, dark):
    figure = staircase(FORMS, measure, dark=dark)
    assert figure.data[0].x == ("Teacher", "Distilled", "ONNX", "ONNX int8")
    assert figure.data[0].y == pytest.approx(values)
    texts = [
        note.text.replace("<br>", "|").replace("<b>", "").replace("</b>", "")
        for note in figure.layout.annotations
    ]
    assert texts == written
    if measure == "accuracy":
        assert figure.data[0].error_y.array == pytest.approx([2.0] * 4)
        assert figure.data[0].error_y.arrayminus == pytest.approx([3.0] * 4)
    else:
        assert figure.layout.yaxis.range[0] == 0


def test_a_difference_that_may_be_nothing_is_not_called_one():
    """2 texts lost and 3 gained of 300, of a run that knows only how often its student agrees."""
    right = np.arange(300) < 203
    quantised = right.copy()
    quantised[:2], quantised[203:206] = False, True
    pairs = compare({"student-pytorch": right, "student-onnx": right, "student-int8": quantised})
    forms = [
        form("student", "pytorch", right.mean(), 10.0, 1.0),
        form("student", "onnx", right.mean(), 10.0, 1.0) | {"paired": pairs["student-onnx"]},
        form("student", "int8", quantised.mean(), 3.0, 0.4) | {"paired": pairs["student-int8"]},
    ]
    for measures, same in (
        ("accuracy", "as accurate"),
        ("agreement", "in agreement with the teacher as often"),
    ):
        said = sentences(forms, measures)
        assert f"{same} as the distilled student: no text lost or gained of 300" in said["ONNX"]
        nothing = (
            f"no difference in {measures} from the distilled student that these texts can show: 2 texts lost"
        )
        assert nothing in said["ONNX int8"]


# By an F1. Of four "spam" and six others the student finds all and one more, int8 finds two.
SPAM = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
STUDENT = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
INT8 = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])


def by_f1(metric: str) -> list[dict]:
    answers = {"teacher-pytorch": SPAM, "student-pytorch": STUDENT, "student-int8": INT8}
    judged = judge(answers, SPAM, metric, ["ham", "spam"])
    return [
        form(*split_form(name), float((said == SPAM).mean()), 3.0, 0.4) | judged[name]
        for name, said in answers.items()
    ]


@pytest.mark.parametrize(
    ("metric", "student", "int8"),
    [
        ("f1:spam", 8 / 9, 4 / 6),  # 2 TP / (texts of it + answers of it)
        ("macro_f1", (8 / 9 + 10 / 11) / 2, (4 / 6 + 12 / 14) / 2),
    ],
)
def test_where_a_run_is_judged_by_an_f1_its_forms_are_too(metric, student, int8):
    forms, name = by_metric(by_f1(metric), "accuracy")
    assert name == {"f1:spam": "F1 of spam", "macro_f1": "macro-F1"}[metric]
    assert [one["accuracy"] for one in forms] == pytest.approx([1, student, int8])
    assert (forms[0]["low"], forms[0]["high"]) == (None, None), "a teacher that is right throughout"
    assert forms[2]["paired"]["delta"] == pytest.approx(int8 - student)
    assert (forms[2]["paired"]["lost"], forms[2]["paired"]["gained"]) == (2, 1), "as texts, they are the same"
    assert by_metric(forms, "accuracy") == (forms, name), "twice is once"
    said = sentences(by_f1(metric))["ONNX int8"]
    assert "no difference in " + name + " from the distilled student that these texts can show" in said
    assert list(table(by_f1(metric)).columns)[1] == name[0].upper() + name[1:]
    assert table(by_f1(metric)).iloc[0, 1] == "100.0 %"
    assert f"difference in {name}, in points" in conditions(by_f1(metric), MACHINE, 10)


def test_forms_of_before_are_shown_in_accuracy():
    old = [one | {"judged": None} for one in by_f1("macro_f1")]
    for one in old:
        del one["judged"]
    assert by_metric(old, "agreement") == (old, "agreement")
    assert by_metric([*by_f1("macro_f1"), old[0]], "accuracy")[1] == "accuracy", "nothing is mixed"
    assert not any("judged" in found for found in judge({"a-pytorch": SPAM}, SPAM, "accuracy", []).values())


@pytest.mark.parametrize("dark", [False, True])
def test_a_step_whose_interval_is_not_known_has_no_whisker(dark):
    figure = staircase(by_f1("f1:spam"), "accuracy", dark=dark)
    assert figure.layout.title.text == "F1 of spam on the test texts"
    assert list(figure.data[0].y) == pytest.approx([100, 800 / 9, 400 / 6])
    assert figure.data[0].error_y.array[0] == figure.data[0].error_y.arrayminus[0] == 0
    assert figure.data[0].error_y.arrayminus[1] > 1
    assert figure.data[0].hovertext[0] == "Teacher, PyTorch: 100.0 %"
