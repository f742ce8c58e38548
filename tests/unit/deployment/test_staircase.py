"""The staircase of a compressed model in words and as a figure, and forms compared text by text."""

import numpy as np
import pytest

from kd_core.deployment.paired import compare, judge, reference
from kd_core.deployment.reports import by_metric
from kd_core.deployment.runtimes import split_form
from kd_core.deployment.staircase import conditions, doubt, label, sentences, short_label, steps, table
from kd_core.figures import staircase
from tests.unit.deployment.stairs import FORMS, MACHINE, form


def test_order_of_the_steps():
    assert [short_label(form) for form in steps(FORMS)] == ["Teacher", "Distilled", "ONNX", "ONNX int8"]
    assert [label(form) for form in steps(FORMS[:2])] == ["Teacher, PyTorch", "Distilled student, ONNX int8"]
    names = ("teacher-pytorch", "teacher-int8", "student-pytorch")
    assert [reference(name) for name in names] == [None, "teacher-pytorch", "teacher-pytorch"]


def test_sentences():
    whom = "than the teacher"
    assert sentences(FORMS) == {
        "Distilled": f"9.0x smaller and 8.0x faster {whom}; 0.6 points more accurate {whom}",
        "ONNX": f"7.5x smaller and 10.0x faster {whom}; as accurate as the distilled student",
        "ONNX int8": f"30.0x smaller and 20.0x faster {whom}; 0.2 points less accurate than the distilled "
        "student",
    }
    slow = sentences([FORMS[1], FORMS[4], form("student", "int8", 0.80, 180.0, 16.0)])["ONNX int8"]
    assert slow.startswith(f"2.0x larger and 2.0x slower {whom}; 8.2 points less")


def stairs(right, quantised):
    """Give the forms whether they are right (texts,); ONNX is right where PyTorch is."""
    pairs = compare({"student-pytorch": right, "student-onnx": right, "student-int8": quantised})
    assert set(pairs) == {"student-onnx", "student-int8"}
    return [FORMS[1], form("student", "pytorch", right.mean(), 10.0, 1.0)] + [
        form("student", name, own.mean(), 3.0, 0.4) | {"paired": pairs[f"student-{name}"]}
        for name, own in (("onnx", right), ("int8", quantised))
    ]


def test_loss_is_judged_text_by_text():
    """10 texts lost, none gained: within ± 2.9 of either accuracy, and yet a loss."""
    forms = stairs(np.arange(524) >= 50, np.arange(524) >= 60)
    said, pair = sentences(forms), forms[-1]["paired"]
    assert said["ONNX"].endswith("as accurate as the distilled student: no text lost or gained of 524")
    low, high = -100 * pair["low"], -100 * pair["high"]
    assert high > 0
    assert said["ONNX int8"].endswith(
        "1.9 points less accurate than the distilled student: 10 texts lost, 0 gained of 524, 95 % interval "
        f"−{low:.1f} to −{high:.1f}"
    )
    assert table(forms).loc[3, "Text by text"] == f"10 lost, 0 gained (−{low:.1f} to −{high:.1f})"


def test_difference_within_the_interval():
    right = np.arange(300) < 203
    forms = stairs(right, np.r_[[False] * 2, [True] * 204, [False] * 94])
    for measures, same in (
        ("accuracy", "as acc"),
        ("agreement", "in agreement with the teacher as often as the"),
    ):
        said = sentences(forms, measures)
        assert same in said["ONNX"]
        assert f"no difference in {measures} from the distilled student that these texts" in said["ONNX int8"]
        assert ": 2 texts lost, 3 gained of 300" in said["ONNX int8"]


def test_table_and_conditions():
    row = " | ".join(table(FORMS).iloc[1])
    assert row == "Teacher, PyTorch | 87.6 % −3.0/+2.0 |  | 22.7 M | 90.0 MB | 8.00 ms | 16.0 ms | 9.0"
    said = conditions(FORMS, MACHINE, 1_524)
    assert said.startswith(
        "Accuracy: each form was run on all 1,524 test texts, in fp32 or, one by one, in int8;"
    )
    assert "one text, without the tokenizer, on 1 thread, 100 test texts, 9 to 11 tokens on average" in said
    assert ", 9 tokens on average" in conditions(FORMS[1:], MACHINE, 524)


@pytest.mark.parametrize(("busy", "is_said"), [(None, False), (0.9, False), (0.3, True)])
def test_doubt_about_times_beside_other_work(busy, is_said):
    teacher = FORMS[1] | {"latency_ms": FORMS[1]["latency_ms"] | {"busy": busy}}
    said = "the processor was at other work for 70 % (teacher, PyTorch) of the time: export again when"
    assert (said in doubt([teacher])) is is_said


@pytest.mark.parametrize(
    ("measure", "values", "written"),
    [
        (
            "size",
            (90, 10, 12, 3),
            ["90.0 MB", "10.0 MB9.0xsmaller", "12.0 MB7.5xsmaller", "3.0 MB30.0xsmaller"],
        ),
        (
            "latency",
            (8, 1, 0.8, 0.4),
            ["8.00 ms", "1.00 ms8.0xfaster", "0.80 ms10.0xfaster", "0.40 ms20.0xfaster"],
        ),
        ("accuracy", (87.6, 88.2, 88.2, 88.0), [f"{x} %−3.0/+2.0" for x in (87.6, 88.2, 88.2, "88.0")]),
    ],
)
def test_figure(measure, values, written):
    figure = staircase(FORMS, measure, dark=measure == "size")
    assert figure.data[0].x == ("Teacher", "Distilled", "ONNX", "ONNX int8")
    assert figure.data[0].y == pytest.approx(values)
    texts = [note.text for note in figure.layout.annotations]
    for markup in ("<br>", "<b>", "</b>"):
        texts = [text.replace(markup, "") for text in texts]
    assert texts == written
    if measure == "accuracy":
        assert figure.data[0].error_y.array == pytest.approx([2.0] * 4)
        assert figure.data[0].error_y.arrayminus == pytest.approx([3.0] * 4)
    else:
        assert figure.layout.yaxis.range[0] == 0


# Of four "spam" and six others the student finds all and one more, int8 finds two.
SPAM = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
ANSWERS = {
    "teacher-pytorch": SPAM,
    "student-pytorch": (np.arange(10) < 5) * 1,
    "student-int8": (np.arange(10) < 2) * 1,
}


def by_f1(metric):
    judged = judge(ANSWERS, SPAM, metric, ["ham", "spam"])
    return [
        form(*split_form(name), float((said == SPAM).mean()), 3.0, 0.4) | judged[name]
        for name, said in ANSWERS.items()
    ]


@pytest.mark.parametrize(
    ("metric", "name", "student", "int8"),
    [
        ("f1:spam", "F1 of spam", 8 / 9, 4 / 6),  # 2 TP / (texts of it + answers of it)
        ("macro_f1", "macro-F1", (8 / 9 + 10 / 11) / 2, (4 / 6 + 12 / 14) / 2),
    ],
)
def test_forms_in_f1(metric, name, student, int8):
    forms, measures = by_metric(by_f1(metric), "accuracy")
    assert measures == name
    assert [one["accuracy"] for one in forms] == pytest.approx([1, student, int8])
    assert (forms[0]["low"], forms[0]["high"]) == (None, None), "the teacher is always right"
    assert forms[2]["paired"]["delta"] == pytest.approx(int8 - student)
    assert (forms[2]["paired"]["lost"], forms[2]["paired"]["gained"]) == (2, 1), "texts stay texts"
    assert by_metric(forms, "accuracy") == (forms, name), "twice is once"
    whiskers = staircase(forms, "accuracy").data[0].error_y
    assert whiskers.array[0] == whiskers.arrayminus[0] == 0, "an unknown interval has none"
    assert whiskers.arrayminus[1] > 1
    said = sentences(by_f1(metric))["ONNX int8"]
    assert f"no difference in {name} from the distilled student that these texts can show" in said
    assert table(by_f1(metric)).iloc[0, 1] == "100.0 %"
    assert list(table(by_f1(metric)).columns)[1] == name[0].upper() + name[1:]
    assert f"difference in {name}, in points" in conditions(by_f1(metric), MACHINE, 10)


def test_forms_with_and_without_f1_are_not_mixed():
    old = [{key: value for key, value in one.items() if key != "judged"} for one in by_f1("macro_f1")]
    assert by_metric(old, "agreement") == (old, "agreement")
    assert by_metric([*by_f1("macro_f1"), old[0]], "accuracy")[1] == "accuracy", "nothing is mixed"
    assert not any("judged" in found for found in judge({"a-pytorch": SPAM}, SPAM, "accuracy", []).values())
