from __future__ import annotations

import io
import sys

import pytest

from kd_core.cli import output
from kd_core.distillation.report import Report
from tests.unit.cli.conftest import REPORT, SAMPLE, Outcome, model

pytestmark = pytest.mark.usefixtures("own_environment")


def printed(capsys, **changes) -> list[str]:
    output.print_report(output.console(sys.stdout), Report.from_dict(REPORT | changes))
    return Outcome(0, *capsys.readouterr()).lines


@pytest.mark.parametrize(
    ("metric", "headings", "student"),
    [
        ("macro_f1", "Macro-F1 Accuracy Parameters", "88.5 % 89.5 % ± 1.3"),
        ("f1:tech", "F1 of tech Accuracy Macro-F1 Parameters", "86.7 % 89.5 % ± 1.3 88.5 %"),
    ],
)
def test_metric_that_decides_comes_first(capsys, metric, headings, student) -> None:
    training = REPORT["config"]["training"] | {"metric": metric}
    lines = printed(capsys, config=REPORT["config"] | {"training": training})
    assert lines[1].startswith(headings)
    assert lines[3].startswith(f"Distilled student {student}")


def test_report_as_tables(kd, use_engine) -> None:
    use_engine()
    assert kd("distill").lines == [
        "On 524 test texts. Latency p50 and p95 in ms: one text, without the tokenizer, on 1 thread.",
        "Accuracy Macro-F1 Parameters Size p50 p95",
        "Teacher 90.0 % ± 1.3 89.0 % 22.7 M 90.9 MB 1.23 1.90",
        "Distilled student 89.5 % ± 1.3 88.5 % 3.0 M 12.0 MB 1.23 1.90",
        "Student alone 84.5 % ± 1.3 83.5 % 3.0 M 12.0 MB 1.23 1.90",
        "The distilled student on each class, the rarest first.",
        "Class Test texts Precision Recall F1",
        "tech 83 86.7 % 86.7 % 86.7 %",
        "entertainment 91 91.8 % 85.7 % 88.6 %",
        "politics 101 86.0 % 85.1 % 85.6 %",
        "sports 124 86.0 % 94.4 % 90.0 %",
        "business 125 88.3 % 84.8 % 86.5 %",
        "Accuracy on the test texts, and on texts unlike the labelled ones.",
        "test typos",
        "Teacher 90.0 % 80.0 %",
        "Distilled student 89.5 % 79.5 %",
        "Student alone 84.5 % 74.5 %",
        "Distillation helped: +5.0 points.",
        "Label [bold]x[/bold] :smile: was merged.",
        "Run r1: /data/runs/r1",
    ]


def test_report_lists_the_rarest_of_many_classes(capsys) -> None:
    score = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}
    classes = [{"name": f"class {i}", **score, "support": i} for i in reversed(range(20))]
    scores = SAMPLE["student"]["seeds"]["0"] | {"per_class": classes}
    lines = printed(capsys, student=model(0.895, seeds={"0": scores}))
    first = lines.index("The distilled student on each class, the rarest first; 8 more in the report.")
    assert lines[first + 1] == "Class Test texts Precision Recall F1"
    assert lines[first + 2] == "class 0 0"  # without test texts nobody knows how well it is recognised
    assert lines[first + 3] == "class 1 1 50.0 % 25.0 % 33.3 %"
    assert lines[first + 13] == "class 11 11 50.0 % 25.0 % 33.3 %"
    assert not lines[first + 14].startswith("class")


def test_report_without_shifted_texts(capsys) -> None:
    models = {who: model(0.8, shifted={}) for who in ("teacher", "alone", "student", "labelled_only")}
    out = "\n".join(printed(capsys, **models))
    assert "\nDistilled on labelled texts only 80.0 % ± 1.3" in out
    assert "unlike the labelled" not in out


def test_narrow_terminal_cuts_no_number_and_no_name() -> None:
    headings = ("", "Accuracy", "Macro-F1", "Parameters", "Size", "p50", "Note")
    rows = [
        ("Teacher", "91.2 % ± 2.4", "91.0 %", "22.7 M", "90.9 MB", "8.41", None),
        ("Distilled student", "87.6 % −3.2/+2.8", "86.9 % −3.3/+2.9", "640,321", "2.6 MB", "0.45", "[new]"),
    ]

    def shown(width: int) -> list[str]:
        stream = io.StringIO()
        output.console(stream, piped=width).print(output.table(headings, rows, range(1, 6)))
        return stream.getvalue().splitlines()

    assert [line.split()[0] for line in shown(120)] == ["Accuracy", "Teacher", "Distilled"]
    narrow = shown(60)
    assert narrow[:3] == ["Teacher", "  Accuracy: 91.2 % ± 2.4", "  Macro-F1: 91.0 %"]
    assert narrow[6:8] == ["Distilled student", "  Accuracy: 87.6 % −3.2/+2.8"]
    assert narrow[-1] == "  Note: [new]"
    assert "…" not in "".join(narrow)


def test_cell_from_right_to_left_takes_no_number_along(capsys) -> None:
    rows = [("مدنية", "70.1 %"), ("Mecca", "89.8 %")]
    output.console(sys.stdout).print(output.table(("Class", "F1"), rows, numbers=(1,)))
    shown = capsys.readouterr().out
    assert "مدنية\u200e" in shown, "a mark after which all goes on from left to right"
    assert "Mecca\u200e" not in shown
    assert len({line.rindex("%") for line in shown.replace("\u200e", "").splitlines()[1:]}) == 1
